//! Class activation maps: where in a layer's maps the evidence for a class lies.

use super::{Explainer, Rule, positive};
use crate::NnError;
use cnn_tensor::Tensor;

/// A class activation map, with its layer.
#[derive(Clone, Debug)]
pub struct ClassMap {
    /// The layer whose maps were weighted.
    pub layer: String,
    /// `[1, 1, h, w]`, as large as the layer's maps. Positive where the layer speaks for the class, negative where against it.
    pub map: Tensor,
    /// The score of the class.
    pub score: f32,
}

impl ClassMap {
    /// The part that speaks for the class, which the papers draw.
    #[must_use]
    pub fn positive(&self) -> Tensor {
        positive(self.map.clone())
    }
}

impl Explainer<'_> {
    /// Grad-CAM: the sum of a layer's maps for one image `[1, ...]`, each times the mean of its gradient.
    ///
    /// Source: R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV
    /// 2017, equations 1 and 2, before the rectifier.
    ///
    /// # Errors
    /// The network cannot take `x`, has no such class or layer, or the layer's output is not maps.
    pub fn grad_cam(&self, x: &Tensor, class: usize, layer: &str) -> Result<ClassMap, NnError> {
        self.class_map(x, class, layer, |gradient| {
            let mean = gradient.iter().map(|&v| f64::from(v)).sum::<f64>() / gradient.len() as f64;
            gradient.fill(mean as f32);
        })
    }

    /// HiResCAM: the sum of a layer's maps for one image `[1, ...]`, each element times its own gradient.
    ///
    /// It shows the places that the score was computed from, where Grad-CAM may light up others. The two are equal if the layer
    /// is followed by global average pooling and a linear layer.
    ///
    /// Source: R. L. Draelos and L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
    /// networks" (2020), equation 6.
    ///
    /// # Errors
    /// The errors of [`Explainer::grad_cam`].
    pub fn hires_cam(&self, x: &Tensor, class: usize, layer: &str) -> Result<ClassMap, NnError> {
        self.class_map(x, class, layer, |_| {})
    }

    /// The sum over the maps, times their gradients after `smooth`.
    fn class_map(
        &self,
        x: &Tensor,
        class: usize,
        layer: &str,
        smooth: impl Fn(&mut [f32]),
    ) -> Result<ClassMap, NnError> {
        self.check_one(x)?;
        let (value, [_, h, w]) = self.maps_of(layer)?;
        let (scores, mut weights, maps) = self.class_gradient(x, class, value, Rule::Plain)?;
        let mut map = Tensor::zeros([1, 1, h, w]);
        let planes = weights.data_mut().chunks_exact_mut(h * w).zip(maps.data().chunks_exact(h * w));
        for (weights, plane) in planes {
            smooth(weights);
            for ((sum, weight), v) in map.data_mut().iter_mut().zip(weights.iter()).zip(plane) {
                *sum += weight * v;
            }
        }
        Ok(ClassMap { layer: layer.into(), map, score: scores.data()[class] })
    }
}
