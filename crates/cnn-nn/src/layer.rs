//! The interface of every layer.

use crate::explain::Rule;
use crate::{Gradients, List, NnError, Shapes, Tensors};
use cnn_tensor::{Shape, Tensor};
use std::any::Any;

/// A layer: tensors in, tensors out, and no state from one pass to the next.
///
/// Parameters belong to the layer. The values that the backward pass needs are stored in a [`Kept`], and gradients in [`Grads`].
/// So one layer can be applied twice before going back, and on many threads at once. The first axis of every shape
/// is the batch.
///
/// A layer with one input and one output implements [`Unary`] instead, from which `Layer` follows. Check either with
/// [`gradcheck`](crate::gradcheck).
pub trait Layer: Send + Sync {
    /// The kind of layer as messages and summaries name it: `conv2d`.
    fn kind(&self) -> &'static str;

    /// The shapes of the outputs for inputs of the shapes `x`.
    ///
    /// # Errors
    /// The layer cannot take inputs of these shapes.
    fn output_shapes(&self, x: &[Shape]) -> Result<Shapes, NnError>;

    /// The outputs for `x`, as in evaluation. An input whose memory is not shared may be overwritten.
    ///
    /// # Errors
    /// The errors of [`Layer::output_shapes`].
    fn infer(&self, x: Tensors) -> Result<Tensors, NnError>;

    /// The outputs for `x`, as in training. Stores in `kept` the values that [`Layer::backward`] reads.
    ///
    /// # Errors
    /// The errors of [`Layer::output_shapes`].
    fn forward(&self, x: Tensors, at: At, kept: &mut Kept) -> Result<Tensors, NnError>;

    /// The gradients with respect to the inputs that `grads` [wants](Grads::wants), given those with respect to the outputs.
    /// Adds the gradients of the parameters to `grads`. At least one output has a gradient.
    ///
    /// # Errors
    /// Nothing was kept, or a gradient has another shape than its output.
    fn backward(&self, kept: &mut Kept, dy: Gradients, grads: &mut Grads<'_>) -> Result<Gradients, NnError>;

    /// Calls `f` for each tensor of the layer with its name, always in the same order. A layer with tensors implements this
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, Role, &'a Tensor)) {
        let _ = f;
    }

    /// As [`Layer::visit`], in the same order, with tensors that can be changed.
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, Role, &'a mut Tensor)) {
        let _ = f;
    }

    /// Called after a step, once for each of its forward passes in order. Takes over statistics of the batch, as batch
    /// normalisation does for its running statistics.
    ///
    /// # Errors
    /// `kept` does not hold the values of a forward pass of this layer.
    fn settle(&mut self, kept: &mut Kept) -> Result<(), NnError> {
        let _ = kept;
        Ok(())
    }

    /// How the layer behaves in training.
    fn nature(&self) -> Nature {
        Nature::default()
    }

    /// Multiply-accumulates of a forward pass over inputs of the shapes `x`; 0 for layers that do hardly any.
    fn macs(&self, x: &[Shape]) -> u64 {
        let _ = x;
        0
    }
}

/// A layer with one input and one output. Every `Unary` is a [`Layer`].
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
    /// The values that the backward pass reads.
    type Saved: Send + Sync + 'static;

    /// The kind of layer as messages and summaries name it: `conv2d`.
    fn kind(&self) -> &'static str;

    /// The shape of the output for an input of shape `x`.
    ///
    /// # Errors
    /// The layer cannot take that shape.
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError>;

    /// The output for `x`, as in evaluation. By default, the output of [`Unary::forward`].
    ///
    /// # Errors
    /// The errors of [`Unary::output_shape`].
    fn infer(&self, x: Tensor) -> Result<Tensor, NnError> {
        Ok(self.forward(x, At::default())?.0)
    }

    /// The output for `x`, as in training, and the values that [`Unary::backward`] reads.
    ///
    /// # Errors
    /// The errors of [`Unary::output_shape`].
    fn forward(&self, x: Tensor, at: At) -> Result<(Tensor, Self::Saved), NnError>;

    /// The gradient with respect to the input, given the one with respect to the output. Adds the gradients of the parameters to
    /// `grads`. Where `grads` does not [want](Grads::wants) the input's gradient, the layer may return `None` and save the work.
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

