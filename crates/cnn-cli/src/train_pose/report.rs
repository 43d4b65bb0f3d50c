//! The scores of a cascade beside those of the baselines, and the pictures.

use super::config::Config;
use super::{People, predict, stage};
use crate::fault::{Fault, note};
use crate::look;
use crate::pose::bones;
use cnn::pose::{MeanPose, NearestPose, Pose, PoseModel, scores};
use cnn_data::pose::{LSP, PoseSet, View};
use cnn_nn::metrics::{JointScores, Share};
use cnn_nn::{Model, RunFolder};
use cnn_report::{Figure, FigureRow, figures};
use cnn_tensor::files::write_atomically;
use serde::Serialize;
use std::path::PathBuf;

/// The output of `--json`, and of report.json.
#[derive(Serialize)]
pub struct Report {
    network: String,
    train_people: usize,
    validation_people: usize,
    /// The people that are scored: `test` or `validation`.
    tested: &'static str,
    tested_people: usize,
    /// Of all stages.
    parameters: usize,
    /// Of the first stage.
    epochs: usize,
    seed: u64,
    /// The scores of the baselines and of each stage.
    scores: Vec<Row>,
    weights: PathBuf,
    #[serde(skip)]
    pictures: Vec<PathBuf>,
}

/// The scores of one way to estimate joints; shares from 0 to 1, and the error in torso lengths.
#[derive(Serialize)]
struct Row {
    name: String,
    /// PCP at 0.5 by kind of limb, of both sides.
    pcp_of: Vec<(&'static str, Option<f64>)>,
    /// The mean PCP of all limbs.
    pcp: Option<f64>,
    /// The mean PCK at 0.2 of all joints.
    pck: Option<f64>,
    /// PCK at 0.2 by joint.
    pck_of: Vec<(&'static str, Option<f64>)>,
    error: Option<f64>,
}

/// Scores the cascade on people that it was not trained on, and draws the best, the median and the worst.
pub fn of(config: &Config, data: &People, cascade: &PoseModel, folder: &RunFolder) -> Result<Report, Fault> {
    let (set, tested) = data.tested();
    let poses = predict(cascade, set, "people estimated")?;
    let mut rows = baselines(config, data, set)?;
    for stage in 0..cascade.stages().len() {
        let found: Vec<&[[f32; 2]]> = poses.iter().map(|pose| &pose.stages[stage][..]).collect();
        rows.push(row(format!("stage {}", stage + 1), &scores(set, found.into_iter())?));
    }
    let sheet = folder.file("poses.png");
    write_atomically(&sheet, &picture(config, set, tested, &poses)?)?;
    let curves = (1..=cascade.stages().len()).map(|stage| folder.file(&format!("stage{stage}/curves.png")));
    Ok(Report {
        network: config.network.name.into(),
        train_people: data.train.len(),
        validation_people: data.validation.len(),
        tested,
        tested_people: set.len(),
        parameters: cascade.stages().iter().map(|stage| stage.model.net.parameter_count()).sum(),
        epochs: config.stages[0].training.epochs,
        seed: config.seed,
        scores: rows,
        weights: folder.file(super::CASCADE),
        pictures: [sheet].into_iter().chain(curves).collect(),
    })
}

/// The scores of the mean pose, and of the nearest neighbour by the trunk that the first stage began with.
fn baselines(config: &Config, data: &People, set: &PoseSet) -> Result<Vec<Row>, Fault> {
    let mean = MeanPose::of(&data.train);
    let poses: Vec<Vec<[f32; 2]>> = (0..set.len()).map(|i| mean.in_box(set.person(i).bounds)).collect();
    let mean = row("mean pose".into(), &scores(set, poses.iter().map(Vec::as_slice))?);
    note("looking for nearest neighbours");
    let model = stage::begin(0, config)?.model;
    let nearest = NearestPose::of(&data.train, &model, &trunk(&model), config.zoom())?;
    let poses = nearest.of_set(set)?;
    Ok(vec![mean, row("nearest neighbour".into(), &scores(set, poses.iter().map(Vec::as_slice))?)])
}

/// The layer whose maps are compared: the last before the head, or before maps are flattened.
fn trunk(model: &Model) -> String {
    let rows = model.summary().rows;
    let end = rows.iter().position(|row| row.path.starts_with("head.") || row.path == "flatten");
    let last = end.unwrap_or(rows.len()).saturating_sub(1);
    rows.get(last).map_or(String::new(), |row| row.path.clone())
}

fn row(name: String, scores: &JointScores) -> Row {
    let mut kinds: Vec<&'static str> = LSP.limbs.iter().map(|limb| limb.name).collect();
    kinds.dedup();
    let of_kind = |kind: &'static str| {
        let parts = LSP.limbs.iter().zip(scores.parts()).filter(|(limb, _)| limb.name == kind);
        let both = parts.fold(Share::default(), |sum, (_, part)| Share {
            correct: sum.correct + part.correct,
            counted: sum.counted + part.counted,
        });
        (kind, both.value())
    };
    Row {
        name,
        pcp_of: kinds.into_iter().map(of_kind).collect(),
        pcp: scores.pcp(),
        pck: scores.pck(),
        pck_of: LSP.joints.iter().copied().zip(scores.joints().iter().map(|joint| joint.value())).collect(),
        error: scores.error(),
    }
}

impl Report {
    /// The table for people, and the names of the files.
    pub fn words(&self) -> String {
        let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
        let kinds = self.scores.first().map_or(&[][..], |row| &row.pcp_of);
        let longest = self.scores.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let mut head = format!("{:longest$}", "");
        kinds.iter().for_each(|(kind, _)| head += &format!("  {kind:>9}"));
        head += &format!("  {:>8}  {:>7}  {:>5}", "mean PCP", "PCK@0.2", "error");
        let mut lines = vec![
            format!(
                "{} {} people; PCP at 0.5 by limb, and the mean error in torso lengths",
                self.tested_people, self.tested
            ),
            head,
        ];
        for row in &self.scores {
            let mut line = format!("{:longest$}", row.name);
            row.pcp_of.iter().for_each(|(_, pcp)| line += &format!("  {:>9}", number(*pcp)));
            line += &format!("  {:>8}  {:>7}  {:>5}", number(row.pcp), number(row.pck), number(row.error));
            lines.push(line);
        }
        lines.push(String::new());
        lines
            .extend([&self.weights].into_iter().chain(&self.pictures).map(|path| path.display().to_string()));
        lines.join("\n")
    }
}

/// People on a row of the sheet.
const SHOWN: usize = 10;

/// The best, the median and the worst poses, by the mean error of a person's joints.
fn picture(config: &Config, set: &PoseSet, tested: &str, poses: &[Pose]) -> Result<Vec<u8>, Fault> {
    let mut order = Vec::with_capacity(set.len());
    for (i, pose) in poses.iter().enumerate() {
        if let Some(error) = scores(&set.subset(&[i]), [pose.joints()].into_iter())?.error() {
            order.push((error, i));
        }
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let shown = SHOWN.min(order.len());
    let middle = (order.len() - shown) / 2;
    let mut rows = Vec::new();
    for (heading, start) in [("best", 0), ("median", middle), ("worst", order.len() - shown)] {
        let mut row = FigureRow { heading: heading.into(), figures: Vec::with_capacity(shown) };
        for &(error, i) in &order[start..start + shown] {
            let (picture, view) = (set.picture(i)?, View::of_box(set.person(i).bounds, 1.0));
            // The person's box alone, where a picture shows more.
            let side = (view.extent.round() as usize).clamp(1, 600);
            let image = look::rgb(&view.picture(&picture, side)?.to_rgb());
            let scale = side as f64;
            let place = |[x, y]: [f32; 2]| {
                view.place([f64::from(x), f64::from(y)]).map(|v| ((v + 0.5) * scale) as f32)
            };
            let joints: Vec<[f32; 2]> = poses[i].joints().iter().map(|&joint| place(joint)).collect();
            row.figures.push(Figure {
                image,
                bones: bones(&LSP, &joints),
                label: format!("off by {error:.2}"),
            });
        }
        rows.push(row);
    }
    let facts = format!(
        "by {} in {} stages, of {} {tested} people; off by so many torso lengths in the mean",
        config.network.title,
        config.stages.len(),
        set.len()
    );
    Ok(figures("Poses", &facts, &rows)?)
}
