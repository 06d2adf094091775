//! Visual question answering: a question about an image, one of a fixed set of answers.
//!
//! ```text
//! crucible train vqa                       # late fusion, embedded easy-VQA: 99% in 2 minutes on 2 cores
//! crucible train vqa --set fusion=mid      # or any other of `crucible strategies`
//! crucible train vqa --data my/folder      # train.jsonl: {"image": ..., "question": ..., "answer": ...}
//! ```

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use crucible_datasets::{
    AugmentConfig, Blank, CorruptConfig, Data, ImageConfig, ImageProcessor, ImageSource,
    LoaderConfig, Split, Tokenizer, TokenizerConfig, VqaCollate, VqaData, open_vqa,
};
use crucible_fusion::FusionConfig;
use crucible_shared::{
    ANSWERS, TowersConfig, VqaModel, data_name, reopen_tokenizer, size, tokenizer,
};
use crucible_training::{
    Error, Outcome, Preset, Probe, Recipe, Run, Size, TrainingConfig, checkpoint, config,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crucible_shared::classifier::{self, probabilities};

mod model;
mod presets;

/// The recipe.
pub struct Vqa;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VqaConfig {
    /// Dataset: a name of the catalogue (`crucible data`) or a folder.
    pub data: String,
    /// Leave a modality out, to see what the other can do alone: none, image, question or both.
    pub blank: Blank,
    /// Spoil the samples of every split, to see what a model stands.
    pub corrupt: CorruptConfig,
    /// How images are prepared.
    pub image: ImageConfig,
    /// Random changes to the training images.
    pub augment: AugmentConfig,
    /// How questions become token ids.
    pub tokenizer: TokenizerConfig,
    /// Batches; a sample is an image with all its questions.
    pub loader: LoaderConfig,
    /// The two towers.
    pub model: TowersConfig,
    /// How the two are fused; `crucible strategies` lists the ways.
    pub fusion: FusionConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

/// What the run needs to turn samples into batches and back: saved with the run.
struct Task {
    tokenizer: Arc<Tokenizer>,
    answers: Vec<String>,
    collate: Arc<VqaCollate>,
}

impl Task {
    /// Trains the tokenizer, or loads the user's, and saves it with the answers.
    fn prepare(config: &VqaConfig, run: &Run, data: &VqaData) -> Result<Self, Error> {
        let texts = data.training_texts().map_err(Error::data)?;
        let tokenizer = tokenizer(&config.tokenizer, run, texts)?;
        run.dir.write_json(ANSWERS, &data.labels)?;
        Self::new(config, tokenizer, data.labels.clone())
    }

    /// The task of a finished run.
    fn reopen(config: &VqaConfig, run: &Run) -> Result<Self, Error> {
        let tokenizer = reopen_tokenizer(&config.tokenizer, run)?;
        Self::new(config, tokenizer, run.dir.read_json(ANSWERS)?)
    }

    fn new(config: &VqaConfig, tokenizer: Tokenizer, answers: Vec<String>) -> Result<Self, Error> {
        let images = Arc::new(ImageProcessor::new(&config.image).map_err(Error::data)?);
        let tokenizer = Arc::new(tokenizer);
        let augment = config.augment.clone();
        let collate = VqaCollate::new(images, augment, tokenizer.clone(), &answers, config.blank);
        let collate = collate.and_then(|collate| collate.corrupted(&config.corrupt));
        let collate = Arc::new(collate.map_err(Error::data)?);
        Ok(Self {
            tokenizer,
            answers,
            collate,
        })
    }

    fn init(&self, config: &VqaConfig, device: &Device) -> VqaModel {
        config.init(self.tokenizer.vocabulary_size(), self.answers.len(), device)
    }
}

impl Recipe for Vqa {
    const NAME: &'static str = "vqa";
    const ABOUT: &'static str = "answers questions about images; early, mid or late fusion";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    const PROBES: &'static [Probe] = &presets::PROBES;
    type Config = VqaConfig;

    fn preset(preset: &str, choices: &toml::Table) -> VqaConfig {
        presets::config(
            preset,
            config::choice(choices, "fusion", "strategy").unwrap_or("late"),
        )
    }

    fn train(config: &VqaConfig, run: &Run) -> Result<Outcome, Error> {
        let sizes = config.encoder(1).check();
        sizes.map_err(|error| Error::Usage(error.to_string()))?;
        let data = open_vqa(data_name("", run, &config.data)).map_err(Error::data)?;
        run.record_data(&data.digest)?;
        let task = Task::prepare(config, run, &data)?;
        let model = task.init(config, &run.training_device(&config.training));
        let (training, loader) = (&config.training, &config.loader);
        let tell = VqaModel::beside;
        classifier::train(run, training, loader, task.collate, &data, model, tell)
    }

    fn evaluate(config: &VqaConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let data = open_vqa(data_name(data, run, &config.data)).map_err(Error::data)?;
        let task = Task::reopen(config, run)?;
        let model = checkpoint::load_newest(&run.dir, task.init(config, &run.device))?;
        // The model answers with its own answers, whatever others the data has.
        let data = Data {
            labels: task.answers,
            ..data
        };
        let (loader, tell) = (&config.loader, VqaModel::beside);
        classifier::score(run, loader, task.collate, &data, split, &model, tell)
    }

    fn size(config: &VqaConfig, run: &Run) -> Result<Size, Error> {
        let data = open_vqa(data_name("", run, &config.data)).map_err(Error::data)?;
        let texts = data.training_texts().map_err(Error::data)?;
        let tokenizer = match config.tokenizer.file.is_empty() {
            true => Tokenizer::new(&config.tokenizer, &texts),
            false => {
                Tokenizer::from_file(config.tokenizer.file.as_ref(), config.tokenizer.max_length)
            }
        };
        let task = Task::new(config, tokenizer.map_err(Error::data)?, data.labels.clone())?;
        let model = task.init(config, &run.device);
        let samples = data.samples(Split::Valid).map_err(Error::data)?;
        size(run, &config.loader, task.collate, samples, &model)
    }

    fn ask(
        config: &VqaConfig,
        run: &Run,
        image: &Path,
        question: &str,
    ) -> Result<Vec<(String, f64)>, Error> {
        let task = Task::reopen(config, run)?;
        let image = ImageSource::File(image.to_owned());
        let batch = task
            .collate
            .ask(image, question, &run.device)
            .map_err(Error::data)?;
        let model = checkpoint::load_newest(&run.dir, task.init(config, &run.device))?;
        let row = probabilities(model.logits(batch)).remove(0);
        let mut answers: Vec<(String, f64)> = task.answers.into_iter().zip(row).collect();
        answers.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(answers)
    }
}
