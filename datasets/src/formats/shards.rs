//! Images with captions in tar archives, as WebDataset packs them: the files of a sample stand in a row and share their
//! path up to the first dot of the base name; `.png`, `.jpg` or `.jpeg` is the image, `.txt` the caption, or a `.json` with
//! `caption` or `captions`. Other files are left alone.
//!
//! On opening, the headers are read and nothing else, so that the digest sees names and sizes; a sample is read from its
//! place when it is asked for.

mod find;
mod members;
mod samples;

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use sha2::{Digest, Sha256};

use self::members::{Member, Members};
use self::samples::Samples;
use super::{Problems, Scan};
use crate::split::{Parts, fraction, hex};
use crate::{CaptionData, CaptionSample, Data, DataError, ImageSource, Place, Split, parallel};

pub(crate) use self::find::{Shard, find, has_shards, is_range, is_shard};

/// Where a sample stands: all that is held of it.
#[derive(Clone)]
struct Located {
    shard: u32,
    part: Range<u64>,
    /// What gives it to a split, where its shard's name does not.
    fraction: f64,
}

/// The samples of a split.
struct Sharded {
    shards: Arc<Vec<Shard>>,
    samples: Vec<Located>,
}

/// What the headers of a shard tell.
#[derive(Default)]
struct Index {
    samples: Vec<(Range<u64>, f64)>,
    problems: Problems,
    digest: Sha256,
}

/// Reads the headers of a file, of a folder's files, or of a range of files such as `train-{0000..0012}.tar`.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<CaptionData>, DataError> {
    let shards = find(path)?;
    let mut problems = Problems::default();
    let mut digest = Sha256::new();
    let mut splits = [const { Vec::new() }; 3];
    for (number, index) in parallel::map(&shards, index).into_iter().enumerate() {
        let shard = &shards[number];
        digest.update(&shard.name);
        digest.update(index.digest.finalize());
        problems.append(index.problems);
        let located = index.samples.into_iter().map(|(part, fraction)| Located {
            shard: number as u32,
            part,
            fraction,
        });
        splits[shard.split as usize].extend(located);
    }
    let has = |split: Split| shards.iter().any(|shard| shard.split == split);
    let (has_valid, has_test) = (has(Split::Valid), has(Split::Test));
    let [train, valid, test] = splits;
    let parts = Parts {
        train,
        valid: has_valid.then_some(valid),
        test: has_test.then_some(test),
    };
    let shards = Arc::new(shards);
    let [train, valid, test] = parts.complete(|sample| sample.fraction).map(|samples| {
        let shards = shards.clone();
        Arc::new(Sharded { shards, samples })
    });
    Ok(Scan {
        data: Data {
            name: name.into(),
            train,
            valid,
            test,
            labels: Vec::new(),
            digest: hex(&digest.finalize()),
        },
        problems,
    })
}

fn index(shard: &Shard) -> Index {
    let mut index = Index::default();
    let members = match Members::of(&shard.path) {
        Ok(members) => members,
        Err(problem) => {
            index.problems.push(problem);
            return index;
        }
    };
    index.digest.update(members.end().to_le_bytes());
    let mut samples = Samples::new(members);
    let mut keys = HashSet::new();
    while let Some(sample) = samples.next() {
        let sample = sample.and_then(|sample| {
            picture(shard, &sample.image).length()?;
            match keys.insert(sample.key.clone()) {
                true => Ok(sample),
                false => Err(samples.members.error(
                    sample.part.start,
                    format!("a second sample `{}`", sample.key),
                    "give every sample of a shard a name of its own, and keep its files in a row",
                )),
            }
        });
        let Some(sample) = index.problems.keep(sample) else {
            continue;
        };
        for member in [&sample.image, &sample.caption] {
            index.digest.update(&member.path);
            index.digest.update([0]);
            index.digest.update(member.len().to_le_bytes());
        }
        let fraction = fraction(&sample.key);
        index.samples.push((sample.part, fraction));
    }
    if index.samples.is_empty() && index.problems.count == 0 {
        index.problems.push(DataError::format(
            Place::file(&shard.path),
            "no samples: none of its files is a PNG, a JPEG, a .txt or a .json",
            "pack images with captions, such as 0001.jpg and 0001.txt, or move the file away",
        ));
    }
    index
}

fn picture(shard: &Shard, image: &Member) -> ImageSource {
    ImageSource::Member {
        file: shard.path.clone(),
        path: image.path.clone(),
        body: image.body.clone(),
    }
}

impl Dataset<CaptionSample> for Sharded {
    fn get(&self, index: usize) -> Result<CaptionSample, DatasetError> {
        let Located { shard, part, .. } = &self.samples[index];
        let shard = &self.shards[*shard as usize];
        let mut samples = Samples::new(Members::within(&shard.path, part.clone())?);
        let sample = samples.next().unwrap_or_else(|| {
            let reason = "the sample that stood here is gone";
            let remedy = "leave the file as it is while it is read";
            Err(samples.members.error(part.start, reason, remedy))
        })?;
        Ok(CaptionSample {
            captions: samples.captions(&sample)?,
            image: picture(shard, &sample.image),
            id: format!("{}/{}", shard.name, sample.key),
        })
    }

    fn len(&self) -> usize {
        self.samples.len()
    }
}
