//! Group normalisation; instance normalisation is the case of as many groups as channels.
//!
//! The channels of an image are cut into `groups` runs of `c / groups`. Each run of each image is normalised for itself,
//! in training as in evaluation: `y[n, c, ...] = (x[n, c, ...] - mean) / sqrt(var + eps) * weight[c] + bias[c]`, with
//! the mean and the biased variance of the run's `m = c / groups * h * w` numbers.
//!
//! Gradients, with `xhat = (x - mean) / sqrt(var + eps)` and `g = dy weight[c]`: `dbias` and `dweight` are the sums of
//! `dy` and of `dy xhat` over images and pixels, and `dx = (g - mean of g - xhat * mean of (g xhat)) / sqrt(var + eps)`,
//! with means over the run.
//!
//! **Conventions.** Those of PyTorch's `nn.GroupNorm`. With one group, it is layer normalisation over `[c, h, w]`, but
//! with a weight per channel; with `c` groups, it is `nn.InstanceNorm2d` without running statistics. A run of one number
//! becomes its bias, where PyTorch's instance normalisation refuses it. A NaN or infinity makes its run NaN, and no
//! other.
//!
//! **Algorithm.** Run by run, statistics in f64; see `normalize.rs`. Made for images: planes are passed over one by one,
//! so for `[n, c]` the same number of elements takes longer. Threads take runs, and in the backward pass planes first.
//!
//! Source: Y. Wu and K. He, "Group Normalization", ECCV 2018, equations 1, 2 and 7. Instances: D. Ulyanov, A. Vedaldi and
//! V. Lempitsky, "Instance Normalization: The Missing Ingredient for Fast Stylization" (2016).

use crate::OpError;
use crate::shared::check;
use crate::shared::normalize::rows::{self, Row, WORTH_A_THREAD};
use crate::shared::normalize::{self, add, at, channels, check_eps, check_shape};
use cnn_tensor::simd::Level;
use cnn_tensor::{Recycled, Shape, Tensor, parallel};
use serde::{Deserialize, Serialize};

pub use crate::shared::normalize::rows::Saved;

const OP: &str = "group_norm";

/// The options of a group normalisation.
///
/// ```
/// use cnn_ops::GroupNorm;
/// use cnn_tensor::Tensor;
/// let x = Tensor::from_vec([1, 2, 1, 2], vec![1.0, 3.0, 10.0, 12.0])?;
/// let y = GroupNorm::new(2).eps(3.0).infer(&x, None, None)?;
/// assert_eq!(y.data(), [-0.5, 0.5, -0.5, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// The number of groups, a divisor of the channels.
    pub groups: usize,
    /// Added to the variance; above 0.
    #[serde(default = "normalize::usual_eps")]
    pub eps: f64,
}

/// The channels, the values of a channel in one image, and how the channels are grouped.
#[derive(Clone, Copy, Debug)]
struct Extents {
    c: usize,
    plane: usize,
    groups: usize,
    /// The numbers of a run.
    row: usize,
}

impl Extents {
    /// The channels of run `index`.
    fn channels(self, index: usize) -> std::ops::Range<usize> {
        let each = self.c / self.groups;
        let group = index % self.groups;
        group * each..(group + 1) * each
    }
}

impl GroupNorm {
    /// With PyTorch's `eps` of 1e-5.
    pub fn new(groups: usize) -> Self {
        Self { groups, eps: normalize::usual_eps() }
    }

