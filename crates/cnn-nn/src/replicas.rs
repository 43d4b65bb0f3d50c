//! Data-parallel gradients: a batch is cut into pieces, each runs forward and backward whole in a replica of the
//! network, and the pieces' gradients are added in order.
//!
//! A step of a small network is a millisecond of work; handing every operation to the threads one by one would cost
//! as much again. Pieces are cut by the shape of the batch alone, so the sum is the same for any number of threads.

use crate::profile::probe::{self, Pass, pass};
use crate::{Batch, Layer, NnError, Path, TrainingStep};
use cnn_ops::{CrossEntropy, Loss as _, OpError, Reduction};
use cnn_tensor::simd::IMAGES;
use cnn_tensor::{Recycled, Shape, Tensor, parallel, vector};
use std::ops::Range;

/// A batch is cut into this many pieces at most.
const MOST_PIECES: usize = 8;

/// Networks of more trained numbers run the batch in one piece, without a replica: there the operations themselves are
/// large enough to share among threads, and to add up the gradients of replicas would be costly. So do networks with batch
/// normalisation, whatever their size, since its statistics are those of the whole batch.
const LARGEST_REPLICATED: usize = 1 << 20;

/// The same for networks that use most weights once for an image: there the gradients of a replica are as much work to add
/// up as to compute.
const LARGEST_DENSE_REPLICATED: usize = 1 << 16;

/// Replicas of a network, one for each piece of a batch; made on demand and kept from step to step.
#[derive(Default)]
pub(crate) struct Replicas {
    replicas: Vec<Box<dyn Layer>>,
    /// The shape of the last batch, and how it was cut: to count a network's work takes memory.
    cut: Option<(Shape, usize)>,
}

/// The loss of some images, and how many of them were classified right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Score {
    /// The sum of the images' cross-entropies.
    pub loss: f64,
    /// Images whose largest output is that of their label.
    pub correct: usize,
}

impl std::ops::AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.loss += other.loss;
        self.correct += other.correct;
    }
}

impl Replicas {
    /// Sets the network's gradients to those of the loss over the batch, in step `at`.
    pub fn gradients(
        &mut self,
        net: &mut dyn Layer,
        batch: &Batch,
        at: TrainingStep,
        loss: &CrossEntropy,
    ) -> Result<Score, NnError> {
        let n = batch.checked_size()?;
        if batch.views != 1 {
            let (what, rule) = ("the views of a training batch", "1 of each image");
            return Err(NnError::Setting { what, rule, got: batch.views.to_string() });
        }
        let loss = Loss { options: loss, divisor: loss.divisor(&batch.labels[..]) };
        let score = self.sum_of_pieces(net, batch, n, at, loss)?;
        // So that the mean over images is the loss: where classes have weights, their sum is not the number of images.
        let images = if loss.options.reduction == Reduction::Mean { n as f64 / loss.divisor } else { 1.0 };
        Ok(Score { loss: score.loss * images, ..score })
    }

    fn sum_of_pieces(
        &mut self,
        net: &mut dyn Layer,
        batch: &Batch,
        n: usize,
        at: TrainingStep,
        loss: Loss<'_>,
    ) -> Result<Score, NnError> {
        let x = batch.x.shape();
        let piece = match self.cut {
            Some((known, piece)) if known == x => piece,
            _ => piece_size(net, x),
        };
        self.cut = Some((x, piece));
        let pieces = n.div_ceil(piece);
        if pieces == 1 {
            net.at_step(at);
            return run(net, batch.x.clone(), Targets::of(batch, 0..n), loss);
        }
        while self.replicas.len() < pieces {
            self.replicas.push(net.replicate());
        }
        let replicas = &mut self.replicas[..pieces];
        pass(probe::GRADIENTS, Pass::Rest, || share_values(net, replicas));
        let mut scores: Recycled<Result<Score, NnError>> =
            (0..pieces).map(|_| Ok(Score::default())).collect();
        probe::on_threads(pieces, |probes| {
            parallel::for_each_chunk_pair((&mut *replicas, 1), (&mut scores, 1), |i, replica, score| {
                let (start, end) = (i * piece, n.min((i + 1) * piece));
                let (x, targets) = (batch.x.slice_batch(start, end), Targets::of(batch, start..end));
                replica[0].at_step(TrainingStep { first_image: start as u64, ..at });
                let run = || run(&mut *replica[0], x, targets, loss);
                score[0] = probes.piece(i, run).map_err(|fault| in_batch(fault, start));
            });
        });
        let mut total = Score::default();
        for score in scores.drain(..) {
            total += score?;
        }
        pass(probe::GRADIENTS, Pass::Rest, || collect_gradients(net, replicas));
        Ok(total)
    }
}

/// Images in each piece of a batch of shape `x`: whole blocks of lanes, or all images where they may not be parted.
fn piece_size(net: &dyn Layer, x: Shape) -> usize {
    let n = x.batch();
    let mut parameters = 0;
    net.visit(Path::ROOT, &mut |_, parameter| parameters += parameter.shape().numel());
    let dense = || net.macs(x) < 2 * (n * parameters) as u64;
    let large = parameters > LARGEST_REPLICATED || parameters > LARGEST_DENSE_REPLICATED && dense();
    if large || net.mixes_images() {
        return n;
    }
    n.div_ceil(MOST_PIECES).next_multiple_of(IMAGES)
}

