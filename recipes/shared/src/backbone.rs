//! Trained models that something small is learnt beside, while they stay as they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use crucible_datasets::{ImageConfig, Tokenizer, TokenizerConfig};
use crucible_fusion::{DualEncoder, DualEncoderConfig};
use crucible_training::{Error, Run, RunDir, checkpoint, run, run_dir, tell};
use crucible_transformer::{CausalLm, CausalLmConfig, TextEnd};
use crucible_weights::files::{self, Tensors};
use crucible_weights::{CausalCheckpoint, DualCheckpoint};
use serde::Deserialize;

use crate::language::check_vocabulary;
use crate::prepared::image_config;
use crate::tokens::FILE;
use crate::{TowersConfig, located, report};

/// A model that never trains, on the device that something else trains on and on the plain one.
///
/// It is no part of the module that holds it (`#[module(skip)]`): checkpoints are of what trains, and nothing that goes
/// through the modules of a training can change it.
#[derive(Clone, Debug)]
pub struct Frozen<M> {
    training: M,
    inference: M,
}

impl<M: Module> Frozen<M> {
    /// Of a model on a device that trains.
    pub fn new(model: M) -> Self {
        let training = model.no_grad();
        Self {
            inference: training.clone().valid(),
            training,
        }
    }

    /// The one whose tensors go with those of a training, or with plain ones.
    pub fn beside(&self, trains: bool) -> &M {
        match trains {
            true => &self.training,
            false => &self.inference,
        }
    }
}

/// A trained dual encoder, and what prepares its inputs.
pub struct DualBackbone {
    /// Its sizes.
    pub config: DualEncoderConfig,
    /// How images are prepared.
    pub image: ImageConfig,
    /// How texts become token ids.
    pub tokenizer: Tokenizer,
    source: Source,
}

/// Where the weights of a dual encoder are.
enum Source {
    /// In the newest checkpoint of a run of `contrastive`.
    Run(RunDir),
    /// In published files.
    Published(Box<DualCheckpoint>, PathBuf),
}

/// The recipe whose runs are dual encoders.
const RECIPE: &str = "contrastive";

/// What a run of `contrastive` says of its model.
#[derive(Deserialize)]
struct Sections {
    image: ImageConfig,
    tokenizer: TokenizerConfig,
    model: TowersConfig,
    d_embedding: usize,
}

/// The model at the path that it has in that recipe.
#[derive(Module, Debug)]
struct Holder {
    encoder: DualEncoder,
}

impl DualBackbone {
    /// That at `path`: of a run of `contrastive`, or published CLIP weights, a Hugging Face folder or `hf:org/name` in a
    /// binary with the feature `hub`. The digest of its weights is noted in `run.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a run of another recipe and for weights that cannot be a backbone, [`Error::Run`] when the
    /// weights have changed since `run` started, and those of reading.
    pub fn open(path: &str, run: &Run) -> Result<Self, Error> {
        if path.is_empty() {
            return Err(Error::Usage(format!(
                "backbone is empty; train one (`crucible train {RECIPE} --out tower`) and name its directory, or name \
                 a folder of published CLIP weights: --set backbone=tower"
            )));
        }
        let place = located(path)?;
        match place.exists() && !place.join(run_dir::RUN).exists() {
            true => Self::published(path, place, run),
            false => Self::of_run(path, run),
        }
    }

    fn of_run(path: &str, run: &Run) -> Result<Self, Error> {
        let record = run::open(Path::new(path))?;
        if record.recipe != RECIPE {
            return Err(Error::Usage(format!(
                "{path} is a run of {}; a backbone is one of {RECIPE}",
                record.recipe
            )));
        }
        let dir = RunDir::new(Path::new(path));
        let sections: Sections = record.config.try_into().map_err(|error| Error::Run {
            path: dir.path().to_owned(),
            reason: format!("its configuration is none of {RECIPE}: {error}"),
        })?;
        let digest = checkpoint::digest(&dir)?;
        run.record_weights("backbone", BTreeMap::from([(path.to_owned(), digest)]))?;
        let max_length = sections.tokenizer.max_length;
        let tokenizer = Tokenizer::from_file(&dir.file(FILE), max_length).map_err(Error::data)?;
        let towers = sections.model;
        let text = towers.text(tokenizer.vocabulary_size(), max_length);
        let vision = towers.vision(sections.image.size);
        Ok(Self {
            config: DualEncoderConfig::new(vision, text, sections.d_embedding),
            image: sections.image,
            tokenizer,
            source: Source::Run(dir),
        })
    }

    fn published(name: &str, path: PathBuf, run: &Run) -> Result<Self, Error> {
        let checkpoint = DualCheckpoint::open(&path).map_err(Error::data)?;
        let config = checkpoint.config.clone();
        if config.text.end == Some(TextEnd::LastPlace) {
            return Err(Error::Usage(format!(
                "{name} reads texts filled up to {} tokens, as SigLIP does, and a prompt stands before texts as long as \
                 they are; name weights of CLIP",
                config.text.max_length
            )));
        }
        let Some(prepared) = &checkpoint.preprocessing else {
            return Err(Error::Usage(format!(
                "{name} does not say how images are prepared for it; put its preprocessor_config.json beside the weights"
            )));
        };
        let image = image_config(name, prepared, config.vision.image_size)?;
        let digests = Tensors::open(&path).map_err(Error::data)?;
        let digests = digests.digests(&mut |line| tell!("{line}"));
        run.record_weights("backbone", digests.map_err(Error::data)?)?;
        let beside = match path.is_dir() {
            true => path.join(FILE),
            false => path.with_file_name(FILE),
        };
        let tokenizer = Tokenizer::from_file(&beside, config.text.max_length);
        let tokenizer = tokenizer.map_err(Error::data)?;
        check_vocabulary(name, tokenizer.vocabulary_size(), config.text.vocabulary)?;
        Ok(Self {
            config,
            image,
            tokenizer,
            source: Source::Published(Box::new(checkpoint), path),
        })
    }

    /// The model with its weights.
    ///
    /// # Errors
    ///
    /// Those of the checkpoint.
    pub fn encoder(&self, run: &Run, device: &Device) -> Result<DualEncoder, Error> {
        let (checkpoint, path) = match &self.source {
            Source::Run(dir) => {
                let encoder = self.config.init(device);
                let held = checkpoint::load_newest(dir, Holder { encoder })?;
                return Ok(held.encoder);
            }
            Source::Published(checkpoint, path) => (checkpoint, path),
        };
        let (encoder, loaded) = checkpoint.load(path, device).map_err(Error::data)?;
        if !run.quiet {
            report(&path.display().to_string(), &loaded);
        }
        Ok(encoder)
    }

    /// Says so when it has never seen a word of `text`, nor its pieces.
    ///
    /// # Errors
    ///
    /// Those of the tokenizer.
    pub fn known(&self, text: &str) -> Result<(), Error> {
        if self.tokenizer.unknown(text).map_err(Error::data)? > 0.0 {
            tell!("warning: the tokenizer of the backbone does not know all of \"{text}\"");
        }
        Ok(())
    }
}

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
