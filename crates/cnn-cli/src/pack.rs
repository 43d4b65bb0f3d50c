//! `cnn pack`: images into tar shards.

use crate::datasets::{self, ClassesArg};
use crate::fault::{Fault, note, print};
use crate::progress::clock;
use crate::progress::{self, Lines};
use cnn_data::DatasetName;
use cnn_data::{Dataset, Encoding, OnFault, PackEvent, PackOptions, PackProgress, PackedImages, pack};
use indicatif::HumanBytes;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Pack images into a few large tar archives with an index and checksums, for epochs that do not wait for the disk.
///
/// OUT gets a folder for the training images and one for the test images, if the set has any; `train --dataset OUT` takes
/// it. Each holds archives as WebDataset has them (000123.jpg beside 000123.cls), which other tools read, index.json, and
/// sources.json with the name, size and time of each image's file. An interrupted run goes on where it was if it is started
/// again. A complete one is left as it is, unless images were added, removed or replaced since: then they are packed anew.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn pack path/to/imagenet packed                                 the files as they are
  cnn pack path/to/imagenet packed --encoding jpeg --short-side 256
  cnn pack ants-and-bees.tar packed --encoding raw                 decoded once and for all")]
pub struct Args {
    /// A folder or archive of images, as for train.
    #[arg(value_name = "IMAGEFOLDER")]
    images: DatasetName,
    #[command(flatten)]
    classes: ClassesArg,
    /// The folder to write.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The form of the packed images: the files as they are, JPEGs of a given size, or pixels.
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

/// The object that `--json` prints.
#[derive(Serialize)]
struct Report {
    folder: String,
    images: usize,
    bytes: u64,
    /// Whether nothing had to be written.
    up_to_date: bool,
    seconds: f64,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let start = Instant::now();
    let data = datasets::open_with(&args.images, None, args.classes.choice().unwrap_or_default())?;
    let mut options = PackOptions {
        encoding: match args.encoding {
            EncodingName::Keep => Encoding::Keep,
            EncodingName::Jpeg => Encoding::Jpeg { short_side: args.short_side, quality: args.quality },
            EncodingName::Raw => Encoding::Raw,
        },
        shard_bytes: args.shard_size.saturating_mul(1 << 20),
        origin: origin(&args.images),
        ..PackOptions::default()
    };
    if args.skip_bad_images {
        options.on_fault = OnFault::skip(|line| note(format!("left out: {line}")));
    }
    if data.undivided.is_none() && args.out.join(PackedImages::INDEX).exists() {
        return Err(Fault::usage(format!(
            "{}: expected an empty folder, or one with such parts as the data set has, got a packing that is not divided: \
             name another folder, or delete this one",
            args.out.display()
        )));
    }
    let (mut images, mut bytes, mut up_to_date) = (0, 0, true);
    let parts: Vec<(&str, &dyn Dataset)> = match &data.undivided {
        None => vec![("train", &*data.train), ("val", &*data.test)],
        Some(all) => vec![("", &**all)],
    };
    for (part, examples) in parts {
        // Joining nothing would add a slash.
        let folder = if part.is_empty() { args.out.clone() } else { args.out.join(part) };
        let packed = pack_part(examples, &folder, part, &options)?;
        images += packed.images;
        bytes += packed.bytes;
        up_to_date &= packed.up_to_date;
    }
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let folder = args.out.display().to_string();
        print(serde_json::to_string(&Report { folder, images, bytes, up_to_date, seconds })?);
    } else if up_to_date {
        print(format!("{}: {images} images, {}, up to date", args.out.display(), HumanBytes(bytes)));
    } else {
        let size = HumanBytes(bytes);
        print(format!("{}: {images} images, {size}, {}", args.out.display(), clock(seconds.round() as u64)));
    }
    Ok(())
}

/// Where the images lie, whatever the working directory.
fn origin(images: &DatasetName) -> Option<PathBuf> {
    let DatasetName::Images(path) = images else { return None };
    Some(path.canonicalize().unwrap_or_else(|_| path.clone()))
}

/// A part that is packed.
struct Packed {
    images: usize,
    /// In all files of the folder, whichever run wrote them.
    bytes: u64,
    up_to_date: bool,
}

/// Packs one part with a progress bar, or with lines where stderr is not a terminal.
fn pack_part(
    examples: &dyn Dataset,
    folder: &Path,
    part: &str,
    options: &PackOptions,
) -> Result<Packed, Fault> {
    let template = "{msg} {pos}/{len} images  [{bar:30}] {per_sec}  {eta} left";
    let bar = progress::bar(Some(examples.len() as u64), template);
    bar.set_message(part.to_string());
    let (start, mut lines, mut up_to_date) = (Instant::now(), Lines::new(), false);
    let packed = pack(examples, folder, options, |event| match event {
        PackEvent::UpToDate => up_to_date = true,
        PackEvent::Anew { why } => note(format!("{}: packed anew, since {why}", folder.display())),
        PackEvent::Progress(PackProgress { examples, total, shards, bytes }) => {
            bar.set_position(examples as u64);
            lines.note(&bar, || {
                let rate = examples as f64 / start.elapsed().as_secs_f64();
                let left = clock(((total - examples) as f64 / rate.max(1e-9)) as u64);
                let size = HumanBytes(bytes);
                format!(
                    "{part} {examples}/{total} images  {shards} archives  {size}  {rate:.0} images/s  {left} left"
                )
            });
        }
        _ => {}
    })?;
    bar.finish_and_clear();
    let files = std::fs::read_dir(folder)?.filter_map(|file| file.ok()?.metadata().ok());
    Ok(Packed { images: packed.len(), bytes: files.map(|file| file.len()).sum(), up_to_date })
}
