//! Writing of packed folders.

use super::{Entry, FORMAT, Index, PackedImages, Shard, parse};
use crate::files::shared::SharedFile;
use crate::transform::{Interpolation, resize};
use crate::{DataError, Dataset, OnFault, Picture};
use cnn_tensor::files::{force_to_disk, write_atomically};
use cnn_tensor::{Recycled, parallel};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, Header};

/// Images that the threads encode before any of them is written.
const GROUP: usize = 64;
/// The header of an entry, which stands before its content.
const HEADER: u64 = 512;

/// What an image becomes when it is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Encoding {
    /// The file as it is; [`Encoding::Raw`] for images that have none.
    #[default]
    Keep,
    /// A JPEG, scaled down until its shorter side is `short_side` if it is longer.
    Jpeg {
        /// The shorter side, in pixels.
        short_side: u32,
        /// From 1 to 100.
        quality: u8,
    },
    /// The pixels, as a PGM or PPM file: large, and no work to decode.
    Raw,
}

/// How a data set is packed.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// What images become.
    pub encoding: Encoding,
    /// An archive ends with the image that makes it at least so large.
    pub shard_bytes: u64,
    /// What to do about images that cannot be read.
    pub on_fault: OnFault,
}

impl Default for PackOptions {
    /// Files as they are, in archives of 512 MiB; a fault ends the run.
    fn default() -> Self {
        Self { encoding: Encoding::Keep, shard_bytes: 512 << 20, on_fault: OnFault::Fail }
    }
}

/// How far packing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackProgress {
    /// Examples that are packed, or passed over as faulty.
    pub examples: usize,
    /// Examples in all.
    pub total: usize,
    /// Archives that are complete.
    pub shards: usize,
    /// Bytes in them, and in the one that is written.
    pub bytes: u64,
}

/// What is noted beside a complete archive until all are complete.
#[derive(Serialize, Deserialize)]
struct Note {
    plan: u32,
    /// The first example that is not in this archive or one before it.
    next: usize,
    shard: Shard,
}

/// Packs a data set into `folder`, and opens it there. `progress` hears about every 64th example and every archive.
///
/// An archive is written under another name, forced to disk and renamed when it is complete, and the index is written
/// last. So a run that was interrupted, by whatever, can be started again, and goes on behind the archives that are complete
/// and whose checksums agree; a run that was complete is recognised. The number of threads changes no byte.
///
/// ```
/// use cnn_data::{InMemoryDataset, Dataset, PackOptions, PackedImages, pack};
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let folder = folder.path();
/// let classes = ["dark", "light"].map(String::from).to_vec();
/// let set = InMemoryDataset::new([2, 1, 2, 2], vec![1, 2, 3, 4, 250, 251, 252, 253], vec![0, 1], classes)?;
/// pack(&set, folder, &PackOptions::default(), |_| {})?;
/// let packed = PackedImages::open(folder)?;
/// assert_eq!((packed.len(), packed.label(1)), (2, 1));
/// assert_eq!(packed.picture(1)?.data(), [250, 251, 252, 253]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// # Errors
/// An option is outside its range, an image cannot be read (unless the options say to pass over it), the folder cannot
/// be written, or it holds the packing of something else.
pub fn pack(
    examples: &dyn Dataset,
    folder: impl AsRef<Path>,
    options: &PackOptions,
    mut progress: impl FnMut(PackProgress),
) -> Result<PackedImages, DataError> {
    let folder = folder.as_ref();
    options.validate()?;
    fs::create_dir_all(folder).map_err(|source| DataError::Io {
        path: folder.into(),
        action: "create",
        source,
    })?;
    let plan = plan(examples, options);
    let index = folder.join(PackedImages::INDEX);
    if index.exists() {
        return match Index::read(&index)?.plan == plan {
            true => PackedImages::open(folder),
            false => Err(another(&index)),
        };
    }
    let (mut shards, mut next) = complete(folder, plan, examples)?;
    let mut written: u64 = shards.iter().map(|shard| shard.bytes).sum();
    let mut ready = Recycled::default().into_iter();
    while next < examples.len() {
        let file = format!("shard-{:06}.tar", shards.len());
        let mut archive = Unfinished::create(folder, file)?;
        while next < examples.len() && archive.bytes() < options.shard_bytes {
            if ready.len() == 0 {
                let count = GROUP.min(examples.len() - next);
                ready = parallel::map(count, |i| encode(examples, next + i, options.encoding)).into_iter();
                let (shards, bytes) = (shards.len(), written + archive.bytes());
                progress(PackProgress { examples: next, total: examples.len(), shards, bytes });
            }
            match (ready.next().expect("the group is not empty"), &options.on_fault) {
                (Ok((ending, bytes)), _) => archive.add(next, ending, &bytes, examples.label(next))?,
                (Err(fault), OnFault::Fail) => return Err(fault),
                (Err(fault), OnFault::Skip(report)) => report(&fault.to_string()),
            }
            next += 1;
        }
        let shard = archive.finish()?;
        written += shard.bytes;
        let note = Note { plan, next, shard };
        write_json(&note_path(folder, shards.len()), &note)?;
        shards.push(note.shard);
        progress(PackProgress {
            examples: next,
            total: examples.len(),
            shards: shards.len(),
            bytes: written,
        });
    }
    let notes = shards.len();
    let classes = examples.classes().to_vec();
    write_json(&index, &Index { format: FORMAT.into(), plan, classes, shards })?;
    for note in (0..notes).map(|i| note_path(folder, i)) {
        fs::remove_file(&note).map_err(|source| DataError::Io { path: note, action: "remove", source })?;
    }
    PackedImages::open(folder)
}

