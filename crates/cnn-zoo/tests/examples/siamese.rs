//! The example of a siamese network learns.

#[path = "../../examples/14_siamese.rs"]
mod example;

use cnn_data::{MnistFamily, Split};
use cnn_nn::Batches;

#[test]
fn same_and_different_digits_are_told_apart() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (accuracies, again) = example::learn(1, 20_000, 2_000, file.path()).unwrap();
    assert!(accuracies[0] > 0.93, "{}", accuracies[0]);
    assert_eq!(again, accuracies[0], "out of the file");
}

#[test]
fn half_of_the_pairs_are_the_same_and_no_epoch_repeats_them() {
    let digits = MnistFamily::Mnist.load(example::MNIST, Split::Test).unwrap();
    let pairs = example::Pairs::new(digits, 100, 0);
    assert_eq!((pairs.examples(), pairs.batches()), (100, 2));
    let epoch = |epoch, skip| pairs.epoch(epoch, skip).map(Result::unwrap).collect::<Vec<_>>();
    let (first, second) = (epoch(0, 0), epoch(1, 0));
    let labels: Vec<u32> = first.iter().flat_map(|batch| batch.labels()).copied().collect();
    assert_eq!((labels.len(), labels.iter().sum::<u32>()), (100, 50));
    assert_eq!(epoch(0, 1)[0].inputs, first[1].inputs, "resumed");
    assert_ne!(first[0].inputs, second[0].inputs);
}
