//! Looking inside a trained network: which pixels a score depends on, and what its layers respond to.
//!
//! An [`Explainer`] looks at a classifier, as in evaluation: batch normalisation uses its running statistics and dropout drops
//! nothing. It explains scores: where the network ends in a softmax, the numbers before it.
//!
//! | method | |
//! |---|---|
//! | saliency, guided backpropagation, deconvnet | [`Explainer::gradient`], by a [`Rule`] |
//! | integrated gradients | [`Explainer::integrated_gradients`] |
//! | Grad-CAM, HiResCAM | [`Explainer::grad_cam`], [`Explainer::hires_cam`] |
//! | occlusion | [`Explainer::occlusion`] |
//! | activation maximisation | [`Explainer::maximise`] |
//! | one feature map projected to pixels | [`Explainer::project`] |
//! | the images to which a map responds most | [`Explainer::strongest`] |
//! | feature maps, first-layer filters | [`Explainer::maps`], [`Explainer::first_filters`] |
//!
//! **Which to trust.** A map that explains a network must change when the network's weights do. J. Adebayo et al., "Sanity Checks
//! for Saliency Maps" (NeurIPS 2018), drew the weights anew, from the last layer to the first. Saliency, integrated gradients
//! and Grad-CAM pass this check. Guided backpropagation and the deconvnet fail it: their maps hardly change, because they
//! mostly reproduce the edges of the image. They show which pixels a unit reacts to, not why the network decides as it does.
//!
//! ```
//! use cnn_nn::explain::{Explainer, magnitude};
//! use cnn_nn::spec::{conv2d, flatten, linear, relu};
//! use cnn_nn::{Graph, explain::Rule};
//! use cnn_tensor::Tensor;
//! let net = Graph::build(
//!     [conv2d(4, 3).named("conv"), relu().named("relu"), flatten().named("flatten"), linear(2).named("fc")],
//!     [1, 6, 6],
//!     0, // seed
//! )?;
//! let look = Explainer::new(&net)?;
//! let x = Tensor::full([1, 1, 6, 6], 0.5);
//! let saliency = magnitude(&look.gradient(&x, 1, Rule::Plain)?);
//! assert_eq!(saliency.shape().dims(), [1, 1, 6, 6]);
//! let cam = look.grad_cam(&x, 1, look.cam_layer()?)?;
//! assert_eq!((cam.layer.as_str(), cam.map.shape().dims()), ("relu", &[1, 1, 4, 4][..]));
//! # Ok::<(), cnn_nn::NnError>(())
//! ```

mod cam;
mod integrated;
mod maximise;
mod occlusion;
mod project;
mod reach;
mod rule;
mod strongest;

pub use cam::ClassMap;
pub use integrated::Integrated;
pub use maximise::{Maximise, Maximised, Target};
pub use occlusion::Occlusion;
pub use project::Projection;
pub(crate) use reach::Reach;
pub use reach::Region;
pub use rule::Rule;
pub use strongest::{Hit, Strongest};

use crate::graph::Inner;
use crate::{Graph, NnError};
use cnn_ops::Upsample2d;
use cnn_ops::upsample2d::Interpolation;
use cnn_tensor::text::hint;
use cnn_tensor::{Shape, Tensor};

/// Looks at a classifier: a graph with one input, whose first output is `[n, classes]`.
pub struct Explainer<'a> {
    graph: &'a Graph,
    /// The number of the value with the scores.
    scores: usize,
    classes: usize,
    /// The shape of every value of the graph, for one example.
    shapes: Vec<Shape>,
    /// The nodes that the scores depend on.
    nodes: Vec<Inner<'a>>,
}

/// A layer whose output can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// The dotted path: `features.3`.
    pub name: String,
    /// The kind: `conv2d`.
    pub kind: &'static str,
    /// The shape of the output for one example.
    pub output: Shape,
}

