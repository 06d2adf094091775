//! What `crucible data` tells: counts, splits, duplicates, licence, samples, problems.

mod contents;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use self::contents::{Contents, hash_of_pixels, words};
use crate::catalogue::{self, Found, sound};
use crate::formats::{Kind, Problems, Scan};
use crate::instruction::{self, Conversation};
use crate::{
    CaptionSample, Data, DataError, ImageSource, LabelledImage, LabelledText, Picture, Split,
    VqaSample, open_passages, parallel,
};

pub use self::contents::{Duplicates, Lengths, Share};

/// A dataset in figures.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Catalogue name or path.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Its licence, or where to look for it.
    pub licence: String,
    /// SHA-256 of what the samples were made from.
    pub digest: String,
    /// Train, valid, test.
    pub splits: Vec<SplitCounts>,
    /// What stands in the training split too: of valid and test, as far as they hold something.
    pub duplicates: Vec<Duplicates>,
    /// Answers or classes.
    pub labels: Vec<String>,
    /// How many different words the training texts have.
    pub words: usize,
    /// The first few samples, in words.
    pub samples: Vec<String>,
    /// The first hundred problems.
    pub problems: Vec<String>,
    /// How many problems there are in all.
    pub problem_count: usize,
}

/// How much a split holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitCounts {
    /// Which one.
    pub split: Split,
    /// Images; 0 for text.
    pub images: usize,
    /// Questions, captions or lines; for classification, images.
    pub items: usize,
    /// How long its texts are, if it has some.
    pub lengths: Option<Lengths>,
}

/// Reads a whole dataset, decodes every image, and tells what was found.
///
/// # Errors
///
/// [`DataError`] if nothing can be read at all; what is wrong with single lines or images is in
/// [`Description::problems`].
pub fn describe(name_or_path: &str) -> Result<Description, DataError> {
    let found = catalogue::find(name_or_path)?;
    let licence = match &found {
        Found::Entry(entry) => entry.licence.to_owned(),
        Found::Path(_) => licence(Path::new(name_or_path)),
    };
    match found.kind() {
        Kind::Vqa => report(catalogue::scan_vqa(name_or_path)?, Kind::Vqa, licence),
        Kind::Images => report(catalogue::scan_images(name_or_path)?, Kind::Images, licence),
        Kind::Captions => report(
            catalogue::scan_captions(name_or_path)?,
            Kind::Captions,
            licence,
        ),
        Kind::Pictures => report(
            catalogue::scan_pictures(name_or_path)?,
            Kind::Pictures,
            licence,
        ),
        Kind::Text => report(
            sound(open_passages(name_or_path, PASSAGE)?),
            Kind::Text,
            licence,
        ),
        Kind::LabelledTexts => report(
            catalogue::scan_labelled_texts(name_or_path)?,
            Kind::LabelledTexts,
            licence,
        ),
        Kind::Instructions => report(
            instruction::scan(name_or_path)?,
            Kind::Instructions,
            licence,
        ),
    }
}

/// Which of its licence files a user's folder has.
fn licence(path: &Path) -> String {
    let folder = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(path)
    };
    [
        "LICENSE",
        "LICENSE.txt",
        "LICENSE.md",
        "LICENCE",
        "LICENCE.txt",
        "LICENCE.md",
    ]
    .into_iter()
    .find(|name| folder.join(name).is_file())
    .map_or("not stated".into(), |name| format!("see {name}"))
}

/// Bytes of the passages that text is looked through by; recipes have lengths of their own.
const PASSAGE: usize = 512;
/// How many lines of samples a description shows.
const SHOWN: usize = 5;
/// How many samples are looked through at once.
const AT_ONCE: usize = 4096;

/// What is gathered from all splits.
struct Pass {
    problems: Problems,
    /// The words of the training texts.
    vocabulary: BTreeSet<String>,
    shown: Vec<String>,
}

fn report<S: Show + Sync>(
    scan: Scan<Data<S>>,
    kind: Kind,
    licence: String,
) -> Result<Description, DataError> {
    let Scan { data, problems } = scan;
    let mut pass = Pass {
        problems,
        vocabulary: BTreeSet::new(),
        shown: Vec::new(),
    };
    let [(in_train, mut train), (in_valid, valid), (in_test, test)] =
        Split::ALL.map(|split| pass.look_through(&data, split));
    train.sort();
    let held_out = [(Split::Valid, valid), (Split::Test, test)].into_iter();
    let duplicates = held_out
        .filter(|(_, contents)| !contents.is_empty())
        .map(|(split, contents)| contents.duplicates(split, &train))
        .collect();
    let Pass {
        mut problems,
        vocabulary,
        shown,
    } = pass;
    // Every training validates and tests.
    for split in Split::ALL {
        problems.keep(data.samples(split));
    }
    Ok(Description {
        name: data.name,
        kind,
        licence,
        digest: data.digest,
        splits: vec![in_train, in_valid, in_test],
        duplicates,
        labels: data.labels,
        words: vocabulary.len(),
        samples: shown,
        problems: problems.first.iter().map(ToString::to_string).collect(),
        problem_count: problems.count,
    })
}

