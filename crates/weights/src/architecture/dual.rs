use std::path::Path;

use burn::tensor::Device;
use crucible_fusion::{DualEncoder, DualEncoderConfig};
use serde_json::Value;

use super::fields::Fields;
use super::preprocessing::Preprocessing;
use super::{clip, open_clip, read, siglip, unsupported};
use crate::Error;
use crate::files;
use crate::load::Loaded;
use crate::rules::Rules;

/// What [`model_type`] calls each architecture.
const SUPPORTED: &[&str] = &["clip", "siglip", "open_clip"];

/// A dual encoder with what its checkpoint tells of it.
///
/// Texts for SigLIP are filled up to `config.text.max_length`: what fills them is read.
#[derive(Clone, Debug)]
pub struct DualCheckpoint {
    /// The sizes.
    pub config: DualEncoderConfig,
    /// Which tensor is which.
    pub rules: Rules,
    /// What images go through before, where the checkpoint tells.
    pub preprocessing: Option<Preprocessing>,
    /// Its `config.json`, or `open_clip_config.json`.
    pub json: Value,
}

impl DualCheckpoint {
    /// Reads what a folder or a file says of its model, and no tensor yet.
    ///
    /// # Errors
    ///
    /// [`Error::Architecture`] for one that is no dual encoder, [`Error::Config`] for a key that makes no sense or asks
    /// for what is not supported, and those of reading.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let json = files::config(path)?;
        let fields = Fields::new(path, json.clone())?;
        let model_type = model_type(&fields)?;
        let (config, rules): (_, fn(&DualEncoderConfig) -> Rules) = match model_type {
            "clip" => (clip::config(&fields)?, clip::rules),
            "siglip" => (siglip::config(&fields)?, siglip::rules),
            "open_clip" => (open_clip::config(&fields)?, open_clip::rules),
            other => return Err(unsupported(path, other, SUPPORTED)),
        };
        let check = config.check();
        check.map_err(|error| fields.wrong(error.field, error.to_string()))?;
        Ok(Self {
            rules: rules(&config),
            preprocessing: Preprocessing::open(
                path,
                model_type,
                &fields,
                config.vision.image_size,
            )?,
            config,
            json,
        })
    }

    /// The model with its weights.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Shapes`] with the names of the tensors, and those of reading.
    pub fn load(&self, path: &Path, device: &Device) -> Result<(DualEncoder, Loaded), Error> {
        read(self.config.init(device), &self.rules, path)
    }
}

/// `model_type`, or `open_clip` where the configuration is laid out as open_clip's.
pub(super) fn model_type(fields: &Fields) -> Result<&str, Error> {
    match fields.has("model_cfg") {
        true => Ok("open_clip"),
        false => fields.word_or("model_type", ""),
    }
}
