//! The methods that explain an image, on one sheet.

use super::finding::{Finding, Numbers, short};
use super::subject::Subject;
use super::{Context, Method, Ticker, left_out};
use crate::fault::Fault;
use cnn_nn::explain::{Occlusion, Rule, channel_sum, magnitude};
use cnn_report::{self as pictures, Panel, views};
use cnn_tensor::Tensor;
use image::RgbImage;
use serde_json::json;

const METHODS: [Method; 7] = [
    Method::Saliency,
    Method::Guided,
    Method::Deconv,
    Method::Integrated,
    Method::GradCam,
    Method::HiresCam,
    Method::Occlusion,
];

/// The image beside the map of each method.
pub fn sheet(context: &Context<'_>, subject: &Subject) -> Result<(Vec<u8>, Vec<Finding>), Fault> {
    let Subject { photo, class, is_predicted, .. } = subject;
    let all = context.args.method.contains(&Method::All);
    let mut panels = vec![Panel {
        title: class.class.clone(),
        notes: vec![
            format!("score {}, probability {:.1} %", short(class.score.into()), 100.0 * class.probability),
            if *is_predicted { "the network's answer" } else { "chosen; not the network's answer" }.into(),
        ],
        image: Some(photo.clone()),
    }];
    let mut findings = Vec::new();
    for method in METHODS {
        if !context.args.method.contains(&method) {
            if !all {
                continue;
            }
            if let Some(why) = unsuited(context, method) {
                left_out(method, why);
                continue;
            }
        }
        let Explained { panel, mut finding } = explain(context, subject, method)?;
        finding.method = method.name();
        finding.image = Some(subject.name.clone());
        panels.push(panel);
        findings.push(finding);
    }
    let title = format!("What {} looks at", context.model.spec.name);
    let columns = if panels.len() < 4 { panels.len() } else { 4 };
    let facts = format!("{}: what speaks for {}", subject.short_name(), class.class);
    Ok((pictures::panels(&title, &facts, columns, &panels)?, findings))
}

