//! The texts that a vocabulary is made from.

use crucible_datasets::{Split, TextData};
use crucible_training::Error;

/// Bytes of training text that a vocabulary is made from; of larger files, passages spread evenly.
const BYTES: usize = 16 << 20;

/// Passages of the training split, all or evenly spread.
pub fn texts(data: &TextData) -> Result<Vec<String>, Error> {
    let samples = data.samples(Split::Train).map_err(Error::data)?;
    let first = samples.get(0).map_err(Error::data)?;
    let most = (BYTES / first.len().max(1)).max(1);
    let apart = samples.len().div_ceil(most);
    let numbers = (0..samples.len()).step_by(apart);
    numbers
        .map(|number| samples.get(number).map_err(Error::data))
        .collect()
}

/// Whether there are words in each split: to learn from, to choose by, to measure on.
pub fn check(data: &TextData) -> Result<(), Error> {
    for split in Split::ALL {
        let samples = data.samples(split).map_err(Error::data)?;
        let mut texts = (0..samples.len()).map(|number| samples.get(number));
        let is_word =
            |text: &Result<String, _>| !matches!(text, Ok(text) if text.trim().is_empty());
        // What cannot be read is told when it is.
        if !texts.any(|text| is_word(&text)) {
            return Err(Error::Usage(format!(
                "the {split} split of {} has no words; give it text",
                data.name
            )));
        }
    }
    Ok(())
}
