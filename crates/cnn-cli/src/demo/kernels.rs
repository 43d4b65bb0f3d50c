//! `cnn demo kernels`: convolution kernels made by hand, through the library's own conv2d.

use super::matrix::Matrix;
use crate::fault::{Fault, print};
use crate::home;
use crate::save::save;
use cnn_data::Picture;
use cnn_ops::{Conv2d, Padding};
use cnn_report::{self as pictures, Filtered, Tone};
use cnn_tensor::Tensor;
use cnn_tensor::text::{cell, one_line};
use std::path::PathBuf;
use std::str::FromStr;

/// Apply blur, sharpen, emboss and edge detectors, or kernels of your own, to an image and draw the results side by side.
///
/// The image is made gray. Beyond its border it counts as black, and the result has its size.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo kernels photo.jpg --out kernels.png
  cnn demo kernels --kernel \"0 1 0; 1 -4 1; 0 1 0\"
  cnn demo kernels --kernel \"motion blur: 1/5 1/5 1/5 1/5 1/5\" --kernel \"edge: -1 1\"")]
pub struct Args {
    /// An image: JPEG, PNG, WebP or BMP [default: one that comes with the program].
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// A kernel in the place of the built-in ones, beside the image itself: rows of numbers, a semicolon after each, with a name
    /// and a colon before them if you like. May be given more than once.
    #[arg(long = "kernel", value_name = "ROWS", allow_hyphen_values = true)]
    kernels: Vec<Named>,
    /// The picture to write [default: runs/kernels.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The image that is convolved if the user does not name one.
pub const PHOTO: &[u8] = include_bytes!("../../../../datasets/photo.png");

/// The kernels of the lecture: name, weights, and how the result becomes visible.
const KERNELS: [(&str, &str, Tone); 12] = [
    ("Identity", IDENTITY, Tone::Clamp),
    ("Box blur", "1/9 1/9 1/9; 1/9 1/9 1/9; 1/9 1/9 1/9", Tone::Clamp),
    ("Gaussian blur", "1/16 2/16 1/16; 2/16 4/16 2/16; 1/16 2/16 1/16", Tone::Clamp),
    ("Gaussian blur, 5 x 5", GAUSSIAN, Tone::Clamp),
    ("Motion blur", "1/5 0 0 0 0; 0 1/5 0 0 0; 0 0 1/5 0 0; 0 0 0 1/5 0; 0 0 0 0 1/5", Tone::Clamp),
    ("Sharpen", "0 -1 0; -1 5 -1; 0 -1 0", Tone::Clamp),
    ("Emboss", "-2 -1 0; -1 1 1; 0 1 2", Tone::Clamp),
    ("Edges", "-1 -1 -1; -1 8 -1; -1 -1 -1", Tone::Magnitude),
    ("Laplacian", "0 1 0; 1 -4 1; 0 1 0", Tone::MidGray),
    ("Horizontal lines", "-1 -1 -1; 2 2 2; -1 -1 -1", Tone::Magnitude),
    ("Sobel, vertical edges", "-1 0 1; -2 0 2; -1 0 1", Tone::MidGray),
    ("Sobel, horizontal edges", "-1 -2 -1; 0 0 0; 1 2 1", Tone::MidGray),
];
const IDENTITY: &str = "0 0 0; 0 1 0; 0 0 0";
/// The binomial numbers 1 4 6 4 1, times themselves.
const GAUSSIAN: &str = "1/256 4/256 6/256 4/256 1/256; 4/256 16/256 24/256 16/256 4/256; \
                        6/256 24/256 36/256 24/256 6/256; 4/256 16/256 24/256 16/256 4/256; \
                        1/256 4/256 6/256 4/256 1/256";

/// The most rows or columns of a kernel.
const MOST: usize = 31;
/// The most kernels that a picture has room for.
const KERNELS_AT_ONCE: usize = 31;
/// The letters of a name that a picture has room for.
const NAME: usize = 24;

/// A kernel with its name.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    kernel: Matrix,
    tone: Tone,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rows) = text.rsplit_once(':').unwrap_or(("", text));
        let kernel: Matrix = rows.parse()?;
        let name = match name.trim() {
            "" => format!("{} x {} kernel", kernel.rows, kernel.columns),
            name => cell(name, NAME),
        };
        let tone = Tone::of(&kernel.numbers);
        Ok(Self { name, kernel, tone })
    }
}