impl PackOptions {
    fn validate(&self) -> Result<(), DataError> {
        let setting = |what, rule: &str, got: u64| {
            Err(DataError::Setting { what, rule: rule.into(), got: got.to_string() })
        };
        match self.encoding {
            Encoding::Jpeg { short_side: 0, .. } => setting("the shorter side", "at least 1", 0),
            Encoding::Jpeg { quality, .. } if !(1..=100).contains(&quality) => {
                setting("the quality of JPEG", "from 1 to 100", quality.into())
            }
            _ if self.shard_bytes == 0 => setting("the bytes of an archive", "at least 1", 0),
            _ => Ok(()),
        }
    }
}

/// A checksum of what is packed and how: examples, labels and classes by name, and the options that shape the archives.
fn plan(examples: &dyn Dataset, options: &PackOptions) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(
        format!("{:?} {} {:?}", options.encoding, options.shard_bytes, examples.classes()).as_bytes(),
    );
    for i in 0..examples.len() {
        let name = examples.name(i);
        // The last part of the name alone, so that a data set may have moved between two runs.
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        hasher.update(format!("{} {name}\n", examples.label(i)).as_bytes());
    }
    hasher.finalize()
}

/// The archives of an earlier run that are complete and sound, and the first example that is in none of them.
fn complete(folder: &Path, plan: u32, examples: &dyn Dataset) -> Result<(Vec<Shard>, usize), DataError> {
    let (mut shards, mut next) = (Vec::new(), 0);
    loop {
        let path = note_path(folder, shards.len());
        if !path.exists() {
            return Ok((shards, next));
        }
        let file = SharedFile::open(&path)?;
        let note: Note = parse(&path, &file.read(0, file.len())?)?;
        if note.plan != plan || note.next > examples.len() || note.next < next {
            return Err(another(&path));
        }
        note.shard.check(&path, examples.classes().len())?;
        let sound = note.shard.open(folder).is_ok_and(|archive| {
            let entries = &note.shard.entries;
            parallel::map(entries.len(), |i| entries[i].read(&archive).is_ok()).into_iter().all(|sound| sound)
        });
        if !sound {
            return Ok((shards, next));
        }
        next = note.next;
        shards.push(note.shard);
    }
}

fn another(path: &Path) -> DataError {
    let expected = "the packing of the same images with the same options";
    DataError::layout(path, expected, "another: name an empty folder, or delete this one")
}

fn note_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("shard-{shard:06}.json"))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DataError> {
    let json = serde_json::to_vec(value).expect("plain data");
    Ok(write_atomically(path, &json)?)
}

/// An archive that is written.
struct Unfinished {
    folder: PathBuf,
    file: String,
    path: PathBuf,
    builder: Builder<Counting>,
    entries: Vec<Entry>,
}