/// Why a method does not suit the network.
fn unsuited(context: &Context<'_>, method: Method) -> Option<&'static str> {
    match method {
        Method::Guided | Method::Deconv if !context.look.has_rectifiers() => {
            Some("the network has no rectifiers (relu, relu6)")
        }
        Method::Deconv | Method::GradCam | Method::HiresCam if context.layer().is_err() => {
            Some("the network has no convolution whose maps have several pixels")
        }
        _ => None,
    }
}

struct Explained {
    panel: Panel,
    finding: Finding,
}

fn explain(context: &Context<'_>, subject: &Subject, method: Method) -> Result<Explained, Fault> {
    let Subject { x, photo, .. } = subject;
    let (look, class) = (&context.look, subject.class.class_number);
    let heading = |title: &str| title.to_string();
    match method {
        Method::Saliency => {
            let map = magnitude(&look.gradient(x, class, Rule::Plain)?);
            let finding = of_class(subject, Numbers::of(&map, &map));
            panel(
                heading("Saliency"),
                vec!["largest |gradient| of the channels".into()],
                finding,
                &map,
                views::bright,
            )
        }
        Method::Guided => {
            let map = look.gradient(x, class, Rule::Guided)?;
            let finding = of_class(subject, Numbers::of(&map, &map));
            panel(heading("Guided backpropagation"), vec!["gray is 0".into()], finding, &map, views::relief)
        }
        Method::Deconv => deconv(context, subject),
        Method::Integrated => integrated(context, subject),
        Method::GradCam | Method::HiresCam => {
            let layer = context.layer()?;
            let (title, cam) = match method {
                Method::GradCam => ("Grad-CAM", look.grad_cam(x, class, layer)?),
                _ => ("HiResCAM", look.hires_cam(x, class, layer)?),
            };
            let drawn = cam.positive();
            let finding =
                Finding { layer: Some(layer.into()), ..of_class(subject, Numbers::of(&cam.map, &drawn)) };
            let notes = vec![format!("at {layer}, {}", size(&cam.map))];
            panel(heading(title), notes, finding, &drawn, |map| views::heat_over(photo, map))
        }
        _ => occlusion(context, subject),
    }
}

/// The deconvnet from one activation of a layer: of the chosen map the largest, or else the one that the score owes most to.
fn deconv(context: &Context<'_>, subject: &Subject) -> Result<Explained, Fault> {
    let (look, x, layer) = (&context.look, &subject.x, context.layer()?);
    let (map, at) = match context.one_map()? {
        Some(map) => (map, None),
        None => {
            let (map, at) = look.largest_part(x, subject.class.class_number, layer)?;
            (map, Some(at))
        }
    };
    let found = look.project(x, layer, map, at, Rule::Deconv)?;
    let numbers = Numbers::of(&found.image, &found.image);
    let mut finding = Finding { layer: Some(layer.into()), map: Some(map), ..of_class(subject, numbers) };
    for (key, value) in
        [("activation", json!(found.value)), ("row", json!(found.at[0])), ("column", json!(found.at[1]))]
    {
        finding.more.insert(key.into(), value);
    }
    let notes = vec![format!("of map {map} at {layer}"), format!("activation {}", short(found.value.into()))];
    panel("Deconvnet".into(), notes, finding, &found.image, views::relief)
}

fn integrated(context: &Context<'_>, subject: &Subject) -> Result<Explained, Fault> {
    let (steps, x) = (context.args.steps.unwrap_or(64), &subject.x);
    let mut ticker = Ticker::new("integrated", steps);
    let baseline = Tensor::zeros(x.shape());
    let found =
        context.look.integrated_gradients(x, &baseline, subject.class.class_number, steps, |done| {
            ticker.tick(done)
        })?;
    let mut finding = of_class(subject, Numbers::of(&found.map, &found.map));
    finding.more.insert("baseline_score".into(), json!(found.baseline));
    finding.more.insert("difference".into(), json!(found.score - found.baseline));
    finding.more.insert("error".into(), json!(found.error()));
    finding.more.insert("steps".into(), json!(steps));
    let difference = found.score - found.baseline;
    finding.remark = format!("; f(image) - f(mean colour) = {difference:.4}");
    let notes = vec![
        format!("sum {}; f(x) \u{2212} f(0) = {}", short(found.sum.into()), short(difference.into())),
        "red for the class, blue against".into(),
    ];
    panel("Integrated gradients".into(), notes, finding, &channel_sum(&found.map), views::signed)
}

fn occlusion(context: &Context<'_>, subject: &Subject) -> Result<Explained, Fault> {
    let [_, h, w] = context.model.spec.input.shape;
    let side = context.args.window.unwrap_or_else(|| h.max(w).div_ceil(7));
    let square = Occlusion { side, stride: context.args.stride.unwrap_or(side.div_ceil(2)), fill: 0.0 };
    let [rows, columns] = square.places([h, w]);
    let mut ticker = Ticker::new("occlusion", rows * columns);
    let map =
        context.look.occlusion(&subject.x, subject.class.class_number, square, |done| ticker.tick(done))?;
    let mut finding = of_class(subject, Numbers::of(&map, &map));
    finding.more.insert("window".into(), json!(square.side));
    finding.more.insert("stride".into(), json!(square.stride));
    let notes = vec![
        format!("score falls by {} at most", short(map.data().iter().copied().fold(0.0, f32::max).into())),
        format!("squares of {side} x {side}, every {} pixels", square.stride),
    ];
    let photo = subject.photo.clone();
    panel("Occlusion".into(), notes, finding, &map, |map| views::signed_over(&photo, map))
}

fn of_class(subject: &Subject, numbers: Numbers) -> Finding {
    Finding { class: Some(subject.class.clone()), numbers: Some(numbers), ..Finding::default() }
}

fn panel(
    title: String,
    notes: Vec<String>,
    finding: Finding,
    drawn: &Tensor,
    view: impl Fn(&Tensor) -> Result<RgbImage, pictures::PictureError>,
) -> Result<Explained, Fault> {
    let zero = finding.numbers.as_ref().is_some_and(|numbers| numbers.zero);
    let image = if zero { None } else { Some(view(drawn)?) };
    let extremes = finding.numbers.iter().map(Numbers::note).filter(|_| notes.len() < 2);
    let notes = notes.iter().cloned().chain(extremes).collect();
    Ok(Explained { panel: Panel { title, notes, image }, finding })
}

/// Rows and columns of maps.
fn size(map: &Tensor) -> String {
    map.shape().nchw().map_or_else(String::new, |[_, _, h, w]| format!("{h} x {w}"))
}
