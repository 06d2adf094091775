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
    let texts: Vec<String> = numbers
        .map(|number| samples.get(number).map_err(Error::data))
        .collect::<Result<_, _>>()?;
    if texts.iter().all(|text| text.trim().is_empty()) {
        let reason = "has no words to learn from; give it text";
        return Err(Error::Usage(format!("{} {reason}", data.name)));
    }
    Ok(texts)
}
