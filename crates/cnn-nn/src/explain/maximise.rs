//! Activation maximisation: an image that makes a score, or a feature map, as large as it can.

use super::{Explainer, Rule};
use crate::NnError;
use cnn_tensor::{Random, Tensor};

/// The number that is made large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The score of a class.
    Class(usize),
    /// The mean of a feature map of a layer.
    Map {
        /// The layer.
        layer: &'a str,
        /// The number of the map.
        map: usize,
    },
}

/// The settings of the ascent.
#[derive(Clone, Debug, PartialEq)]
pub struct Maximise {
    /// The number of steps; at least 1.
    pub steps: usize,
    /// The length of a step: the root mean square of the change of a pixel, in the numbers of the input.
    pub rate: f32,
    /// The standard deviation of the noise to begin with, in the numbers of the input.
    pub noise: f32,
    /// The part by which the image shrinks towards 0 in each step, 0 to 1.
    pub decay: f32,
    /// The standard deviation of the blur after each step, in pixels, at the first step. It falls to 0 at the last, so that
    /// large forms come first. 0 for none.
    pub blur: f32,
    /// The largest number of pixels by which the image is moved along each axis before a gradient, at random.
    pub jitter: usize,
    /// The smallest and the largest number of each channel: those of black and white. None for no bounds.
    pub bounds: Vec<[f32; 2]>,
    /// The seed of the initial image and of the moves.
    pub seed: u64,
}

impl Default for Maximise {
    /// 200 steps of 0.05, noise, little decay, some blur and jitter; no bounds.
    fn default() -> Self {
        Self {
            steps: 200,
            rate: 0.05,
            noise: 0.3,
            decay: 0.002,
            blur: 0.5,
            jitter: 4,
            bounds: Vec::new(),
            seed: 0,
        }
    }
}

/// The result of [`Explainer::maximise`].
#[derive(Clone, Debug)]
pub struct Maximised {
    /// `[1, c, h, w]`, in the numbers of the network's input.
    pub image: Tensor,
    /// The number for the initial image, which is noise around 0.
    pub start: f32,
    /// The number for the image.
    pub score: f32,
}

impl Explainer<'_> {
    /// An image `[1, c, h, w]` that makes `target` large, by gradient ascent from noise. Where the gradient is 0, noise is added
    /// instead: rectifiers that are all at rest pass nothing back. `tick` is called with the number of steps done.
    ///
    /// Source: D. Erhan, Y. Bengio, A. Courville and P. Vincent, "Visualizing Higher-Layer Features of a Deep Network" (2009); the
    /// decay and the blur: J. Yosinski et al., "Understanding Neural Networks Through Deep Visualization" (2015).
    ///
    /// # Errors
    /// The network does not take images, or lacks the target; or a setting is out of its range.
    pub fn maximise(
        &self,
        target: Target<'_>,
        settings: &Maximise,
        mut tick: impl FnMut(usize),
    ) -> Result<Maximised, NnError> {
        let shape = self.graph.inputs()[0];
        let Some([_, c, h, w]) = shape.nchw() else {
            let (what, rule) = ("the input of a network for activation maximisation", "images [n, c, h, w]");
            return Err(NnError::Setting { what, rule, got: shape.to_string() });
        };
        settings.validate(c)?;
        let mut random = Random::new(settings.seed, &["maximise"]);
        let mut image = Tensor::zeros(shape);
        random.fill_normal(settings.noise, image.data_mut());
        let (start, _) = self.ascent(&image, target)?;
        for step in 0..settings.steps {
            let [down, right] = [h, w].map(|extent| random.below(settings.jitter.min(extent / 2) + 1));
            image = rolled(&image, [h, w], [down, right]);
            let (_, gradient) = self.ascent(&image, target)?;
            let square = gradient.data().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            let gradient = match square > 0.0 {
                true => gradient,
                false => {
                    let mut noise = Tensor::zeros(shape);
                    random.fill_normal(1.0, noise.data_mut());
                    noise
                }
            };
            let mean = if square > 0.0 { square / (c * h * w) as f64 } else { 1.0 };
            let scale = (f64::from(settings.rate) / mean.sqrt()) as f32;
            for (v, g) in image.data_mut().iter_mut().zip(gradient.data()) {
                *v = *v * (1.0 - settings.decay) + scale * g;
            }
            image = rolled(&image, [h, w], [h - down, w - right]);
            let left = 1.0 - (step + 1) as f32 / settings.steps as f32;
            blur(&mut image, [h, w], settings.blur * left);
            for (plane, bounds) in image.data_mut().chunks_exact_mut(h * w).zip(&settings.bounds) {
                plane.iter_mut().for_each(|v| *v = v.clamp(bounds[0], bounds[1]));
            }
            tick(step + 1);
        }
        let (score, _) = self.ascent(&image, target)?;
        Ok(Maximised { image, start, score })
    }

    /// The number that is made large, and its gradient with respect to the image.
    fn ascent(&self, x: &Tensor, target: Target<'_>) -> Result<(f32, Tensor), NnError> {
        match target {
            Target::Class(class) => {
                let (scores, gradient, _) = self.class_gradient(x, class, 0, Rule::Plain)?;
                Ok((scores.data()[class], gradient))
            }
            Target::Map { layer, map } => {
                let (of, [maps, h, w]) = self.maps_of(layer)?;
                self.check_map(map, maps)?;
                let mut mean = 0.0;
                let found = self.graph.gradient_at(x, (of, 0), Rule::Plain, |values| {
                    let plane = map * h * w..(map + 1) * h * w;
                    mean = values.data()[plane.clone()].iter().sum::<f32>() / (h * w) as f32;
                    let mut seed = Tensor::zeros(values.shape());
                    seed.data_mut()[plane].fill(1.0 / (h * w) as f32);
                    Ok(seed)
                })?;
                Ok((mean, found.gradient))
            }
        }
    }
}

