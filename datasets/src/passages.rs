//! Text files of any size, read a passage at a time: nothing but the length of a file is known beforehand.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use sha2::{Digest, Sha256};

use crate::formats::{Kind, SplitFiles};
use crate::paths::open_regular;
use crate::split::hex;
use crate::{Data, DataError, Place, Samples, Split, TextData, catalogue};

/// At most how far beyond the end of a passage white space is looked for, and never further than half a passage; text
/// without any is cut between characters.
const REACH: u64 = 1024;
/// Bytes at either end of a file that its digest sees.
const SEEN: u64 = 1 << 16;
/// Of so many passages in a row, the last but one validates and the last tests, where no file of their own does.
const ROUND: usize = 10;

/// Opens text as passages of about `bytes` bytes, whole words each, which together are the text: plain text files, and
/// the captions or questions of image datasets, a passage each.
///
/// # Errors
///
/// [`DataError`] if there is no text, or `bytes` is 0.
pub fn open_passages(name_or_path: &str, bytes: usize) -> Result<TextData, DataError> {
    if bytes == 0 {
        return Err(DataError::Setting {
            setting: "passage",
            value: "0".into(),
            reason: "expected at least 1 byte".into(),
        });
    }
    match catalogue::kind(name_or_path)? {
        Kind::Captions => {
            let data = catalogue::open_captions(name_or_path)?;
            texts(&data, |sample| sample.captions)
        }
        Kind::Vqa => {
            let data = catalogue::open_vqa(name_or_path)?;
            let questions = |sample: crate::VqaSample| {
                let questions = sample.questions.into_iter();
                questions.map(|question| question.text).collect()
            };
            texts(&data, questions)
        }
        Kind::Text => files(name_or_path, bytes as u64),
        found => Err(catalogue::wrong_kind(name_or_path, found, Kind::Text)),
    }
}

/// What is said in the samples of each split.
fn texts<S: Clone + Send + Sync + 'static>(
    data: &Data<S>,
    of: impl Fn(S) -> Vec<String>,
) -> Result<TextData, DataError> {
    let mut splits = [const { Vec::new() }; 3];
    for (texts, split) in splits.iter_mut().zip(Split::ALL) {
        let samples = data.split(split);
        for index in 0..samples.len() {
            texts.extend(of(samples.get(index).map_err(DataError::Dataset)?));
        }
    }
    let (name, digest) = (&data.name, data.digest.clone());
    Ok(Data::in_memory(name, splits, Vec::new(), digest))
}

fn files(name: &str, bytes: u64) -> Result<TextData, DataError> {
    let files = SplitFiles::find(Path::new(name), "txt")?;
    let mut digest = Sha256::new();
    let carved = [files.valid.is_none(), files.test.is_none()];
    let turns = |split: Split| -> Vec<usize> {
        let own = |turn: &usize| match *turn {
            8 if carved[0] => Split::Valid,
            9 if carved[1] => Split::Test,
            _ => Split::Train,
        };
        (0..ROUND).filter(|turn| own(turn) == split).collect()
    };
    let all: Vec<usize> = (0..ROUND).collect();
    let mut open = |path: &PathBuf, turns| -> Result<Samples<String>, DataError> {
        let passages = Passages::open(path, bytes, turns)?;
        digest.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        passages.add_to(&mut digest)?;
        Ok(Arc::new(passages))
    };
    let train = open(&files.train, turns(Split::Train))?;
    let valid = match &files.valid {
        Some(path) => open(path, all.clone())?,
        None => open(&files.train, turns(Split::Valid))?,
    };
    let test = match &files.test {
        Some(path) => open(path, all)?,
        None => open(&files.train, turns(Split::Test))?,
    };
    Ok(Data {
        name: name.into(),
        train,
        valid,
        test,
        labels: Vec::new(),
        digest: hex(&digest.finalize()),
    })
}

/// The passages of a file whose number, modulo ten, is one of `turns`.
struct Passages {
    path: PathBuf,
    size: u64,
    bytes: u64,
    turns: Vec<usize>,
}

impl Passages {
    fn open(path: &Path, bytes: u64, turns: Vec<usize>) -> Result<Self, DataError> {
        let file = open_regular(path).map_err(|error| DataError::io(path, error))?;
        let metadata = file
            .metadata()
            .map_err(|error| DataError::io(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            size: metadata.len(),
            bytes,
            turns,
        })
    }

    /// The length of the file, its beginning and its end.
    fn add_to(&self, digest: &mut Sha256) -> Result<(), DataError> {
        digest.update(self.size.to_le_bytes());
        digest.update(self.read(0, SEEN.min(self.size))?);
        digest.update(self.read(self.size.saturating_sub(SEEN), self.size)?);
        Ok(())
    }

    fn read(&self, start: u64, end: u64) -> Result<Vec<u8>, DataError> {
        let failed = |error| DataError::io(&self.path, error);
        let mut file = open_regular(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let mut bytes = Vec::with_capacity((end - start) as usize);
        file.take(end - start)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        match bytes.len() as u64 == end - start {
            true => Ok(bytes),
            false => Err(DataError::format(
                Place::file(&self.path),
                "the file has become shorter",
                "leave it as it is while it is read",
            )),
        }
    }

    fn reach(&self) -> u64 {
        (self.bytes / 2).clamp(1, REACH)
    }

    /// The passage of a number: from the first word that starts in its bytes to the first that starts after them.
    fn passage(&self, number: u64) -> Result<String, DataError> {
        let start = number * self.bytes;
        let end = self.size.min(start + self.bytes);
        // What stands before the start says whether a word goes on there.
        let from = start.saturating_sub(1);
        let bytes = self.read(from, self.size.min(end + self.reach()))?;
        let reach = self.reach() as usize;
        let first = match start {
            0 => 0,
            _ => boundary(&bytes, (start - from) as usize, reach),
        };
        let last = match end == self.size {
            true => bytes.len(),
            false => boundary(&bytes, (end - from) as usize, reach),
        };
        let bytes = &bytes[first.min(last)..last];
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = from + (first + error.valid_up_to()) as u64;
            DataError::format(
                Place::file(&self.path),
                format!("not valid UTF-8 at byte {}", at + 1),
                "save the file as UTF-8",
            )
        })?;
        Ok(text.trim_start_matches('\u{feff}').to_owned())
    }
}

