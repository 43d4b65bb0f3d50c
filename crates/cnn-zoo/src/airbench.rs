//! Jordan's fast networks for CIFAR-10: few layers, of which the first is not trained.
//!
//! K. Jordan: "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, 2024, section 3 and listing 4. The first
//! layer is from T. Page, "How to Train Your ResNet 8: Bag of Tricks", 2019.
//!
//! airbench94, for 3 x 32 x 32:
//!
//! | layer | output | parameters | multiply-accumulates |
//! |---|---|---|---|
//! | whiten | 24 x 31 x 31 | 312 | 276,768 |
//! | block1 | 64 x 15 x 15 | 50,944 | 21,579,264 |
//! | block2 | 256 x 7 x 7 | 738,304 | 62,078,976 |
//! | block3 | 256 x 3 x 3 | 1,180,672 | 34,209,792 |
//! | pool, flatten | 256 | | |
//! | head | 10 | 2,560 | 2,560 |
//! | total | | 1,972,792 | 118,147,360 |
//!
//! A block is a convolution, a pooling of 2 x 2, a normalisation and GELU, and then the same without the pooling.
//!
//! The first layer turns each 2 x 2 patch into numbers that are uncorrelated and of variance 1 over the training images:
//! its filters are the eigenvectors of the patches' covariance, divided by the square roots of the eigenvalues, and the same
//! with opposite sign, so that the activation loses neither. [`whiten`] computes them; training keeps them fixed.
//!
//! The paper scales the outputs by 1/9. A head whose first weights are 9 times as small, with a learning rate 81 times as
//! small and a weight decay 81 times as large, is equivalent under gradient descent and needs no additional layer:
//! [`airbench_groups`] has these rates and the paper's other ones.

use crate::recipe::{Images, Prepare, Recipe};
use cnn_nn::spec::{batch_norm2d, conv2d, flatten, gelu, linear, max_pool2d, sequential};
use cnn_nn::{Init, Input, LayerSpec, Model, ModelSpec, NnError, ParameterGroup, Schedule};
use cnn_ops::CrossEntropy;
use cnn_tensor::{Tensor, symmetric_eigen};
use std::collections::BTreeMap;

/// The paper's network for 94 %: blocks of 64, 256 and 256 channels.
///
/// ```
/// use cnn_nn::{Input, Model};
/// let input = Input::new([3, 32, 32], &[0.5; 3], &[0.25; 3]);
/// let classes = (0..10).map(|class| class.to_string()).collect();
/// let model = Model::build(cnn_zoo::airbench94(input, classes), 0)?;
/// assert_eq!(model.net.parameter_count(), 1_972_792);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
pub fn airbench94(input: Input, classes: Vec<String>) -> ModelSpec {
    net("airbench94", [64, 256, 256], input, classes)
}

/// [`airbench94`] with blocks of 32, 96 and 128 channels: a quarter of the work, for 90 % in a few minutes.
pub fn airbench_small(input: Input, classes: Vec<String>) -> ModelSpec {
    net("airbench_small", [32, 96, 128], input, classes)
}

/// The paper's learning rates and weight decays, for an optimizer whose weight decay is `weight_decay`. The first layer's
/// filters and the scales of the normalisations are frozen; the shifts of the normalisations learn 64 times as fast. The
/// product of learning rate and weight decay is the same for all other groups.
pub fn airbench_groups(weight_decay: f64) -> Vec<ParameterGroup> {
    let group = |names: &str, lr_mult: f32| ParameterGroup {
        lr_mult,
        weight_decay: Some(weight_decay / f64::from(lr_mult)),
        ..ParameterGroup::named(names)
    };
    vec![
        ParameterGroup::frozen("whiten.weight"),
        ParameterGroup::frozen("block*.norm*.weight"),
        group("block*.norm*.bias", 64.0),
        group("head.weight", 1.0 / 81.0),
    ]
}

