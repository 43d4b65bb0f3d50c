//! The interface of every layer.

use crate::{LayerSpec, NnError, Parameter, Path, SummaryRow};
use cnn_tensor::{Shape, Tensor};

/// A part of a network: it maps a batch to a batch, and gradients back.
///
/// Evaluation borrows the layer (`infer`), so one model can predict on many threads; training borrows it mutably,
/// because `forward` keeps what `backward` will read and `backward` adds into the gradients. The first axis of
/// every shape is the batch.
///
/// A layer of your own implements the methods without a default; check it with [`gradcheck`](crate::gradcheck).
pub trait Layer: Send + Sync {
    /// The kind of layer as messages and summaries name it: `conv2d`.
    fn kind(&self) -> &'static str;

    /// The shape of the output for an input of shape `x`.
    ///
    /// # Errors
    /// The layer cannot take that shape.
    fn output_shape(&self, x: Shape) -> Result<Shape, NnError>;

    /// The output for `x`, as in evaluation.
    ///
    /// # Errors
    /// Those of [`Layer::output_shape`].
    fn infer(&self, x: &Tensor) -> Result<Tensor, NnError>;

    /// [`Layer::infer`] for an input that nobody else needs, whose memory the output may take.
    ///
    /// # Errors
    /// Those of [`Layer::output_shape`].
    fn infer_owned(&self, x: Tensor) -> Result<Tensor, NnError> {
        self.infer(&x)
    }

    /// The output for `x`, as in training; keeps what [`Layer::backward`] reads.
    ///
    /// # Errors
    /// Those of [`Layer::output_shape`].
    fn forward(&mut self, x: Tensor) -> Result<Tensor, NnError>;

    /// The gradient with respect to the last forward pass's input, from the one with respect to its output; adds
    /// the gradients of the parameters into [`Parameter::gradient`]. What `forward` kept is used up.
    ///
    /// # Errors
    /// There was no forward pass, or `dy` has another shape than its output.
    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError>;

    /// [`Layer::backward`] for the first layer of a network, where nobody wants the input's gradient.
    ///
    /// # Errors
    /// Those of [`Layer::backward`].
    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        self.backward(dy).map(drop)
    }

    /// Calls `f` for each parameter with its path, always in the same order.
    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        let _ = (path, f);
    }

    /// [`Layer::visit`] with mutable parameters, in the same order.
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        let _ = (path, f);
    }

    /// Another instance that shares the parameters' values (copied when one of the two is written to) and has
    /// gradients of its own: for data-parallel training.
    fn replicate(&self) -> Box<dyn Layer>;

    /// The description from which the layer can be built again; `None` for a layer of your own, whose model can
    /// be trained and its weights saved, but not built from a file alone.
    fn spec(&self) -> Option<LayerSpec> {
        None
    }

    /// Multiply-accumulates of a forward pass over an input of shape `x`; 0 for layers that do none to speak of.
    fn macs(&self, x: Shape) -> u64 {
        let _ = x;
        0
    }

    /// Appends the layer's row, or one for each part of a container, to a summary.
    ///
    /// # Errors
    /// Those of [`Layer::output_shape`].
    fn summarize(&self, path: Path<'_>, x: Shape, rows: &mut Vec<SummaryRow>) -> Result<(), NnError> {
        let mut parameters = 0;
        self.visit(Path::ROOT, &mut |_, parameter| parameters += parameter.shape().numel() as u64);
        let output = self.output_shape(x)?;
        rows.push(SummaryRow {
            path: path.to_string(),
            kind: self.kind(),
            output,
            parameters,
            macs: self.macs(x),
        });
        Ok(())
    }
}
