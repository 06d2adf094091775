//! IDX files, the format of MNIST and Fashion-MNIST: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
//! `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, each plain or `.gz`.
//!
//! The files do not name their classes: `classes.txt` in the folder may, one a line; else they are `0`, `1`, ...

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::{Scan, lines};
use crate::images::{Layout, MAX_SIDE};
use crate::paths::open_regular;
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, ImageData, ImageSource, LabelledImage, Place};

/// The most bytes that a file may hold once it is unpacked.
const MAX_FILE: u64 = 4 << 30;

/// Reads a folder.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<ImageData>, DataError> {
    let mut digest = Sha256::new();
    let train = read(path, "train", &mut digest)?;
    let test = match locate(path, "t10k-images-idx3-ubyte") {
        Some(_) => Some(read(path, "t10k", &mut digest)?),
        None => None,
    };
    let used = train
        .iter()
        .chain(test.iter().flatten())
        .map(|sample| sample.label + 1);
    let used = used.max().unwrap_or(0);
    let classes = classes(path, used)?;
    let parts = Parts {
        train,
        valid: None,
        test,
    };
    let splits = parts.complete(|sample| fraction(&sample.id));
    Ok(Scan {
        data: Data::in_memory(name, splits, classes, hex(&digest.finalize())),
        problems: Default::default(),
    })
}

fn locate(folder: &Path, file: &str) -> Option<PathBuf> {
    [folder.join(file), folder.join(format!("{file}.gz"))]
        .into_iter()
        .find(|path| path.exists())
}

fn classes(folder: &Path, used: usize) -> Result<Vec<String>, DataError> {
    let file = folder.join("classes.txt");
    if !file.exists() {
        return Ok((0..used).map(|class| class.to_string()).collect());
    }
    let classes: Vec<String> = lines::open(&file)?
        .map(|line| line.map(|(_, name)| name.trim().to_owned()))
        .collect::<Result<_, _>>()?;
    if classes.len() < used {
        return Err(DataError::format(
            Place::file(&file),
            format!(
                "{} classes, but the labels go up to {}",
                classes.len(),
                used - 1
            ),
            "name every class, one a line",
        ));
    }
    Ok(classes)
}

fn read(folder: &Path, part: &str, digest: &mut Sha256) -> Result<Vec<LabelledImage>, DataError> {
    let find = |file: String| {
        locate(folder, &file).ok_or_else(|| {
            DataError::format(
                Place::file(folder),
                format!("no {file} or {file}.gz in this folder"),
                "put it beside the others",
            )
        })
    };
    let images = Idx::<3>::read(&find(format!("{part}-images-idx3-ubyte"))?)?;
    let labels = Idx::<1>::read(&find(format!("{part}-labels-idx1-ubyte"))?)?;
    digest.update(&images.bytes);
    digest.update(&labels.bytes);
    let [count, height, width] = images.dimensions;
    if count != labels.dimensions[0] {
        return Err(DataError::format(
            Place::file(&labels.path),
            format!("{} labels for {count} images", labels.dimensions[0]),
            "take both files from the same release",
        ));
    }
    let side = 1..=MAX_SIDE as usize;
    if count > 0 && !(side.contains(&height) && side.contains(&width)) {
        return Err(DataError::format(
            Place::file(&images.path),
            format!("images of {width} x {height} pixels"),
            format!("expected 1 to {MAX_SIDE} pixels a side"),
        ));
    }
    let samples = labels.bytes[Idx::<1>::HEADER..].iter().enumerate();
    Ok(samples
        .map(|(number, &label)| LabelledImage {
            id: format!("{part}/{number}"),
            image: ImageSource::Pixels {
                name: format!("{}[{number}]", images.path.display()),
                file: images.bytes.clone(),
                offset: Idx::<3>::HEADER + number * height * width,
                width: width as u32,
                height: height as u32,
                layout: Layout::Grey,
            },
            label: label.into(),
        })
        .collect())
}

/// An array of bytes with D dimensions: a magic number 0x0000080D, D sizes of four bytes, big-endian, and the bytes.
struct Idx<const D: usize> {
    path: PathBuf,
    dimensions: [usize; D],
    /// Header included.
    bytes: Arc<[u8]>,
}

impl<const D: usize> Idx<D> {
    const HEADER: usize = 4 + 4 * D;

    fn read(path: &Path) -> Result<Self, DataError> {
        let io = |source| DataError::io(path, source);
        let wrong = |reason: String| {
            let remedy = "get the file again; it is damaged or not an IDX file";
            DataError::format(Place::file(path), reason, remedy)
        };
        let file = open_regular(path).map_err(io)?;
        let mut reader: Box<dyn Read> = match path.extension() {
            Some(extension) if extension == "gz" => Box::new(MultiGzDecoder::new(file)),
            _ => Box::new(file),
        };
        let mut bytes = Vec::new();
        let header = reader
            .by_ref()
            .take(Self::HEADER as u64)
            .read_to_end(&mut bytes);
        header.map_err(io)?;
        let words: Vec<usize> = bytes
            .chunks_exact(4)
            .map(|word| {
                word.iter()
                    .fold(0, |value, &byte| value << 8 | usize::from(byte))
            })
            .collect();
        let Some((&magic, sizes)) = words.split_first().filter(|_| words.len() == D + 1) else {
            return Err(wrong(format!(
                "{} bytes are too few for a header",
                bytes.len()
            )));
        };
        if magic != 0x0800 + D {
            return Err(wrong(format!(
                "the magic number is {magic:#010x}, not {:#010x}",
                0x0800 + D
            )));
        }
        let mut dimensions = [0; D];
        dimensions.copy_from_slice(sizes);
        let length = dimensions
            .iter()
            .try_fold(1u64, |product, &size| product.checked_mul(size as u64))
            .filter(|&length| length <= MAX_FILE)
            .ok_or_else(|| {
                wrong(format!(
                    "the header tells of {dimensions:?} bytes; the limit is {MAX_FILE}"
                ))
            })?;
        // One byte more than there should be, to see whether there are more; never what a damaged file claims.
        let read = reader
            .take(length + 1)
            .read_to_end(&mut bytes)
            .map_err(io)? as u64;
        if read != length {
            let found = if read > length {
                "more".to_owned()
            } else {
                read.to_string()
            };
            return Err(wrong(format!(
                "the header tells of {length} bytes, the file has {found}"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            dimensions,
            bytes: bytes.into(),
        })
    }
}
