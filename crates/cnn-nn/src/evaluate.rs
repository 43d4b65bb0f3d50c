//! Evaluation of a network on a test set.

use crate::{Batch, Batches, Graph, Layer, Metrics, NnError, Score, Target, Task, Tensors};
use cnn_tensor::parallel;
use cnn_tensor::simd::IMAGES;

/// The number of inputs that one thread takes at a time.
const PIECE: usize = 4 * IMAGES;

type Watch<'a, T> = &'a mut dyn FnMut(&Batch<T>, usize, &Tensors) -> Result<(), NnError>;

/// The loss and the metrics of all batches of epoch 0 of `test`.
///
/// ```
/// use cnn_nn::{Batch, Batches, Classify, Graph, NnError, evaluate, spec::linear};
/// use cnn_tensor::Tensor;
/// struct Two;
/// impl Batches for Two {
///     fn examples(&self) -> usize { 2 }
///     fn batches(&self) -> usize { 1 }
///     fn epoch(&self, _: usize, _: usize) -> Box<dyn Iterator<Item = Result<Batch, NnError>> + '_> {
///         Box::new(std::iter::once(Ok(Batch::new(Tensor::zeros([2, 4]), vec![0, 1]))))
///     }
/// }
/// let net = Graph::build([linear(2).named("fc")], [4], 0)?;
/// assert_eq!(evaluate(&net, &Classify::default(), &Two)?.get("accuracy"), Some(0.5));
/// # Ok::<(), NnError>(())
/// ```
///
/// # Errors
/// The set is empty, a batch or the network fails, or a metric is not finite.
pub fn evaluate<T: Task>(net: &Graph, task: &T, test: &dyn Batches<T::Target>) -> Result<Metrics, NnError> {
    evaluate_with(net, task, test, &mut |_, _, _| Ok(()))
}

/// [`evaluate`], with access to the outputs. Calls `watch` with each batch, the index of an example in it, and the outputs
/// for that example and those that follow.
///
/// # Errors
/// An error of [`evaluate`] or of `watch`.
pub fn evaluate_with<T: Task>(
    net: &Graph,
    task: &T,
    test: &dyn Batches<T::Target>,
    watch: Watch<'_, T::Target>,
) -> Result<Metrics, NnError> {
    let mut total = Score::default();
    let mut examples = 0;
    for batch in test.epoch(0, 0) {
        let batch = batch?;
        if batch.target.examples() == 0 {
            continue;
        }
        let (n, views) = (batch.checked_size()?, batch.views);
        examples += n;
        let piece = (PIECE / views).max(1);
        let pieces = parallel::map(n.div_ceil(piece), |i| -> Result<_, NnError> {
            let part = i * piece..n.min((i + 1) * piece);
            let inputs = batch.inputs.iter().map(|x| x.slice_batch(part.start * views, part.end * views));
            let y = task.merge_views(Layer::infer(net, inputs.collect())?, views)?;
            let mut score = Score::default();
            task.score(&y, &batch.target, part.clone(), &mut score)?;
            Ok((part.start, score, y))
        });
        for piece in pieces {
            let (start, score, y) = piece?;
            total += score;
            watch(&batch, start, &y)?;
        }
    }
    if examples == 0 {
        let (what, rule) = ("the test set", "at least one image");
        return Err(NnError::Setting { what, rule, got: "none".into() });
    }
    let metrics = Metrics::of(task, &total);
    metrics.check("the metrics of an evaluation")?;
    Ok(metrics)
}
