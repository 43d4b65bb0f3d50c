//! `cnn demo kernels`: hand-made convolution kernels, through the library's own conv2d.

use crate::fault::{Fault, print};
use crate::home;
use cnn_ops::Conv2d;
use cnn_report::{self as pictures, Filtered, Tone};
use cnn_tensor::Tensor;
use cnn_tensor::files::write_atomically;
use image::ImageReader;
use std::path::{Path, PathBuf};

/// Apply identity, blur, sharpen and edge detectors to an image and draw the results side by side.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  cnn demo kernels photo.jpg --out kernels.png")]
pub struct Args {
    /// A PNG or JPEG image [default: one that comes with the program].
    #[arg(value_name = "IMAGE")]
    image: Option<PathBuf>,
    /// The picture to write [default: runs/kernels.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The image that is convolved if the user does not name one.
const PHOTO: &[u8] = include_bytes!("../../../../datasets/photo.png");

/// The kernels of the lecture: name, weights, and how the result becomes visible.
const KERNELS: [(&str, [f32; 9], Tone); 8] = [
    ("Identity", [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0], Tone::Clamp),
    ("Box blur", [1.0 / 9.0; 9], Tone::Clamp),
    (
        "Gaussian blur",
        [
            1.0 / 16.0,
            2.0 / 16.0,
            1.0 / 16.0,
            2.0 / 16.0,
            4.0 / 16.0,
            2.0 / 16.0,
            1.0 / 16.0,
            2.0 / 16.0,
            1.0 / 16.0,
        ],
        Tone::Clamp,
    ),
    ("Sharpen", [0.0, -1.0, 0.0, -1.0, 5.0, -1.0, 0.0, -1.0, 0.0], Tone::Clamp),
    ("Edges", [-1.0, -1.0, -1.0, -1.0, 8.0, -1.0, -1.0, -1.0, -1.0], Tone::Magnitude),
    ("Laplacian", [0.0, 1.0, 0.0, 1.0, -4.0, 1.0, 0.0, 1.0, 0.0], Tone::MidGray),
    ("Sobel, vertical edges", [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0], Tone::MidGray),
    ("Sobel, horizontal edges", [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0], Tone::MidGray),
];

pub fn run(args: Args) -> Result<(), Fault> {
    let (photo, name) = match &args.image {
        Some(file) => (read_gray(file)?, file.display().to_string()),
        None => (gray(image::load_from_memory(PHOTO)?)?, "the photo that comes with the program".into()),
    };
    let out = args.out.unwrap_or_else(|| home::runs().join("kernels.png"));
    let conv = Conv2d::new([3, 3]).padding([1, 1]);
    let mut results = Vec::new();
    for (name, weights, tone) in KERNELS {
        let kernel = Tensor::from_slice([1, 1, 3, 3], &weights)?;
        let image = conv.infer(&photo, &kernel, None)?;
        results.push(Filtered { name: name.into(), kernel, image, tone });
    }
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Fault {
            status: 1,
            message: format!("{}: expected a folder that can be written to: {e}", folder.display()),
        })?;
    }
    write_atomically(&out, &pictures::kernels("Convolution kernels", &results)?)?;
    print(format!("{} kernels applied to {}: {}", KERNELS.len(), name, out.display()));
    Ok(())
}

/// The image in gray, 0 black and 1 white, `[1, 1, h, w]`.
fn read_gray(file: &Path) -> Result<Tensor, Fault> {
    let fault = |e: &dyn std::fmt::Display| Fault {
        status: 1,
        message: format!("{}: expected a PNG or JPEG image: {e}", file.display()),
    };
    let mut reader =
        ImageReader::open(file).map_err(|e| fault(&e))?.with_guessed_format().map_err(|e| fault(&e))?;
    let mut limits = image::Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(8192), Some(8192));
    reader.limits(limits);
    gray(reader.decode().map_err(|e| fault(&e))?)
}

fn gray(image: image::DynamicImage) -> Result<Tensor, Fault> {
    let gray = image.into_luma8();
    let (w, h) = (gray.width() as usize, gray.height() as usize);
    let pixels = gray.into_raw().into_iter().map(|v| f32::from(v) / 255.0).collect();
    Ok(Tensor::from_vec([1, 1, h, w], pixels)?)
}
