//! Integrated gradients: a score's difference from a baseline, divided among the pixels.

use super::{Explainer, Rule};
use crate::NnError;
use cnn_tensor::Tensor;

/// The result of [`Explainer::integrated_gradients`].
#[derive(Clone, Debug)]
pub struct Integrated {
    /// The part of each number of the image in the difference, of the image's shape.
    pub map: Tensor,
    /// The score of the image.
    pub score: f32,
    /// The score of the baseline.
    pub baseline: f32,
    /// The sum of the map.
    pub sum: f32,
}

impl Integrated {
    /// The error of the numerical integral, as a part of the difference: the sum of the exact map is `score - baseline`.
    pub fn error(&self) -> f32 {
        let difference = self.score - self.baseline;
        (self.sum - difference).abs() / difference.abs().max(f32::MIN_POSITIVE)
    }
}

impl Explainer<'_> {
    /// Integrated gradients for one image `[1, ...]`: the mean of the gradient on the straight way from `baseline` to the image,
    /// times their difference. By the midpoint rule with `steps` points; `tick` is called with the number of points done.
    ///
    /// The sum of the map is the difference of the two scores (completeness).
    ///
    /// Source: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, equation 1.
    ///
    /// # Errors
    /// The network cannot take the image or the baseline, or has no such class; or `steps` is 0.
    pub fn integrated_gradients(
        &self,
        x: &Tensor,
        baseline: &Tensor,
        class: usize,
        steps: usize,
        mut tick: impl FnMut(usize),
    ) -> Result<Integrated, NnError> {
        self.check_one(x)?;
        self.check_one(baseline)?;
        self.check_class(class)?;
        if steps == 0 {
            let (what, rule) = ("the steps of integrated gradients", "at least 1");
            return Err(NnError::Setting { what, rule, got: "0".into() });
        }
        let numbers = x.shape().numel();
        let mut sums = vec![0.0f64; numbers];
        let mut done = 0;
        while done < steps {
            let count = self.at_a_time().min(steps - done);
            let mut points = Tensor::zeros(x.shape().with_batch(count));
            for (i, point) in points.data_mut().chunks_exact_mut(numbers.max(1)).enumerate() {
                let part = ((done + i) as f32 + 0.5) / steps as f32;
                for ((point, x), from) in point.iter_mut().zip(x.data()).zip(baseline.data()) {
                    *point = from + part * (x - from);
                }
            }
            let (_, gradient, _) = self.class_gradient(&points, class, 0, Rule::Plain)?;
            for gradient in gradient.data().chunks_exact(numbers.max(1)) {
                sums.iter_mut().zip(gradient).for_each(|(sum, v)| *sum += f64::from(*v));
            }
            done += count;
            tick(done);
        }
        let ways = x.data().iter().zip(baseline.data()).map(|(x, from)| f64::from(x - from));
        let parts: Vec<f64> = sums.iter().zip(ways).map(|(sum, way)| sum / steps as f64 * way).collect();
        let map = Tensor::from_vec(x.shape(), parts.iter().map(|&part| part as f32).collect())?;
        let score = |x: &Tensor| Ok::<_, NnError>(self.scores(x)?.data()[class]);
        Ok(Integrated {
            map,
            score: score(x)?,
            baseline: score(baseline)?,
            sum: parts.iter().sum::<f64>() as f32,
        })
    }
}
