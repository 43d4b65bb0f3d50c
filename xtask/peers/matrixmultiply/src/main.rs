//! matrixmultiply's side of `cargo xtask bench gemm --against matrixmultiply`, with the best kernel that it finds for this CPU.

#[path = "../../protocol.rs"]
mod protocol;

use protocol::{Run, Work};

const WORKS: &[Work] = &[
    ("gemm 512x512x512", "plain", |_| square(512)),
    ("gemm 1024x1024x1024", "plain", |_| square(1024)),
    ("gemm 2048x2048x2048", "plain", |_| square(2048)),
];

fn main() {
    protocol::serve(concat!("matrixmultiply ", env!("PEER_VERSION")), WORKS);
}

/// The product of two square matrices, on as many threads as `MATMUL_NUM_THREADS` says.
fn square(side: usize) -> Run {
    let numbers = || (0..side * side).map(|i| (i % 1000) as f32 / 500.0 - 1.0).collect::<Vec<f32>>();
    let (a, b, mut c) = (numbers(), numbers(), vec![0.0; side * side]);
    Box::new(move || {
        let stride = side as isize;
        // SAFETY: each slice has `side` rows of `side` numbers.
        unsafe {
            let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
            matrixmultiply::sgemm(side, side, side, 1.0, a, stride, 1, b, stride, 1, 0.0, c, stride, 1);
        }
    })
}