fn net(name: &str, channels: [usize; 3], input: Input, classes: Vec<String>) -> ModelSpec {
    let patch = input.shape[0] * PATCH * PATCH;
    let mut layers = vec![conv2d(2 * patch, PATCH).named("whiten"), gelu().named("gelu")];
    layers.extend((1..).zip(channels).map(|(i, channels)| block(channels).named(&format!("block{i}"))));
    layers.extend([
        max_pool2d(3).named("pool"),
        flatten().named("flatten"),
        linear(classes.len()).bias(false).init(Init::Normal(0.004)).bias_init(Init::Zeros).named("head"),
    ]);
    ModelSpec { name: name.into(), input, classes, layers }
}

/// Side of the patches that the first layer takes.
const PATCH: usize = 2;

fn block(channels: usize) -> LayerSpec {
    let convolution = || conv2d(channels, 3).padding(1).bias(false).init(Init::Dirac).bias_init(Init::Zeros);
    sequential([
        convolution().named("conv1"),
        max_pool2d(2).named("pool"),
        batch_norm2d().named("norm1"),
        gelu().named("gelu1"),
        convolution().named("conv2"),
        batch_norm2d().named("norm2"),
        gelu().named("gelu2"),
    ])
}

/// Sets the first layer of a network of this file to the whitening of the patches of `images`, `[n, c, h, w]`, normalised
/// as the network takes them; some thousands are enough.
///
/// # Errors
/// The network has no first layer of that shape, or there are fewer patches than a patch has numbers.
pub fn whiten(model: &mut Model, images: &Tensor) -> Result<(), NnError> {
    let [c, height, width] = model.spec.input.shape;
    let dims = c * PATCH * PATCH;
    let expected = |got: String| NnError::Setting {
        what: "the images of a whitening",
        rule: "of the network's input, with more patches than a patch has numbers",
        got,
    };
    let Some([n, ..]) = images.shape().nchw().filter(|dims| dims[1..] == [c, height, width]) else {
        return Err(expected(format!("shape {}", images.shape())));
    };
    let (rows, columns) = (height.saturating_sub(PATCH - 1), width.saturating_sub(PATCH - 1));
    let count = n * rows * columns;
    if count <= dims {
        return Err(expected(format!("{count} patches of {dims} numbers")));
    }
    // The covariance as in the paper: of the numbers as they are, about 0 rather than about their mean.
    let mut covariance = vec![0.0; dims * dims];
    let mut patch = vec![0.0; dims];
    for image in images.data().chunks_exact(c * height * width) {
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            for (i, v) in patch.iter_mut().enumerate() {
                let (channel, r, s) = (i / (PATCH * PATCH), i / PATCH % PATCH, i % PATCH);
                *v = f64::from(image[(channel * height + row + r) * width + column + s]);
            }
            for (sums, &a) in covariance.chunks_exact_mut(dims).zip(&patch) {
                sums.iter_mut().zip(&patch).for_each(|(sum, &b)| *sum += a * b);
            }
        }
    }
    covariance.iter_mut().for_each(|v| *v /= count as f64);
    /// Keeps directions in which the images hardly differ from becoming noise.
    const EPSILON: f64 = 5e-4;
    let (values, vectors) = symmetric_eigen(&covariance, dims);
    let filters = vectors.chunks_exact(dims).zip(&values).flat_map(|(vector, value)| {
        let scale = 1.0 / (value + EPSILON).sqrt();
        vector.iter().map(move |v| (v * scale) as f32)
    });
    let mut weight: Vec<f32> = filters.collect();
    weight.extend(weight.clone().iter().map(|v| -v));
    let mut tensors: BTreeMap<String, Tensor> = model.net.tensors().into_iter().collect();
    tensors.insert("whiten.weight".into(), Tensor::from_vec([2 * dims, c, PATCH, PATCH], weight)?);
    model.net.restore(tensors)
}

/// The paper's decay of 0.0153 over its rate of 11.5.
const DECAY: f64 = 0.0153 / 11.5;