/// The role of a tensor in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trained: it has a gradient, and an optimizer changes it.
    Parameter,
    /// Saved with the model, without a gradient: the running statistics of batch normalisation.
    Buffer,
}

/// How a layer behaves in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nature {
    /// An image's output depends on the other images of the batch, so the batch must not be cut into pieces.
    pub couples_images: bool,
    /// `forward` and `infer` give different outputs.
    pub training_differs: bool,
    /// [`Layer::settle`] changes the layer.
    pub settles: bool,
}

/// The place of a forward pass in a run. A layer draws its random numbers from this and its own path alone, so that pieces,
/// threads and interruptions change nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// The seed of the run.
    pub seed: u64,
    /// The number of steps before this one.
    pub step: u64,
    /// The position of the first image in the batch of the step; not 0 in a later piece of a batch that was cut.
    pub first_image: u64,
    /// How often the graph has already applied the layer in this pass; not 0 where layers are shared.
    pub application: u64,
    /// Whether the layer is held fixed: batch normalisation then uses its running statistics and does not update them, and
    /// dropout drops nothing.
    pub held: bool,
}

/// The values that a forward pass keeps for the backward pass: one value of any type. Its memory is reused in the next step.
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
    /// Stores `value` in place of the previous one.
    pub fn put<T: Send + Sync + 'static>(&mut self, value: T) {
        match self.slot::<T>() {
            Some(slot) => *slot = Some(value),
            None => self.0 = Some(Box::new(Some(value))),
        }
    }

    /// Takes the stored value out.
    ///
    /// # Errors
    /// No value of that type is stored: a backward pass without its forward pass.
    pub fn take<T: Send + Sync + 'static>(&mut self) -> Result<T, NnError> {
        self.slot::<T>().and_then(Option::take).ok_or_else(nothing)
    }

    /// The stored value, to read or to change.
    ///
    /// # Errors
    /// The errors of [`Kept::take`].
    pub fn get_mut<T: Send + Sync + 'static>(&mut self) -> Result<&mut T, NnError> {
        self.slot::<T>().and_then(Option::as_mut).ok_or_else(nothing)
    }

    /// The stored value, or a new one if there is none of that type.
    pub(crate) fn get_or_default<T: Send + Sync + Default + 'static>(&mut self) -> &mut T {
        if self.slot::<T>().is_none_or(|slot| slot.is_none()) {
            self.put(T::default());
        }
        self.slot::<T>().and_then(Option::as_mut).expect("just put there")
    }

    /// Drops the stored value.
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
        rule: "the only one after its own forward pass",
        got: "nothing kept".into(),
    }
}

/// The destination of a layer's gradients: a tensor for each parameter, to add into, and which inputs' gradients are wanted.
pub struct Grads<'a> {
    tensors: &'a mut [Tensor],
    inputs: &'a [bool],
    rule: Rule,
}

impl<'a> Grads<'a> {
    /// `tensors` has one tensor for each parameter, in the order in which the layer visits them. `inputs` says for each input
    /// whether its gradient is wanted.
    pub fn new(tensors: &'a mut [Tensor], inputs: &'a [bool]) -> Self {
        Self { tensors, inputs, rule: Rule::Plain }
    }

    /// The same destination for a backward pass by another rule than the derivative.
    #[must_use]
    pub fn with_rule(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    /// How rectifiers pass gradients back. Training uses [`Rule::Plain`]; other layers do not read it.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Whether the gradient with respect to input `i` is wanted.
    pub fn wants(&self, i: usize) -> bool {
        self.inputs.get(i).copied().unwrap_or(false)
    }

    /// The gradient of parameter `i`, in the order of [`Layer::visit`], to add into. It has the parameter's shape.
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
