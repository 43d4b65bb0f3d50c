//! Zeiler and Fergus's figure 2: the patches to which feature maps respond most, each beside its projection.

use super::finding::{Finding, short};
use super::subject::{inputs, plain, test_images};
use super::{Context, Ticker};
use crate::fault::Fault;
use cnn_data::{Dataset, Subset, ToInput};
use cnn_nn::Batches;
use cnn_nn::explain::{Hit, Region, Rule, is_zero};
use cnn_report::{self as pictures, Patches, views};
use cnn_tensor::{Random, Tensor};
use image::imageops::{crop_imm, replace};
use image::{Rgb, RgbImage};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Patches of a map, and maps on a sheet unless the user names them.
const PATCHES: usize = 9;
const MAPS: usize = 9;
/// Images computed at a time.
const BATCH: usize = 16;

pub fn sheet(context: &Context<'_>) -> Result<(Vec<u8>, Vec<Finding>), Fault> {
    let Context { args, model, look, .. } = context;
    let layer = context.layer()?;
    let mut strongest = look.strongest(layer, PATCHES)?;
    let maps = strongest.hits().len();
    if let Some(map) = args.map.iter().find(|map| **map >= maps) {
        return Err(Fault::usage(format!("--map: expected a map of {layer}, 0 to {}, got {map}", maps - 1)));
    }
    if args.limit == 0 {
        return Err(Fault::usage("--limit: expected at least 1, got 0"));
    }
    let set: Arc<dyn Dataset> = Arc::new(Subset::evenly(test_images(context)?, args.limit, args.seed));
    let loader = ToInput::new(&model.spec.input)?.loader(set.clone(), BATCH)?;
    let mut ticker = Ticker::new("top-patches", set.len());
    let mut done = 0;
    for batch in loader.epoch(0, 0) {
        let batch = batch?;
        strongest.add(done, &batch.inputs[0])?;
        done += batch.inputs[0].shape().batch();
        ticker.tick(done);
    }
    let alive: Vec<usize> = (0..maps).filter(|&map| is_alive(&strongest.hits()[map])).collect();
    let chosen = match args.map.is_empty() {
        false => args.map.clone(),
        true => {
            let mut drawn = alive.clone();
            Random::new(args.seed, &["top-patches"]).shuffle(&mut drawn);
            drawn.truncate(MAPS);
            drawn.sort_unstable();
            drawn
        }
    };
    // Each image is loaded once more, for all of its hits.
    let hits = || chosen.iter().flat_map(|&map| &strongest.hits()[map]);
    let numbers: Vec<usize> =
        hits().map(|hit| hit.image).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let images: BTreeMap<usize, Tensor> = match numbers.is_empty() {
        true => BTreeMap::new(),
        false => numbers.iter().copied().zip(inputs(context, &set, numbers.clone())?).collect(),
    };
    let (mut drawn, mut findings) = (Vec::new(), Vec::new());
    for &map in &chosen {
        let (patches, finding) = of_map(context, layer, map, &strongest.hits()[map], &images, &set)?;
        drawn.push(patches);
        findings.push(finding);
    }
    let title = format!("Top patches of {}, {layer}", model.spec.name);
    let dead = match maps - alive.len() {
        0 => String::new(),
        dead => format!("; {dead} of {maps} maps respond to none"),
    };
    let facts =
        format!("the nine strongest of {} images, and their projections by the deconvnet{dead}", set.len());
    Ok((pictures::patches(&title, &facts, &drawn)?, findings))
}

fn is_alive(hits: &[Hit]) -> bool {
    hits.first().is_some_and(|hit| hit.value > 0.0)
}