    /// Sets the number added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// The shape of `x`, which is `[n, c]`, `[n, c, l]` or `[n, c, h, w]`.
    ///
    /// # Errors
    /// An option is out of its range, `x` has another rank, or the groups do not divide its channels.
    pub fn output_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.extents(x).map(|_| x)
    }

    /// The shape of `weight` and `bias`: `[c]`.
    ///
    /// # Errors
    /// Those of [`GroupNorm::output_shape`].
    pub fn parameter_shape(&self, x: Shape) -> Result<Shape, OpError> {
        self.extents(x).map(|extents| [extents.c].into())
    }

    /// `y` of the shape of `x`, with `weight` and `bias` of shape `[c]`, or ones and zeros for those that are not given.
    ///
    /// # Errors
    /// Those of [`GroupNorm::output_shape`], or a parameter is not of shape `[c]`.
    pub fn forward(
        &self,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Saved), OpError> {
        let extents = self.extents(x.shape())?;
        check_shape(OP, "weight", [extents.c], weight)?;
        check_shape(OP, "bias", [extents.c], bias)?;
        let Extents { plane, row, .. } = extents;
        Ok(rows::forward(x, row, self.eps, |level, Row { index, center, .. }, x, y| {
            let planes = x.chunks_exact(plane).zip(y.chunks_exact_mut(plane));
            for (c, (x, y)) in extents.channels(*index).zip(planes) {
                normalize::affine(level, center.apply(at(weight, c, 1.0), at(bias, c, 0.0)), x, y);
            }
        }))
    }

    /// The `y` of [`GroupNorm::forward`], when no backward pass will follow.
    ///
    /// # Errors
    /// Those of [`GroupNorm::forward`].
    pub fn infer(
        &self,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<Tensor, OpError> {
        self.forward(x, weight, bias).map(|(y, _)| y)
    }

    /// `dx` of the shape of `x`; adds the gradients of weight and bias into those of `dweight` and `dbias`, of shape
    /// `[c]`, that are given. `weight` is the forward pass's.
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
        check_shape(OP, "weight", [extents.c], weight)?;
        let sums = parameters(extents, saved, dy, dweight, dbias)?;
        let (x, dy) = (saved.x.data(), dy.data());
        let Extents { c, plane, row, groups, .. } = extents;
        let each = c / groups;
        Ok(rows::backward(saved, row, |level, Row { index, center, elements }, dx| {
            let of_planes = extents.channels(*index).zip(&sums[index * each..]);
            let of_row = of_planes.fold([0.0; 2], |total, (c, sums)| {
                let weight = f64::from(at(weight, c, 1.0));
                [total[0] + weight * sums[0], total[1] + weight * sums[1]]
            });
            let (x, dy) = (&x[elements.clone()], &dy[elements.clone()]);
            let planes = x.chunks_exact(plane).zip(dy.chunks_exact(plane)).zip(dx.chunks_exact_mut(plane));
            for (c, ((x, dy), dx)) in extents.channels(*index).zip(planes) {
                normalize::gradient(level, center.gradient(at(weight, c, 1.0), of_row, row), x, dy, dx);
            }
        }))
    }

    /// [`GroupNorm::backward`] without `dx`, for the first layer of a network.
    ///
    /// # Errors
    /// Those of [`GroupNorm::backward`].
    pub fn backward_parameters(
        &self,
        saved: &Saved,
        dy: &Tensor,
        dweight: Option<&mut Tensor>,
        dbias: Option<&mut Tensor>,
    ) -> Result<(), OpError> {
        parameters(self.extents(saved.x.shape())?, saved, dy, dweight, dbias).map(drop)
    }

    fn extents(&self, x: Shape) -> Result<Extents, OpError> {
        check_eps(OP, self.eps)?;
        let groups = self.groups;
        check::rule(OP, "groups", "at least 1", groups >= 1, groups)?;
        let [_, c, plane] = channels(OP, x)?;
        let got = format_args!("{groups} for {c} channels");
        check::rule(OP, "groups", "a divisor of the channels", c.is_multiple_of(groups), got)?;
        // Without elements there is no row, and its extent, which might overflow, does not matter.
        let row = if x.numel() == 0 { 0 } else { c / groups * plane };
        Ok(Extents { c, plane, groups, row })
    }
}

