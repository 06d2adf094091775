use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::Device;
use crucible_training::{Error, Run, tell};
use crucible_transformer::{CausalLm, CausalLmConfig};
use crucible_weights::CausalCheckpoint;
use crucible_weights::files::{self, Tensors};

use crate::language::check_vocabulary;
use crate::{located, report};

/// Published weights of a causal language model, and its tokenizer.
pub struct LanguageBackbone {
    /// Its sizes.
    pub config: CausalLmConfig,
    /// Its tokenizer.
    pub tokenizer: tokenizers::Tokenizer,
    /// SHA-256 of each file of its weights, by its name.
    pub digests: BTreeMap<String, String>,
    checkpoint: CausalCheckpoint,
    path: PathBuf,
}

impl LanguageBackbone {
    /// That at `path`: a Hugging Face folder, a GGUF file, or `hf:org/name` in a binary with the feature `hub`. The digest of
    /// its weights is noted in `run.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where none is named, [`Error::Run`] when its weights have changed since `run` started, and those of
    /// reading.
    pub fn open(path: &str, run: &Run) -> Result<Self, Error> {
        if path.is_empty() {
            return Err(Error::Usage(
                "backbone is empty; name published weights of a language model (a Hugging Face folder or a GGUF file), \
                 or a folder that `crucible export` wrote: --set backbone=smollm2.gguf"
                    .into(),
            ));
        }
        let path = located(path)?;
        let checkpoint = CausalCheckpoint::open(&path).map_err(Error::data)?;
        let tensors = Tensors::open(&path).map_err(Error::data)?;
        let digests = tensors.digests(&mut |line| tell!("{line}"));
        let digests = digests.map_err(Error::data)?;
        run.record_weights("backbone", digests.clone())?;
        let texts = files::tokenizer(&path).map_err(Error::data)?;
        let tokenizer = files::load_tokenizer(&texts.json).map_err(Error::data)?;
        let vocabulary = tokenizer.get_vocab_size(true);
        check_vocabulary(
            &path.display().to_string(),
            vocabulary,
            checkpoint.config.vocabulary,
        )?;
        Ok(Self {
            config: checkpoint.config.clone(),
            tokenizer,
            digests,
            checkpoint,
            path,
        })
    }

    /// The model with its weights.
    ///
    /// # Errors
    ///
    /// Those of the weights.
    pub fn model(&self, run: &Run, device: &Device) -> Result<CausalLm, Error> {
        let (model, loaded) = self
            .checkpoint
            .load(&self.path, device)
            .map_err(Error::data)?;
        if !run.quiet {
            report(&self.path.display().to_string(), &loaded);
        }
        Ok(model)
    }
}
