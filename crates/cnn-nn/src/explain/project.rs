//! One activation of a feature map, projected down to the pixels.

use super::{Explainer, Region, Rule};
use crate::NnError;
use cnn_tensor::Tensor;

/// The result of [`Explainer::project`].
#[derive(Clone, Debug)]
pub struct Projection {
    /// The gradient with respect to the image by the rule, times the activation: of the image's shape.
    pub image: Tensor,
    /// The activation.
    pub value: f32,
    /// Its row and column in the map.
    pub at: [usize; 2],
    /// The part of the image that it depends on.
    pub patch: Region,
}

impl Explainer<'_> {
    /// Projects one activation of feature map `map` of a layer down to an image `[1, ...]`: the one at row and column `at`, or the
    /// largest. All others are set to 0. By [`Rule::Deconv`] this is the deconvnet with switches.
    ///
    /// Source: M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 2.1.
    ///
    /// # Errors
    /// The network cannot take `x`; it has no such layer or map, or the layer's output is not maps; `at` is outside the map; or no
    /// rectifier lies before the layer that another rule than the plain one could apply to.
    pub fn project(
        &self,
        x: &Tensor,
        layer: &str,
        map: usize,
        at: Option<[usize; 2]>,
        rule: Rule,
    ) -> Result<Projection, NnError> {
        self.check_one(x)?;
        let (of, [maps, h, w]) = self.maps_of(layer)?;
        self.check_map(map, maps)?;
        if let Some([row, column]) = at.filter(|&[row, column]| row >= h || column >= w) {
            let (what, got) = ("the place in a map", format!("row {row} and column {column} of {h} and {w}"));
            return Err(NnError::Setting { what, rule: "inside it", got });
        }
        self.check_rule(rule, of)?;
        let mut place = (0.0, [0, 0]);
        let found = self.graph.gradient_at(x, (of, 0), rule, |values| {
            let plane = &values.data()[map * h * w..][..h * w];
            let at = at.map_or_else(|| largest(plane), |[row, column]| row * w + column);
            place = (plane[at], [at / w, at % w]);
            let mut seed = Tensor::zeros(values.shape());
            seed.data_mut()[map * h * w + at] = plane[at];
            Ok(seed)
        })?;
        let (value, at) = place;
        Ok(Projection { image: found.gradient, value, at, patch: self.receptive_field(layer, at)? })
    }

    /// The number of the feature map of a layer with the largest activation for an image `[1, ...]`.
    ///
    /// # Errors
    /// The network cannot take `x`, has no such layer, or the layer's output is not maps.
    pub fn strongest_map(&self, x: &Tensor, layer: &str) -> Result<usize, NnError> {
        self.check_one(x)?;
        let (value, [_, h, w]) = self.maps_of(layer)?;
        Ok(largest(self.graph.value_at(x, value)?.data()) / (h * w).max(1))
    }

    /// The feature map of a layer, and the row and column in it, of the activation that the score of `class` owes most to: the one
    /// whose product with its gradient is largest, for an image `[1, ...]`.
    ///
    /// # Errors
    /// The network cannot take `x`, has no such class or layer, or the layer's output is not maps.
    pub fn largest_part(
        &self,
        x: &Tensor,
        class: usize,
        layer: &str,
    ) -> Result<(usize, [usize; 2]), NnError> {
        self.check_one(x)?;
        let (value, [_, h, w]) = self.maps_of(layer)?;
        let (_, mut parts, maps) = self.class_gradient(x, class, value, Rule::Plain)?;
        parts.data_mut().iter_mut().zip(maps.data()).for_each(|(part, v)| *part *= v);
        let at = largest(parts.data());
        Ok((at / (h * w).max(1), [at / w.max(1) % h.max(1), at % w.max(1)]))
    }

    pub(super) fn check_map(&self, map: usize, maps: usize) -> Result<(), NnError> {
        if map < maps {
            return Ok(());
        }
        let (what, got) = ("the feature map", format!("{map} of {maps}, counted from 0"));
        Err(NnError::Setting { what, rule: "one of the layer's", got })
    }
}

/// The position of the largest number, the first of equal ones; NaN is passed over.
pub(super) fn largest(numbers: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, &v) in numbers.iter().enumerate() {
        if v > best.1 {
            best = (i, v);
        }
    }
    best.0
}
