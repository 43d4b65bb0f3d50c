//! Decodes images for another program to compare: paths in, one a line; out, for each, a line `CHANNELS HEIGHT WIDTH` and
//! the pixels, channels side by side, or a line `error MESSAGE`. `xtask/peers/decoders.py` reads it.
//!
//! ```sh
//! ls photos/*.jpg | cargo run --release -p cnn-data --example decode_pixels > pixels
//! ```

use cnn_data::Picture;
use std::error::Error;
use std::io::{BufWriter, Write, stdin, stdout};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(stdout().lock());
    for path in stdin().lines() {
        match Picture::read(path?) {
            Ok(picture) => {
                let [c, h, w] = picture.shape();
                writeln!(out, "{c} {h} {w}")?;
                out.write_all(&picture.to_interleaved())?;
            }
            Err(error) => writeln!(out, "error {error}")?,
        }
        out.flush()?;
    }
    Ok(())
}
