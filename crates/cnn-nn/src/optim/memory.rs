//! The state of a parameter between steps.

use cnn_ops::update::{Adjustment, UpdateRule};
use cnn_tensor::{Shape, Tensor, parallel};

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

    /// One step on the parameter, piece by piece.
    pub fn step(
        &mut self,
        rule: impl UpdateRule<N>,
        adjustment: Option<Adjustment>,
        value: &mut Tensor,
        gradient: &Tensor,
    ) {
        let (value, gradient) = (value.data_mut(), gradient.data());
        parallel::for_each_chunk_pair((value, PIECE), (&mut self.pieces, 1), |i, value, piece| {
            let gradient = &gradient[i * PIECE..][..value.len()];
            rule.update(adjustment, value, gradient, piece[0].each_mut().map(Tensor::data_mut));
        });
    }
}
