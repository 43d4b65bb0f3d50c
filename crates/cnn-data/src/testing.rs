//! Small folders and archives of images, for tests.

use image::{GrayImage, ImageFormat, Luma};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// A PNG of one pixel.
pub(crate) fn dot(shade: u8) -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    GrayImage::from_pixel(1, 1, Luma([shade])).write_to(&mut png, ImageFormat::Png).unwrap();
    png.into_inner()
}

/// Writes files, and the folders that they are in.
pub(crate) fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// An entry of an archive, its name as it is, however hostile.
pub(crate) fn entry(kind: u8, name: &str, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// An archive of files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let entries = files.iter().flat_map(|(name, content)| entry(b'0', name, content.len() as u64, content));
    entries.chain([0; 1024]).collect()
}