impl Maximise {
    fn validate(&self, channels: usize) -> Result<(), NnError> {
        let fault = |what, rule, got: String| Err(NnError::Setting { what, rule, got });
        if self.steps == 0 {
            return fault("the steps of the ascent", "at least 1", "0".into());
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return fault("the length of a step of the ascent", "a number above 0", self.rate.to_string());
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return fault(
                "the noise that the ascent begins with",
                "a number from 0 up",
                self.noise.to_string(),
            );
        }
        if !(0.0..=1.0).contains(&self.decay) {
            return fault("the decay of the ascent", "from 0 to 1", self.decay.to_string());
        }
        if !(0.0..=100.0).contains(&self.blur) {
            return fault("the blur of the ascent", "from 0 to 100 pixels", self.blur.to_string());
        }
        let fits = |bounds: &[f32; 2]| bounds[0] <= bounds[1];
        if !(self.bounds.is_empty() || self.bounds.len() == channels && self.bounds.iter().all(fits)) {
            let rule = "one pair for each channel, the smaller number first";
            return fault("the bounds of the ascent", rule, format!("{:?}", self.bounds));
        }
        Ok(())
    }
}

/// The planes of an image moved down and to the right; rows and columns that leave come in again at the other side.
fn rolled(image: &Tensor, [h, w]: [usize; 2], [down, right]: [usize; 2]) -> Tensor {
    let mut moved = Tensor::zeros(image.shape());
    for (to, from) in moved.data_mut().chunks_exact_mut(h * w).zip(image.data().chunks_exact(h * w)) {
        for (row, from) in from.chunks_exact(w).enumerate() {
            let to = &mut to[(row + down) % h * w..][..w];
            let right = right % w;
            to[right..].copy_from_slice(&from[..w - right]);
            to[..right].copy_from_slice(&from[w - right..]);
        }
    }
    moved
}

/// Blurs the planes by a Gaussian; pixels outside are those of the border.
fn blur(image: &mut Tensor, [h, w]: [usize; 2], deviation: f32) {
    if deviation < 0.1 {
        return;
    }
    let reach = (3.0 * deviation).ceil() as i64;
    let weights: Vec<f32> = (-reach..=reach).map(|i| (-(i as f32 / deviation).powi(2) / 2.0).exp()).collect();
    let total: f32 = weights.iter().sum();
    let mut line = Vec::new();
    let mut along = |plane: &mut [f32], first: usize, step: usize, count: usize| {
        line.clear();
        line.extend((0..count).map(|i| plane[first + i * step]));
        for i in 0..count {
            let at = |offset: i64| line[(i as i64 + offset).clamp(0, count as i64 - 1) as usize];
            let sum: f32 = weights.iter().zip(-reach..).map(|(weight, offset)| weight * at(offset)).sum();
            plane[first + i * step] = sum / total;
        }
    };
    for plane in image.data_mut().chunks_exact_mut(h * w) {
        (0..h).for_each(|row| along(plane, row * w, 1, w));
        (0..w).for_each(|column| along(plane, column, w, h));
    }
}
