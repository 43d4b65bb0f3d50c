//! The interface of every layer.

use crate::{Gradients, List, NnError, Shapes, Tensors};
use cnn_tensor::{Shape, Tensor};
use std::any::Any;

/// A layer, to whoever runs it: tensors in, tensors out, and nothing kept inside.
///
/// Parameters belong to the layer; what a forward pass keeps for the backward pass lies in a [`Kept`], and gradients in
/// [`Grads`]. So one layer can be applied twice before going back, and on many threads at once. The first axis of every shape
/// is the batch.
///
/// A layer with one input and one output implements [`Unary`] instead, and is a `Layer` by that. Check either with
/// [`gradcheck`](crate::gradcheck).
pub trait Layer: Send + Sync {
    /// The kind of layer as messages and summaries name it: `conv2d`.
    fn kind(&self) -> &'static str;

    /// The shapes of the outputs for inputs of the shapes `x`.
    ///
    /// # Errors
    /// The layer cannot take those.
    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError>;

    /// The outputs for `x`, as in evaluation. Inputs that nobody else holds may be written over.
    ///
    /// # Errors
    /// Those of [`Layer::output_shapes`].
    fn infer(&self, x: Tensors) -> Result<Tensors, NnError>;

    /// The outputs for `x`, as in training; puts into `kept` what [`Layer::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Layer::output_shapes`].
    fn forward(&self, x: Tensors, at: At, kept: &mut Kept) -> Result<Tensors, NnError>;

    /// The gradients with respect to the inputs that `grads` [wants](Grads::wants), from those with respect to the outputs;
    /// adds those of the parameters to `grads`. At least one output has a gradient.
    ///
    /// # Errors
    /// Nothing was kept, or a gradient has another shape than its output.
    fn backward(&self, kept: &mut Kept, dy: Gradients, grads: &mut Grads<'_>) -> Result<Gradients, NnError>;

    /// Calls `f` for each tensor of the layer with its name, always in the same order. A layer that has any implements this
    /// and [`Layer::visit_mut`].
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        let _ = f;
    }

    /// [`Layer::visit`], to change, in the same order.
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        let _ = f;
    }

    /// Called once a step is taken, for each of its forward passes in order: takes over what they say of the batch, as batch
    /// normalisation does for its running statistics.
    ///
    /// # Errors
    /// What was kept cannot be used.
    fn settle(&mut self, kept: &mut Kept) -> Result<(), NnError> {
        let _ = kept;
        Ok(())
    }

    /// How it behaves in training.
    fn nature(&self) -> Nature {
        Nature::default()
    }

    /// Multiply-accumulates of a forward pass over inputs of the shapes `x`; 0 for layers that do none to speak of.
    fn macs(&self, x: &[Shape]) -> u64 {
        let _ = x;
        0
    }
}

/// A layer with one input and one output, to whoever writes one; it is a [`Layer`] by that.
///
/// ```
/// use cnn_nn::{At, Grads, NnError, Unary, gradcheck};
/// use cnn_tensor::{Shape, Tensor};
///
/// /// `y = x^2`.
/// struct Square;
/// impl Unary for Square {
///     type Saved = Tensor;
///     fn kind(&self) -> &'static str { "square" }
///     fn output_shape(&self, x: Shape) -> Result<Shape, NnError> { Ok(x) }
///     fn forward(&self, x: Tensor, _: At) -> Result<(Tensor, Tensor), NnError> {
///         let y = x.data().iter().map(|x| x * x).collect();
///         Ok((Tensor::from_vec(x.shape(), y)?, x))
///     }
///     fn backward(&self, x: Tensor, mut dy: Tensor, _: &mut Grads<'_>) -> Result<Option<Tensor>, NnError> {
///         dy.data_mut().iter_mut().zip(x.data()).for_each(|(dy, x)| *dy *= 2.0 * x);
///         Ok(Some(dy))
///     }
/// }
/// gradcheck::check(&mut Square, [2, 3], 0)?;
/// # Ok::<(), cnn_nn::gradcheck::GradientError>(())
/// ```
pub trait Unary: Send + Sync {
    /// What the backward pass reads.
    type Saved: Send + Sync + 'static;

