//! The real data sets.

use cnn_data::{Dataset, MnistFamily, Split};
use std::path::Path;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");
const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";

fn mean(bytes: &[u8]) -> f64 {
    bytes.iter().map(|&byte| f64::from(byte)).sum::<f64>() / bytes.len() as f64
}

fn std(bytes: &[u8]) -> f64 {
    let mean = mean(bytes);
    (bytes.iter().map(|&byte| (f64::from(byte) - mean).powi(2)).sum::<f64>() / bytes.len() as f64).sqrt()
}

#[test]
fn mnist_is_complete_and_has_its_published_statistics() {
    let train = MnistFamily::Mnist.load(MNIST, Split::Train).unwrap();
    assert_eq!(train.shape(), [60_000, 1, 28, 28]);
    assert_eq!(train.class_counts(), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(train.labels()[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert!((mean(train.images()) - 33.3184).abs() < 1e-4);
    assert!((mean(train.images()) / 255.0 - f64::from(MnistFamily::Mnist.mean())).abs() < 5e-5);
    assert!((std(train.images()) / 255.0 - f64::from(MnistFamily::Mnist.std())).abs() < 5e-5);

    let test = MnistFamily::Mnist.load(MNIST, Split::Test).unwrap();
    assert_eq!(test.shape(), [10_000, 1, 28, 28]);
    assert_eq!(test.class_counts(), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_eq!(test.classes()[test.label(0) as usize], "7");
}

#[test]
fn fashion_mnist_has_its_published_statistics() {
    if !Path::new(FASHION_MNIST).is_dir() {
        eprintln!("skipped: {FASHION_MNIST} is absent (Debian package dataset-fashion-mnist)");
        return;
    }
    let train = MnistFamily::FashionMnist.load(FASHION_MNIST, Split::Train).unwrap();
    assert_eq!(train.shape(), [60_000, 1, 28, 28]);
    assert_eq!(train.class_counts(), [6000; 10]);
    assert_eq!(train.classes()[train.label(0) as usize], "Ankle boot");
    assert!((mean(train.images()) / 255.0 - f64::from(MnistFamily::FashionMnist.mean())).abs() < 5e-5);
    assert!((std(train.images()) / 255.0 - f64::from(MnistFamily::FashionMnist.std())).abs() < 5e-5);
    assert_eq!(MnistFamily::FashionMnist.load(FASHION_MNIST, Split::Test).unwrap().len(), 10_000);
}