pub fn run(args: Args) -> Result<(), Fault> {
    let built_in = |(name, rows, tone): (&str, &str, Tone)| {
        let kernel = rows.parse().map_err(Fault::usage)?;
        Ok(Named { name: name.into(), kernel, tone })
    };
    let kernels = match args.kernels.is_empty() {
        true => KERNELS.into_iter().map(built_in).collect::<Result<Vec<_>, Fault>>()?,
        false => [built_in(KERNELS[0])?].into_iter().chain(args.kernels).collect(),
    };
    if kernels.len() > KERNELS_AT_ONCE {
        let (most, got) = (KERNELS_AT_ONCE - 1, kernels.len() - 1);
        return Err(Fault::usage(format!("--kernel: expected at most {most} of them, got {got}")));
    }
    for Named { kernel, .. } in &kernels {
        kernel.check_size("--kernel", MOST)?;
    }
    let (photo, name) = match &args.image {
        Some(file) => (gray(Picture::read(file)?)?, one_line(file.display())),
        None => (gray(Picture::decode("photo.png", PHOTO)?)?, "the photo that comes with the program".into()),
    };
    let mut results = Vec::new();
    for Named { name, kernel, tone } in kernels {
        let conv = Conv2d::new([kernel.rows, kernel.columns]).padding(Padding::Same);
        let kernel = kernel.tensor()?;
        let image = conv.infer(&photo, &kernel, None)?;
        results.push(Filtered { name, kernel, image, tone });
    }
    let out = args.out.unwrap_or_else(|| home::runs().join("kernels.png"));
    save(&out, &pictures::kernels("Convolution kernels", &results)?)?;
    print(format!("{} kernels applied to {name}: {}", results.len(), out.display()));
    Ok(())
}

/// The picture in gray, 0 black and 1 white, `[1, 1, h, w]`.
fn gray(picture: Picture<'_>) -> Result<Tensor, Fault> {
    let gray = picture.to_gray();
    let pixels = gray.data().iter().map(|&byte| f32::from(byte) / 255.0).collect();
    Ok(Tensor::from_vec([1, 1, gray.height(), gray.width()], pixels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_have_names_and_tones() {
        let named = |text: &str| text.parse::<Named>().unwrap();
        let edge = named("-1 1");
        assert_eq!((edge.name.as_str(), edge.tone), ("1 x 2 kernel", Tone::MidGray));
        let mean = named(" mean: 1/2; 1/2");
        assert_eq!((mean.name.as_str(), mean.kernel.rows, mean.tone), ("mean", 2, Tone::Clamp));
        assert!("name: ".parse::<Named>().is_err());
    }

    #[test]
    fn typed_kernels_stand_beside_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/kernels.png").display().to_string();
        let make = |line: &[&str]| run(crate::testing::parse(&[&["--out", &out], line].concat()).unwrap());
        make(&["--kernel", "-1 1", "--kernel", "big: 1; 2; 3; 4; 5; 6; 7"]).unwrap();
        assert_eq!(image::open(&out).unwrap().width(), 1600);
        let row = vec!["1"; MOST + 1].join(" ");
        let Fault { status, message } = make(&["--kernel", &row]).unwrap_err();
        assert_eq!(
            (status, message.as_str()),
            (2, "--kernel: expected at most 31 rows and columns, got 1 x 32")
        );
        let message = make(&["Cargo.toml"]).unwrap_err().message;
        assert!(message.starts_with("Cargo.toml: expected a JPEG, PNG, WebP or BMP image"), "{message}");
        let parse = crate::testing::parse::<Args>;
        let fault = parse(&["--kernel", "1 2; 3"]).err().unwrap().to_string();
        assert!(fault.contains("expected 2 numbers in each row, as in the first, got 1 in row 2"), "{fault}");
    }
}
