use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;
use crucible_datasets::{ImageConfig, Tokenizer, TokenizerConfig};
use crucible_fusion::{DualEncoder, DualEncoderConfig};
use crucible_training::{Error, Run, RunDir, checkpoint, run_dir, tell};
use crucible_transformer::TextEnd;
use crucible_weights::DualCheckpoint;
use crucible_weights::files::Tensors;
use serde::Deserialize;

use super::of_run;
use crate::language::check_vocabulary;
use crate::prepared::image_config;
use crate::tokens::FILE;
use crate::{TowersConfig, located, report};

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
        let (dir, sections) = of_run::<Sections>(path, RECIPE, "tower", run)?;
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
