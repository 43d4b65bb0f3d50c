//! The state of a parameter between steps, and the single pass over value, gradient and state.

use super::method::Step;
use cnn_tensor::simd::{Kernel, Level, Simd};
use cnn_tensor::{Shape, Tensor, parallel};
use std::ops::Range;

/// The number of elements that a thread takes at a time.
pub(super) const PIECE: usize = 1 << 16;

/// The state of one parameter: `N` tensors of its shape, cut into pieces of [`PIECE`] elements, so that a thread can take its
/// share of all of them at once. Empty for a frozen parameter.
pub(super) struct Memory<const N: usize> {
    pub name: String,
    pub shape: Shape,
    /// The index of the parameter's settings.
    pub settings: usize,
    pieces: Vec<[Tensor; N]>,
}

impl<const N: usize> Memory<N> {
    /// The state of a parameter with the settings `settings`. `start` has the initial value of each tensor; without it, the
    /// parameter is frozen.
    pub fn new(name: String, shape: Shape, settings: usize, start: Option<[f32; N]>) -> Self {
        let mut pieces = Vec::new();
        for at in (0..shape.numel()).step_by(PIECE).filter(|_| start.is_some()) {
            let len = PIECE.min(shape.numel() - at);
            // Zeros come from the system as they are wanted; other numbers have to be written.
            let filled = |v| if v == 0.0 { Tensor::zeros([len]) } else { Tensor::full([len], v) };
            pieces.extend(start.map(|start| start.map(filled)));
        }
        Self { name, shape, settings, pieces }
    }

    /// Tensor `k` as a whole.
    pub fn gather(&self, k: usize) -> Tensor {
        let mut whole = Tensor::scratch(self.shape);
        for (whole, piece) in whole.data_mut().chunks_mut(PIECE).zip(&self.pieces) {
            whole.copy_from_slice(piece[k].data());
        }
        whole
    }

    /// Sets tensor `k`.
    pub fn scatter(&mut self, k: usize, whole: &Tensor) {
        for (whole, piece) in whole.data().chunks(PIECE).zip(&mut self.pieces) {
            piece[k].data_mut().copy_from_slice(whole);
        }
    }

    pub fn step(&mut self, step: impl Step<N>, value: &mut Tensor, gradient: &Tensor) {
        let (value, gradient) = (value.data_mut(), gradient.data());
        parallel::for_each_chunk_pair((value, PIECE), (&mut self.pieces, 1), |i, value, piece| {
            let gradient = &gradient[i * PIECE..][..value.len()];
            let memory = piece[0].each_mut().map(Tensor::data_mut);
            Level::current().run(Pass { step, value, gradient, memory });
        });
    }
}

/// One pass over value, gradient and state of a piece, all of the same length.
struct Pass<'a, T, const N: usize> {
    step: T,
    value: &'a mut [f32],
    gradient: &'a [f32],
    memory: [&'a mut [f32]; N],
}

impl<T: Step<N>, const N: usize> Kernel for Pass<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let len = self.value.len();
        let whole = len - len % S::LANES;
        for start in (0..whole).step_by(S::LANES) {
            self.vector(s, start..start + S::LANES, S::load, S::store);
        }
        self.vector(s, whole..len, S::load_partial, S::store_partial);
    }
}

impl<T: Step<N>, const N: usize> Pass<'_, T, N> {
    /// The elements of `here`, at most a full vector.
    #[inline(always)]
    fn vector<S: Simd>(
        &mut self,
        s: S,
        here: Range<usize>,
        load: impl Fn(S, &[f32]) -> S::V,
        store: impl Fn(S, S::V, &mut [f32]),
    ) {
        let mut memory = [s.splat(0.0); N];
        for (v, old) in memory.iter_mut().zip(&self.memory) {
            *v = load(s, &old[here.clone()]);
        }
        let (value, gradient) = (load(s, &self.value[here.clone()]), load(s, &self.gradient[here.clone()]));
        let (value, memory) = self.step.apply(s, value, gradient, memory);
        store(s, value, &mut self.value[here.clone()]);
        for (v, new) in memory.into_iter().zip(&mut self.memory) {
            store(s, v, &mut new[here.clone()]);
        }
    }
}
