//! Halves the size of PNG pictures, for documents.
//!
//! `cargo run -p cnn-report --example halve FOLDER PICTURE.png...`
#![forbid(unsafe_code)]

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops::thumbnail;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, pictures @ ..] = &arguments[..] else { return Err("expected FOLDER PICTURE.png...".into()) };
    for picture in pictures {
        let image = image::open(picture)?.to_rgb8();
        let name = Path::new(picture).file_name().ok_or("expected the name of a file")?;
        let file = std::fs::File::create(Path::new(folder).join(name))?;
        let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
        thumbnail(&image, image.width() / 2, image.height() / 2).write_with_encoder(encoder)?;
    }
    Ok(())
}
