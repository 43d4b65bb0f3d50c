//! Halves the size of PNG pictures, for documents.
//!
//! `cargo run -p cnn-report --example halve FOLDER PICTURE.png...`
#![forbid(unsafe_code)]

#[path = "../../cnn-zoo/examples/failure/mod.rs"]
mod failure;

use failure::Failure;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::thumbnail;
use std::path::PathBuf;

fn main() -> Result<(), Failure> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, pictures @ ..] = &arguments[..] else { return Err("expected FOLDER PICTURE.png...".into()) };
    for picture in pictures {
        let image = image::open(picture)?.to_rgb8();
        let name = picture.file_name().ok_or("expected the name of a file")?;
        let file = std::fs::File::create(folder.join(name))?;
        let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
        thumbnail(&image, image.width() / 2, image.height() / 2).write_with_encoder(encoder)?;
    }
    Ok(())
}
