//! Where several processes that train one network together meet.

use crate::NnError;

/// The processes of a run. `()` is one alone.
///
/// Each takes its contiguous share of every batch; between the gradients and the optimizer their sums are formed, and all of them
/// then take the same step.
pub trait Collective: Send + Sync {
    /// Which process this is, from 0.
    fn rank(&self) -> usize {
        0
    }

    /// How many there are.
    fn size(&self) -> usize {
        1
    }

    /// Replaces each number by its sum over all processes, in the order of their ranks.
    ///
    /// # Errors
    /// Another process is gone, or sums something else.
    fn sum(&self, values: &mut [f32]) -> Result<(), NnError>;

    /// [`Collective::sum`] in f64: for losses and what they are divided by.
    ///
    /// # Errors
    /// Those of [`Collective::sum`].
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
