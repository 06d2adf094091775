//! Conversations by name or path.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::tasks::{self, Wordings};
use super::{Conversation, InstructionData, Role, formats};
use crate::catalogue::{Found, find, sound, wrong_kind};
use crate::formats::{Format, Kind, Scan};
use crate::split::hex;
use crate::{
    CaptionSample, Data, DataError, Samples, Split, easy_vqa, emoji, open_captions, open_images,
    open_vqa,
};

/// Instructions about the pictures of easy-VQA.
pub(crate) const EASY_VQA: &str = "easy-vqa-instructions";
/// Instructions about emoji.
pub(crate) const EMOJI: &str = "emoji-instructions";
/// Instructions about words and small numbers.
pub(crate) const WORDS: &str = "word-instructions";

/// Conversations of [`WORDS`], and how many of them validate and test.
const WORD_CONVERSATIONS: [usize; 3] = [4_000, 200, 400];

/// Opens conversations: a name of the catalogue, or a file or folder of Alpaca, ShareGPT, LLaVA or OpenAI JSON. Images with
/// captions do as well: the picture is asked, the caption answers (LLaVA's first stage).
///
/// Each split of those of the catalogue is asked in wordings that the others never use.
///
/// # Errors
///
/// [`DataError`], naming file and line, if it is unknown, of another kind, or anything in it is wrong.
pub fn open_instructions(name_or_path: &str) -> Result<InstructionData, DataError> {
    scan(name_or_path)?.sound(name_or_path)
}

/// What is said in the conversations of the training split: what a vocabulary is trained on.
///
/// # Errors
///
/// Whatever is wrong with a sample.
pub fn training_texts(data: &InstructionData) -> Result<Vec<String>, DataError> {
    let mut texts = Vec::new();
    for conversation in collected(&data.train)? {
        let turns = conversation.turns.into_iter();
        texts.extend(turns.map(|turn| match turn.role {
            Role::Assistant | Role::System => turn.text,
            Role::User => turn.text.replace(super::IMAGE, " "),
        }));
    }
    Ok(texts)
}

/// Reads conversations, problems included.
pub(crate) fn scan(name: &str) -> Result<Scan<InstructionData>, DataError> {
    match find(name)? {
        Found::Entry(entry) if entry.name == EASY_VQA => easy_vqa().map(sound),
        Found::Entry(entry) if entry.name == EMOJI => emoji().map(sound),
        Found::Entry(entry) if entry.name == WORDS => Ok(sound(words())),
        Found::Path(Format::Conversations) => formats::scan(name, Path::new(name)),
        found if found.kind() == Kind::Captions => {
            let captions = open_captions(name)?;
            let plain = |_, samples: Vec<CaptionSample>| tasks::plain(&samples);
            made(name, &captions, plain).map(sound)
        }
        found => Err(wrong_kind(name, found.kind(), Kind::Instructions)),
    }
}

fn easy_vqa() -> Result<InstructionData, DataError> {
    let data = open_vqa(easy_vqa::NAME)?;
    made(EASY_VQA, &data, |wordings, samples| {
        tasks::from_vqa(&samples, wordings)
    })
}

fn emoji() -> Result<InstructionData, DataError> {
    let (names, groups) = (open_captions(emoji::NAME)?, open_images(emoji::GROUPS)?);
    let named = made(EMOJI, &names, |wordings, samples| {
        tasks::from_names(&samples, wordings)
    })?;
    let grouped = made(EMOJI, &groups, |wordings, samples| {
        tasks::from_groups(&samples, &groups.labels, wordings)
    })?;
    let mut splits = [const { Vec::new() }; 3];
    for (split, into) in Split::ALL.into_iter().zip(&mut splits) {
        for data in [&named, &grouped] {
            into.extend(collected(data.split(split))?);
        }
    }
    let digest = digest(&[EMOJI, &named.digest, &grouped.digest]);
    Ok(Data::in_memory(EMOJI, splits, Vec::new(), digest))
}

fn words() -> InstructionData {
    const SEED: u64 = 1;
    let [train, valid, test] = WORD_CONVERSATIONS;
    // No input is in two splits: each takes its own part of the same ones.
    let parts = [
        0..train,
        train..train + valid,
        train + valid..train + valid + test,
    ];
    let mut splits = [const { Vec::new() }; 3];
    for ((split, part), into) in Split::ALL.into_iter().zip(parts).zip(&mut splits) {
        let asked = tasks::text_tasks(SEED, part.end, Wordings::of(split));
        *into = asked.into_iter().skip(part.start).collect();
    }
    let digest = digest(&[WORDS, &format!("{WORD_CONVERSATIONS:?}")]);
    Data::in_memory(WORDS, splits, Vec::new(), digest)
}

/// Conversations about the samples of each split, in its own wordings.
fn made<S>(
    name: &str,
    data: &Data<S>,
    make: impl Fn(Wordings, Vec<S>) -> Vec<Conversation>,
) -> Result<InstructionData, DataError> {
    let mut splits = [const { Vec::new() }; 3];
    for (split, into) in Split::ALL.into_iter().zip(&mut splits) {
        *into = make(Wordings::of(split), collected(data.split(split))?);
    }
    Ok(Data::in_memory(
        name,
        splits,
        Vec::new(),
        digest(&[name, &data.digest]),
    ))
}

pub(super) fn collected<S>(samples: &Samples<S>) -> Result<Vec<S>, DataError> {
    let get = |index| samples.get(index).map_err(DataError::Dataset);
    (0..samples.len()).map(get).collect()
}

/// Of what conversations are made of; the wordings are those of the version of Crucible.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
        digest.update("\n");
    }
    hex(&digest.finalize())
}
