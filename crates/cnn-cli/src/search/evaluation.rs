//! The quality of an index's rankings, beside those of an untrained network and of raw pixels.

use super::{Args, source_of};
use crate::fault::{Fault, note, print};
use crate::index::make;
use crate::progress::{self, Lines};
use crate::source::Part;
use cnn::Features;
use cnn_data::Dataset;
use cnn_nn::Model;
use cnn_search::{Index, Metric, Origin, Quality, Queries, evaluate};
use serde::Serialize;
use std::sync::Arc;

/// The queries that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub enum Asked {
    /// Each image of the index.
    Own,
    /// The images of the test part.
    Test,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    images: usize,
    queries: usize,
    k: usize,
    metric: String,
    rankings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    features: String,
    /// The numbers for each image.
    length: usize,
    /// 0 to 1.
    precision: f64,
    mean_average_precision: f64,
}

pub fn run(
    args: &Args,
    asked: Asked,
    index: &Index,
    model: &Model,
    metric: Metric,
    k: usize,
) -> Result<(), Fault> {
    if index.classes().is_empty() {
        return Err(Fault::usage(format!(
            "{}: expected an index with classes to evaluate, got one without",
            args.index.display()
        )));
    }
    let part = index.origin().part.as_str();
    if asked == Asked::Test && !part.starts_with("train") {
        return Err(Fault::usage(format!(
            "--evaluate: expected own, since test needs an index of the training part, got test for one of {part}"
        )));
    }
    let source = source_of(args, index)?;
    let own = source.reopen(part).filter(|set| set.len() >= index.len()).ok_or_else(|| {
        Fault::usage(format!("{}: the images of the index are not there any more", index.origin().source))
    })?;
    let others = match asked {
        Asked::Own => None,
        Asked::Test => Some(source.part(Some(Part::Test), None)?.1),
    };
    let layer = index.origin().layer.as_str();
    let whole = index.origin().whole_maps;
    let untrained = Model::build(model.spec.clone(), args.seed)?;
    let of = |model| Ok::<_, cnn::Error>(Features::of_pixels(model)?.layer(layer)?.whole_maps(whole));
    let rankings = [
        (format!("{layer} of {}", model.spec.name), of(model)?),
        (format!("{layer}, untrained"), of(&untrained)?),
        ("raw pixels".into(), Features::of_pixels(model)?),
    ];
    let mut report =
        Report { images: index.len(), queries: 0, k, metric: metric.to_string(), rankings: Vec::new() };
    for (i, (name, features)) in rankings.iter().enumerate() {
        note(format!("ranking by {name}"));
        let made = (i > 0).then(|| of_set(features, &own)).transpose()?;
        let index = made.as_ref().unwrap_or(index);
        let others = others.as_ref().map(|set| of_set(features, set)).transpose()?;
        let quality = measured(index, others.as_ref(), k, metric)?;
        report.queries = quality.queries;
        report.rankings.push(Row {
            features: name.clone(),
            length: index.length(),
            precision: quality.precision,
            mean_average_precision: quality.mean_average_precision,
        });
    }
    if args.json {
        print(serde_json::to_string(&report)?);
        return Ok(());
    }
    let names = report.rankings.iter().map(|row| row.features.chars().count()).max().unwrap_or(0);
    print(format!("{} queries in {} images, by {metric} distance", report.queries, report.images));
    print(format!(
        "{:names$}  {:>8}  {:>15}  {:>22}",
        "",
        "numbers",
        format!("precision at {k}"),
        "mean average precision"
    ));
    for Row { features, length, precision, mean_average_precision } in &report.rankings {
        let (p, map) = (100.0 * precision, 100.0 * mean_average_precision);
        print(format!("{features:names$}  {length:8}  {p:13.2} %  {map:20.2} %"));
    }
    Ok(())
}

/// The features of a set, of whose images all must be readable or none of the comparisons is fair.
fn of_set(features: &Features<'_>, set: &Arc<dyn Dataset>) -> Result<Index, Fault> {
    Ok(make(features, &**set, Origin::default(), Metric::default())?.0)
}

fn measured(index: &Index, others: Option<&Index>, k: usize, metric: Metric) -> Result<Quality, Fault> {
    let count = others.unwrap_or(index).len();
    let bar =
        progress::bar(Some(count as u64), "{pos}/{len} queries  [{bar:30}] {per_sec}  {remaining} left");
    let mut lines = Lines::new();
    let mut done = |queries: usize| {
        bar.set_position(queries as u64);
        lines.note(&bar, || format!("{queries}/{count} queries"));
    };
    let labels: Vec<u32>;
    let queries = match others {
        None => Queries::Own,
        Some(others) => {
            labels = (0..others.len()).filter_map(|i| others.item(i).label).collect();
            Queries::Others(others.vectors(), &labels)
        }
    };
    let quality = evaluate(index, queries, k, metric, &mut done);
    bar.finish_and_clear();
    Ok(quality?)
}
