use super::take;
use crate::{Layer, LayerSpec, NnError, Path, TrainingStep};
use cnn_ops::dropout::{Saved, Stream};
use cnn_tensor::{Random, Shape, Tensor};

/// Dropout of elements or of whole channels, in training; see [`cnn_ops::dropout`]. `infer` passes its input on.
///
/// What is dropped follows from [`Layer::at_step`] and the layer's path.
///
/// ```
/// use cnn_nn::spec::dropout;
/// use cnn_nn::{Layer, Sequential, TrainingStep};
/// use cnn_tensor::Tensor;
/// let mut net = Sequential::build([dropout(0.5).named("drop")], [1000], 0)?;
/// let x = Tensor::full([1, 1000], 1.0);
/// assert_eq!(net.infer(&x)?, x);
/// let y = net.forward(x.clone())?;
/// assert!((400..600).contains(&y.data().iter().filter(|&&y| y == 2.0).count()));
/// assert_ne!(net.forward(x.clone())?, y); // another step
/// net.at_step(TrainingStep::default());
/// assert_eq!(net.forward(x)?, y); // the first again
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Debug)]
pub struct Dropout {
    options: cnn_ops::Dropout,
    /// The path, by which layers of one network differ.
    path: String,
    /// The step of the next forward pass.
    at: TrainingStep,
    saved: Option<Saved>,
}

impl Dropout {
    /// The layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `p` is not from 0 to 1, or channels are to be dropped of what has none.
    pub fn build(options: cnn_ops::Dropout, x: Shape, path: Path<'_>) -> Result<Self, NnError> {
        options.output_shape(x)?;
        Ok(Self { options, path: path.to_string(), at: TrainingStep::default(), saved: None })
    }

    /// The random numbers of the next forward pass.
    fn stream(&self) -> Stream {
        let TrainingStep { seed, step, first_image } = self.at;
        let mut own_seed = [0];
        Random::new(seed, &["dropout", &self.path]).fill_bits(0.5, &mut own_seed);
        Stream { seed: own_seed[0], step, first_image }
    }
}

impl Layer for Dropout {
    fn kind(&self) -> &'static str {
        if self.options.channels { "dropout2d" } else { "dropout" }
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.options.output_shape(x)?)
    }

    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError> {
        self.infer_owned(x.clone())
    }

    fn infer_owned(&self, x: Tensor) -> Result<Tensor, NnError> {
        self.options.output_shape(x.shape())?;
        Ok(x)
    }

    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        let (y, saved) = self.options.forward(x, self.stream())?;
        self.saved = Some(saved);
        self.at.step = self.at.step.wrapping_add(1);
        Ok(y)
    }

    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError> {
        let kind = self.kind();
        let saved = take(&mut self.saved, kind)?;
        Ok(self.options.backward(&saved, dy)?)
    }

    fn training_differs(&self) -> bool {
        true
    }

    fn at_step(&mut self, at: TrainingStep) {
        self.at = at;
    }

    fn replicate(&self) -> Box<dyn Layer> {
        Box::new(Self { options: self.options, path: self.path.clone(), at: self.at, saved: None })
    }

    fn spec(&self) -> Option<LayerSpec> {
        let cnn_ops::Dropout { p, channels } = self.options;
        Some(if channels { LayerSpec::Dropout2d { p } } else { LayerSpec::Dropout { p } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sequential;
    use crate::spec::dropout;

    #[test]
    fn dropout_depends_on_the_step_and_the_path_and_not_on_the_pieces() {
        let build = |names: [&str; 2]| {
            let layers = names.map(|name| dropout(0.5).named(name));
            Sequential::build(layers, [50], 0).unwrap()
        };
        let x = Tensor::full([6, 50], 1.0);
        let run = |net: &mut Sequential, at: TrainingStep, x: &Tensor| {
            net.at_step(at);
            net.forward(x.clone()).unwrap()
        };
        let (mut net, at) = (build(["a", "b"]), TrainingStep { seed: 1, step: 5, first_image: 0 });
        let whole = run(&mut net, at, &x);
        assert!(whole.data().contains(&4.0) && whole.data().contains(&0.0));
        // A quarter, not a half: the second layer's mask is not the first's.
        assert!((40..110).contains(&whole.data().iter().filter(|&&y| y == 4.0).count()));

        let piece = run(&mut net.copy(), TrainingStep { first_image: 2, ..at }, &x.slice_batch(2, 6));
        assert_eq!(piece, whole.slice_batch(2, 6));
        assert_eq!(run(&mut net, at, &x), whole);
        assert_eq!(run(&mut build(["a", "b"]), at, &x), whole);
        assert_ne!(run(&mut build(["a", "c"]), at, &x), whole);
        assert_ne!(run(&mut net, TrainingStep { step: 6, ..at }, &x), whole);
        assert_ne!(run(&mut net, TrainingStep { seed: 2, ..at }, &x), whole);

        run(&mut net, TrainingStep { step: 4, ..at }, &x);
        assert_eq!(net.copy().forward(x.clone()).unwrap(), whole, "a replica is at the same step");
        assert_eq!(net.forward(x).unwrap(), whole, "without a word, the next step follows");
        assert!(net.training_differs() && !net.mixes_images());
    }
}
