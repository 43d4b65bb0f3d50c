//! The interface of a method: its state, and its rule for one step.

use cnn_ops::update::UpdateRule;

/// A method with a state of `N` numbers for every trained number.
pub(super) trait Method<const N: usize>: Copy + Send + Sync + 'static {
    /// The names of these numbers in a saved state.
    const MEMORY: [&'static str; N];

    /// Their values before the first step.
    fn start(&self) -> [f32; N] {
        [0.0; N]
    }

    /// The same method with another weight decay.
    fn with_weight_decay(self, weight_decay: f64) -> Self;

    /// The rule for step number `t`, from 1, at learning rate `rate`.
    fn step(self, t: u64, rate: f32) -> impl UpdateRule<N>;
}

/// The share of the value that a decoupled weight decay subtracts.
pub(super) fn shrink(rate: f32, weight_decay: f64) -> f32 {
    (f64::from(rate) * weight_decay) as f32
}