/// The first place from `at` on where a word may start: after white space, or between two characters where there is
/// none in reach. `bytes` end where the reach does, or the file.
fn boundary(bytes: &[u8], at: usize, reach: usize) -> usize {
    let end = bytes.len().min(at + reach);
    let after_space = (at..=end).find(|&at| at > 0 && bytes[at - 1].is_ascii_whitespace());
    let between = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    match after_space {
        Some(place) => place,
        // The last word of the file.
        None if bytes.len() < at + reach => bytes.len(),
        None => (at..bytes.len()).find(between).unwrap_or(at),
    }
}

impl Dataset<String> for Passages {
    fn get(&self, index: usize) -> Result<String, DatasetError> {
        assert!(index < self.len(), "{index} of {}", self.len());
        let turns = self.turns.len();
        let number = index / turns * ROUND + self.turns[index % turns];
        Ok(self.passage(number as u64)?)
    }

    fn len(&self) -> usize {
        let passages = self.size.div_ceil(self.bytes) as usize;
        let last = passages % ROUND;
        let rest = self.turns.iter().filter(|turn| **turn < last).count();
        passages / ROUND * self.turns.len() + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passages(text: &str, bytes: u64) -> (tempfile::TempDir, Passages) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, text).unwrap();
        let passages = Passages::open(&path, bytes, (0..ROUND).collect()).unwrap();
        (folder, passages)
    }

    proptest! {
        /// The passages of a text, put together, are the text; none but the longest words are torn.
        #[test]
        fn passages_are_the_text(words in prop::collection::vec("[a-zäß猫]{1,9}", 0..200), bytes in 60u64..200) {
            let text = words.join(" ");
            let (_folder, passages) = passages(&text, bytes);
            let parts: Vec<String> = (0..passages.len()).map(|i| passages.get(i).unwrap()).collect();
            prop_assert_eq!(parts.concat(), text);
            for part in &parts {
                prop_assert!(part.split_whitespace().all(|word| words.iter().any(|known| known == word)));
            }
        }
    }

    /// Of lines without a space each passage has its part, however long they are.
    #[test]
    fn no_passage_takes_what_is_another_s() {
        let text = format!("{}\n", "猫".repeat(280)).repeat(20);
        let (_folder, passages) = passages(&text, 130);
        let parts: Vec<String> = (0..passages.len())
            .map(|i| passages.get(i).unwrap())
            .collect();
        assert_eq!(parts.concat(), text);
        let last = parts.len() - 1;
        assert!(
            parts[..last]
                .iter()
                .all(|part| (65..=195).contains(&part.len()))
        );
    }

    #[test]
    fn text_without_spaces_is_cut_between_characters() {
        let text = "猫".repeat(3000);
        let (_folder, passages) = passages(&text, 1000);
        let parts: Vec<String> = (0..passages.len())
            .map(|i| passages.get(i).unwrap())
            .collect();
        assert_eq!(parts.concat(), text);
        assert!(parts.iter().filter(|part| part.len() > 900).count() >= 8);
    }

    #[test]
    fn a_file_alone_is_shared_out_and_nothing_is_in_two_splits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        let text: String = (0..5000).map(|number| format!("w{number} ")).collect();
        std::fs::write(&path, &text).unwrap();
        let data = open_passages(path.to_str().unwrap(), 100).unwrap();
        let words = |split| -> Vec<String> {
            let samples = data.split(split);
            let texts = (0..samples.len()).map(|index| samples.get(index).unwrap());
            texts
                .flat_map(|text| {
                    text.split_whitespace()
                        .map(String::from)
                        .collect::<Vec<_>>()
                })
                .collect()
        };
        let [train, valid, test] = Split::ALL.map(words);
        let share = |words: &[String]| words.len() as f64 / 5000.0;
        assert!((share(&valid) - 0.1).abs() < 0.01 && (share(&test) - 0.1).abs() < 0.01);
        let mut all = [train, valid, test].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 5000);
    }

    #[test]
    fn what_is_no_text_is_named_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, b"good words \xff bad").unwrap();
        let data = open_passages(path.to_str().unwrap(), 1000).unwrap();
        let error = data.train.get(0).unwrap_err().to_string();
        assert!(
            error.contains("text.txt") && error.contains("byte 12"),
            "{error}"
        );
    }

    #[test]
    fn captions_and_questions_are_text_too() {
        let data = open_passages("easy-vqa-captions", 100).unwrap();
        assert_eq!(
            data.train.get(1).unwrap(),
            "this shape is a rectangle, and its color is blue"
        );
        assert_eq!(open_passages("easy-vqa", 100).unwrap().test.len(), 9673);
        assert!(open_passages("emoji-groups", 100).is_err());
        assert!(open_passages("easy-vqa", 0).is_err());
    }
}
