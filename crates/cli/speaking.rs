//! Models that answer in words, from a run or from published weights.

use crate::{devices, eval};
use crucible_instruction::{open, published};
use crucible_shared::instruction::Answers;
use crucible_shared::located;
use crucible_training::{Error, run_dir};
use crucible_transformer::{ConfigError, GenerationConfig};
use std::path::{Path, PathBuf};

/// Which model, and how it goes on.
#[derive(clap::Args)]
pub struct Speaking {
    /// Run of `instruction-text` or `instruction-visual`, or published weights of a language model: a Hugging Face folder,
    /// a GGUF file, or `hf:org/name` in a binary with the feature `hub`
    #[arg(value_name = "RUN|WEIGHTS")]
    pub model: PathBuf,

    /// Backend [default: the run's own, or flex]
    #[arg(long, value_name = "NAME[:N]")]
    pub backend: Option<String>,

    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_new_tokens: usize,

    /// What scores are divided by before a token is drawn: below 1 sharper; 0 always takes the likeliest
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub temperature: f64,

    /// Draw among so many of the likeliest tokens; 0: among all
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub top_k: usize,

    /// Draw among the fewest likeliest tokens whose probabilities sum to this
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub top_p: f64,

    /// Above 1: makes tokens that have been said less likely
    #[arg(
        long,
        value_name = "R",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub repetition_penalty: f64,

    /// Sequences that a beam search follows; 1: none
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub beams: usize,

    /// Above 1: a beam search favours longer answers
    #[arg(
        long,
        value_name = "L",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub length_penalty: f64,

    /// Text that ends an answer; repeat it for more
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,

    /// Seed of all that is drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

impl Speaking {
    /// The model.
    ///
    /// # Errors
    ///
    /// When there is neither a run nor weights, or they are of another kind.
    pub fn open(&self) -> Result<Box<dyn Answers>, Error> {
        if self.model.join(run_dir::RUN).exists() {
            let (recipe, record, run) = eval::reopen(&self.model, self.backend.as_deref())?;
            return open(recipe.name(), &record.config, &run);
        }
        let path = located(&self.model.to_string_lossy())?;
        if !path.exists() {
            return Err(Error::Usage(missing(&path)));
        }
        let backend = devices::reopen(self.backend.as_deref(), devices::DEFAULT)?;
        published(&path, &backend.open()?)
    }

    /// The options.
    ///
    /// # Errors
    ///
    /// One that makes no sense, by its name.
    pub fn generation(&self) -> Result<GenerationConfig, Error> {
        let config = GenerationConfig {
            max_new_tokens: self.max_new_tokens,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
            beams: self.beams,
            length_penalty: self.length_penalty,
            stop_strings: self.stop.clone(),
            seed: self.seed,
        };
        match config.check() {
            Ok(()) => Ok(config),
            Err(ConfigError { field, reason }) => {
                let option = match field {
                    "stop_strings" => "stop".into(),
                    field => field.replace('_', "-"),
                };
                Err(Error::Usage(format!("--{option} {reason}")))
            }
        }
    }
}

fn missing(path: &Path) -> String {
    format!(
        "{}: no such run or weights; give a run directory, or a folder with config.json, tokenizer.json and \
         model.safetensors as Hugging Face publishes them, or a GGUF file",
        path.display()
    )
}
