//! 11. The rounding errors of Winograd's transforms in AlexNet's convolutions, measured against sums in f64.
//!
//! `cargo run --release -p cnn-zoo --example 11_winograd [WEIGHTS PHOTOS]`, and the same once more with `CNN_WINOGRAD=off` in
//! the environment, for the direct sums.
//!
//! `WEIGHTS` is a safetensors file of AlexNet's convolutions with torchvision's names, `PHOTOS` a folder or archive of photos;
//! the first four photos go through the layers. Without arguments, weights are drawn as before training (He et al. 2015), and
//! inputs and gradients are normally distributed. There are two errors for each result: the largest error in parts of the
//! largest number of the result, and the root mean square of the errors in parts of the root mean square of the result.
#![allow(clippy::print_stdout)]

mod failure;

use cnn_data::transform::{CenterCrop, Pipeline, Resize, Size};
use cnn_data::{Loader, Normalize};
use cnn_nn::{Batches, checkpoint};
use cnn_ops::{Activation, Conv2d, MaxPool2d};
use cnn_tensor::{Random, Tensor, parallel};
use failure::Failure;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

const IMAGES: usize = 4;

/// A layer: its name in the file, its options, input and output channels, and whether pooling follows it.
type ConvLayer = (&'static str, Conv2d, [usize; 2], bool);

fn main() -> Result<(), Failure> {
    let same = |size: usize| Conv2d::new([size; 2]).padding(size / 2);
    let layers: [ConvLayer; 5] = [
        ("features.0", Conv2d::new([11, 11]).stride([4, 4]).padding(2), [3, 64], true),
        ("features.3", same(5), [64, 192], true),
        ("features.6", same(3), [192, 384], false),
        ("features.8", same(3), [384, 256], false),
        ("features.10", same(3), [256, 256], false),
    ];
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (mut x, trained) = match &args[..] {
        [] => (None, None),
        [weights, photos] => (Some(load(photos)?), Some(checkpoint::load(weights)?.tensors)),
        _ => return Err("expected WEIGHTS PHOTOS, or nothing".into()),
    };
    let off = std::env::var("CNN_WINOGRAD").is_ok_and(|value| value == "off");
    println!("{}, {IMAGES} images", if off { "direct sums" } else { "Winograd where it is the faster one" });
    println!("{:<12} {:^19} {:^19} {:^19}", "", "y", "dx", "dweight");
    println!("{:<12}{}", "layer", "    largest      rms ".repeat(3));
    let mut side = 224;
    for (name, conv, [c_in, c_out], pooled) in layers {
        let mut random = Random::new(1, &[name]);
        let x_here = match x.take() {
            Some(x) => x,
            None => normal(&mut random, [IMAGES, c_in, side, side], 1.0)?,
        };
        let weight = match &trained {
            Some(tensors) => parameter(tensors, &format!("{name}.weight"))?.clone(),
            None => {
                let std = (2.0 / (c_in * conv.kernel[0] * conv.kernel[1]) as f32).sqrt();
                normal(&mut random, [c_out, c_in, conv.kernel[0], conv.kernel[1]], std)?
            }
        };
        let (y, saved) = conv.forward(&x_here, &weight, None)?;
        let [.., oh, ow] = extents(&y);
        let dy = normal(&mut random, [IMAGES, c_out, oh, ow], 1.0)?;
        let mut dweight = Tensor::zeros(weight.shape());
        let dx = conv.backward(&saved, &weight, &dy, &mut dweight, None)?;
        let [want_y, want_dx, want_dweight] = in_f64(&conv, &x_here, &weight, &dy);
        let errors =
            [(&y, want_y), (&dx, want_dx), (&dweight, want_dweight)].map(|(got, want)| errors(got, &want));
        println!("{name:<12}{}", errors.concat());

        side = oh;
        if let Some(tensors) = &trained {
            let bias = parameter(tensors, &format!("{name}.bias"))?;
            let y = Activation::Relu.infer(conv.infer(&x_here, &weight, Some(bias))?);
            x = Some(if pooled { MaxPool2d::new([3, 3]).stride([2, 2]).infer(&y)? } else { y });
        }
        if pooled {
            side = (side - 3) / 2 + 1;
        }
    }
    Ok(())
}

/// The first photos of an archive, as AlexNet took them in training.
fn load(photos: &Path) -> Result<Tensor, Box<dyn Error>> {
    let normalize = Normalize::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])?;
    let centred =
        Pipeline::new([Resize::new(Size::Short(256)).into(), CenterCrop { size: [224, 224] }.into()])?;
    let photos =
        Loader::new(cnn_data::open(photos)?.train, IMAGES)?.transform(centred, 0)?.normalize(normalize);
    let batch = photos.epoch(0, 0).next().ok_or("expected photos, got none")??;
    let x = batch.inputs.only("the inputs of a batch")?;
    match x.shape().batch() {
        IMAGES => Ok(x),
        fewer => Err(format!("expected {IMAGES} photos at least, got {fewer}").into()),
    }
}

