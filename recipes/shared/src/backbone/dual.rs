use burn::module::Module;
use burn::tensor::Device;
use crucible_datasets::{ImageConfig, Tokenizer, TokenizerConfig};
use crucible_fusion::{DualEncoder, DualEncoderConfig};
use crucible_training::{Error, Run, RunDir, checkpoint, tell};
use serde::Deserialize;

use super::of_run;
use crate::TowersConfig;
use crate::tokens::FILE;

/// The dual encoder of a run of `contrastive`, and what prepares its inputs.
pub struct DualBackbone {
    /// Its sizes.
    pub config: DualEncoderConfig,
    /// How images are prepared.
    pub image: ImageConfig,
    /// How texts become token ids.
    pub tokenizer: Tokenizer,
    dir: RunDir,
}

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
    /// That of the run at `path`. The digest of its weights is noted in `run.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a run of another recipe, [`Error::Run`] when its weights have changed since `run` started, and
    /// those of reading.
    pub fn open(path: &str, run: &Run) -> Result<Self, Error> {
        let (dir, sections) = of_run::<Sections>(path, "contrastive", "tower", run)?;
        let max_length = sections.tokenizer.max_length;
        let tokenizer = Tokenizer::from_file(&dir.file(FILE), max_length).map_err(Error::data)?;
        let towers = sections.model;
        let text = towers.text(tokenizer.vocabulary_size(), max_length);
        let vision = towers.vision(sections.image.size);
        Ok(Self {
            config: DualEncoderConfig::new(vision, text, sections.d_embedding),
            image: sections.image,
            tokenizer,
            dir,
        })
    }

    /// The model with its weights.
    ///
    /// # Errors
    ///
    /// Those of the checkpoint.
    pub fn encoder(&self, device: &Device) -> Result<DualEncoder, Error> {
        let encoder = self.config.init(device);
        let held = checkpoint::load_newest(&self.dir, Holder { encoder })?;
        Ok(held.encoder)
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