    /// The kind of layer as messages and summaries name it: `conv2d`.
    fn kind(&self) -> &'static str;

    /// The shape of the output for an input of shape `x`.
    ///
    /// # Errors
    /// The layer cannot take that shape.
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError>;

    /// The output for `x`, as in evaluation. Left out, it is what [`Unary::forward`] gives.
    ///
    /// # Errors
    /// Those of [`Unary::output_shape`].
    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(self.forward(x, At::default())?.0)
    }

    /// The output for `x`, as in training, and what [`Unary::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Unary::output_shape`].
    fn forward(&self, x: Tensor, at: At) -> Result<(Tensor, Self::Saved), NnError>;

    /// The gradient with respect to the input, from that with respect to the output; adds those of the parameters to
    /// `grads`. A layer that saves something by it may give `None` where `grads` does not [want](Grads::wants) it.
    ///
    /// # Errors
    /// `dy` has another shape than the output.
    fn backward(
        &self,
        saved: Self::Saved,
        dy: Tensor,
        grads: &mut Grads<'_>,
    ) -> Result<Option<Tensor>, NnError>;

    /// [`Layer::visit`].
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        let _ = f;
    }

    /// [`Layer::visit_mut`].
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        let _ = f;
    }

    /// [`Layer::nature`].
    fn nature(&self) -> Nature {
        Nature::default()
    }

    /// [`Layer::macs`].
    fn macs(&self, x: Shape) -> u64 {
        let _ = x;
        0
    }
}

impl<L: Unary> Layer for L {
    fn kind(&self) -> &'static str {
        Unary::kind(self)
    }

    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError> {
        match x {
            [x] => Ok(self.output_shape(*x)?.into()),
            _ => Err(NnError::Count { what: "the number of inputs", expected: 1, got: x.len() }),
        }
    }

    fn infer(&self, x: Tensors) -> Result<Tensors, NnError> {
        Ok(Unary::infer(self, x.only(INPUTS)?)?.into())
    }

    fn forward(&self, x: Tensors, at: At, kept: &mut Kept) -> Result<Tensors, NnError> {
        let (y, saved) = Unary::forward(self, x.only(INPUTS)?, at)?;
        kept.put(saved);
        Ok(y.into())
    }

    fn backward(&self, kept: &mut Kept, dy: Gradients, grads: &mut Grads<'_>) -> Result<Gradients, NnError> {
        let saved = kept.take::<L::Saved>()?;
        let dy = dy.only("the number of outputs")?;
        let dy = dy.ok_or(NnError::Count { what: "the number of gradients", expected: 1, got: 0 })?;
        Ok(List::from(Unary::backward(self, saved, dy, grads)?))
    }

    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        Unary::visit(self, f);
    }

    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        Unary::visit_mut(self, f);
    }

    fn nature(&self) -> Nature {
        Unary::nature(self)
    }

    fn macs(&self, x: &[Shape]) -> u64 {
        x.first().map_or(0, |x| Unary::macs(self, *x))
    }
}

const INPUTS: &str = "the number of inputs";

/// What a tensor is to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is trained: it has a gradient, and an optimizer changes it.
    Parameter,
    /// It is saved with the model and has no gradient: the running statistics of batch normalisation.
    Buffer,
}

/// How a layer behaves in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nature {
    /// An image's output depends on the other images of the batch, so that the batch may not be cut into pieces.
    pub couples_images: bool,
    /// `forward` gives something else than `infer`.
    pub training_differs: bool,
    /// [`Layer::settle`] does something.
    pub settles: bool,
}

/// Where in a run a forward pass stands. A layer draws its random numbers from this and its own path alone, so that pieces,
/// threads and interruptions change nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// The seed of the run.
    pub seed: u64,
    /// Steps before this one.
    pub step: u64,
    /// Where in the batch of the step the first image stands: not 0 in a later piece of a batch that was cut.
    pub first_image: u64,
    /// How often the graph has applied the layer before in this pass: not 0 where layers are shared.
    pub application: u64,
    /// Whether the layer is held as it is: batch normalisation goes by its running statistics and keeps them.
    pub held: bool,
}

