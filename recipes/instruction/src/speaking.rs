//! What can be talked with.

use std::path::Path;

use burn::tensor::Device;
use crucible_datasets::instruction::open_instructions;
use crucible_shared::instruction::{Answers, ChatConfig, ScoreConfig, Speaker, TextModel, Voice};
use crucible_shared::{LanguageConfig, check_vocabulary, report};
use crucible_training::{Error, Outcome, Recipe, Run, config};
use crucible_weights::{CausalCheckpoint, save_folder};
use toml::Table;

use crate::{Text, TextConfig, Visual, VisualConfig};

/// A finished run of a recipe, ready to answer.
///
/// # Errors
///
/// [`Error::Usage`] for a recipe whose models say nothing, and those of reading the run.
pub fn open(recipe: &str, table: &Table, run: &Run) -> Result<Box<dyn Answers>, Error> {
    match recipe {
        Text::NAME => Ok(Box::new(config::read::<TextConfig>(table)?.reopen(run)?)),
        Visual::NAME => Ok(Box::new(config::read::<VisualConfig>(table)?.reopen(run)?)),
        other => Err(silent(other)),
    }
}

/// Published weights of a language model, with its own tokenizer and template.
///
/// # Errors
///
/// What is wrong with the files.
pub fn published(path: &Path, device: &Device) -> Result<Box<dyn Answers>, Error> {
    Ok(Box::new(speaker(path, device)?))
}

/// How well published weights answer the conversations of a dataset without having been trained on it.
///
/// # Errors
///
/// What is wrong with the files or the data.
pub fn evaluate(
    path: &Path,
    device: &Device,
    data: &str,
    split: &str,
    score: &ScoreConfig,
) -> Result<Outcome, Error> {
    let split = split.parse().map_err(Error::data)?;
    let data = open_instructions(data).map_err(Error::data)?;
    speaker(path, device)?.score(&data, split, score)
}

/// Writes the language model of a finished run, adapters merged, as a folder that transformers loads.
///
/// # Errors
///
/// [`Error::Usage`] for a recipe without a language model, and those of reading and writing.
pub fn export(recipe: &str, table: &Table, run: &Run, folder: &Path) -> Result<(), Error> {
    let (language, voice) = match recipe {
        Text::NAME => {
            let speaker = config::read::<TextConfig>(table)?.reopen(run)?;
            (speaker.model.encoder.language, speaker.voice)
        }
        Visual::NAME => {
            let speaker = config::read::<VisualConfig>(table)?.reopen(run)?;
            (speaker.model.encoder.language, speaker.voice)
        }
        other => return Err(silent(other)),
    };
    let sizes = LanguageConfig::kept(run)?;
    let checkpoint = CausalCheckpoint::of(sizes, &voice.stops).map_err(Error::data)?;
    let (rules, json) = (&checkpoint.rules, &checkpoint.json);
    voice.beside(|texts| {
        save_folder(folder, &language.merged(), rules, json, texts).map_err(Error::data)
    })
}

fn silent(recipe: &str) -> Error {
    Error::Usage(format!(
        "a model of the recipe `{recipe}` does not converse; those of `{}` and `{}` do",
        Text::NAME,
        Visual::NAME
    ))
}

fn speaker(path: &Path, device: &Device) -> Result<Speaker<TextModel>, Error> {
    let checkpoint = CausalCheckpoint::open(path).map_err(Error::data)?;
    let chat = ChatConfig::published(checkpoint.config.max_length);
    let voice = Voice::published(path, &chat, 0)?;
    let name = path.display().to_string();
    check_vocabulary(&name, voice.vocabulary_size(), checkpoint.config.vocabulary)?;
    let (model, loaded) = checkpoint.load(path, device).map_err(Error::data)?;
    report(&name, &loaded);
    Ok(Speaker::of_text(TextModel::new(model), voice, device))
}
