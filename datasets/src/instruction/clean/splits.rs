//! Cleaning of a dataset in its three splits.

use serde::Serialize;

use super::{CleanConfig, Cleaned, Counts, Dropped, Judged, Seen};
use crate::instruction::InstructionData;
use crate::instruction::open::collected;
use crate::{Data, DataError, Split};

/// What cleaning did to a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CleanedSplit {
    /// Which one.
    pub split: Split,
    /// What stayed and what went.
    #[serde(flatten)]
    pub counts: Counts,
    /// What was thrown away, in its order.
    pub conversations: Vec<Dropped>,
}

/// Throws away what `config` does not want of the training and the validation split, as [`clean`](super::clean) does.
///
/// The test split stays as it is, so that what is measured on it can be compared whatever is cleaned. Of copies in two
/// splits, that of the test split stays before that of the validation split, and that before the training split's.
/// Name and digest are those of the data as it came.
///
/// # Errors
///
/// [`DataError::Setting`] for a value of `config` that makes no sense, and whatever is wrong with a sample.
pub fn clean_splits(
    data: &InstructionData,
    config: &CleanConfig,
) -> Result<(InstructionData, Vec<CleanedSplit>), DataError> {
    config.check()?;
    let judged = |split| Ok::<_, DataError>(Judged::new(collected(data.split(split))?, config));
    let (train, valid) = (judged(Split::Train)?, judged(Split::Valid)?);
    let test = collected(&data.test)?;
    let all = train.sound().chain(valid.sound()).chain(&test);
    let mut seen = Seen::new(&config.duplicates, all);
    for conversation in &test {
        seen.copy(conversation);
    }
    let valid = valid.sift(&mut seen);
    let train = train.sift(&mut seen);
    let told = [told(Split::Train, &train), told(Split::Valid, &valid)];
    let splits = [train.kept, valid.kept, test];
    let (labels, digest) = (data.labels.clone(), data.digest.clone());
    let data = Data::in_memory(&data.name, splits, labels, digest);
    Ok((data, told.into()))
}

fn told(split: Split, cleaned: &Cleaned) -> CleanedSplit {
    CleanedSplit {
        split,
        counts: cleaned.counts(),
        conversations: cleaned.dropped.clone(),
    }
}
