//! `cnn demo slide`: a convolution of small numbers, window by window.

use super::matrix::{Both, Matrix};
use crate::fault::{Fault, note, print};
use crate::home;
use crate::save::save;
use cnn_ops::{Conv2d, Pad2d};
use cnn_report::{self as pictures, Slide};
use serde::Serialize;
use std::path::PathBuf;

/// Slide a kernel over a small image, window by window, with all products and their sum.
///
/// Writes a sheet with all windows, slide.png, and an animation that browsers play, slide-animation.png. The sums are those of
/// the library's own convolution, checked against the products shown.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo slide
  cnn demo slide --padding 1 --stride 2
  cnn demo slide --image \"0 0 9 9; 0 0 9 9; 0 0 9 9\" --kernel \"-1 1\"")]
pub struct Args {
    /// The image: rows of numbers, a semicolon after each [default: the lecture's, of 5 x 5 pixels].
    #[arg(long, value_name = "ROWS", allow_hyphen_values = true, default_value = IMAGE, hide_default_value = true)]
    image: Matrix,
    /// The kernel, likewise [default: the lecture's, of 3 x 3 numbers].
    #[arg(long, value_name = "ROWS", allow_hyphen_values = true, default_value = KERNEL, hide_default_value = true)]
    kernel: Matrix,
    /// Rows and columns from one window to the next: one number, or two such as 2x1.
    #[arg(long, value_name = "N", default_value = "1")]
    stride: Both,
    /// Rows and columns of zeros on each side of the image, likewise.
    #[arg(long, value_name = "N", default_value = "0")]
    padding: Both,
    /// The folder for the pictures [default: runs/slide].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object: the feature map, and the products of each window.
    #[arg(long)]
    json: bool,
}

const IMAGE: &str = "1 1 1 0 0; 0 1 1 1 0; 0 0 1 1 1; 0 0 1 1 0; 0 1 1 0 0";
const KERNEL: &str = "1 0 1; 0 1 0; 1 0 1";

