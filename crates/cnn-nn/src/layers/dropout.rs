use crate::{At, Grads, Nature, NnError, Path, Unary};
use cnn_ops::dropout::{Saved, Stream};
use cnn_tensor::{Random, Shape, Tensor};

/// Dropout of elements or of whole channels, in training; see [`cnn_ops::dropout`]. Does nothing in evaluation.
///
/// The mask follows from the step, the layer's path, how often it was applied before, and each image's position in the batch.
///
/// ```
/// use cnn_nn::spec::dropout;
/// use cnn_nn::{At, Graph, Kept};
/// use cnn_tensor::Tensor;
/// let net = Graph::build([dropout(0.5).named("drop")], [1000], 0)?;
/// let x = Tensor::full([1, 1000], 1.0);
/// assert_eq!(net.infer(&x)?, x);
/// let train = |step| net.forward_one(x.clone(), At { step, ..At::default() }, &mut Kept::default());
/// let y = train(0)?;
/// assert!((400..600).contains(&y.data().iter().filter(|&&y| y == 2.0).count()));
/// assert_ne!(train(1)?, y);
/// assert_eq!(train(0)?, y);
/// # Ok::<(), cnn_nn::NnError>(())
/// ```
#[derive(Debug)]
pub struct Dropout {
    options: cnn_ops::Dropout,
    /// The path of the layer, from which its random stream is named.
    path: String,
}

impl Dropout {
    /// Builds the layer for inputs of shape `x`.
    ///
    /// # Errors
    /// `p` is not from 0 to 1, or channels are to be dropped from an input without channels.
    pub fn build(options: cnn_ops::Dropout, x: Shape, path: Path<'_>) -> Result<Self, NnError> {
        options.output_shape(x)?;
        Ok(Self { options, path: path.to_string() })
    }

    /// The random stream of a forward pass.
    fn stream(&self, At { seed, step, first_image, application, .. }: At) -> Stream {
        let mut own_seed = [0];
        match application {
            0 => Random::new(seed, &["dropout", &self.path]),
            again => Random::new(seed, &["dropout", &self.path, &again.to_string()]),
        }
        .fill_bits(0.5, &mut own_seed);
        Stream { seed: own_seed[0], step, first_image }
    }
}

impl Unary for Dropout {
    /// `None` where nothing was dropped because the layer is held fixed.
    type Saved = Option<Saved>;

    fn kind(&self) -> &'static str {
        if self.options.channels { "dropout2d" } else { "dropout" }
    }

    fn output_shape(&self, x: Shape) -> Result<Shape, NnError> {
        Ok(self.options.output_shape(x)?)
    }

    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        self.options.output_shape(x.shape())?;
        Ok(x)
    }

    fn forward(&self, x: Tensor, at: At) -> Result<(Tensor, Self::Saved), NnError> {
        if at.held {
            return Ok((Unary::infer(self, x)?, None));
        }
        let (y, saved) = self.options.forward(x, self.stream(at))?;
        Ok((y, Some(saved)))
    }

    fn backward(&self, saved: Self::Saved, dy: Tensor, _: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
        match saved {
            Some(saved) => Ok(Some(self.options.backward(&saved, dy)?)),
            None => Ok(Some(dy)),
        }
    }

    fn nature(&self) -> Nature {
        Nature { training_differs: true, ..Nature::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{dropout, graph};
    use crate::{Graph, Kept, Layer};

    #[test]
    fn dropout_depends_on_the_step_and_the_path_and_not_on_the_pieces() {
        let build = |names: [&str; 2]| {
            let layers = names.map(|name| dropout(0.5).named(name));
            Graph::build(layers, [50], 0).unwrap()
        };
        let x = Tensor::full([6, 50], 1.0);
        let run =
            |net: &Graph, at: At, x: &Tensor| net.forward_one(x.clone(), at, &mut Kept::default()).unwrap();
        let (net, at) = (build(["a", "b"]), At { seed: 1, step: 5, ..At::default() });
        let whole = run(&net, at, &x);
        assert!(whole.data().contains(&4.0) && whole.data().contains(&0.0));
        // A quarter, not a half: the second layer's mask is not the first's.
        assert!((40..110).contains(&whole.data().iter().filter(|&&y| y == 4.0).count()));

        let piece = run(&net, At { first_image: 2, ..at }, &x.slice_batch(2, 6));
        assert_eq!(piece, whole.slice_batch(2, 6));
        assert_eq!(run(&net, at, &x), whole);
        assert_eq!(run(&build(["a", "b"]), at, &x), whole);
        assert_ne!(run(&build(["a", "c"]), at, &x), whole);
        assert_ne!(run(&net, At { step: 6, ..at }, &x), whole);
        assert_ne!(run(&net, At { seed: 2, ..at }, &x), whole);
        assert!(net.nature().training_differs && !net.nature().couples_images);
    }

    #[test]
    fn a_shared_dropout_draws_anew_each_time_it_is_applied() {
        let spec = graph(["x"]).node("a", dropout(0.5), ["x"]).share("b", "a", ["x"]).outputs(["a", "b"]);
        let net = Graph::of(&spec, [[50]], 0).unwrap();
        let x = Tensor::full([2, 50], 1.0).into();
        let y = Layer::forward(&net, x, At::default(), &mut Kept::default()).unwrap();
        assert_ne!(y[0], y[1]);
    }
}
