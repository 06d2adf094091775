//! Behaviour of the whole crate, by what goes in and comes out.

mod batches;
mod describe;
mod easy_vqa;
mod emoji;
mod formats;
mod hostile_images;
#[cfg(unix)]
mod hostile_manifests;
mod hostile_shards;
mod image_folders;
mod loaders;
mod shards;
mod tokenization;

use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};

/// A picture whose pixels differ.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 7) as u8, (y * 11) as u8, (x * y) as u8])
    })
}

/// A picture as the bytes of a file.
fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture(width, height).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A new folder with files, each with its content.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(folder.path().join(name), content);
    }
    folder
}

fn write(path: PathBuf, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
