//! `cnn look`: a data set at a glance.

use crate::augment;
use crate::datasets::{self, ClassesArg, short_names};
use crate::fault::{Fault, note, print};
use crate::home;
use crate::save::save;
use cnn_data::transform::Frame;
use cnn_data::{Data, DatasetName};
use cnn_data::{Dataset, Loader, Picture, Subset};
use cnn_nn::Batches;
use cnn_report::{self as pictures, Contact, Count, Sample, Variants};
use cnn_tensor::Random;
use image::{Rgb, RgbImage};
use std::path::PathBuf;

/// Draw samples of a data set with their labels, the number of images of each class, and what augmentation makes of them.
///
/// The samples are a random choice of the training images. Below the class counts, each row is one of them as training
/// sees it in nine epochs. An image that cannot be decoded is named, and another one drawn in its place.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn look mnist --augment distort
  cnn look path/to/photos --augment imagenet --seed 3 --out photos.png")]
pub struct Args {
    #[arg(value_name = "NAME|DIR", help = format!("{}, or a folder or archive of images", datasets::names()))]
    dataset: DatasetName,
    /// The folder with the files of a data set that is known by name [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    classes: ClassesArg,
    /// The random transforms of training images: a preset of train, or a JSON file with a list of transforms.
    #[arg(long, value_name = "NAME|FILE", default_value = "none")]
    augment: String,
    /// Height and width to which training brings images [default: their own; 224 for photos].
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Which samples, and what augmentation draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The picture to write [default: runs/look/NAME.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Images in the upper part of the sheet, and in the lower.
const SAMPLES: usize = 30;
const VARIED: usize = 4;
const EPOCHS: usize = 9;

pub fn run(args: Args) -> Result<(), Fault> {
    let classes_from = args.classes.choice().unwrap_or_default();
    let data = datasets::open(&args.dataset, args.data_dir.as_deref(), classes_from)?;
    let transform = augment::training(&args.augment, Frame::new(args.dataset.side(), args.size))?;

    let classes = short_names(data.train.classes());
    let (indices, samples) = samples(&data, &classes, args.seed);
    let varied = &indices[..indices.len().min(VARIED)];
    let mut variants: Vec<Variants> = samples
        .iter()
        .take(VARIED)
        .map(|original| Variants { original: original.clone(), epochs: Vec::new() })
        .collect();
    // The loader itself, without normalisation, so that the sheet shows what training gets.
    let loader = Loader::new(Subset::new(data.train.clone(), varied.to_vec())?, 1)?;
    let loader = loader.transform(transform, args.seed)?;
    for epoch in 1..=EPOCHS {
        for (batch, variants) in loader.epoch(epoch, 0).zip(&mut variants) {
            let x = &batch?.inputs[0];
            let Some([_, c, h, w]) = x.shape().nchw() else { continue };
            let bytes: Vec<u8> = x.data().iter().map(|v| (v * 255.0).round() as u8).collect();
            variants.epochs.push(rgb(&Picture::new([c, h, w], bytes)?));
        }
    }
    let counts = data.train.class_counts().into_iter().zip(data.test.class_counts());
    let size = match data.shape {
        Some([c, h, w]) => format!(" of {c} x {h} x {w}"),
        None => String::new(),
    };
    let (train, test) = (data.train.len(), data.test.len());
    let sheet = Contact {
        title: args.dataset.title(),
        facts: format!("{train} training and {test} test images{size}, in {} classes", classes.len()),
        samples,
        counts: classes
            .iter()
            .zip(counts)
            .map(|(class, (train, test))| Count { class: class.clone(), train, test })
            .collect(),
        augmentation: args.augment.clone(),
        variants,
    };
    let default = || home::runs().join("look").join(format!("{}.png", args.dataset.short()));
    let out = args.out.unwrap_or_else(default);
    save(&out, &pictures::contact(&sheet)?)?;
    print(format!("{}: {}", sheet.title, sheet.facts));
    if !data.passed_over.is_empty() {
        print(format!("passed over: {}", data.passed_over));
    }
    print(out.display());
    Ok(())
}

/// Training images drawn at random, and their numbers; those that cannot be decoded are named and passed over.
fn samples(data: &Data, classes: &[String], seed: u64) -> (Vec<usize>, Vec<Sample>) {
    let mut order: Vec<usize> = (0..data.train.len()).collect();
    Random::new(seed, &["look"]).shuffle(&mut order);
    let decoded = order.into_iter().filter_map(|i| match data.train.picture(i) {
        Ok(picture) => {
            let label = classes[data.train.label(i) as usize].clone();
            Some((i, Sample { image: rgb(&picture), label }))
        }
        Err(fault) => {
            note(format!("passed over: {fault}"));
            None
        }
    });
    decoded.take(SAMPLES).unzip()
}

/// As a screen shows it.
pub fn rgb(picture: &Picture<'_>) -> RgbImage {
    let (plane, width) = (picture.height() * picture.width(), picture.width());
    let last = picture.channels() - 1;
    RgbImage::from_fn(width as u32, picture.height() as u32, |x, y| {
        let pixel = y as usize * width + x as usize;
        Rgb([0, last.min(1), last.min(2)].map(|channel| picture.data()[channel * plane + pixel]))
    })
}
