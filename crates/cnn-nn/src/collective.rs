//! Training one network in several processes.

use crate::NnError;

/// The processes of a run. `()` is a single process.
///
/// Each process takes its contiguous share of every batch. Before the optimizer runs, the gradients are summed over all
/// processes, so that all of them take the same step.
pub trait Collective: Send + Sync {
    /// The number of this process, from 0.
    fn rank(&self) -> usize {
        0
    }

    /// The number of processes.
    fn size(&self) -> usize {
        1
    }

    /// Replaces each number by its sum over all processes, in the order of their ranks.
    ///
    /// # Errors
    /// Another process is gone, or sums other numbers.
    fn sum(&self, values: &mut [f32]) -> Result<(), NnError>;

    /// [`Collective::sum`] in f64, for losses and their divisors.
    ///
    /// # Errors
    /// An error of [`Collective::sum`].
    fn sum_f64(&self, values: &mut [f64]) -> Result<(), NnError>;
}

impl Collective for () {
    fn sum(&self, _: &mut [f32]) -> Result<(), NnError> {
        Ok(())
    }

    fn sum_f64(&self, _: &mut [f64]) -> Result<(), NnError> {
        Ok(())
    }
}
