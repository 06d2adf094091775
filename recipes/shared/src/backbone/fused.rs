use burn::tensor::Device;
use crucible_datasets::{ImageConfig, Tokenizer, TokenizerConfig};
use crucible_fusion::{FusionConfig, FusionEncoderConfig};
use crucible_training::{Error, Run, RunDir, checkpoint};
use serde::Deserialize;

use super::of_run;
use crate::tokens::FILE;
use crate::{ANSWERS, TowersConfig, VqaModel};

/// The fused model of a run of `vqa`, and what prepares its inputs.
pub struct FusedBackbone {
    /// Its sizes.
    pub config: FusionEncoderConfig,
    /// How images are prepared.
    pub image: ImageConfig,
    /// How questions become token ids.
    pub tokenizer: Tokenizer,
    /// What it can answer.
    pub answers: Vec<String>,
    dir: RunDir,
}

/// What a run of `vqa` says of its model.
#[derive(Deserialize)]
struct Sections {
    image: ImageConfig,
    tokenizer: TokenizerConfig,
    model: TowersConfig,
    fusion: FusionConfig,
}

impl FusedBackbone {
    /// That of the run at `path`. The digest of its weights is noted in `run.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a run of another recipe, [`Error::Run`] when its weights have changed since `run` started, and
    /// those of reading.
    pub fn open(path: &str, run: &Run) -> Result<Self, Error> {
        let (dir, sections) = of_run::<Sections>(path, "vqa", "answers", run)?;
        let max_length = sections.tokenizer.max_length;
        let tokenizer = Tokenizer::from_file(&dir.file(FILE), max_length).map_err(Error::data)?;
        let towers = sections.model;
        let text = towers.text(tokenizer.vocabulary_size(), max_length);
        let vision = towers.vision(sections.image.size);
        Ok(Self {
            config: FusionEncoderConfig::new(vision, text, sections.fusion),
            image: sections.image,
            tokenizer,
            answers: dir.read_json(ANSWERS)?,
            dir,
        })
    }

    /// The model with its weights.
    ///
    /// # Errors
    ///
    /// Those of the checkpoint.
    pub fn model(&self, device: &Device) -> Result<VqaModel, Error> {
        let model = VqaModel::new(&self.config, self.answers.len(), device);
        checkpoint::load_newest(&self.dir, model)
    }
}
