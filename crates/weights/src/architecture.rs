//! The architectures whose checkpoints are understood: from `config.json` to our configuration, and which tensor is which.

mod bert;
mod clip;
mod dual;
mod fields;
mod gpt2;
mod llama;
mod names;
mod open_clip;
mod preprocessing;
mod sentence;
mod siglip;
mod t5;
mod text;
mod vision;
mod vit;

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use crucible_transformer::{Activation, CausalLm, CausalLmConfig};
use serde_json::Value;
use strsim::jaro_winkler;

use crate::Error;
use crate::files::{self, Tensors};
use crate::load::{Loaded, load};
use crate::rules::Rules;
use fields::Fields;

pub use dual::DualCheckpoint;
pub use preprocessing::{Preprocessing, Resample, Resize};
pub use sentence::SentenceEmbedding;
pub use t5::Seq2SeqCheckpoint;
pub use text::TextCheckpoint;
pub use vision::{ClassifierHead, VisionCheckpoint};

/// `model_type` of each architecture, with what becomes of it.
const SUPPORTED: &[&str] = &["gpt2", "llama", "mistral", "qwen2"];

/// A causal language model with what its checkpoint tells of it.
#[derive(Clone, Debug)]
pub struct CausalCheckpoint {
    /// The sizes.
    pub config: CausalLmConfig,
    /// Which tensor is which.
    pub rules: Rules,
    /// Its `config.json`.
    pub json: Value,
}

impl CausalCheckpoint {
    /// Reads what a folder or a file says of its model, and no tensor yet.
    ///
    /// # Errors
    ///
    /// [`Error::Architecture`] for one that is no causal language model, [`Error::Config`] for a key that makes no sense,
    /// and those of reading.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let json = files::config(path)?;
        let fields = Fields::new(path, json.clone())?;
        let model_type = fields.word_or("model_type", "")?;
        let (config, rules): (_, fn(&CausalLmConfig) -> Rules) = match model_type {
            "gpt2" => (gpt2::config(&fields)?, gpt2::rules),
            "llama" | "mistral" | "qwen2" => (llama::config(&fields, model_type)?, llama::rules),
            other => return Err(unsupported(path, other, SUPPORTED)),
        };
        let check = config.check();
        check.map_err(|error| fields.wrong(error.field, error.to_string()))?;
        Ok(Self {
            rules: rules(&config),
            config,
            json,
        })
    }

    /// What a model of our own is published as: a GPT-2, a Qwen2 or a Llama, whichever has its parts. `ends` are the
    /// tokens that end a text.
    ///
    /// # Errors
    ///
    /// [`Error::Layout`] for a combination of parts that none of them has.
    pub fn of(config: CausalLmConfig, ends: &[u32]) -> Result<Self, Error> {
        let (mut json, rules): (_, fn(&CausalLmConfig) -> Rules) = match llama::json(&config) {
            Some(json) => (json, llama::rules),
            None => match gpt2::json(&config) {
                Some(json) => (json, gpt2::rules),
                None => return Err(Error::Layout),
            },
        };
        if let Some(table) = json.as_object_mut() {
            // Left out, transformers would take 2 of a Llama; an empty list stops its `generate`.
            let ends = if ends.is_empty() {
                Value::Null
            } else {
                ends.into()
            };
            table.insert("eos_token_id".into(), ends);
            table.insert("tie_word_embeddings".into(), config.tied.into());
            table.insert("torch_dtype".into(), "float32".into());
        }
        Ok(Self {
            rules: rules(&config),
            config,
            json,
        })
    }

    /// The model with its weights.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Shapes`] with the names of the tensors, and those of reading.
    pub fn load(&self, path: &Path, device: &Device) -> Result<(CausalLm, Loaded), Error> {
        read(self.config.init(device), &self.rules, path)
    }
}

/// A model with all of its weights.
fn read<M: Module>(model: M, rules: &Rules, path: &Path) -> Result<(M, Loaded), Error> {
    let tensors = Tensors::open(path)?;
    let (model, loaded) = load(model, rules, &tensors)?;
    let loaded = loaded.complete(&tensors)?;
    Ok((model, loaded))
}

/// The head of a language model, unless words are told by the matrix they are read by.
fn head(rules: &mut Rules, tied: bool) {
    match tied {
        // Some checkpoints hold the same matrix twice.
        true => rules.ignore("lm_head.weight"),
        false => rules.linear("head.linear", "lm_head"),
    }
}

/// An error that names the nearest architecture there is.
fn unsupported(path: &Path, found: &str, supported: &[&'static str]) -> Error {
    let near = |name: &&&str| (jaro_winkler(name, found) * 1e6) as u64;
    let nearest = supported.iter().max_by_key(near).copied();
    Error::Architecture {
        path: path.to_owned(),
        found: found.to_owned(),
        nearest: nearest.unwrap_or_default(),
        supported: supported.join(", "),
    }
}

/// What transformers calls a non-linearity.
fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::QuickGelu => "quick_gelu",
        Activation::Relu => "relu",
        Activation::Silu => "silu",
    }
}

/// The non-linearity that a configuration names.
fn activation(fields: &Fields, key: &str, default: &str) -> Result<Activation, Error> {
    match fields.word_or(key, default)? {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "quick_gelu" => Ok(Activation::QuickGelu),
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        other => {
            let reason = format!(
                "is `{other}`; gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu and silu are supported"
            );
            Err(fields.wrong(key, reason))
        }
    }
}
