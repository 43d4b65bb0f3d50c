//! The most that memory gives and takes: what rates of work without much arithmetic are a share of.

use super::works::{Prepared, Tally};
use cnn_tensor::{Tensor, parallel, vector};

/// Numbers of the array: 256 MiB of them, far more than any cache holds.
const NUMBERS: usize = 1 << 26;
/// Numbers of a piece, for one thread at a time.
const PIECE: usize = 1 << 16;

/// Reads and writes an array once, in place, so that every byte that moves is counted.
pub fn read_and_write() -> Prepared {
    pass(NUMBERS)
}

fn pass(numbers: usize) -> Prepared {
    let mut array = Tensor::full([numbers], 1.0);
    let tally = Tally::Bytes(2 * size_of_val(array.data()) as u64);
    Prepared::new(tally, move || {
        parallel::for_each_chunk(array.data_mut(), PIECE, |_, piece| vector::scale(-1.0, piece));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_counted_once_in_and_once_out() {
        let mut work = pass(3 * PIECE + 1);
        assert_eq!(work.tally, Tally::Bytes(8 * (3 * PIECE as u64 + 1)));
        (work.run)().unwrap();
    }
}
