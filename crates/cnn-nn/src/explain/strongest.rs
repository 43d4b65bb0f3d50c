//! The images of a data set to which each feature map of a layer responds most.

use super::Explainer;
use super::project::largest;
use crate::NnError;
use cnn_tensor::Tensor;

/// The largest activation of a feature map in one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The number of the image.
    pub image: usize,
    /// The activation.
    pub value: f32,
    /// Its row and column in the map.
    pub at: [usize; 2],
}

/// The strongest hits of each map so far; see [`Explainer::strongest`].
pub struct Strongest<'a> {
    look: &'a Explainer<'a>,
    value: usize,
    plane: [usize; 2],
    keep: usize,
    /// For each map, the strongest first.
    hits: Vec<Vec<Hit>>,
}

impl Explainer<'_> {
    /// Looks for the `keep` images to which each feature map of a layer responds most; at most one place of an image counts for
    /// a map. [`Strongest::add`] takes the images of a data set.
    ///
    /// # Errors
    /// There is no such layer, or its output is not maps.
    pub fn strongest(&self, layer: &str, keep: usize) -> Result<Strongest<'_>, NnError> {
        let (value, [maps, h, w]) = self.maps_of(layer)?;
        Ok(Strongest { look: self, value, plane: [h, w], keep, hits: vec![Vec::new(); maps] })
    }
}

impl Strongest<'_> {
    /// Looks at images `[n, ...]`, of which the first has the number `first`. Of equal activations the earlier image's counts.
    ///
    /// # Errors
    /// The network cannot take `x`.
    pub fn add(&mut self, first: usize, x: &Tensor) -> Result<(), NnError> {
        self.look.check(x)?;
        let y = self.look.graph.value_at(x, self.value)?;
        let ([h, w], maps) = (self.plane, self.hits.len());
        for (i, plane) in y.data().chunks_exact((h * w).max(1)).enumerate() {
            let (place, hits) = (largest(plane), &mut self.hits[i % maps]);
            let hit = Hit { image: first + i / maps, value: plane[place], at: [place / w, place % w] };
            let rank = hits.partition_point(|other| other.value >= hit.value);
            if rank < self.keep && hit.value.is_finite() {
                hits.insert(rank, hit);
                hits.truncate(self.keep);
            }
        }
        Ok(())
    }

    /// For each feature map its hits, the strongest first.
    pub fn hits(&self) -> &[Vec<Hit>] {
        &self.hits
    }
}