/// What a forward pass keeps for the backward pass: one value of any type. Its memory is used again in the next step.
#[derive(Default)]
pub struct Kept(Option<Box<dyn Slot>>);

/// An `Option` of any type.
trait Slot: Any + Send + Sync {
    fn clear(&mut self);
}

impl<T: Send + Sync + 'static> Slot for Option<T> {
    fn clear(&mut self) {
        *self = None;
    }
}

impl Kept {
    /// Keeps `value` in place of what was kept before.
    pub fn put<T: Send + Sync + 'static>(&mut self, value: T) {
        match self.slot::<T>() {
            Some(slot) => *slot = Some(value),
            None => self.0 = Some(Box::new(Some(value))),
        }
    }

    /// Hands out what was kept; there is nothing kept afterwards.
    ///
    /// # Errors
    /// There is nothing of that type: a backward pass without its forward pass.
    pub fn take<T: Send + Sync + 'static>(&mut self) -> Result<T, NnError> {
        self.slot::<T>().and_then(Option::take).ok_or_else(nothing)
    }

    /// What was kept, to look at or to change.
    ///
    /// # Errors
    /// Those of [`Kept::take`].
    pub fn get_mut<T: Send + Sync + 'static>(&mut self) -> Result<&mut T, NnError> {
        self.slot::<T>().and_then(Option::as_mut).ok_or_else(nothing)
    }

    /// What was kept, or a new one if there is nothing of that type.
    pub(crate) fn get_or_default<T: Send + Sync + Default + 'static>(&mut self) -> &mut T {
        if self.slot::<T>().is_none_or(|slot| slot.is_none()) {
            self.put(T::default());
        }
        self.slot::<T>().and_then(Option::as_mut).expect("just put there")
    }

    /// Lets go of what was kept.
    pub(crate) fn clear(&mut self) {
        self.0.iter_mut().for_each(|slot| slot.clear());
    }

    fn slot<T: Send + Sync + 'static>(&mut self) -> Option<&mut Option<T>> {
        let slot: &mut dyn Any = &mut **self.0.as_mut()?;
        slot.downcast_mut()
    }
}

fn nothing() -> NnError {
    NnError::Setting {
        what: "a backward pass",
        rule: "one that follows its own forward pass, and the only one",
        got: "nothing kept".into(),
    }
}

/// Where a layer's gradients go: a tensor for each parameter, to add into, and which of the inputs' are wanted.
pub struct Grads<'a> {
    tensors: &'a mut [Tensor],
    inputs: &'a [bool],
}

impl<'a> Grads<'a> {
    /// One tensor for each parameter, in the order in which the layer visits them, and whether each input's gradient is
    /// wanted.
    pub fn new(tensors: &'a mut [Tensor], inputs: &'a [bool]) -> Self {
        Self { tensors, inputs }
    }

    /// Whether the gradient with respect to input `i` is wanted.
    pub fn wants(&self, i: usize) -> bool {
        self.inputs.get(i).copied().unwrap_or(false)
    }

    /// The gradient of parameter `i`, counted in the order of [`Layer::visit`], to add into; it has the parameter's shape.
    ///
    /// # Panics
    /// The layer has no parameter of that number.
    pub fn of(&mut self, i: usize) -> &mut Tensor {
        &mut self.tensors[i]
    }

    /// The gradients of all parameters, to add into.
    pub fn all(&mut self) -> &mut [Tensor] {
        self.tensors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_taken_once_and_its_memory_used_again() {
        let mut kept = Kept::default();
        assert!(kept.take::<u64>().is_err());
        kept.put(7u64);
        let place: *const u64 = kept.get_mut::<u64>().unwrap();
        assert!(kept.take::<u32>().is_err(), "of another type");
        assert_eq!(kept.take::<u64>().unwrap(), 7);
        assert!(kept.take::<u64>().is_err());
        kept.put(8u64);
        assert_eq!(place, kept.get_mut::<u64>().unwrap() as *const u64);
        kept.put("another type");
        assert_eq!(kept.take::<&str>().unwrap(), "another type");
    }
}
