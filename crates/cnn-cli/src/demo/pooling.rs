//! `cnn demo pooling`: the largest number of each window.

use super::matrix::{Both, Matrix};
use crate::fault::{Fault, print};
use crate::home;
use crate::save::save;
use cnn_ops::MaxPool2d;
use cnn_report::{self as pictures, Pooled};
use serde::Serialize;
use std::path::PathBuf;

/// Max pooling of a few numbers, by the library's own layer, drawn window by window.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn demo pooling
  cnn demo pooling --image \"1 2 3; 4 5 6; 7 8 9\" --window 2 --stride 1")]
pub struct Args {
    /// The input: rows of numbers, a semicolon after each [default: the lecture's, of 4 x 4 numbers].
    #[arg(long, value_name = "ROWS", allow_hyphen_values = true, default_value = IMAGE, hide_default_value = true)]
    image: Matrix,
    /// Height and width of a window: one number, or two such as 2x1.
    #[arg(long, value_name = "N", default_value = "2")]
    window: Both,
    /// Rows and columns from one window to the next, likewise [default: those of a window].
    #[arg(long, value_name = "N")]
    stride: Option<Both>,
    /// The picture to write [default: runs/pooling.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object: the output, and the places of the largest numbers.
    #[arg(long)]
    json: bool,
}

const IMAGE: &str = "1 1 2 4; 5 6 7 8; 3 2 1 0; 1 2 3 4";

/// The most rows or columns.
const MOST: usize = 16;

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    /// Rows and columns of the output.
    size: [usize; 2],
    /// Row by row.
    output: Vec<f32>,
    /// Row and column of each largest number in the input, from 0.
    places: Vec<[usize; 2]>,
    picture: PathBuf,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let Args { image, window: Both(kernel), stride, out, json } = args;
    image.check_size("--image", MOST)?;
    let stride = stride.map_or(kernel, |Both(stride)| stride);
    let pool = MaxPool2d::new(kernel).stride(stride);
    let columns = image.columns;
    let x = image.tensor()?;
    let (output, saved) = pool.forward(&x).map_err(Fault::usage)?;
    let winners = saved.indices().to_vec();
    let [_, _, oh, ow] = output.shape().nchw().unwrap_or_default();
    let pooled = Pooled { image: x, kernel, stride, output, winners };
    let picture = out.unwrap_or_else(|| home::runs().join("pooling.png"));
    save(&picture, &pictures::pooling("Max pooling", &pooled)?)?;
    let output = pooled.output.data().to_vec();
    if json {
        let place = |&winner: &u32| [winner as usize / columns, winner as usize % columns];
        let places = pooled.winners.iter().map(place).collect();
        print(serde_json::to_string(&Report { size: [oh, ow], output, places, picture })?);
        return Ok(());
    }
    for row in output.chunks(ow) {
        print(row.iter().map(f32::to_string).collect::<Vec<_>>().join(" "));
    }
    print(picture.display());
    Ok(())
}