impl<'a> Explainer<'a> {
    /// Looks at `graph`.
    ///
    /// # Errors
    /// The graph has several inputs, or the scores are not one number for each class.
    pub fn new(graph: &'a Graph) -> Result<Self, NnError> {
        let inputs = graph.inputs().len();
        if inputs != 1 {
            return Err(NnError::Count { what: "the number of inputs", expected: 1, got: inputs });
        }
        let (scores, shapes) = (graph.scores(), graph.value_shapes());
        let Some([_, classes]) = shapes[scores].matrix() else {
            let (what, rule) = ("the scores of a classifier", "of shape [n, classes]");
            return Err(NnError::Setting { what, rule, got: shapes[scores].to_string() });
        };
        Ok(Self { graph, scores, classes, shapes, nodes: graph.leading_to(scores) })
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The scores for images `[n, ...]`, before any softmax: `[n, classes]`.
    ///
    /// # Errors
    /// The network cannot take `x`.
    pub fn scores(&self, x: &Tensor) -> Result<Tensor, NnError> {
        self.check(x)?;
        self.graph.value_at(x, self.scores)
    }

    /// The gradient of the score of `class` with respect to images `[n, ...]`, of their shape. By the plain rule its
    /// [`magnitude`] is the saliency map.
    ///
    /// Source of saliency: K. Simonyan, A. Vedaldi and A. Zisserman, "Deep Inside Convolutional Networks: Visualising Image
    /// Classification Models and Saliency Maps" (2013), section 3.
    ///
    /// # Errors
    /// The network cannot take `x`, has no such class, or no rectifier that another rule than the plain one could apply to.
    pub fn gradient(&self, x: &Tensor, class: usize, rule: Rule) -> Result<Tensor, NnError> {
        self.check_rule(rule, self.scores)?;
        Ok(self.class_gradient(x, class, 0, rule)?.1)
    }

    /// The layers that the scores depend on, in the order of execution.
    pub fn layers(&self) -> Vec<LayerInfo> {
        let info = |node: &Inner<'_>| LayerInfo {
            name: node.path.into(),
            kind: node.kind,
            output: self.shapes[node.value],
        };
        self.nodes.iter().map(info).collect()
    }