/// The paper's section 3: its rates are for the sum of the losses, these for their mean.
pub(crate) fn recipe_small(_: Images) -> Recipe {
    Recipe {
        epochs: 10,
        batch_size: 512,
        learning_rate: 0.75,
        momentum: 0.85,
        nesterov: true,
        weight_decay: DECAY,
        schedule: Schedule::OneCycle { warmup: 0.23 },
        loss: CrossEntropy { label_smoothing: 0.2, ..CrossEntropy::default() },
        groups: airbench_groups(DECAY),
        augment: "shift-flip",
        crops: "2",
        prepare: Some(Prepare { images: 5000, apply: whiten }),
    }
}

/// The paper's 10 epochs want tricks that are not here: alternating flips, an average of weights, six views of a test image.
pub(crate) fn recipe(images: Images) -> Recipe {
    Recipe { epochs: 16, batch_size: 1024, learning_rate: 1.5, ..recipe_small(images) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_table_of, summary};
    use cnn_nn::Graph;
    use cnn_tensor::Random;

    fn input(side: usize) -> Input {
        Input::new([3, side, side], &[0.5; 3], &[0.25; 3])
    }

    fn classes() -> Vec<String> {
        (0..10).map(|class| class.to_string()).collect()
    }

    #[test]
    fn parameters_and_macs_are_those_of_the_table() {
        let summary = summary(&airbench94(input(32), classes()));
        assert_table_of(include_str!("airbench.rs"), "airbench94, for", &summary);
    }

    /// Neighbouring pixels that are alike, as those of photos, come out of the first layer uncorrelated and of variance 1.
    #[test]
    fn whitened_patches_are_uncorrelated() {
        let mut images = Tensor::zeros([50, 3, 8, 8]);
        Random::new(0, &["images"]).fill_normal(1.0, images.data_mut());
        for i in 1..images.data().len() {
            let before = images.data()[i - 1];
            images.data_mut()[i] += 0.9 * before;
        }
        let mut model = Model::build(net("tiny", [1, 1, 1], input(31), classes()), 0).unwrap();
        model.spec.input.shape = [3, 8, 8];
        whiten(&mut model, &images).unwrap();
        let mut first = Graph::build(model.spec.layers[..1].to_vec(), [3, 8, 8], 0).unwrap();
        let tensors = model.net.tensors().into_iter().filter(|(name, _)| name.starts_with("whiten."));
        let mut tensors: BTreeMap<String, Tensor> = tensors.collect();
        // The first layer's bias is random and no part of the whitening.
        tensors.get_mut("whiten.bias").unwrap().data_mut().fill(0.0);
        first.restore(tensors).unwrap();
        let y = first.infer(&images).unwrap();
        let moment = |i: usize, j: usize| {
            let maps = y.data().chunks_exact(24 * 49);
            let products = maps.flat_map(|maps| maps[i * 49..][..49].iter().zip(&maps[j * 49..][..49]));
            products.map(|(a, b)| f64::from(a * b)).sum::<f64>() / (50.0 * 49.0)
        };
        for i in 0..12 {
            for j in 0..12 {
                let want = if i == j { 1.0 } else { 0.0 };
                assert!((moment(i, j) - want).abs() < 0.01, "{i}, {j}: {}", moment(i, j));
                assert!((moment(i, j + 12) + want).abs() < 0.01);
            }
        }
        let message = whiten(&mut model, &Tensor::zeros([2, 3, 8, 9])).unwrap_err().to_string();
        assert!(message.ends_with("got shape [2, 3, 8, 9]"), "{message}");
        assert!(whiten(&mut model, &Tensor::zeros([0, 3, 8, 8])).is_err());
    }

    #[test]
    fn every_group_takes_something() {
        let model = Model::build(airbench_small(input(32), classes()), 0).unwrap();
        assert_eq!(model.net.parameter_count(), 387_384);
        for group in airbench_groups(1e-3) {
            let taken = model.net.tensors().into_iter().any(|(name, t)| group.takes(&name, t.shape().rank()));
            assert!(taken, "{}", group.names);
        }
    }
}
