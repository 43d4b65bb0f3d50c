//! Batch normalisation, of feature vectors `[n, c]`, sequences `[n, c, l]` and images `[n, c, h, w]`.
//!
//! `y[n, c, ...] = (x[n, c, ...] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]`, where in training `mean[c]` and
//! `var[c]` are the mean and the biased variance (divided by the count `m = n*h*w`) of the channel's values in the
//! batch, and in evaluation running averages of them.
//!
//! Gradients in training, with `xhat = (x - mean) / sqrt(var + eps)` and sums over the channel:
//! `dbias = sum of dy`, `dweight = sum of dy xhat`, and
//! `dx = weight / sqrt(var + eps) * (dy - dbias / m - xhat * dweight / m)`. In evaluation the statistics are constants,
//! and `dx = weight / sqrt(var + eps) * dy`.
//!
//! **Conventions.** Those of PyTorch's `nn.BatchNorm1d` and `nn.BatchNorm2d`:
//!
//! - The running variance averages the *unbiased* variance, `sum of (x - mean)^2 / (m - 1)`. `momentum` is the share of
//!   the new batch: `running = (1 - momentum) running + momentum batch`. Without one, the running statistics are the
//!   plain average of all batches.
//! - A single value per channel is an error in training: any value would be normalised to `bias`.
//! - An empty batch gives an empty result, in training too, and leaves running statistics as they are.
//! - A NaN or infinity makes its channel NaN in training, and then the channel's running variance, and its mean NaN or
//!   infinite; they stay so, since an average with a finite number is not finite again. Other channels are not affected. In
//!   evaluation a NaN or infinity affects only its own element.
//! - Unlike in PyTorch, `eps` must be above 0 in evaluation too.
//!
//! **Algorithm.** One pass for the statistics, in f64, of deviations from the channel's first value, and one to apply
//! them; see `normalize.rs`. A mean of 10000 with a deviation of 1 costs no digits. Threads take whole planes
//! in both. Where a channel has few values in a row (`Extents::narrow`), both passes
//! run over rows of all channels instead, with each column's own coefficients.
//!
//! Source: S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
//! Covariate Shift", ICML 2015, algorithm 1 and section 3.1.

mod passes;

use crate::OpError;
use crate::shared::check;
use crate::shared::normalize::{Center, Moments, add, at, channels, check_eps, check_shape, usual_eps};
use cnn_tensor::{Recycled, Shape, Tensor};
use passes::Extents;
use serde::{Deserialize, Serialize};

const OP: &str = "batch_norm";

/// The options of a batch normalisation.
///
/// ```
/// use cnn_ops::batch_norm::Running;
/// use cnn_ops::BatchNorm;
/// use cnn_tensor::Tensor;
/// let op = BatchNorm { momentum: Some(0.5), ..BatchNorm::default() };
/// let x = Tensor::from_vec([4, 1], vec![2.0, 4.0, 2.0, 4.0])?;
/// let (y, saved) = op.forward(&x, None, None)?;
/// assert!(y.data().iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(y, want)| (y - want).abs() < 1e-4));
///
/// let (mut mean, mut var) = (Tensor::zeros([1]), Tensor::full([1], 1.0));
/// op.track(&saved.statistics(), 1, &mut mean, &mut var)?;
/// assert_eq!(mean.data(), [1.5]); // half of 0, half of 3
/// assert!((var.data()[0] - (0.5 + 0.5 * 4.0 / 3.0)).abs() < 1e-6); // half of 1, half of 4/3
///
/// let running = Running { mean: &mean, var: &var };
/// let y = op.infer(&Tensor::full([1, 1], 1.5), running, None, None)?;
/// assert_eq!(y.data(), [0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNorm {
    /// Added to the variance; above 0.
    pub eps: f64,
    /// The share of the new batch in the running statistics, from 0 to 1; `None` averages all batches alike.
    pub momentum: Option<f64>,
}

impl Default for BatchNorm {
    /// PyTorch's: `eps` 1e-5, `momentum` 0.1.
    fn default() -> Self {
        Self { eps: usual_eps(), momentum: Some(0.1) }
    }
}

/// The statistics that evaluation normalises by; both of shape `[c]`.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// The means.
    pub mean: &'a Tensor,
    /// The variances.
    pub var: &'a Tensor,
}

/// Read by the backward pass: the input, and the statistics of its channels.
#[derive(Clone, Debug)]
pub struct Saved {
    x: Tensor,
    /// The number of values of a channel.
    count: usize,
    moments: Recycled<Moments>,
    centers: Recycled<Center>,
}

impl Saved {
    /// The mean and the unbiased variance of each channel in the batch. Of an empty batch there are none.
    ///
    /// ```
    /// use cnn_ops::BatchNorm;
    /// use cnn_tensor::Tensor;
    /// let x = Tensor::from_vec([3, 1], vec![1.0, 2.0, 3.0])?;
    /// let (_, saved) = BatchNorm::default().forward(&x, None, None)?;
    /// assert_eq!(saved.statistics().iter().collect::<Vec<_>>(), [(2.0, 1.0)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn statistics(&self) -> Statistics {
        let count = self.count as f64;
        let of = |of: &Moments| (of.mean, of.variance * (count / (count - 1.0)));
        Statistics { channels: self.x.shape().dims()[1], of_channels: self.moments.iter().map(of).collect() }
    }
}