fn parameter<'a>(tensors: &'a BTreeMap<String, Tensor>, name: &str) -> Result<&'a Tensor, String> {
    tensors.get(name).ok_or_else(|| format!("expected AlexNet's convolutions, got a file without {name}"))
}

fn normal(random: &mut Random, shape: [usize; 4], std: f32) -> Result<Tensor, Box<dyn Error>> {
    let mut numbers = vec![0.0; shape.iter().product()];
    random.fill_normal(std, &mut numbers);
    Ok(Tensor::from_vec(shape, numbers)?)
}

/// Output and gradients by the definition, in f64.
fn in_f64(conv: &Conv2d, x: &Tensor, weight: &Tensor, dy: &Tensor) -> [Vec<f64>; 3] {
    let ([_, c_in, h, w], [_, c_out, oh, ow]) = (extents(x), extents(dy));
    let ([kh, kw], [sh, sw]) = (conv.kernel, conv.stride);
    let [[top, _], [left, _]] = conv.padding.resolve([h, w], conv.kernel, conv.stride, conv.dilation);
    let taps = c_in * kh * kw;
    // For each image and output channel: the output, and its contribution to the gradients.
    let parts = parallel::map(IMAGES * c_out, |i| {
        let (n, co) = (i / c_out, i % c_out);
        let (x, weight) = (&x.data()[n * c_in * h * w..], &weight.data()[co * taps..][..taps]);
        let dy = &dy.data()[i * oh * ow..][..oh * ow];
        let (mut y, mut dx, mut dweight) = (vec![0.0; oh * ow], vec![0.0; c_in * h * w], vec![0.0; taps]);
        for tap in 0..taps {
            let (ci, row, col) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            let (weight, mut sum) = (f64::from(weight[tap]), 0.0);
            for r in 0..oh {
                let Some(ih) = (r * sh + row).checked_sub(top).filter(|&ih| ih < h) else { continue };
                for c in 0..ow {
                    let Some(iw) = (c * sw + col).checked_sub(left).filter(|&iw| iw < w) else { continue };
                    let (at, dy) = ((ci * h + ih) * w + iw, f64::from(dy[r * ow + c]));
                    y[r * ow + c] += weight * f64::from(x[at]);
                    dx[at] += weight * dy;
                    sum += dy * f64::from(x[at]);
                }
            }
            dweight[tap] = sum;
        }
        (y, dx, dweight)
    });
    let mut all = [Vec::new(), vec![0.0; x.data().len()], vec![0.0; weight.data().len()]];
    for (i, (y, dx, dweight)) in parts.iter().enumerate() {
        let (n, co) = (i / c_out, i % c_out);
        all[0].extend(y);
        all[1][n * c_in * h * w..].iter_mut().zip(dx).for_each(|(sum, v)| *sum += v);
        all[2][co * taps..].iter_mut().zip(dweight).for_each(|(sum, v)| *sum += v);
    }
    all
}

fn extents(x: &Tensor) -> [usize; 4] {
    x.shape().nchw().expect("a batch of planes")
}

/// The largest error and the root of the mean square, as text.
fn errors(got: &Tensor, want: &[f64]) -> String {
    let error = |(&got, want): (&f32, &f64)| f64::from(got) - want;
    let pairs = || got.data().iter().zip(want);
    let largest = pairs().map(|pair| error(pair).abs()).fold(0.0, f64::max);
    let squares: f64 = pairs().map(|pair| error(pair).powi(2)).sum();
    let of_all = want.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    let all_squares: f64 = want.iter().map(|v| v * v).sum();
    format!("  {:>9.1e} {:>8.1e}", largest / of_all, (squares / all_squares).sqrt())
}
