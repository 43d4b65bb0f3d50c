//! What a pass over the test set is good for: the confusion matrix, the worst mistakes, and the first image.

use crate::datasets::short_names;
use cnn_nn::{Batch, ConfusionMatrix, NnError, Tensors};
use cnn_ops::softmax::softmax;
use cnn_report::{MISTAKES, Mistake};
use cnn_tensor::Tensor;

/// Gathered from the outputs of one pass, batch by batch.
#[derive(Clone)]
pub struct Tested {
    classes: Vec<String>,
    pub confusion: ConfusionMatrix,
    /// The surest first; more than a sheet has room for only between two batches.
    pub mistakes: Vec<Mistake>,
    /// `[1, c, h, w]`, once there is one.
    pub first: Option<Tensor>,
}

impl Tested {
    pub fn new(classes: &[String]) -> Self {
        Self {
            classes: short_names(classes),
            confusion: ConfusionMatrix::new(classes.len()),
            mistakes: Vec::new(),
            first: None,
        }
    }

    /// Takes in the outputs for the examples of a batch from `first` on.
    pub fn add(&mut self, batch: &Batch, first: usize, outputs: &Tensors) -> Result<(), NnError> {
        let labels = &batch.labels()[first..];
        self.confusion.add_batch(labels, &outputs[0])?;
        let image = |i: usize| {
            // Of several views, the first stands for the image.
            let view = (first + i) * batch.views;
            batch.inputs[0].slice_batch(view, view + 1)
        };
        if self.first.is_none() && !labels.is_empty() {
            self.first = Some(image(0));
        }
        let probabilities = softmax(&outputs[0])?;
        let each = probabilities.data().chunks_exact(self.classes.len().max(1));
        let predictions = cnn_nn::metrics::argmax(&probabilities);
        for (i, ((probabilities, &predicted), &truth)) in each.zip(&predictions).zip(labels).enumerate() {
            if predicted == truth {
                continue;
            }
            let name = |class: u32| self.classes[class as usize].clone();
            self.mistakes.push(Mistake {
                image: image(i),
                truth: name(truth),
                predicted: name(predicted),
                probability: probabilities[predicted as usize],
            });
        }
        // The sort is stable: of equally sure mistakes the earlier stays.
        self.mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        self.mistakes.truncate(MISTAKES);
        Ok(())
    }
}