/// The mean and the unbiased variance of each channel of a batch. They outlive [`Saved`], until they are added to the running
/// statistics.
#[derive(Clone, Debug)]
pub struct Statistics {
    channels: usize,
    of_channels: Recycled<(f64, f64)>,
}

impl Statistics {
    /// Mean and variance of each channel. Of an empty batch there are none.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (f64, f64)> {
        self.of_channels.iter().copied()
    }
}

impl BatchNorm {
    /// Sets the number added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Sets the share of the new batch in the running statistics; `None` averages all batches alike.
    #[must_use]
    pub fn momentum(self, momentum: impl Into<Option<f64>>) -> Self {
        Self { momentum: momentum.into(), ..self }
    }

    /// The shape of `x`, which is `[n, c]`, `[n, c, l]` or `[n, c, h, w]`.
    ///
    /// # Errors
    /// An option is out of its range, or `x` has another rank.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.extents(x).map(|_| x)
    }

    /// Normalises by the batch's statistics, as in training: `y` of the shape of `x`, with `weight` and `bias` of shape
    /// `[c]`, or ones and zeros for those that are not given.
    ///
    /// # Errors
    /// Those of [`BatchNorm::output_shape`], there is only one value per channel, or a parameter is not of shape `[c]`.
    pub fn forward(
        &self,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Saved), OpError> {
        let extents = self.extents(x.shape())?;
        let count = extents.count();
        let rule = "above 1 in training";
        let got = format_args!("1 of shape {}", x.shape());
        check::rule(OP, "the number of values per channel", rule, count != 1, got)?;
        extents.check(["weight", "bias"], [weight, bias])?;
        let moments = extents.moments(x.data());
        let centers: Recycled<Center> = moments.iter().map(|of| of.center(self.eps)).collect();
        let affine = |c: usize| centers[c].apply(at(weight, c, 1.0), at(bias, c, 0.0));
        let y = extents.affine(affine, x);
        Ok((y, Saved { x: x.clone(), count, moments, centers }))
    }

    /// Averages the statistics of a batch into running ones, both of shape `[c]`: the `batches`-th batch, counted from
    /// 1. The count is used only without a `momentum`.
    ///
    /// # Errors
    /// An option is out of its range, `batches` is 0, or a running statistic is not of shape `[c]`; then nothing has
    /// changed.
    pub fn track(
        &self,
        statistics: &Statistics,
        batches: u64,
        running_mean: &mut Tensor,
        running_var: &mut Tensor,
    ) -> Result<(), OpError> {
        self.check_options()?;
        check::rule(OP, "the number of batches tracked", "at least 1", batches > 0, batches)?;
        for (name, running) in [("running_mean", &*running_mean), ("running_var", &*running_var)] {
            check_shape(OP, name, [statistics.channels], Some(running))?;
        }
        let share = self.momentum.unwrap_or(1.0 / batches as f64);
        let average = |running: &mut f32, batch: f64| {
            *running = ((1.0 - share) * f64::from(*running) + share * batch) as f32;
        };
        let running = running_mean.data_mut().iter_mut().zip(running_var.data_mut());
        for ((running_mean, running_var), (mean, variance)) in running.zip(statistics.iter()) {
            average(running_mean, mean);
            average(running_var, variance);
        }
        Ok(())
    }

    /// Normalises by running statistics, as in evaluation.
    ///
    /// # Errors
    /// Those of [`BatchNorm::output_shape`], or a statistic or parameter is not of shape `[c]`.
    pub fn infer(
        &self,
        x: &Tensor,
        running: Running<'_>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<Tensor, OpError> {
        let extents = self.extents(x.shape())?;
        extents.check_running(running)?;
        extents.check(["weight", "bias"], [weight, bias])?;
        let affine = |c: usize| self.frozen(running, c).apply(at(weight, c, 1.0), at(bias, c, 0.0));
        Ok(extents.affine(affine, x))
    }

    /// `dx` of [`BatchNorm::forward`]; adds the gradients of weight and bias into those of `dweight` and `dbias`, of
    /// shape `[c]`, that are given. `weight` is the forward pass's.
    ///
    /// # Errors
    /// `dy` does not have the shape of `x`, or a parameter or gradient is not of shape `[c]`; then nothing has been
    /// added.
    pub fn backward(
        &self,
        saved: &Saved,
        weight: Option<&Tensor>,
        dy: &Tensor,
        dweight: Option<&mut Tensor>,
        dbias: Option<&mut Tensor>,
    ) -> Result<Tensor, OpError> {
        let extents = self.extents(saved.x.shape())?;
        extents.check(["weight"], [weight])?;
        let sums = self.parameters(&extents, (&saved.x, &saved.centers), dy, dweight, dbias)?;
        let gradient = |c: usize| {
            let weight = at(weight, c, 1.0);
            let sums = sums[c].map(|sum| f64::from(weight) * sum);
            saved.centers[c].gradient(weight, sums, saved.count)
        };
        Ok(extents.gradient(gradient, &saved.x, dy))
    }

    /// [`BatchNorm::backward`] without `dx`, for the first layer of a network.
    ///
    /// # Errors
    /// Those of [`BatchNorm::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        dy: &Tensor,
        dweight: Option<&mut Tensor>,
        dbias: Option<&mut Tensor>,
    ) -> Result<(), OpError> {
        let extents = self.extents(saved.x.shape())?;
        self.parameters(&extents, (&saved.x, &saved.centers), dy, dweight, dbias).map(drop)
    }

    /// `dx` of [`BatchNorm::infer`], whose statistics are constants: to tune a network whose statistics are frozen.
    /// Adds into `dweight` and `dbias` as [`BatchNorm::backward`] does.
    ///
    /// ```
    /// use cnn_ops::batch_norm::Running;
    /// use cnn_ops::BatchNorm;
    /// use cnn_tensor::Tensor;
    /// let (mean, var) = (Tensor::full([1], 1.0), Tensor::full([1], 3.0));
    /// let op = BatchNorm { eps: 1.0, momentum: None };
    /// let (x, dy) = (Tensor::full([2, 1], 5.0), Tensor::full([2, 1], 6.0));
    /// let mut dweight = Tensor::zeros([1]);
    /// let running = Running { mean: &mean, var: &var };
    /// let dx = op.backward_frozen(&x, running, None, &dy, Some(&mut dweight), None)?;
    /// assert_eq!((dx.data(), dweight.data()), (&[3.0, 3.0][..], &[24.0][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`BatchNorm::infer`], or `dy` does not have the shape of `x`, or a gradient is not of shape `[c]`; then
    /// nothing has been added.
    pub fn backward_frozen(
        &self,
        x: &Tensor,
        running: Running<'_>,
        weight: Option<&Tensor>,
        dy: &Tensor,
        dweight: Option<&mut Tensor>,
        dbias: Option<&mut Tensor>,
    ) -> Result<Tensor, OpError> {
        let extents = self.extents(x.shape())?;
        extents.check_running(running)?;
        extents.check(["weight"], [weight])?;
        let centers: Recycled<Center> = (0..extents.channels()).map(|c| self.frozen(running, c)).collect();
        self.parameters(&extents, (x, &centers), dy, dweight, dbias)?;
        let scale = |c: usize| Center { mean: 0.0, ..centers[c] }.apply(at(weight, c, 1.0), 0.0);
        Ok(extents.affine(scale, dy))
    }

    /// The sums of `dy` and of `dy (x - mean)` of each channel, and from them the gradients of the parameters.
    fn parameters(
        &self,
        extents: &Extents,
        (x, centers): (&Tensor, &[Center]),
        dy: &Tensor,
        dweight: Option<&mut Tensor>,
        dbias: Option<&mut Tensor>,
    ) -> Result<Recycled<[f64; 2]>, OpError> {
        check::shape(OP, "dy", x.shape(), dy)?;
        extents.check(["dweight", "dbias"], [dweight.as_deref(), dbias.as_deref()])?;
        let means: Recycled<f64> = centers.iter().map(|center| center.mean).collect();
        let sums = extents.sums(&means, x.data(), Some(dy.data()));
        add(dweight, sums.iter().zip(centers).map(|([_, product], center)| product * center.inverse));
        add(dbias, sums.iter().map(|[sum, _]| *sum));
        Ok(sums)
    }

    fn frozen(&self, running: Running<'_>, c: usize) -> Center {
        let [mean, variance] = [running.mean, running.var].map(|of| f64::from(of.data()[c]));
        Moments { mean, variance }.center(self.eps)
    }

    fn extents(&self, x: Shape) -> Result<Extents, OpError> {
        self.check_options()?;
        Ok(Extents(channels(OP, x)?))
    }

    fn check_options(&self) -> Result<(), OpError> {
        check_eps(OP, self.eps)?;
        let momentum = self.momentum.unwrap_or(0.0);
        check::rule(OP, "momentum", "from 0 to 1", (0.0..=1.0).contains(&momentum), momentum)
    }
}

impl Extents {
    /// Checks that the tensors that are given have one number for each channel.
    fn check<const N: usize>(
        &self,
        names: [&'static str; N],
        tensors: [Option<&Tensor>; N],
    ) -> Result<(), OpError> {
        let Self([_, c, _]) = *self;
        names.into_iter().zip(tensors).try_for_each(|(name, tensor)| check_shape(OP, name, [c], tensor))
    }

    fn check_running(&self, running: Running<'_>) -> Result<(), OpError> {
        self.check(["running_mean", "running_var"], [Some(running.mean), Some(running.var)])
    }
}

#[cfg(test)]
mod tests;