fn of_map(
    context: &Context<'_>,
    layer: &str,
    map: usize,
    hits: &[Hit],
    images: &BTreeMap<usize, Tensor>,
    set: &Arc<dyn Dataset>,
) -> Result<(Patches, Finding), Fault> {
    let (mut pairs, mut patches, mut listed, mut zeros) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for hit in hits {
        let x = &images[&hit.image];
        let found = context.look.project(x, layer, map, Some(hit.at), Rule::Deconv)?;
        let photo = views::image(&plain(&context.model.spec.input, x))?;
        pairs.push((cut(&photo, &found.patch), relief_of(&found.image, &found.patch)?));
        patches.push(found.patch.clone());
        let zero = is_zero(&found.image);
        zeros += usize::from(zero);
        let Region { rows, columns } = &found.patch;
        listed.push(json!({
            "image": set.name(hit.image),
            "class": set.classes().get(set.label(hit.image) as usize),
            "activation": hit.value,
            "row": hit.at[0],
            "column": hit.at[1],
            "patch": { "top": rows.start, "left": columns.start, "height": rows.len(), "width": columns.len() },
            "zero": zero,
        }));
    }
    let largest = hits.first().map_or(0.0, |hit| hit.value);
    let mut finding = Finding {
        method: "top-patches".into(),
        layer: Some(layer.into()),
        map: Some(map),
        ..Finding::default()
    };
    finding.more.insert("hits".into(), listed.into());
    finding.remark = format!(": largest {largest:.3}");
    if !is_alive(hits) {
        finding.remark += ". The map is not positive in any image";
    } else if zeros > 0 {
        finding.remark += &format!(". {zeros} of {} projections are zero everywhere", hits.len());
    }
    let [_, height, width] = context.model.spec.input.shape;
    let pairs = pairs.into_iter().zip(&patches).map(|((patch, projection), region)| {
        let whole = |image| completed(image, region, &patches, [height, width]);
        (whole(patch), whole(projection))
    });
    let pairs = pairs.collect();
    let title = format!("map {map}, largest {}", short(largest.into()));
    Ok((Patches { title, pairs }, finding))
}

fn cut(image: &RgbImage, Region { rows, columns }: &Region) -> RgbImage {
    let [x, y, w, h] = [columns.start, rows.start, columns.len(), rows.len()].map(|v| v as u32);
    crop_imm(image, x, y, w, h).to_image()
}

/// A patch that lies at the border of the image with the part outside it, in light gray, so that all patches of a map are alike in
/// size and a form has its place in each.
fn completed(patch: RgbImage, region: &Region, all: &[Region], [height, width]: [usize; 2]) -> RgbImage {
    const OUTSIDE: Rgb<u8> = Rgb([222, 226, 231]);
    let largest = |extent: fn(&Region) -> usize| all.iter().map(extent).max().unwrap_or(0);
    let (h, w) = (largest(|region| region.rows.len()), largest(|region| region.columns.len()));
    // The rows or columns missing before the first pixel. A patch as long as the image is filled up at its end.
    let before = |part: &std::ops::Range<usize>, whole: usize, extent: usize| {
        if part.start == 0 && part.end < extent { whole - part.len() } else { 0 }
    };
    let mut complete = RgbImage::from_pixel(w as u32, h as u32, OUTSIDE);
    let (x, y) = (before(&region.columns, w, width), before(&region.rows, h, height));
    replace(&mut complete, &patch, x as i64, y as i64);
    complete
}

/// The patch of a projection, on a scale of its own.
fn relief_of(image: &Tensor, Region { rows, columns }: &Region) -> Result<RgbImage, Fault> {
    let [_, c, h, w] = image.shape().nchw().unwrap_or_default();
    let mut numbers = Vec::with_capacity(c * rows.len() * columns.len());
    for plane in image.data().chunks_exact((h * w).max(1)) {
        rows.clone().for_each(|row| numbers.extend_from_slice(&plane[row * w..][columns.clone()]));
    }
    Ok(views::relief(&Tensor::from_vec([1, c, rows.len(), columns.len()], numbers)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_at_the_border_are_filled_up_on_the_side_outside() {
        let region = |rows, columns| Region { rows, columns };
        let all = [region(0..2, 3..6), region(2..5, 3..6), region(4..6, 4..6)];
        let red = Rgb([255, 0, 0]);
        let red_rows_and_columns = |i: usize| {
            let Region { rows, columns } = &all[i];
            let patch = RgbImage::from_pixel(columns.len() as u32, rows.len() as u32, red);
            let complete = completed(patch, &all[i], &all, [6, 6]);
            assert_eq!(complete.dimensions(), (3, 3));
            let is_red = |x, y| complete[(x, y)] == red;
            [[0, 1, 2].map(|y| (0..3).any(|x| is_red(x, y))), [0, 1, 2].map(|x| (0..3).any(|y| is_red(x, y)))]
        };
        assert_eq!(red_rows_and_columns(0), [[false, true, true], [true; 3]]);
        assert_eq!(red_rows_and_columns(1), [[true; 3]; 2]);
        assert_eq!(red_rows_and_columns(2), [[true, true, false]; 2]);
    }
}
