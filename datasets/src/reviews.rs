//! Short reviews, embedded in the binary. The card is `datasets/reviews/README.md`.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::formats::labelled_texts::record;
use crate::split::{fraction, hex};
use crate::{Data, DataError, LabelledText, LabelledTextData, Place};

/// Good and bad ones.
pub(crate) const NAME: &str = "reviews";

const FILE: &str = include_str!("../reviews/reviews.jsonl");
const CLASSES: [&str; 2] = ["negative", "positive"];

/// Parts of the pairs that test and validate.
const TEST: f64 = 0.4;
const VALID: f64 = 0.1;

/// All of them, a good one and its bad counterpart in the same split.
pub(crate) fn open() -> Result<LabelledTextData, DataError> {
    let mut splits = [const { Vec::new() }; 3];
    for (number, line) in FILE.lines().enumerate() {
        let place = Place::line(Path::new("reviews/reviews.jsonl").into(), number + 1);
        let (text, class) = record(&place, line)?;
        let split = match fraction(&format!("{NAME}/{}", number / CLASSES.len())) {
            x if x < TEST => 2,
            x if x < TEST + VALID => 1,
            _ => 0,
        };
        splits[split].push(LabelledText {
            id: format!("{NAME}/{number}"),
            text,
            label: CLASSES.partition_point(|name| *name < class.as_str()),
        });
    }
    let digest = hex(&Sha256::digest(FILE));
    let labels = CLASSES.map(String::from).to_vec();
    Ok(Data::in_memory(NAME, splits, labels, digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;

    #[test]
    fn the_card_is_right() {
        let data = open().unwrap();
        let mut good = [0; 3];
        let mut counts = [0; 3];
        for (at, split) in Split::ALL.into_iter().enumerate() {
            let samples = data.split(split);
            for index in 0..samples.len() {
                let sample = samples.get(index).unwrap();
                counts[at] += 1;
                good[at] += sample.label;
            }
        }
        assert_eq!(counts.iter().sum::<usize>(), 220);
        // Pairs stay together, and all splits hold some.
        assert_eq!(good.map(|good| 2 * good), counts);
        assert!(
            counts[0] > 80 && counts[1] > 10 && counts[2] > 60,
            "{counts:?}"
        );
    }
}