/// A loss, and what it divides the sum over the whole batch by.
#[derive(Clone, Copy)]
struct Loss<'a> {
    options: &'a CrossEntropy,
    divisor: f64,
}

/// What some images of a batch show: their classes, and the second ones with the share of the first.
#[derive(Clone, Copy)]
struct Targets<'a> {
    labels: &'a [u32],
    mixed: Option<(&'a [u32], f32)>,
}

impl<'a> Targets<'a> {
    fn of(batch: &'a Batch, images: Range<usize>) -> Self {
        let mixed = batch.mixed.as_ref().map(|mixed| (&mixed.labels[images.clone()], mixed.share));
        Self { labels: &batch.labels[images], mixed }
    }
}

/// Forward and backward of one piece.
fn run(net: &mut dyn Layer, x: Tensor, targets: Targets<'_>, loss: Loss<'_>) -> Result<Score, NnError> {
    pass(probe::GRADIENTS, Pass::Rest, || {
        net.visit_mut(Path::ROOT, &mut |_, parameter| parameter.clear_gradient());
    });
    let logits = net.forward_first(x)?;
    let (score, gradient) = pass(probe::LOSS, Pass::Rest, || {
        let (loss, gradient) = loss.of_targets(&logits, targets)?;
        Ok::<_, NnError>((Score { loss, correct: correct(&logits, targets.labels) }, gradient))
    })?;
    drop(logits);
    net.backward_first(gradient)?;
    Ok(score)
}

impl Loss<'_> {
    /// The sum of the losses, and the gradient of the loss over the whole batch.
    fn of_targets(self, logits: &Tensor, targets: Targets<'_>) -> Result<(f64, Tensor), NnError> {
        let Some((second, share)) = targets.mixed else { return self.of(logits, targets.labels, 1.0) };
        let (first, mut gradient) = self.of(logits, targets.labels, share)?;
        let (second, other) = self.of(logits, second, 1.0 - share)?;
        vector::axpy(1.0, other.data(), gradient.data_mut());
        Ok((first + second, gradient))
    }

    /// `share` of the sum of the losses, and the same share of the gradient of the loss over the whole batch.
    fn of(self, logits: &Tensor, labels: &[u32], share: f32) -> Result<(f64, Tensor), NnError> {
        let (sum, saved) = self.options.forward(logits, labels)?;
        let scale = (f64::from(share) / self.divisor) as f32;
        Ok((f64::from(share) * sum, saved.backward(scale)))
    }
}

/// The same fault, with its image counted from the start of the batch.
fn in_batch(fault: NnError, start: usize) -> NnError {
    match fault {
        NnError::Op(OpError::Label { op, label, image, classes }) => {
            OpError::Label { op, label, image: start + image, classes }.into()
        }
        fault => fault,
    }
}

/// The score of some outputs, by plain cross-entropy.
pub(crate) fn score(logits: &Tensor, labels: &[u32]) -> Result<Score, NnError> {
    let (loss, _) = CrossEntropy::default().forward(logits, labels)?;
    Ok(Score { loss, correct: correct(logits, labels) })
}

/// How many images have their largest output at their label.
fn correct(logits: &Tensor, labels: &[u32]) -> usize {
    let right = |&(prediction, &label): &(u32, &u32)| prediction == label;
    crate::metrics::predictions(logits).zip(labels).filter(right).count()
}

/// Parameters for which a list has room from the start.
const MANY: usize = 64;

/// Lets every replica see the network's present values: a reference count each.
fn share_values(net: &dyn Layer, replicas: &mut [Box<dyn Layer>]) {
    let mut values = Recycled::with_capacity(MANY);
    net.visit(Path::ROOT, &mut |_, parameter| values.push(parameter.value.clone()));
    for replica in replicas {
        let mut values = values.iter();
        replica.visit_mut(Path::ROOT, &mut |_, parameter| {
            parameter.value = values.next().expect("a replica has the network's parameters").clone();
        });
    }
}

/// Sets the network's gradients to the sum of the replicas', in order, and lets go of the shared values, so that the
/// optimizer need not copy them to change them.
fn collect_gradients(net: &mut dyn Layer, replicas: &mut [Box<dyn Layer>]) {
    let mut sums = Recycled::with_capacity(MANY);
    net.visit_mut(Path::ROOT, &mut |_, parameter| sums.push(std::mem::take(&mut parameter.gradient)));
    for (i, replica) in replicas.iter_mut().enumerate() {
        let mut sums = sums.iter_mut();
        replica.visit_mut(Path::ROOT, &mut |_, part| {
            let sum = sums.next().expect("a replica has the network's parameters");
            part.value = Tensor::default();
            if i == 0 {
                std::mem::swap(sum, &mut part.gradient);
            } else {
                vector::axpy(1.0, part.gradient.data(), sum.data_mut());
            }
        });
    }
    let mut sums = sums.drain(..);
    net.visit_mut(Path::ROOT, &mut |_, parameter| {
        parameter.gradient = sums.next().expect("as many as were taken");
    });
}
