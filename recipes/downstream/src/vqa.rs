//! Visual question answering: a question about an image, one of a fixed set of answers.
//!
//! ```text
//! crucible train vqa                          # quick preset, late fusion, embedded easy-VQA
//! crucible train vqa --set fusion=mid
//! crucible train vqa --data my/folder         # train.jsonl: {"image": …, "question": …, "answer": …}
//! ```

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use crucible_datasets::{
    AugmentConfig, Blank, EvalLoader, ImageConfig, ImageProcessor, ImageSource, LoaderConfig, Tokenizer,
    TokenizerConfig, TrainLoader, VqaBatch, VqaCollate, VqaData, open_vqa,
};
use crucible_fusion::{FusionConfig, FusionEncoder, FusionEncoderConfig, FusionInput};
use crucible_training::{
    ClassificationOutput, Error, Outcome, Preset, Recipe, Run, TrainingConfig, checkpoint, config, fit,
};
use crucible_transformer::{Activation, EncoderConfig, Pooling, TextEncoderConfig, linear};
use crucible_vision::VitConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scoring::{probabilities, score};

/// The recipe.
pub struct Vqa;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VqaConfig {
    /// Dataset: a name of the catalogue (`crucible data`) or a folder.
    pub data: String,
    /// Leave a modality out, to see what the other can do alone: none, image or question.
    pub blank: Blank,
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
    /// How the two are fused: early, mid, late, late-weighted or late-gated.
    pub fusion: FusionConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

/// Image and text towers of one width. The presets share the layers out so that all strategies have
/// about equally many parameters.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TowersConfig {
    /// Width of the tokens.
    pub d_model: usize,
    /// Attention heads; must divide `d_model`.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Layers of the image tower before fusion.
    pub image_layers: usize,
    /// Layers of the text tower before fusion.
    pub text_layers: usize,
    /// Height and width of a patch, in pixels; must divide the image's.
    pub patch_size: usize,
    /// The stem starts from cells of so many pixels; 1 for single pixels.
    pub stem_cell: usize,
    /// Widths of the stem's 3x3 convolutions, each of which halves the image; empty for plain patches.
    pub stem: Vec<usize>,
    /// How each tower's tokens become one vector: cls, mean or max.
    pub pooling: Pooling,
    /// Chance that a unit is dropped in training.
    pub dropout: f64,
    /// Non-linearity: gelu, gelu-tanh or relu (much the fastest on a CPU).
    pub activation: Activation,
}

impl VqaConfig {
    fn towers(&self, vocabulary: usize) -> FusionEncoderConfig {
        let model = &self.model;
        let stack = |layers| {
            EncoderConfig::new(model.d_model, model.heads, model.d_ff, layers)
                .with_dropout(model.dropout)
                .with_activation(model.activation)
        };
        let vision = VitConfig::new(self.image.size, model.patch_size, stack(model.image_layers))
            .with_stem_cell(model.stem_cell)
            .with_stem(model.stem.clone())
            .with_pooling(model.pooling);
        let text = TextEncoderConfig::new(vocabulary, self.tokenizer.max_length, stack(model.text_layers))
            .with_pooling(model.pooling);
        FusionEncoderConfig::new(vision, text, self.fusion.clone())
    }

    fn init(&self, task: &Task, device: &Device) -> VqaModel {
        let d_model = self.model.d_model;
        VqaModel {
            encoder: self.towers(task.tokenizer.vocabulary_size()).init(device),
            hidden: linear(d_model, 2 * d_model, device),
            output: linear(2 * d_model, task.answers.len(), device),
            activation: self.model.activation,
        }
    }
}

/// The fused vector of image and question through a small classifier over the answers.
#[derive(Module, Debug)]
pub struct VqaModel {
    encoder: FusionEncoder,
    hidden: Linear,
    output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl VqaModel {
    /// # Shapes
    /// - output: logits `[questions, answers]`
    fn logits(&self, batch: VqaBatch) -> Tensor<2> {
        let fused = self.encoder.forward(FusionInput {
            images: batch.images,
            image_of: batch.image_of,
            tokens: batch.tokens,
            padding: batch.padding,
            text_of: batch.text_of,
        });
        self.output
            .forward(self.activation.forward(self.hidden.forward(fused)))
    }

    fn answer(&self, batch: VqaBatch) -> ClassificationOutput {
        let targets = batch.answers.clone();
        let logits = self.logits(batch);
        let loss = CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits.clone(), targets.clone());
        ClassificationOutput { loss, logits, targets }
    }
}

