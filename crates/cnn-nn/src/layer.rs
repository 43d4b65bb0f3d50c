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

    /// [`Layer::forward`] for the first layer of a network, where nobody wants the input's gradient: only
    /// [`Layer::backward_first`] may follow. A container keeps nothing of the layers that it will not go back through.
    ///
    /// # Errors
    /// Those of [`Layer::output_shape`].
    fn forward_first(&mut self, x: Tensor) -> Result<Tensor, NnError> {
        self.forward(x)
    }

    /// The gradient with respect to the last forward pass's input, from the one with respect to its output; adds
    /// the gradients of the parameters into [`Parameter::gradient`]. What `forward` kept is used up.
    ///
    /// # Errors
    /// There was no forward pass, or `dy` has another shape than its output.
    fn backward(&mut self, dy: Tensor) -> Result<Tensor, NnError>;

    /// [`Layer::backward`] for the first layer of a network, where nobody wants the input's gradient. A container
    /// goes back to the first of its layers in which a parameter is not [frozen](Parameter::frozen), and no further.
    ///
    /// # Errors
    /// Those of [`Layer::backward`].
    fn backward_first(&mut self, dy: Tensor) -> Result<(), NnError> {
        self.backward(dy).map(drop)
    }

    /// Calls `f` for each of the layers that this one is made of, with its name; for none unless it is a container. What the
    /// methods below do by themselves is to ask all parts.
    fn parts<'a>(&'a self, f: &mut dyn FnMut(&'a str, &'a dyn Layer)) {
        let _ = f;
    }

    /// [`Layer::parts`], to change, in the same order.
    fn parts_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a str, &'a mut dyn Layer)) {
        let _ = f;
    }

    /// Calls `f` for each parameter with its path, always in the same order. A layer that has parameters implements
    /// this and [`Layer::visit_mut`].
    fn visit<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Parameter)) {
        self.parts(&mut |name, part| part.visit(path.join(name), f));
    }

    /// [`Layer::visit`] with mutable parameters, in the same order.
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Parameter)) {
        self.parts_mut(&mut |name, part| part.visit_mut(path.join(name), f));
    }

    /// Calls `f` for each buffer with its path, always in the same order: tensors that belong to the model and are saved
    /// with it, but have no gradient, such as the running statistics of batch normalisation.
    fn visit_buffers<'a>(&'a self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a Tensor)) {
        self.parts(&mut |name, part| part.visit_buffers(path.join(name), f));
    }

    /// [`Layer::visit_buffers`] with mutable buffers, in the same order.
    fn visit_buffers_mut<'a>(&'a mut self, path: Path<'_>, f: &mut dyn FnMut(Path<'_>, &'a mut Tensor)) {
        self.parts_mut(&mut |name, part| part.visit_buffers_mut(path.join(name), f));
    }

    /// Whether, in training, an image's output depends on the other images of the batch, or `forward` changes a buffer.
    /// Such a network's batches are not cut into pieces for the threads.
    fn mixes_images(&self) -> bool {
        let mut any = false;
        self.parts(&mut |_, part| any |= part.mixes_images());
        any
    }

    /// Whether `forward` gives something else than `infer`, as dropout and batch normalisation do.
    fn training_differs(&self) -> bool {
        let mut any = false;
        self.parts(&mut |_, part| any |= part.training_differs());
        any
    }

    /// Says which step of training the next `forward` belongs to, for layers that draw random numbers. They draw from
    /// what it says and from their own path alone, so that a resumed run, or one on other threads, draws the same.
    /// Without it, a layer counts its own forward passes.
    fn at_step(&mut self, at: TrainingStep) {
        self.parts_mut(&mut |_, part| part.at_step(at));
    }

    /// Another instance that shares the values of parameters and buffers (copied when one of the two is written to), is
    /// at the same step, and has gradients of its own: for data-parallel training.
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

/// Where in a run a forward pass stands, for layers that draw random numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrainingStep {
    /// The seed of the run.
    pub seed: u64,
    /// Steps before this one.
    pub step: u64,
    /// Where in the batch the first image stands: not 0 in a later piece of a batch that was cut.
    pub first_image: u64,
}
