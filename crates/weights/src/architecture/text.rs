use std::path::Path;

use burn::tensor::Device;
use crucible_transformer::{TextEncoder, TextEncoderConfig};
use serde_json::Value;

use super::bert::Bert;
use super::fields::Fields;
use super::{read, unsupported};
use crate::Error;
use crate::files::{self, Tensors};
use crate::load::Loaded;
use crate::rules::Rules;

/// `model_type` of each architecture.
const SUPPORTED: &[&str] = &["bert", "roberta"];

/// A text encoder with what its checkpoint tells of it.
#[derive(Clone, Debug)]
pub struct TextCheckpoint {
    /// The sizes.
    pub config: TextEncoderConfig,
    /// Which tensor is which.
    pub rules: Rules,
    /// Which is which of a [`LanguageHead`](crucible_transformer::LanguageHead) with the encoder's activation and norm,
    /// where the checkpoint has one that tells words by the matrix they are read by. A model that has both has the rules
    /// `rules.within("encoder").and(head.within("head"))`, by its names for them.
    pub head: Option<Rules>,
    /// Its `config.json`.
    pub json: Value,
}

impl TextCheckpoint {
    /// Reads what a folder or a file says of its model, and the names of its tensors.
    ///
    /// # Errors
    ///
    /// [`Error::Architecture`] for one that is no such encoder, [`Error::Config`] for a key that makes no sense or asks
    /// for what is not supported, and those of reading.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let json = files::config(path)?;
        let fields = Fields::new(path, json.clone())?;
        let model_type = fields.word_or("model_type", "")?;
        if !SUPPORTED.contains(&model_type) {
            return Err(unsupported(path, model_type, SUPPORTED));
        }
        let tensors = Tensors::open(path)?;
        let bert = Bert::new(model_type, &tensors);
        let config = bert.config(&fields, &tensors)?;
        let check = config.encoder.check();
        check.map_err(|error| fields.wrong(error.field, error.to_string()))?;
        Ok(Self {
            rules: bert.rules(&config),
            head: bert.head(&fields, &config, &tensors)?,
            config,
            json,
        })
    }

    /// The encoder with its weights. Those of a head are reported as unused.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Shapes`] with the names of the tensors, and those of reading.
    pub fn load(&self, path: &Path, device: &Device) -> Result<(TextEncoder, Loaded), Error> {
        read(self.config.init(device), &self.rules, path)
    }
}