impl Pass {
    /// Reads the samples of a split and decodes their images, on all cores.
    fn look_through<S: Show + Sync>(
        &mut self,
        data: &Data<S>,
        split: Split,
    ) -> (SplitCounts, Contents) {
        let samples = data.split(split);
        let (mut images, mut items, mut contents) = (0, 0, Contents::default());
        for start in (0..samples.len()).step_by(AT_ONCE) {
            let indices = start..samples.len().min(start + AT_ONCE);
            let read = indices.map(|index| samples.get(index).map_err(DataError::Dataset));
            let read: Vec<S> = read
                .filter_map(|sample| self.problems.keep(sample))
                .collect();
            let decoded = parallel::map(&read, |sample| {
                let image = sample.image()?.decode();
                Some(image.map(|pixels| hash_of_pixels(&pixels)))
            });
            for (sample, image) in read.iter().zip(decoded) {
                let (lines, texts) = (sample.lines(&data.labels), sample.texts());
                images += usize::from(image.is_some());
                items += lines.len();
                let room = SHOWN - self.shown.len();
                self.shown.extend(lines.into_iter().take(room));
                if split == Split::Train {
                    let lower = texts.iter().map(|text| text.to_lowercase());
                    lower.for_each(|text| self.vocabulary.extend(words(&text).map(String::from)));
                }
                let image = image.and_then(|image| self.problems.keep(image));
                contents.add(image, &texts);
            }
        }
        let counts = SplitCounts {
            split,
            images,
            items,
            lengths: contents.lengths(),
        };
        (counts, contents)
    }
}

/// What describing needs of a sample.
trait Show {
    /// One line for each item.
    fn lines(&self, labels: &[String]) -> Vec<String>;
    fn texts(&self) -> Vec<&str>;
    fn image(&self) -> Option<&ImageSource>;
}

impl Show for VqaSample {
    fn lines(&self, _: &[String]) -> Vec<String> {
        let questions = self.questions.iter();
        questions
            .map(|q| format!("{}: {} -> {}", self.id, q.text, q.answer))
            .collect()
    }
    fn texts(&self) -> Vec<&str> {
        self.questions
            .iter()
            .map(|question| question.text.as_str())
            .collect()
    }
    fn image(&self) -> Option<&ImageSource> {
        Some(&self.image)
    }
}

impl Show for LabelledImage {
    fn lines(&self, labels: &[String]) -> Vec<String> {
        vec![format!("{} -> {}", self.id, labels[self.label])]
    }
    fn texts(&self) -> Vec<&str> {
        Vec::new()
    }
    fn image(&self) -> Option<&ImageSource> {
        Some(&self.image)
    }
}

impl Show for LabelledText {
    fn lines(&self, labels: &[String]) -> Vec<String> {
        vec![format!(
            "{}: {} -> {}",
            self.id, self.text, labels[self.label]
        )]
    }
    fn texts(&self) -> Vec<&str> {
        vec![&self.text]
    }
    fn image(&self) -> Option<&ImageSource> {
        None
    }
}

impl Show for CaptionSample {
    fn lines(&self, _: &[String]) -> Vec<String> {
        self.captions
            .iter()
            .map(|caption| format!("{}: {caption}", self.id))
            .collect()
    }
    fn texts(&self) -> Vec<&str> {
        self.captions.iter().map(String::as_str).collect()
    }
    fn image(&self) -> Option<&ImageSource> {
        Some(&self.image)
    }
}

impl Show for Conversation {
    fn lines(&self, _: &[String]) -> Vec<String> {
        let turns = self.turns.iter().map(|turn| turn.text.replace('\n', " "));
        vec![format!(
            "{}: {}",
            self.id,
            turns.collect::<Vec<_>>().join(" -> ")
        )]
    }
    fn texts(&self) -> Vec<&str> {
        self.turns.iter().map(|turn| turn.text.as_str()).collect()
    }
    /// The first; an audit looks at all of them.
    fn image(&self) -> Option<&ImageSource> {
        self.images.first()
    }
}

impl Show for Picture {
    fn lines(&self, _: &[String]) -> Vec<String> {
        vec![self.id.clone()]
    }
    fn texts(&self) -> Vec<&str> {
        Vec::new()
    }
    fn image(&self) -> Option<&ImageSource> {
        Some(&self.image)
    }
}

impl Show for String {
    fn lines(&self, _: &[String]) -> Vec<String> {
        vec![self.split_whitespace().collect::<Vec<_>>().join(" ")]
    }
    fn texts(&self) -> Vec<&str> {
        vec![self]
    }
    fn image(&self) -> Option<&ImageSource> {
        None
    }
}
