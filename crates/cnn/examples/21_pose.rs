//! 21. Where are the joints of a person? A small DeepPose.
//!
//! You learn how a network answers with places instead of classes: a target of coordinates, a mask for joints that cannot be seen, an
//! augmentation that moves joints and pixels alike, and scores that are worth nothing without a baseline.
//!
//! `cargo run --release -p cnn --example 21_pose [TRAIN.csv TEST.csv]`
//!
//! Without tables of real people (`cnn train-pose --help` says what they look like), stick figures are made up.
//!
//! Source: A. Toshev, C. Szegedy, "DeepPose: Human Pose Estimation via Deep Neural Networks", CVPR 2014.
#![allow(clippy::print_stdout)]

#[path = "../../cnn-zoo/examples/failure/mod.rs"]
mod failure;

use cnn::data::pose::{Aim, LSP, PoseAugment, PoseLoader, PoseSet, View, stick_figures};
use cnn::nn::MaskedRegress;
use cnn::nn::metrics::JointScores;
use cnn::nn::spec::{conv2d, max_pool2d, relu, soft_argmax2d};
use cnn::ops::SmoothL1;
use cnn::pose::{MeanPose, scores};
use cnn::prelude::*;
use failure::Failure;
use std::path::Path;

/// Height and width of what the network sees.
const SIDE: usize = 32;
/// It sees a square as long as the longer side of the person's box.
const ZOOM: f64 = 1.0;

/// Convolutions down to 8 x 8 cells, a map for each joint, and the expected position in each map: 28 numbers, x and y of each
/// joint, from -1/2 at the left and upper border of the square to 1/2 at the right and lower one.
fn network(seed: u64) -> Result<Model, cnn::Error> {
    let layers = layers![
        conv2d(16, 5).padding(2),
        relu(),
        max_pool2d(2),
        conv2d(32, 5).padding(2),
        relu(),
        max_pool2d(2),
        conv2d(32, 5).padding(2),
        relu(),
        conv2d(LSP.joints.len(), 1),
        soft_argmax2d(),
    ];
    let input = Input::new([3, SIDE, SIDE], &[0.5; 3], &[0.25; 3]);
    Ok(Model::build(ModelSpec { name: "small-pose".into(), input, classes: LSP.outputs(), layers }, seed)?)
}

/// Trains on `train` and returns the network.
pub fn train(train: &PoseSet, test: &PoseSet, epochs: usize) -> Result<Model, cnn::Error> {
    let model = network(0)?;
    let loader =
        |set: &PoseSet| PoseLoader::new(set.clone(), &model.spec.input, Aim::Person { zoom: ZOOM }, 16);
    // In a mirror, right and left joints change places: the loader knows their pairs.
    let augment = PoseAugment { rotation: 10.0, scale: [0.9, 1.1], flip: 0.5, ..PoseAugment::default() };
    let (batches, tests) = (loader(train)?.shuffle(0).augment(augment, 0)?, loader(test)?);

    // Joints that cannot be seen are masked: they count in neither the loss nor its gradient.
    let task = MaskedRegress { loss: SmoothL1 { beta: 0.05, ..SmoothL1::default() } };
    let settings = TrainSettings {
        epochs,
        learning_rate: 5e-3,
        schedule: Schedule::OneCycle { warmup: 0.2 },
        optimizer: AdamW::default().into(),
        ..TrainSettings::default()
    };
    let mut trainer = Trainer::new(model.net, task, settings)?;
    trainer.fit(&batches, &tests, &mut ())?;
    for report in &trainer.progress().history {
        let of = |value: Option<f64>| value.unwrap_or(f64::NAN);
        println!(
            "epoch {:>2}: loss {:.4}, a coordinate of test people is off by {:.1} % of the square",
            report.epoch,
            of(report.train("loss")),
            100.0 * of(report.test("mae"))
        );
    }
    Ok(Model { spec: model.spec, net: trainer.into_net() })
}

/// The scores of the network, and those of the mean pose.
pub fn compare(model: &Model, train: &PoseSet, test: &PoseSet) -> Result<[JointScores; 2], cnn::Error> {
    let mut found: Vec<Vec<[f32; 2]>> = Vec::new();
    let loader = PoseLoader::new(test.clone(), &model.spec.input, Aim::Person { zoom: ZOOM }, 32)?;
    for batch in loader.epoch(0, 0) {
        let y = model.net.infer(&batch?.inputs[0])?;
        for row in y.data().chunks_exact(2 * LSP.joints.len()) {
            // From the square back to the pixels of the picture.
            let view = View::of_box(test.person(found.len()).bounds, ZOOM);
            let place = |xy: &[f32]| view.source([xy[0].into(), xy[1].into()]).map(|v| v as f32);
            found.push(row.chunks_exact(2).map(place).collect());
        }
    }
    let mean = MeanPose::of(train);
    let means: Vec<_> = (0..test.len()).map(|i| mean.in_box(test.person(i).bounds)).collect();
    Ok([scores(test, found.iter().map(Vec::as_slice))?, scores(test, means.iter().map(Vec::as_slice))?])
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (people, test, epochs) = match &arguments[..] {
        [] => (stick_figures(2000, SIDE, 1)?, stick_figures(300, SIDE, 2)?, 12),
        [train, test] => {
            (PoseSet::beside(Path::new(train), &LSP)?, PoseSet::beside(Path::new(test), &LSP)?, 20)
        }
        _ => return Err("expected no arguments, or TRAIN.csv TEST.csv".into()),
    };
    let model = train(&people, &test, epochs)?;
    println!("\n{:12} {:>8} {:>8} {:>24}", "", "PCP@0.5", "PCK@0.2", "error in torso lengths");
    for (name, scores) in ["network", "mean pose"].into_iter().zip(compare(&model, &people, &test)?) {
        let of = |value: Option<f64>| value.unwrap_or(f64::NAN);
        println!(
            "{name:12} {:>8.3} {:>8.3} {:>24.3}",
            of(scores.pcp()),
            of(scores.pck()),
            of(scores.error())
        );
    }
    Ok(())
}