    /// The layer that Grad-CAM looks at by default: the maps of the last convolution with more than one pixel, after the
    /// normalisation, the activation and the sum or concatenation that follow it.
    ///
    /// # Errors
    /// There is none.
    pub fn cam_layer(&self) -> Result<&'a str, NnError> {
        let is_maps = |value: usize| self.shapes[value].nchw().is_some_and(|[_, _, h, w]| h * w > 1);
        let convolution =
            self.nodes.iter().rfind(|node| CONVOLUTIONS.contains(&node.kind) && is_maps(node.value));
        let Some(mut node) = convolution else {
            let (what, rule) = (
                "a network with class activation maps",
                "one with a convolution whose maps have several pixels",
            );
            return Err(NnError::Setting { what, rule, got: "none".into() });
        };
        loop {
            let mut readers = self.nodes.iter().filter(|reader| reader.reads.contains(&node.value));
            match (readers.next(), readers.next()) {
                (Some(reader), None) if follows(reader.kind) && is_maps(reader.value) => node = reader,
                _ => return Ok(node.path),
            }
        }
    }

    /// The output of each layer of maps `[n, c, h, w]` with its name, for images `[n, ...]`.
    ///
    /// # Errors
    /// The network cannot take `x`.
    pub fn maps(&self, x: &Tensor) -> Result<Vec<(&'a str, Tensor)>, NnError> {
        self.check(x)?;
        let mut maps = self.graph.activations(x)?;
        maps.retain(|(path, y)| {
            y.shape().nchw().is_some() && self.nodes.iter().any(|node| node.path == *path)
        });
        Ok(maps)
    }

    /// The layers of [`Explainer::maps`] that end a group: a convolution, say, whose only reader is an activation, a sum or a
    /// concatenation is left out, for the reader's maps show the same and are what the next layer sees.
    pub fn map_layers(&self) -> Vec<&'a str> {
        let ends = self.nodes.iter().filter(|node| {
            let mut readers = self.nodes.iter().filter(|reader| reader.reads.contains(&node.value));
            let only = readers.next().filter(|_| readers.next().is_none());
            let goes_on = only.is_some_and(|reader| follows(reader.kind));
            self.shapes[node.value].nchw().is_some_and(|[_, _, h, w]| h * w > 1) && !goes_on
        });
        ends.map(|node| node.path).collect()
    }

    /// The name of the first convolution and its weight `[c_out, c_in, kh, kw]`.
    ///
    /// # Errors
    /// The network has no convolution.
    pub fn first_filters(&self) -> Result<(&'a str, Tensor), NnError> {
        let mut found = None;
        if let Some(node) = self.nodes.iter().find(|node| node.kind == "conv2d") {
            let name = format!("{}.weight", node.layer);
            self.graph.visit(&mut |path, _, tensor| {
                if path.to_string() == name {
                    found = Some((node.path, tensor.clone()));
                }
            });
        }
        found.ok_or_else(|| {
            let (what, rule) = ("a network with first-layer filters", "one with a convolution");
            NnError::Setting { what, rule, got: "none".into() }
        })
    }

    /// The part of the input that the pixel at row and column `at` of a layer's maps depends on, padding left out.
    ///
    /// # Errors
    /// There is no such layer, or its output is not maps.
    pub fn receptive_field(&self, layer: &str, at: [usize; 2]) -> Result<Region, NnError> {
        let (value, [_, h, w]) = self.maps_of(layer)?;
        let none = Region { rows: 0..0, columns: 0..0 };
        let at = [at[0].min(h.saturating_sub(1)), at[1].min(w.saturating_sub(1))];
        Ok(self.graph.receptive_field(&self.shapes, value, at).unwrap_or(none))
    }

    /// The scores, and the gradient of the one of `class` with respect to the value `to`; and that value.
    fn class_gradient(
        &self,
        x: &Tensor,
        class: usize,
        to: usize,
        rule: Rule,
    ) -> Result<(Tensor, Tensor, Tensor), NnError> {
        self.check(x)?;
        self.check_class(class)?;
        let one_hot = |scores: &Tensor| {
            let mut seed = Tensor::zeros(scores.shape());
            seed.data_mut().chunks_exact_mut(self.classes).for_each(|row| row[class] = 1.0);
            Ok(seed)
        };
        let found = self.graph.gradient_at(x, (self.scores, to), rule, one_hot)?;
        Ok((found.of, found.gradient, found.to))
    }

    /// The number of a layer's output of maps, and its channels, rows and columns.
    fn maps_of(&self, layer: &str) -> Result<(usize, [usize; 3]), NnError> {
        let node = self.node(layer)?;
        match self.shapes[node.value].nchw() {
            Some([_, c, h, w]) => Ok((node.value, [c, h, w])),
            None => {
                let with = self.nodes.iter().filter(|node| self.shapes[node.value].nchw().is_some());
                let names: Vec<&str> = with.map(|node| node.path).collect();
                let got = format!(
                    "{layer} with an output of shape {}; layers of maps: {}",
                    self.shapes[node.value],
                    names.join(", ")
                );
                Err(NnError::Setting {
                    what: "the layer",
                    rule: "one whose output is maps [n, c, h, w]",
                    got,
                })
            }
        }
    }

    fn node(&self, layer: &str) -> Result<&Inner<'a>, NnError> {
        self.nodes.iter().find(|node| node.path == layer).ok_or_else(|| {
            let names = || self.nodes.iter().map(|node| node.path);
            let all = names().collect::<Vec<_>>().join(", ");
            let got = format!("\"{layer}\"{}; there are {all}", hint(layer, names()));
            NnError::Setting { what: "the layer", rule: "one that the scores depend on", got }
        })
    }

    fn check(&self, x: &Tensor) -> Result<(), NnError> {
        let expected = self.graph.inputs()[0].with_batch(x.shape().batch());
        if x.shape() == expected {
            return Ok(());
        }
        let got = format!("{} for a network that takes {expected}", x.shape());
        Err(NnError::Setting { what: "the images", rule: "of the shape that the network was built for", got })
    }

    fn check_one(&self, x: &Tensor) -> Result<(), NnError> {
        self.check(x)?;
        match x.shape().batch() {
            1 => Ok(()),
            got => Err(NnError::Count { what: "the number of images", expected: 1, got }),
        }
    }

    fn check_class(&self, class: usize) -> Result<(), NnError> {
        if class < self.classes {
            return Ok(());
        }
        let got = format!("{class} of {} classes, counted from 0", self.classes);
        Err(NnError::Setting { what: "the class", rule: "one of the network's", got })
    }

    /// Whether the scores depend on a rectifier (relu, relu6): the other rules than the plain one need one.
    pub fn has_rectifiers(&self) -> bool {
        self.nodes.iter().any(Inner::is_rectifier)
    }

    /// Refuses a rule that would be the plain one: no rectifier lies before the value.
    fn check_rule(&self, rule: Rule, of: usize) -> Result<(), NnError> {
        let rectified = || self.graph.leading_to(of).iter().any(Inner::is_rectifier);
        if rule == Rule::Plain || rectified() {
            return Ok(());
        }
        let (what, rule) =
            ("a network for guided backpropagation or the deconvnet", "one with rectifiers (relu, relu6)");
        Err(NnError::Setting { what, rule, got: "none before the explained value".into() })
    }

    /// The number of images to compute at a time, so that their values take a quarter of a gigabyte at most.
    fn at_a_time(&self) -> usize {
        let numbers: usize = self.shapes.iter().map(|shape| shape.numel()).sum();
        ((1 << 26) / numbers.max(1)).clamp(1, 64)
    }
}