/// For each plane, the sums of `dy` and of `dy (x - mean)`; and from them the gradients of the parameters, in the order
/// of the images.
fn parameters(
    extents: Extents,
    saved: &Saved,
    dy: &Tensor,
    dweight: Option<&mut Tensor>,
    dbias: Option<&mut Tensor>,
) -> Result<Recycled<[f64; 2]>, OpError> {
    let Extents { c, plane, groups, row } = extents;
    check::shape(OP, "dy", saved.x.shape(), dy)?;
    check_shape(OP, "dweight", [c], dweight.as_deref())?;
    check_shape(OP, "dbias", [c], dbias.as_deref())?;
    if row == 0 {
        return Ok(Recycled::default());
    }
    let each = c / groups;
    let mut sums = Recycled::filled([0.0; 2], saved.centers.len() * each);
    let (level, chunk) = (Level::current(), WORTH_A_THREAD.div_ceil(plane));
    parallel::for_each_chunk(&mut sums, chunk, |i, sums| {
        for (at, sums) in sums.iter_mut().enumerate() {
            let at = i * chunk + at;
            let here = at * plane..(at + 1) * plane;
            let mean = saved.centers[at / each].mean;
            *sums = normalize::products(level, mean, &saved.x.data()[here.clone()], &dy.data()[here]);
        }
    });
    let of_channel =
        |of_plane: &dyn Fn(usize) -> f64, at: usize| (at..sums.len()).step_by(c).map(of_plane).sum::<f64>();
    let product = |at: usize| sums[at][1] * saved.centers[at / each].inverse;
    add(dweight, (0..c).map(|c| of_channel(&product, c)));
    add(dbias, (0..c).map(|c| of_channel(&|at| sums[at][0], c)));
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerNorm;
    use crate::shared::testing::{any_number_of_rejects, assert_same_bits_on_any_threads, everywhere};
    use cnn_tensor::testing::{assert_close, assert_gradient_close, distinct, gradient_of, to_f64};
    use proptest::prelude::*;

    /// The definition, in f64, of `[n, c, m]`.
    fn oracle(op: GroupNorm, [n, c, m]: [usize; 3], x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        for image in 0..n {
            for group in 0..op.groups {
                let channels = group * (c / op.groups)..(group + 1) * (c / op.groups);
                let places =
                    |c: usize, channel: usize| (image * c + channel) * m..(image * c + channel + 1) * m;
                let run: Vec<f64> = channels.clone().flat_map(|k| x[places(c, k)].to_vec()).collect();
                let mean = run.iter().sum::<f64>() / run.len() as f64;
                let variance = run.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / run.len() as f64;
                for channel in channels {
                    for at in places(c, channel) {
                        let normalised = (x[at] - mean) / (variance + op.eps).sqrt();
                        y[at] = normalised * weight[channel] + bias[channel];
                    }
                }
            }
        }
        y
    }

    proptest! {
        #![proptest_config(any_number_of_rejects())]

        #[test]
        fn matches_the_definition(rank in 2..5usize, n in 0..4usize, groups in 1..4usize, each in 0..3usize,
                                  h in 0..4usize, w in 1..4usize, eps in prop::sample::select(vec![1e-5, 1e-3, 0.5]),
                                  offset in prop::sample::select(vec![0.0, 1e4f32]),
                                  given: [bool; 2], seed: u64) {
            let (op, c) = (GroupNorm { groups, eps }, groups * each);
            let (shape, extents) = match rank {
                2 => (Shape::from([n, c]), [n, c, 1]),
                3 => ([n, c, h].into(), [n, c, h]),
                _ => ([n, c, h, w].into(), [n, c, h * w]),
            };
            let mut x = distinct(shape, seed);
            x.data_mut().iter_mut().for_each(|x| *x = *x * 4.0 + offset);
            let dy = distinct(shape, seed ^ 1);
            let (ones, zeros) = (Tensor::full([c], 1.0), Tensor::zeros([c]));
            let weight = given[0].then(|| distinct([c], seed ^ 2));
            let bias = given[1].then(|| distinct([c], seed ^ 3));
            let (x64, w64, b64) =
                (to_f64(&x), to_f64(weight.as_ref().unwrap_or(&ones)), to_f64(bias.as_ref().unwrap_or(&zeros)));
            let want = oracle(op, extents, &x64, &w64, &b64);
            let want_dx = gradient_of(&x, &dy, |x| oracle(op, extents, x, &w64, &b64));
            let want_dweight = gradient_of(&ones, &dy, |w| oracle(op, extents, &x64, w, &b64));
            let want_dbias = gradient_of(&ones, &dy, |b| oracle(op, extents, &x64, &w64, b));
            everywhere(|| {
                let (y, saved) = op.forward(&x, weight.as_ref(), bias.as_ref()).unwrap();
                assert_close(&y, &want);
                assert_eq!(y, op.infer(&x, weight.as_ref(), bias.as_ref()).unwrap());
                let (mut dweight, mut dbias) = (Tensor::zeros([c]), Tensor::zeros([c]));
                let gradients = (Some(&mut dweight), Some(&mut dbias));
                let dx = op.backward(&saved, weight.as_ref(), &dy, gradients.0, gradients.1).unwrap();
                assert_gradient_close("dx", &dx, &want_dx);
                assert_gradient_close("dweight", &dweight, &want_dweight);
                assert_gradient_close("dbias", &dbias, &want_dbias);
            });
        }

        #[test]
        fn absurd_options_are_errors(dims in prop::collection::vec(absurd(), 0..5), groups in absurd(),
                                     eps in absurd_number()) {
            let op = GroupNorm { groups, eps };
            let Ok(shape) = Shape::new(&dims) else { return Ok(()) };
            let accepted = op.output_shape(shape);
            prop_assert!((groups > 0 && eps > 0.0 && eps.is_finite()) || accepted.is_err());
            if accepted.is_ok() && shape.numel() <= 100_000 {
                let (y, saved) = op.forward(&distinct(shape, 0), None, None).unwrap();
                op.backward(&saved, None, &y, None, None).unwrap();
            }
        }
    }

    fn absurd() -> impl Strategy<Value = usize> {
        prop_oneof![0..5usize, 0..5usize, any::<usize>(), Just(usize::MAX)]
    }

    fn absurd_number() -> impl Strategy<Value = f64> {
        prop_oneof![0.0..1.0, any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(5e-324)]
    }

    #[test]
    fn one_group_is_layer_normalisation() {
        let x = distinct([3, 4, 5, 2], 0);
        let y = GroupNorm::new(1).infer(&x, None, None).unwrap();
        assert_eq!(y, LayerNorm::default().infer(&x, None, None).unwrap());
    }

    #[test]
    fn a_run_of_one_number_is_its_bias() {
        let (op, x, bias) = (GroupNorm::new(2), distinct([3, 2, 1, 1], 0), distinct([2], 1));
        let (y, saved) = op.forward(&x, None, Some(&bias)).unwrap();
        assert_eq!(y.data(), bias.data().repeat(3));
        assert_eq!(op.backward(&saved, None, &y, None, None).unwrap(), Tensor::zeros([3, 2, 1, 1]));
    }

    #[test]
    fn nan_and_infinity_stay_in_their_run() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [12, 17] {
                let mut x = distinct([2, 4, 3], 0);
                x.data_mut()[place] = bad;
                everywhere(|| {
                    let y = GroupNorm::new(2).infer(&x, None, None).unwrap();
                    assert!((0..24).all(|at| y.data()[at].is_nan() == (at / 6 == 2)), "{y:?}");
                });
            }
        }
    }

    #[test]
    fn empty_things_are_shapes_like_any_other() {
        for shape in [Shape::from([0, 4]), [2, 0, 3].into(), [0, 4, 2, 2].into(), [2, 4, 0].into()] {
            let (op, x) = (GroupNorm::new(2), Tensor::zeros(shape));
            let (y, saved) = op.forward(&x, None, None).unwrap();
            assert_eq!(y, x);
            let mut dweight = Tensor::full([shape.dims()[1]], 3.0);
            let before = dweight.clone();
            assert_eq!(op.backward(&saved, None, &x, Some(&mut dweight), None).unwrap(), x);
            assert_eq!(dweight, before);
        }
    }

    #[test]
    fn gradients_of_parameters_are_added() {
        let (op, x, dy) = (GroupNorm::new(2), distinct([3, 4, 2], 0), distinct([3, 4, 2], 1));
        let (_, saved) = op.forward(&x, None, None).unwrap();
        let (mut dweight, mut dbias) = (Tensor::full([4], 10.0), Tensor::full([4], 20.0));
        op.backward(&saved, None, &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
        let twice =
            |now: &Tensor, start: f64| to_f64(now).iter().map(|v| 2.0 * v - start).collect::<Vec<_>>();
        let want = (twice(&dweight, 10.0), twice(&dbias, 20.0));
        op.backward_parameters(&saved, &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
        assert_close(&dweight, &want.0);
        assert_close(&dbias, &want.1);
    }

    #[test]
    fn threads_change_nothing() {
        let (op, x, dy) = (GroupNorm::new(3), distinct([7, 12, 30, 31], 0), distinct([7, 12, 30, 31], 1));
        let weight = distinct([12], 2);
        assert_same_bits_on_any_threads(|| {
            let (y, saved) = op.forward(&x, Some(&weight), None).unwrap();
            let (mut dweight, mut dbias) = (Tensor::zeros([12]), Tensor::zeros([12]));
            let dx = op.backward(&saved, Some(&weight), &dy, Some(&mut dweight), Some(&mut dbias)).unwrap();
            vec![y, dx, dweight, dbias]
        });
    }

    #[test]
    fn errors_say_what_is_expected() {
        let op = GroupNorm::new(3);
        let shape = |op: GroupNorm, x: Shape| op.output_shape(x).unwrap_err().to_string();
        assert_eq!(
            shape(op, [4].into()),
            "group_norm: x expects [n, c], [n, c, l] or [n, c, h, w], got shape [4]"
        );
        assert_eq!(
            shape(op, [1, 4].into()),
            "group_norm: groups must be a divisor of the channels, got 3 for 4 channels"
        );
        assert_eq!(shape(GroupNorm::new(0), [1, 4].into()), "group_norm: groups must be at least 1, got 0");
        let eps = GroupNorm { eps: -1.0, ..op };
        assert_eq!(shape(eps, [1, 3].into()), "group_norm: eps must be above 0 and finite, got -1");

        let (x, mut wrong) = (distinct([2, 3], 0), Tensor::zeros([2]));
        let mut right = Tensor::zeros([3]);
        let message = |result: Result<Tensor, OpError>| result.unwrap_err().to_string();
        assert_eq!(
            message(op.infer(&x, Some(&wrong), None)),
            "group_norm: weight expects shape [3], got [2]"
        );
        assert_eq!(message(op.infer(&x, None, Some(&wrong))), "group_norm: bias expects shape [3], got [2]");
        let (_, saved) = op.forward(&x, None, None).unwrap();
        assert_eq!(
            message(op.backward(&saved, None, &wrong, Some(&mut right), None)),
            "group_norm: dy expects shape [2, 3], got [2]"
        );
        assert_eq!(
            message(op.backward(&saved, Some(&wrong.clone()), &x, Some(&mut right), None)),
            "group_norm: weight expects shape [3], got [2]"
        );
        assert_eq!(
            message(op.backward(&saved, None, &x, Some(&mut right), Some(&mut wrong))),
            "group_norm: dbias expects shape [3], got [2]"
        );
        assert_eq!(
            message(op.backward(&saved, None, &x, Some(&mut wrong), Some(&mut right))),
            "group_norm: dweight expects shape [3], got [2]"
        );
        assert_eq!(right, Tensor::zeros([3]), "nothing has been added");
    }
}
