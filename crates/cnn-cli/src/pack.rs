//! `cnn pack`: images into tar shards.

use crate::datasets;
use crate::fault::{Fault, note, print};
use crate::progress::clock;
use crate::progress::{self, Lines};
use cnn_data::DatasetName;
use cnn_data::{Dataset, Encoding, OnFault, PackOptions, PackProgress, PackedImages, pack};
use indicatif::HumanBytes;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Pack images into a few large tar archives with an index and checksums, for epochs that do not wait for the disk.
///
/// OUT gets a folder for the training images and one for the test images, if the set has any; `train --dataset OUT` takes
/// it. Each holds archives as WebDataset has them (000123.jpg beside 000123.cls), which other tools read, and index.json. An
/// interrupted run goes on where it was if it is started again; what is complete is verified, not made anew.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn pack path/to/imagenet packed                                 the files as they are
  cnn pack path/to/imagenet packed --encoding jpeg --short-side 256
  cnn pack ants-and-bees.tar packed --encoding raw                 decoded once and for all")]
pub struct Args {
    /// A folder or archive of images, as for train.
    #[arg(value_name = "IMAGEFOLDER")]
    images: DatasetName,
    /// The folder to write.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// What images become: the files as they are, JPEGs of a given size, or pixels.
    #[arg(long, value_enum, default_value_t = EncodingName::Keep)]
    encoding: EncodingName,
    /// The shorter side of JPEGs, in pixels; smaller images stay as they are.
    #[arg(long, value_name = "N", default_value_t = 256)]
    short_side: u32,
    /// The quality of JPEGs, 1 to 100.
    #[arg(long, value_name = "Q", default_value_t = 90)]
    quality: u8,
    /// The size of an archive, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    shard_size: u64,
    /// Leave out images that cannot be decoded, naming each once, instead of stopping.
    #[arg(long)]
    skip_bad_images: bool,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum EncodingName {
    Keep,
    Jpeg,
    Raw,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    images: usize,
    bytes: u64,
    seconds: f64,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let start = Instant::now();
    let data = datasets::open(&args.images, None)?;
    let mut options = PackOptions {
        encoding: match args.encoding {
            EncodingName::Keep => Encoding::Keep,
            EncodingName::Jpeg => Encoding::Jpeg { short_side: args.short_side, quality: args.quality },
            EncodingName::Raw => Encoding::Raw,
        },
        shard_bytes: args.shard_size.saturating_mul(1 << 20),
        ..PackOptions::default()
    };
    if args.skip_bad_images {
        options.on_fault = OnFault::skip(|line| note(format!("left out: {line}")));
    }
    let (mut images, mut bytes) = (0, 0);
    let parts: Vec<(&str, &dyn Dataset)> = match &data.undivided {
        None => vec![("train", &*data.train), ("val", &*data.test)],
        Some(all) => vec![("", &**all)],
    };
    for (part, examples) in parts {
        let (packed, written) = pack_part(examples, &args.out.join(part), part, &options)?;
        images += packed.len();
        bytes += written;
    }
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        print(serde_json::to_string(&Report { folder: args.out, images, bytes, seconds })?);
    } else {
        let size = HumanBytes(bytes);
        print(format!("{}: {images} images, {size}, {}", args.out.display(), clock(seconds.round() as u64)));
    }
    Ok(())
}

/// Packs one part with a progress bar, or with lines where stderr is no terminal; its bytes.
fn pack_part(
    examples: &dyn Dataset,
    folder: &Path,
    part: &str,
    options: &PackOptions,
) -> Result<(PackedImages, u64), Fault> {
    let template = "{msg} {pos}/{len} images  [{bar:30}] {per_sec}  {eta} left";
    let bar = progress::bar(Some(examples.len() as u64), template);
    bar.set_message(part.to_string());
    let (start, mut lines, mut bytes) = (Instant::now(), Lines::new(), 0);
    let packed = pack(
        examples,
        folder,
        options,
        |PackProgress { examples, total, shards, bytes: written }| {
            bytes = written;
            bar.set_position(examples as u64);
            lines.note(&bar, || {
                let rate = examples as f64 / start.elapsed().as_secs_f64();
                let left = clock(((total - examples) as f64 / rate.max(1e-9)) as u64);
                let size = HumanBytes(bytes);
                format!(
                    "{part} {examples}/{total} images  {shards} archives  {size}  {rate:.0} images/s  {left} left"
                )
            });
        },
    )?;
    bar.finish_and_clear();
    // What is there, whether this run wrote it or an earlier one.
    let files = std::fs::read_dir(folder)?.filter_map(|file| file.ok()?.metadata().ok());
    Ok((packed, files.map(|file| file.len()).sum()))
}