const CONVOLUTIONS: [&str; 3] = ["conv2d", "conv2d_table", "conv_transpose2d"];

/// Whether a layer of this kind belongs to the convolution before it.
fn follows(kind: &str) -> bool {
    let others = [
        "batch_norm2d",
        "dropout",
        "dropout2d",
        "prelu",
        "add",
        "arithmetic_by",
        "cat",
        "local_response_norm",
    ];
    others.contains(&kind) || cnn_ops::Activation::NAMES.contains(&kind)
}

/// The largest absolute value over the channels of maps `[n, c, h, w]`: `[n, 1, h, w]`, the saliency map of Simonyan et al. Other
/// shapes keep theirs.
#[must_use]
pub fn magnitude(gradient: &Tensor) -> Tensor {
    over_channels(gradient, |largest, v| if v.is_nan() { v } else { f32::max(largest, v.abs()) })
}

/// The sum over the channels of maps `[n, c, h, w]`: `[n, 1, h, w]`. Other shapes keep theirs.
#[must_use]
pub fn channel_sum(maps: &Tensor) -> Tensor {
    over_channels(maps, |sum, v| sum + v)
}

fn over_channels(maps: &Tensor, join: impl Fn(f32, f32) -> f32) -> Tensor {
    let ([n, c, plane], shape) = match maps.shape().nchw() {
        Some([n, c, h, w]) => ([n, c, h * w], Shape::from([n, 1, h, w])),
        None => ([1, 1, maps.shape().numel()], maps.shape()),
    };
    let mut joined = Tensor::zeros(shape);
    for (i, sums) in (0..n).zip(joined.data_mut().chunks_exact_mut(plane.max(1))) {
        for channel in maps.data()[i * c * plane..][..c * plane].chunks_exact(plane.max(1)) {
            sums.iter_mut().zip(channel).for_each(|(sum, v)| *sum = join(*sum, *v));
        }
    }
    joined
}

/// The positive part of each number; 0 for the others.
#[must_use]
pub fn positive(mut map: Tensor) -> Tensor {
    map.data_mut().iter_mut().for_each(|v| *v = if *v > 0.0 { *v } else { 0.0 });
    map
}

/// Whether every number is 0: such a map says nothing.
pub fn is_zero(map: &Tensor) -> bool {
    map.data().iter().all(|v| *v == 0.0)
}

/// Maps `[n, c, h, w]` at another height and width, by bilinear interpolation.
///
/// # Errors
/// `map` has another shape, or is to have no pixels.
pub fn resized(map: &Tensor, [h, w]: [usize; 2]) -> Result<Tensor, NnError> {
    Ok(Upsample2d::to_size([h, w]).mode(Interpolation::Bilinear).forward(map)?)
}

#[cfg(test)]
mod tests;
