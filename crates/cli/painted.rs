//! `crucible data DATA --chat`: conversations as a model reads them.

use crate::output;
use crucible_datasets::TokenizerConfig;
use crucible_datasets::instruction::clean::{CleanConfig, clean_splits};
use crucible_datasets::instruction::{
    AuditConfig, BuiltIn, Span, audit, open_instructions, training_texts,
};
use crucible_shared::instruction::{ChatConfig, Voice, thrown_away};
use crucible_shared::located;
use crucible_training::{Error, tell};
use serde::Serialize;
use std::io::{self, IsTerminal};

/// How conversations are written.
#[derive(clap::Args)]
pub struct Chat {
    /// Show conversations token by token as a model reads them: what it has to say in green, pictures in blue; and look for
    /// what would silently spoil a training
    #[arg(long)]
    pub chat: bool,

    /// Tokenizer and template of published weights: a Hugging Face folder, a GGUF file, or `hf:org/name` in a binary with
    /// the feature `hub` [default: a vocabulary of the data's own]
    #[arg(long, value_name = "WEIGHTS", requires = "chat")]
    weights: Option<String>,

    /// Chat template: chatml, llama-2, vicuna, zephyr, alpaca or plain [default: that of the weights, or chatml]
    #[arg(long, value_name = "NAME", requires = "chat")]
    template: Option<String>,

    /// Tokens that a picture takes
    #[arg(long, value_name = "N", default_value_t = 16, requires = "chat")]
    image_tokens: usize,

    /// Most tokens of a conversation
    #[arg(long, value_name = "N", default_value_t = 512, requires = "chat")]
    max_length: usize,

    /// How many are shown
    #[arg(long, value_name = "N", default_value_t = 3, requires = "chat")]
    samples: usize,
}

/// A conversation in its tokens.
#[derive(Serialize)]
struct Sample {
    id: String,
    tokens: usize,
    supervised: usize,
    spans: Vec<Span>,
}

/// Shows the first conversations of the training split, as a recipe cleans it unless it is told otherwise, then what was
/// thrown away of it and what an audit finds.
///
/// # Errors
///
/// Those of the data, and a problem that would spoil a training.
pub fn show(name: &str, chat: &Chat, json: bool) -> Result<(), Error> {
    let built_in = chat.template.as_deref().map(template).transpose()?;
    let data = open_instructions(name).map_err(Error::data)?;
    let (data, splits) = clean_splits(&data, &CleanConfig::copies()).map_err(Error::data)?;
    let config = ChatConfig {
        template: built_in.unwrap_or(BuiltIn::Chatml),
        own_template: built_in.is_none(),
        ..ChatConfig::published(chat.max_length)
    };
    let voice = match &chat.weights {
        Some(name) => Voice::published(&located(name)?, &config, chat.image_tokens)?,
        None => {
            let texts = training_texts(&data).map_err(Error::data)?;
            Voice::fresh(
                &TokenizerConfig::default(),
                &config,
                chat.image_tokens,
                texts,
            )?
        }
    };
    let mut samples = Vec::new();
    for at in 0..data.train.len().min(chat.samples) {
        let conversation = data.train.get(at).map_err(Error::data)?;
        let said = |error| Error::Usage(format!("{}: {error}", conversation.id));
        let rendered = voice.renderer.render(&conversation).map_err(said)?;
        let said = |error| Error::Usage(format!("{}: {error}", conversation.id));
        samples.push(Sample {
            spans: voice.renderer.paint(&rendered).map_err(said)?,
            tokens: rendered.ids.len(),
            supervised: rendered.labels.iter().filter(|&&said| said).count(),
            id: conversation.id,
        });
    }
    match json {
        true => output::print_json(&samples)?,
        false => samples.iter().try_for_each(print)?,
    }
    let told = thrown_away(&splits);
    if !told.is_empty() {
        tell!("{told}");
    }
    let features = chat.image_tokens;
    let report = audit(&data, &voice.renderer, features, &AuditConfig::default());
    let report = report.map_err(Error::data)?;
    for (kind, count) in &report.counts {
        tell!("{kind}: {count}");
    }
    report.pass().map_err(Error::data)
}

fn template(name: &str) -> Result<BuiltIn, Error> {
    let found = BuiltIn::ALL
        .into_iter()
        .find(|template| template.name() == name);
    found.ok_or_else(|| Error::unknown("chat template", name, BuiltIn::ALL.map(BuiltIn::name)))
}

/// Colours on a terminal, brackets elsewhere.
fn print(sample: &Sample) -> Result<(), Error> {
    let coloured = io::stdout().is_terminal();
    let mut text = format!(
        "{}: {} tokens, {} to be said\n",
        sample.id, sample.tokens, sample.supervised
    );
    for span in &sample.spans {
        text += &match (span.supervised, span.image, coloured) {
            (true, _, true) => format!("\x1b[32m{}\x1b[0m", span.text),
            (_, true, true) => format!("\x1b[34m{}\x1b[0m", span.text),
            (true, _, false) => format!("[[{}]]", span.text),
            _ => span.text.clone(),
        };
    }
    output::print(&(text + "\n\n"))
}
