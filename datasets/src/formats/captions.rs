//! Image and caption: one JSON object a line, `{"image": "photos/1.png", "caption": ".."}`.
//!
//! `image` is relative to the file's folder; other keys are left alone. Lines about the same image form one sample.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Problems, Scan, SplitFiles, lines};
use crate::paths::Root;
use crate::split::{Parts, fraction, hex};
use crate::{CaptionData, CaptionSample, Data, DataError, ImageSource};

const SHAPE: &str = r#"{"image": "photos/1.png", "caption": ".."}"#;

#[derive(Deserialize)]
struct Record {
    image: String,
    caption: String,
}

/// Reads a file or folder.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<CaptionData>, DataError> {
    let files = SplitFiles::find(path, "jsonl")?;
    let root = Arc::new(Root::new(&files.folder)?);
    let mut problems = Problems::default();
    let mut digest = Sha256::new();
    let mut read = |path: &PathBuf| read(path, &root, &mut problems, &mut digest);
    let train = read(&files.train)?;
    let valid = files.valid.as_ref().map(&mut read).transpose()?;
    let test = files.test.as_ref().map(&mut read).transpose()?;
    let splits = Parts { train, valid, test }.complete(|sample| fraction(&sample.id));
    Ok(Scan {
        data: Data::in_memory(name, splits, Vec::new(), hex(&digest.finalize())),
        problems,
    })
}

fn read(
    path: &Path,
    root: &Arc<Root>,
    problems: &mut Problems,
    digest: &mut Sha256,
) -> Result<Vec<CaptionSample>, DataError> {
    let mut samples: Vec<CaptionSample> = Vec::new();
    let mut of_image: HashMap<String, usize> = HashMap::new();
    // What moves from one split to another changes the digest.
    digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    for line in lines::open(path)? {
        let parsed = line.and_then(|(place, line)| {
            digest.update(&line);
            digest.update("\n");
            let record: Record = lines::record(&place, &line, SHAPE)?;
            let caption = lines::non_empty(&place, "caption", &record.caption)?;
            Ok((place, record.image, caption))
        });
        let Some((place, image, caption)) = problems.keep(parsed) else {
            continue;
        };
        if let Some(&sample) = of_image.get(&image) {
            samples[sample].captions.push(caption);
            continue;
        }
        let source = ImageSource::Listed {
            root: root.clone(),
            relative: image.clone(),
            named_by: Some(place),
        };
        if let Some(length) = problems.keep(source.length()) {
            digest.update(length.to_le_bytes());
            of_image.insert(image.clone(), samples.len());
            samples.push(CaptionSample {
                id: image,
                image: source,
                captions: vec![caption],
            });
        }
    }
    Ok(samples)
}
