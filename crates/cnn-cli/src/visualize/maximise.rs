//! Images that make a class's score, or a feature map, as large as can be.

use super::finding::{Finding, short};
use super::subject::{bounds, plain};
use super::{Context, Ticker, class};
use crate::fault::Fault;
use cnn_nn::explain::{Maximise, Target};
use cnn_report::{self as pictures, Panel, views};
use serde_json::json;

/// The largest number of classes that are drawn without being named.
const CLASSES: usize = 12;

pub fn sheet(context: &Context<'_>) -> Result<(Vec<u8>, Vec<Finding>), Fault> {
    let Context { args, model, look, classes } = context;
    let input = &model.spec.input;
    let layer = args.layer.as_deref();
    let targets: Vec<(String, Target<'_>)> = match layer {
        Some(layer) => {
            let maps = if args.map.is_empty() { &[0][..] } else { &args.map };
            maps.iter().map(|&map| (format!("map {map}"), Target::Map { layer, map })).collect()
        }
        None => {
            let numbers: Vec<usize> = match &args.class[..] {
                [] if classes.len() <= CLASSES => (0..classes.len()).collect(),
                [] => {
                    let message = format!(
                        "maximise: expected --class, once or more, for a network of {} classes",
                        classes.len()
                    );
                    return Err(Fault::usage(message));
                }
                some => some
                    .iter()
                    .map(|name| class::number(name, &model.spec.classes))
                    .collect::<Result<_, _>>()?,
            };
            numbers.into_iter().map(|number| (classes[number].clone(), Target::Class(number))).collect()
        }
    };
    let [_, h, w] = input.shape;
    let small = h.max(w) <= 64;
    // Noise and steps are parts of the range from black to white, which networks measure in different numbers.
    let bounds = bounds(input);
    let range = bounds.iter().map(|[black, white]| white - black).sum::<f32>() / bounds.len().max(1) as f32;
    let settings = Maximise {
        steps: args.steps.unwrap_or(200),
        rate: 0.02 * range,
        noise: 0.1 * range,
        jitter: if small { 1 } else { 8 },
        blur: if small { 0.4 } else { 0.8 },
        bounds,
        seed: args.seed,
        ..Maximise::default()
    };
    let mut ticker = Ticker::new("maximise", settings.steps * targets.len());
    let (mut panels, mut findings) = (Vec::new(), Vec::new());
    for (i, (name, target)) in targets.iter().enumerate() {
        let found = look.maximise(*target, &settings, |done| ticker.tick(i * settings.steps + done))?;
        let mut finding =
            Finding { method: "maximise".into(), layer: layer.map(Into::into), ..Finding::default() };
        match target {
            Target::Class(number) => {
                finding.more.insert("class".into(), json!(name));
                finding.more.insert("class_number".into(), json!(number));
                finding.remark = format!(" of {name}");
            }
            Target::Map { map, .. } => finding.map = Some(*map),
        }
        finding.remark += &format!(": from {:.3} to {:.3}", found.start, found.score);
        if found.score <= found.start {
            finding.remark += ". The ascent found nothing that makes it larger";
        }
        for (key, value) in [("start", found.start), ("score", found.score)] {
            finding.more.insert(key.into(), json!(value));
        }
        finding.more.insert("steps".into(), json!(settings.steps));
        findings.push(finding);
        let note = format!("{} to {}", short(found.start.into()), short(found.score.into()));
        panels.push(Panel {
            title: name.clone(),
            notes: vec![note],
            image: Some(views::image(&plain(input, &found.image))?),
        });
    }
    let what = match layer {
        Some(layer) => format!("the mean of a feature map of {layer}"),
        None => "the score of a class".into(),
    };
    let title = format!("What {} would like to see", model.spec.name);
    let facts =
        format!("images that make {what} large: gradient ascent from noise, {} steps", settings.steps);
    let columns = if panels.len() < 5 { panels.len() } else { 5 };
    Ok((pictures::panels(&title, &facts, columns, &panels)?, findings))
}
