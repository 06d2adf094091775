//! CIFAR-10's binary version: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, records of one label byte
//! and 3072 pixel bytes (32 x 32; all red, all green, all blue). Krizhevsky 2009, "Learning Multiple Layers of Features
//! from Tiny Images".

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Scan;
use crate::images::Layout;
use crate::paths::open_regular;
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, ImageData, ImageSource, LabelledImage, Place};

const SIDE: u32 = 32;
const RECORD: usize = 1 + 3 * 32 * 32;
/// A batch of the original has 10,000 records.
const MAX_RECORDS: usize = 1_000_000;
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Reads a folder; the training batches may be fewer than five.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<ImageData>, DataError> {
    let mut digest = Sha256::new();
    let mut read = |file: &str| match path.join(format!("{file}.bin")) {
        path if path.exists() => read(&path, file, &mut digest).map(Some),
        _ => Ok(None),
    };
    let mut train = Vec::new();
    for number in 1..=5 {
        train.extend(read(&format!("data_batch_{number}"))?.into_iter().flatten());
    }
    let test = read("test_batch")?;
    let parts = Parts {
        train,
        valid: None,
        test,
    };
    let splits = parts.complete(|sample| fraction(&sample.id));
    Ok(Scan {
        data: Data::in_memory(
            name,
            splits,
            CLASSES.map(String::from).into(),
            hex(&digest.finalize()),
        ),
        problems: Default::default(),
    })
}

fn read(path: &Path, stem: &str, digest: &mut Sha256) -> Result<Vec<LabelledImage>, DataError> {
    let wrong = |reason: String| {
        let remedy = "get the file again; expected CIFAR-10's binary version";
        DataError::format(Place::file(path), reason, remedy)
    };
    let mut bytes = Vec::new();
    open_regular(path)
        .and_then(|file| {
            file.take((RECORD * MAX_RECORDS) as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|source| DataError::io(path, source))?;
    if bytes.is_empty() || bytes.len() % RECORD != 0 || bytes.len() > RECORD * MAX_RECORDS {
        return Err(wrong(format!(
            "{} bytes are not records of {RECORD} bytes",
            bytes.len()
        )));
    }
    digest.update(&bytes);
    let bytes: Arc<[u8]> = bytes.into();
    (0..bytes.len() / RECORD)
        .map(|number| {
            let offset = number * RECORD;
            let label = usize::from(bytes[offset]);
            if label >= CLASSES.len() {
                return Err(wrong(format!(
                    "record {number} has the label {label}, of 10 classes"
                )));
            }
            Ok(LabelledImage {
                id: format!("{stem}/{number}"),
                image: ImageSource::Pixels {
                    name: format!("{}[{number}]", path.display()),
                    file: bytes.clone(),
                    offset: offset + 1,
                    width: SIDE,
                    height: SIDE,
                    layout: Layout::PlanarRgb,
                },
                label,
            })
        })
        .collect()
}