/// A file that knows how much was written to it.
struct Counting {
    file: BufWriter<File>,
    bytes: u64,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Unfinished {
    fn create(folder: &Path, file: String) -> Result<Self, DataError> {
        // The same name each time, so that what an interrupted run left is overwritten.
        let path = folder.join(format!(".unfinished-{file}"));
        let created = File::create(&path).map_err(|source| DataError::Io {
            path: path.clone(),
            action: "create",
            source,
        })?;
        let builder = Builder::new(Counting { file: BufWriter::with_capacity(1 << 20, created), bytes: 0 });
        Ok(Self { folder: folder.into(), file, path, builder, entries: Vec::new() })
    }

    fn bytes(&self) -> u64 {
        self.builder.get_ref().bytes
    }

    /// Adds an image and its label.
    fn add(&mut self, number: usize, ending: &str, image: &[u8], label: u32) -> Result<(), DataError> {
        let name = format!("{number:06}.{ending}");
        let start = self.bytes() + HEADER;
        self.append(&name, image)?;
        self.append(&format!("{number:06}.cls"), label.to_string().as_bytes())?;
        self.entries.push(Entry(name, start, image.len() as u64, crc32fast::hash(image), label));
        Ok(())
    }

    fn append(&mut self, name: &str, content: &[u8]) -> Result<(), DataError> {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let appended = self.builder.append_data(&mut header, name, content);
        appended.map_err(|source| DataError::Io { path: self.path.clone(), action: "write", source })
    }

    /// Forces the archive to disk and gives it its name.
    fn finish(self) -> Result<Shard, DataError> {
        let Self { folder, file, path, builder, entries } = self;
        let finish = || -> io::Result<u64> {
            let Counting { file: buffered, bytes } = builder.into_inner()?;
            buffered.into_inner()?.sync_all()?;
            fs::rename(&path, folder.join(&file))?;
            force_to_disk(&folder)?;
            Ok(bytes)
        };
        let bytes =
            finish().map_err(|source| DataError::Io { path: path.clone(), action: "write", source })?;
        Ok(Shard { file, bytes, entries })
    }
}

/// The ending and the bytes of the file that an example becomes.
fn encode(
    examples: &dyn Dataset,
    i: usize,
    encoding: Encoding,
) -> Result<(&'static str, Vec<u8>), DataError> {
    match encoding {
        Encoding::Keep => match examples.encoded(i)? {
            Some(file) => {
                let ending = match image::guess_format(&file) {
                    Ok(ImageFormat::Png) => "png",
                    Ok(ImageFormat::WebP) => "webp",
                    Ok(ImageFormat::Bmp) => "bmp",
                    _ if file.starts_with(b"P5") => "pgm",
                    _ if file.starts_with(b"P6") => "ppm",
                    _ => "jpg",
                };
                Ok((ending, file))
            }
            None => raw(examples, i),
        },
        Encoding::Raw => raw(examples, i),
        Encoding::Jpeg { short_side, quality } => {
            let fault = |fault: String| DataError::Image { image: examples.name(i), fault };
            let pixels = scaled(&examples.picture(i)?, short_side).map_err(fault)?;
            let color = if pixels.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, quality)
                .encode(&pixels.bytes, pixels.width, pixels.height, color)
                .map_err(|error| {
                    fault(format!("expected an image that JPEG can hold, got a fault: {error}"))
                })?;
            Ok(("jpg", jpeg))
        }
    }
}

/// The pixels as a PGM or PPM file.
fn raw(examples: &dyn Dataset, i: usize) -> Result<(&'static str, Vec<u8>), DataError> {
    let picture = examples.picture(i)?;
    let (ending, magic) = match picture.channels() {
        1 => ("pgm", "P5"),
        3 => ("ppm", "P6"),
        channels => {
            return Err(DataError::Image { image: examples.name(i), fault: channels_fault(channels) });
        }
    };
    let mut file = format!("{magic}\n{} {}\n255\n", picture.width(), picture.height()).into_bytes();
    file.extend(picture.to_interleaved());
    Ok((ending, file))
}

/// The channels of a pixel side by side, as encoders want them.
struct Pixels {
    width: u32,
    height: u32,
    channels: usize,
    bytes: Vec<u8>,
}

impl Pixels {
    fn of(picture: &Picture<'_>) -> Self {
        let [channels, h, w] = picture.shape();
        // No format has sides of 2^32 pixels.
        Self { width: w as u32, height: h as u32, channels, bytes: picture.to_interleaved() }
    }
}

/// The image, scaled down to a shorter side of `short_side` if it is longer.
fn scaled(picture: &Picture<'_>, short_side: u32) -> Result<Pixels, String> {
    let [channels, h, w] = picture.shape();
    if !matches!(channels, 1 | 3) {
        return Err(channels_fault(channels));
    }
    let (short, wanted) = (h.min(w), short_side as usize);
    if short <= wanted {
        return Ok(Pixels::of(picture));
    }
    let target = [h, w].map(|side| (side as u64 * u64::from(short_side) / short as u64) as usize);
    let smaller = resize(picture, ([0, 0], [h, w]), target, Interpolation::Bilinear);
    Ok(Pixels::of(
        &smaller.map_err(|error| format!("expected an image that can be scaled, got a fault: {error}"))?,
    ))
}

fn channels_fault(channels: usize) -> String {
    format!("expected 1 or 3 channels, got {channels}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksums are those of the pixels that the resizer's untyped call made of the same images.
    #[test]
    fn scaled_pixels_stay_the_same_for_all_time() {
        for (channels, checksum) in [(1, 0xbd7d_f38d), (3, 0xc679_ca66)] {
            let data: Vec<u8> = (0..channels * 48 * 37).map(|i| (i * i % 251) as u8).collect();
            let pixels = scaled(&Picture::new([channels, 48, 37], data).unwrap(), 11).unwrap();
            assert_eq!((pixels.width, pixels.height, pixels.channels), (11, 14, channels));
            assert_eq!(crc32fast::hash(&pixels.bytes), checksum);
        }
    }
}
