//! First-layer filters and feature maps.

use super::Context;
use super::finding::{Finding, Numbers};
use super::subject::Subject;
use crate::fault::Fault;
use cnn_nn::explain::is_zero;
use cnn_report::{self as pictures, Group, PictureError, views};
use cnn_tensor::Tensor;
use image::RgbImage;
use serde_json::json;

/// The largest number of images of a layer, or of filters, on a sheet.
const MOST: usize = 512;
/// The number of maps of a layer where all layers are drawn.
const SHOWN: usize = 12;

/// The filters of the first convolution.
pub fn filters(context: &Context<'_>) -> Result<(Vec<u8>, Vec<Finding>), Fault> {
    let (layer, weight) = context.look.first_filters()?;
    let Some([count, channels, h, w]) = weight.shape().nchw() else {
        return Err(Fault { status: 1, message: format!("{layer}: expected weights [c_out, c_in, kh, kw]") });
    };
    // Filters of three channels have a colour; of others, each channel is drawn by itself.
    let (each, how) = match channels {
        3 => (3, "in colour, gray is 0"),
        1 => (1, "red is positive, blue negative"),
        _ => (1, "channel by channel, red is positive, blue negative"),
    };
    let mut images = Vec::new();
    for numbers in weight.data().chunks_exact((each * h * w).max(1)).take(MOST) {
        let filter = Tensor::from_slice([1, each, h, w], numbers)?;
        images.push(if each == 3 { views::relief(&filter)? } else { views::signed(&filter)? });
    }
    let (drawn, all) = (images.len(), count * channels / each);
    let part = if drawn < all { format!(", the first {drawn} of {all} images") } else { String::new() };
    let title = format!("The first filters of {}", context.model.spec.name);
    let facts =
        format!("{layer}: {count} filters of {channels} x {h} x {w}, {how}, each on its own scale{part}");
    let columns = if drawn <= 12 { 6 } else { 12 };
    let png = pictures::groups(&title, &facts, columns, &[Group { title: String::new(), images }])?;
    let mut numbers = Numbers::of(&weight, &weight);
    numbers.shape = weight.shape().dims().to_vec();
    let finding = Finding {
        method: "filters".into(),
        layer: Some(layer.into()),
        numbers: Some(numbers),
        ..Finding::default()
    };
    Ok((png, vec![finding]))
}

/// The feature maps of every layer, or of the chosen one.
pub fn maps(context: &Context<'_>, subject: &Subject) -> Result<(Vec<u8>, Vec<Finding>), Fault> {
    let chosen = context.args.layer.as_deref();
    let layers = match chosen {
        Some(layer) => vec![layer],
        None => context.look.map_layers(),
    };
    let all = context.look.maps(&subject.x)?;
    let found: Vec<_> =
        layers.iter().filter_map(|layer| all.iter().find(|(path, _)| path == layer)).collect();
    if found.is_empty() {
        let message = match chosen {
            Some(layer) => {
                format!("--layer: expected a layer of maps, got {layer}, which has a list of features")
            }
            None => format!("maps: {} has no layer of maps", context.model.spec.name),
        };
        return Err(Fault { status: 1, message });
    }
    let (mut groups, mut findings) = (Vec::new(), Vec::new());
    for (layer, maps) in found {
        let (group, finding) = of_layer(context, layer, maps, chosen.map_or(SHOWN, |_| MOST))?;
        groups.push(group);
        findings.push(finding);
    }
    let title = format!("Feature maps of {}", context.model.spec.name);
    let order = if chosen.is_some() { "in their order" } else { "the strongest of each layer first" };
    let facts = format!(
        "{}: {order}; each map from 0, black, to its largest number; with negative numbers, 0 is gray",
        subject.short_name()
    );
    let png = pictures::groups(&title, &facts, SHOWN, &groups)?;
    findings.iter_mut().for_each(|finding| finding.image = Some(subject.name.clone()));
    Ok((png, findings))
}

fn of_layer(
    context: &Context<'_>,
    layer: &str,
    maps: &Tensor,
    most: usize,
) -> Result<(Group, Finding), Fault> {
    let [_, channels, h, w] = maps.shape().nchw().unwrap_or_default();
    let planes: Vec<Tensor> = maps
        .data()
        .chunks_exact((h * w).max(1))
        .map(|plane| Tensor::from_slice([1, 1, h, w], plane))
        .collect::<Result<_, _>>()?;
    let zeros = planes.iter().filter(|plane| is_zero(plane)).count();
    let mut order: Vec<usize> = (0..planes.len()).collect();
    if most < MOST {
        let largest = |plane: &Tensor| plane.data().iter().copied().fold(f32::NEG_INFINITY, f32::max);
        order.sort_by(|&a, &b| largest(&planes[b]).total_cmp(&largest(&planes[a])));
    }
    let images = order.iter().take(most).map(|&i| picture(&planes[i]));
    let images: Vec<RgbImage> = images.collect::<Result<_, _>>()?;
    let kind = context.look.layers().into_iter().find(|info| info.name == layer).map_or("", |info| info.kind);
    let numbers = Numbers::of(maps, maps);
    let part = if images.len() < channels {
        format!("{} of {channels}", images.len())
    } else {
        channels.to_string()
    };
    let dead = match zeros {
        0 => String::new(),
        1 => ", 1 map is all zero".into(),
        n => format!(", {n} maps are all zero"),
    };
    let title = format!("{layer} ({kind}): {part} maps of {h} x {w}, largest {:.2}{dead}", numbers.max);
    let mut finding = Finding {
        method: "maps".into(),
        layer: Some(layer.into()),
        remark: dead,
        numbers: Some(numbers),
        ..Finding::default()
    };
    finding.more.insert("kind".into(), json!(kind));
    finding.more.insert("zero_maps".into(), json!(zeros));
    Ok((Group { title, images }, finding))
}

/// A map in gray; one with negative numbers around mid-gray.
fn picture(plane: &Tensor) -> Result<RgbImage, PictureError> {
    if plane.data().iter().any(|v| *v < 0.0) { views::relief(plane) } else { views::bright(plane) }
}