/// The most rows or columns of a padded image, and of a kernel.
const MOST: usize = 16;
/// The most windows.
const WINDOWS: usize = 64;
/// Windows from which on the pictures take more than a moment.
const MANY: usize = 16;

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    /// Rows and columns of the feature map.
    size: [usize; 2],
    /// Row by row.
    feature_map: Vec<f32>,
    /// Of each window, row by row.
    products: Vec<Vec<f32>>,
    sheet: PathBuf,
    animation: PathBuf,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let Args { image, kernel, stride: Both(stride), padding: Both(padding), out, json } = args;
    image.check_size("--image", MOST)?;
    kernel.check_size("--kernel", MOST)?;
    let [rows, columns] = [image.rows, image.columns];
    let padded = [
        rows.saturating_add(padding[0].saturating_mul(2)),
        columns.saturating_add(padding[1].saturating_mul(2)),
    ];
    if padded.iter().any(|&side| side > MOST) {
        return Err(Fault::usage(format!(
            "--padding: expected an image of at most {MOST} rows and columns with its padding, got {} x {}",
            padded[0], padded[1]
        )));
    }
    let conv = Conv2d::new([kernel.rows, kernel.columns]).stride(stride).padding(padding);
    let (x, weight) = (image.tensor()?, kernel.tensor()?);
    let map = conv.infer(&x, &weight, None).map_err(Fault::usage)?;
    let [_, _, oh, ow] = map.shape().nchw().unwrap_or_default();
    if oh * ow > WINDOWS {
        return Err(Fault::usage(format!(
            "expected at most {WINDOWS} windows, got {oh} x {ow}: take a larger --stride or a smaller image"
        )));
    }
    let image = Pad2d::new([[padding[0]; 2], [padding[1]; 2]]).forward(&x)?;
    let slide = Slide { image, padding, kernel: weight, stride, map };
    let products = products(&slide);
    check(&slide, &products)?;

    if oh * ow > MANY {
        note(format!("drawing {} windows; this takes some seconds", oh * ow));
    }
    let out = out.unwrap_or_else(|| home::runs().join("slide"));
    let [sheet, animation] = ["slide.png", "slide-animation.png"].map(|name| out.join(name));
    save(&sheet, &pictures::slide("A kernel slides over an image", &slide)?)?;
    save(&animation, &pictures::slide_animation("A kernel slides over an image", &slide)?)?;
    let feature_map = slide.map.data().to_vec();
    if json {
        let report = Report { size: [oh, ow], feature_map, products, sheet, animation };
        print(serde_json::to_string(&report)?);
        return Ok(());
    }
    for (i, (products, sum)) in products.iter().zip(&feature_map).enumerate() {
        let products: Vec<String> = products.iter().map(f32::to_string).collect();
        print(format!("row {}, column {}: {} = {sum}", i / ow + 1, i % ow + 1, products.join(" + ")));
    }
    print(format!("feature map, {oh} x {ow}:"));
    for row in feature_map.chunks(ow) {
        print(format!("  {}", row.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")));
    }
    print(format!("{}\n{}", sheet.display(), animation.display()));
    Ok(())
}

/// The products of each window.
fn products(slide: &Slide) -> Vec<Vec<f32>> {
    let extents = |tensor: &cnn_tensor::Tensor| tensor.shape().nchw().unwrap_or_default();
    let [[_, _, _, w], [_, _, kh, kw], [_, _, oh, ow]] =
        [&slide.image, &slide.kernel, &slide.map].map(extents);
    let (pixels, weights) = (slide.image.data(), slide.kernel.data());
    let window = |i: usize| {
        let [top, left] = [i / ow * slide.stride[0], i % ow * slide.stride[1]];
        let product = |tap: usize| weights[tap] * pixels[(top + tap / kw) * w + left + tap % kw];
        // The sum with zero turns a negative zero into a positive one.
        let taps = (0..kh * kw).map(|tap| product(tap) + 0.0);
        taps.collect()
    };
    (0..oh * ow).map(window).collect()
}

/// Checks that the library's sums are those of the products.
fn check(slide: &Slide, products: &[Vec<f32>]) -> Result<(), Fault> {
    for (i, (products, sum)) in products.iter().zip(slide.map.data()).enumerate() {
        let all = || products.iter().map(|&product| f64::from(product));
        let (expected, size) = (all().sum::<f64>(), all().map(f64::abs).sum::<f64>());
        let got = f64::from(*sum);
        if (got - expected).abs() > 1e-5 * size + 1e-30 && size < f64::from(f32::MAX) {
            let message =
                format!("window {i}: expected {expected}, the sum of its products, got {got} from conv2d");
            return Err(Fault { status: 1, message });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(line: &[&str]) -> Result<(), Fault> {
        run(crate::testing::parse(line).unwrap())
    }

    #[test]
    fn the_sums_are_those_of_the_products_with_stride_and_padding() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().display().to_string();
        make(&["--stride", "2x1", "--padding", "1x0", "--kernel", "1 -2.5; 0.5 1/3", "--out", &out]).unwrap();
        for picture in ["slide.png", "slide-animation.png"] {
            assert_eq!(image::open(folder.path().join(picture)).unwrap().width(), 1600);
        }
    }

    #[test]
    fn a_sum_that_is_not_that_of_its_products_is_found() {
        let plane = |rows: usize, numbers: &[f32]| {
            cnn_tensor::Tensor::from_slice([1, 1, rows, numbers.len() / rows], numbers).unwrap()
        };
        let slide = Slide {
            image: plane(1, &[1.0, 2.0]),
            padding: [0, 0],
            kernel: plane(1, &[3.0]),
            stride: [1, 1],
            map: plane(1, &[3.0, 7.0]),
        };
        assert_eq!(products(&slide), [[3.0], [6.0]]);
        let message = check(&slide, &products(&slide)).unwrap_err().message;
        assert_eq!(message, "window 1: expected 6, the sum of its products, got 7 from conv2d");
    }

    #[test]
    fn sizes_that_do_not_fit_are_usage_faults() {
        for (line, expected) in [
            (
                &["--kernel", "1 1 1 1 1 1"][..],
                "conv2d: a window of 6 with padding 0 does not fit an input extent of 5",
            ),
            (&["--stride", "0"], "conv2d: stride must be at least 1"),
            (
                &["--padding", "6"],
                "--padding: expected an image of at most 16 rows and columns with its padding, got 17 x 17",
            ),
            (&["--padding", "18446744073709551615"], "--padding: expected an image of at most 16"),
            (&["--padding", "5"], "expected at most 64 windows, got 13 x 13"),
        ] {
            let Fault { status, message } = make(line).unwrap_err();
            assert!(status == 2 && message.starts_with(expected), "{message}");
        }
    }
}