impl TrainStep for VqaModel {
    type Input = VqaBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: VqaBatch) -> TrainOutput<ClassificationOutput> {
        let output = self.answer(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for VqaModel {
    type Input = VqaBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: VqaBatch) -> ClassificationOutput {
        self.answer(batch)
    }
}

/// What the run needs to turn samples into batches and back: saved with the run.
struct Task {
    tokenizer: Arc<Tokenizer>,
    answers: Vec<String>,
    collate: Arc<VqaCollate>,
}

const TOKENIZER: &str = "tokenizer.json";
const ANSWERS: &str = "answers.json";

impl Task {
    /// Trains the tokenizer, or loads the user's, and saves it with the answers.
    fn prepare(config: &VqaConfig, run: &Run, data: &VqaData) -> Result<Self, Error> {
        let texts = data.training_texts().map_err(Error::data)?;
        let tokenizer = Tokenizer::new(&config.tokenizer, &texts).map_err(Error::data)?;
        let json = tokenizer.to_json().map_err(Error::data)?;
        run.dir.write(TOKENIZER, json.as_bytes())?;
        run.dir.write_json(ANSWERS, &data.answers)?;
        Self::new(config, tokenizer, data.answers.clone())
    }

    /// The task of a finished run.
    fn reopen(config: &VqaConfig, run: &Run) -> Result<Self, Error> {
        let file = run.dir.file(TOKENIZER);
        let tokenizer = Tokenizer::from_file(&file, config.tokenizer.max_length).map_err(Error::data)?;
        Self::new(config, tokenizer, run.dir.read_json(ANSWERS)?)
    }

    fn new(config: &VqaConfig, tokenizer: Tokenizer, answers: Vec<String>) -> Result<Self, Error> {
        let images = Arc::new(ImageProcessor::new(&config.image).map_err(Error::data)?);
        let tokenizer = Arc::new(tokenizer);
        let augment = config.augment.clone();
        let collate = VqaCollate::new(images, augment, tokenizer.clone(), &answers, config.blank);
        let collate = Arc::new(collate.map_err(Error::data)?);
        Ok(Self { tokenizer, answers, collate })
    }
}

/// The first that is named: by the command, by the run, by the configuration.
fn open(config: &VqaConfig, run: &Run, data: &str) -> Result<VqaData, Error> {
    let names = [data, &run.data, &config.data];
    let name = names.into_iter().find(|name| !name.is_empty());
    open_vqa(name.unwrap_or_default()).map_err(Error::data)
}

impl Recipe for Vqa {
    const NAME: &'static str = "vqa";
    const ABOUT: &'static str = "answers questions about images; early, mid or late fusion";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    type Config = VqaConfig;

    fn preset(preset: &str, choices: &toml::Table) -> VqaConfig {
        presets::config(preset, config::choice(choices, "fusion").unwrap_or("late"))
    }

    fn train(config: &VqaConfig, run: &Run) -> Result<Outcome, Error> {
        let sizes = config.towers(1).check();
        sizes.map_err(|error| Error::Usage(error.to_string()))?;
        let data = open(config, run, "")?;
        run.record_data(&data.digest)?;
        let task = Task::prepare(config, run, &data)?;
        let model = config.init(&task, &run.training_device());

        let (loader, steps) = (&config.loader, config.training.steps);
        let train = TrainLoader::new(data.train, task.collate.clone(), loader, run.seed, steps, &run.device);
        let train = train.map_err(Error::data)?;
        let epoch = train.steps_per_epoch();
        let evaluation = |samples| {
            EvalLoader::new(samples, task.collate.clone(), loader, &run.device).map_err(Error::data)
        };
        let valid = evaluation(data.valid)?;
        let fitted = fit(run, &config.training, model, Arc::new(train), Arc::new(valid), epoch)?;

        let test = evaluation(data.test)?;
        let (metrics, predictions) = score(&fitted.model, &test, &task.answers, |b| b.ids.clone())?;
        Ok(Outcome {
            metrics,
            predictions,
            parameters: fitted.parameters,
            steps: fitted.steps,
            seconds: fitted.seconds,
            data_digest: data.digest,
        })
    }

    fn evaluate(config: &VqaConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let data = open(config, run, data)?;
        let task = Task::reopen(config, run)?;
        let samples = data.split(split.parse().map_err(Error::data)?).clone();
        let loader = EvalLoader::new(samples, task.collate.clone(), &config.loader, &run.device);
        let model = checkpoint::load_newest(&run.dir, config.init(&task, &run.device))?;
        let loader = loader.map_err(Error::data)?;
        let (metrics, predictions) = score(&model, &loader, &task.answers, |b| b.ids.clone())?;
        Ok(Outcome {
            metrics,
            predictions,
            parameters: model.num_params(),
            data_digest: data.digest,
            ..Outcome::default()
        })
    }

    fn ask(config: &VqaConfig, run: &Run, image: &Path, question: &str) -> Result<Vec<(String, f64)>, Error> {
        let task = Task::reopen(config, run)?;
        let image = ImageSource::File(image.to_owned());
        let batch = task.collate.ask(image, question, &run.device).map_err(Error::data)?;
        let model = checkpoint::load_newest(&run.dir, config.init(&task, &run.device))?;
        let row = probabilities(model.logits(batch)).remove(0);
        let mut answers: Vec<(String, f64)> = task.answers.into_iter().zip(row).collect();
        answers.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(answers)
    }
}

mod presets;
