//! A layer of your own, and a property test that checks its gradients, in five lines.
//!
//! `cargo run -p cnn-nn --example check_your_layer`
#![allow(clippy::print_stdout)]

use cnn_nn::{At, Grads, NnError, Role, Unary, gradcheck};
use cnn_tensor::{Shape, Tensor};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};

/// `y[n, c, h, w] = scale[c] * x[n, c, h, w]`: a number for each channel, learned.
struct ChannelScale {
    scale: Tensor,
    /// Whether the gradient of `scale` has a mistake in it.
    mistaken: bool,
}

impl ChannelScale {
    fn new(channels: usize, mistaken: bool) -> Self {
        Self { scale: Tensor::full([channels], 0.5), mistaken }
    }

    /// Each element of `t` times the scale of its channel.
    fn scaled(&self, t: &Tensor) -> Result<Tensor, NnError> {
        let pixels = t.shape().dims()[2..].iter().product();
        let scales = self.scale.data().iter().cycle(); // Channels come again with every image.
        let planes = t.data().chunks(pixels).zip(scales);
        let y = planes.flat_map(|(plane, scale)| plane.iter().map(move |v| scale * v));
        Ok(Tensor::from_vec(t.shape(), y.collect())?)
    }
}

impl Unary for ChannelScale {
    /// The input, which `backward` reads.
    type Saved = Tensor;

    fn kind(&self) -> &'static str {
        "channel_scale"
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(x)
    }

    fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
        Ok((self.scaled(&x)?, x))
    }

    /// The chain rule. `y` depends on `x` by the factor `scale`, so `dx = scale * dy`. It depends on `scale` by the factor
    /// `x`, and each channel's scale acts on all its pixels of all images: its gradient is the sum of `dy * x` over them.
    fn backward(&self, x: Tensor, dy: Tensor, grads: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        let pixels = x.shape().dims()[2..].iter().product();
        let channels = self.scale.data().len();
        for (i, (x, dy)) in x.data().chunks(pixels).zip(dy.data().chunks(pixels)).enumerate() {
            let mut sum = x.iter().zip(dy).map(|(x, dy)| dy * x).sum::<f32>();
            if self.mistaken {
                sum /= pixels as f32; // The mean where the sum belongs: training would still go down, only slower.
            }
            grads.of(0).data_mut()[i % channels] += sum;
        }
        Ok(Some(self.scaled(&dy)?))
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        f("scale", Role::Parameter, &self.scale);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        f("scale", Role::Parameter, &mut self.scale);
    }
}

/// A random shape `[n, c, h, w]`, and a seed for the numbers in it. Small: every element is moved four times.
fn cases() -> impl Strategy<Value = ([usize; 4], u64)> {
    ([1..4usize, 1..4usize, 1..6usize, 1..6usize], 0..1000u64)
}

fn main() {
    // Draws the same cases in every run: PROPTEST_CASES of them, or 256 if it is not set.
    let config = Config { failure_persistence: None, ..Config::default() };
    let runner =
        || TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(config.rng_algorithm));

    // The property test. In a test file of yours, `proptest! { #[test] ... }` around the same call does it.
    let check = |mistaken: bool| {
        runner().run(&cases(), |(x, seed)| {
            gradcheck::check(&mut ChannelScale::new(x[1], mistaken), x, seed)
                .map_err(|fault| TestCaseError::fail(fault.to_string()))
        })
    };

    match check(false) {
        Ok(()) => {
            println!("channel_scale: the gradients are right for {} random shapes and seeds", config.cases);
        }
        Err(fault) => panic!("this layer is right, and yet: {fault}"),
    }

    // The same layer with a mistake in its backward pass. The check names the gradient and its element, its value and the
    // right one, and the seed that makes the same numbers again. proptest then looks for the smallest case that still fails.
    // One pixel is not enough and two are: so the mistake is in a sum over pixels.
    match check(true) {
        Err(TestError::Fail(fault, (x, seed))) => {
            println!("channel_scale with a mistake: {fault}");
            println!("the smallest case that shows it: x of shape {x:?}, seed {seed}");
        }
        other => panic!("the mistake was not found: {other:?}"),
    }
}
