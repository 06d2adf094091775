//! Rotation: an encoder says which way up an image is.

use burn::{module::Module, nn::Linear, tensor::Device};
use crucible_datasets::{AugmentConfig, ImageBatch, ImageConfig, LoaderConfig, open_images};
use crucible_objectives::rotation::rotations;
use crucible_shared::{ImageTower, data_name, image_collate, learn_and_measure, measure};
use crucible_training::{ClassificationOutput, Error, Outcome, Preset, Recipe, Run};
use crucible_training::{TrainingConfig, checkpoint, steps};
use crucible_transformer::{EncoderConfig, linear, project};
use crucible_vision::VitConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct Rotation;

/// Everything that can be set.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// Images: a name of the catalogue (`crucible data`) or a folder.
    data: String,
    /// How images are prepared.
    image: ImageConfig,
    /// Batches of images.
    loader: LoaderConfig,
    /// The encoder.
    vision: VitConfig,
    /// Optimizer, schedule, how often to look and save.
    training: TrainingConfig,
}

#[derive(Module, Debug)]
struct Model {
    encoder: ImageTower,
    head: Linear,
}

impl Model {
    fn new(config: &Config, device: &Device) -> Result<Self, Error> {
        let head = linear(config.vision.encoder.d_model, 4, device);
        let encoder = ImageTower::new(&config.vision, &config.image, device)?;
        Ok(Self { encoder, head })
    }

    fn guess(&self, batch: ImageBatch) -> ClassificationOutput {
        let (images, targets) = rotations(batch.images);
        let logits = project(&self.head, self.encoder.vision.forward(images).pooled);
        ClassificationOutput::new(logits, targets, batch.ids)
    }
}

steps!(Model, ImageBatch, ClassificationOutput, guess);

impl Recipe for Rotation {
    const NAME: &'static str = "rotation";
    const ABOUT: &'static str = "says which way up an image is (RotNet)";
    const PRESETS: &'static [Preset] = &[
        Preset::new("smoke", "a tiny model, to see that all works"),
        Preset::new("quick", "4 layers of width 128, on emoji"),
        Preset::new("full", "12 layers of width 384, for data of your own"),
    ];
    type Config = Config;

    fn preset(preset: &str, _: &toml::Table) -> Config {
        let (d_model, layers, steps) = match preset {
            "smoke" => (32, 1, 60),
            "full" => (384, 12, 100_000),
            _ => (128, 4, 600),
        };
        Config {
            data: "emoji-groups".into(),
            image: ImageConfig::symmetric(64),
            loader: LoaderConfig::new(32),
            vision: VitConfig::new(64, 8, EncoderConfig::new(d_model, 4, 2 * d_model, layers)),
            training: TrainingConfig::new(steps, 1e-3),
        }
    }

    fn train(config: &Config, run: &Run) -> Result<Outcome, Error> {
        let data = open_images(data_name("", run, &config.data)).map_err(Error::data)?;
        run.record_data(&data.digest)?;
        let model = Model::new(config, &run.training_device(&config.training))?;
        let collate = image_collate(&config.image, &AugmentConfig::default())?;
        learn_and_measure(run, &config.training, &config.loader, collate, &data, model)
    }

    fn evaluate(config: &Config, run: &Run, name: &str, split: &str) -> Result<Outcome, Error> {
        let data = open_images(data_name(name, run, &config.data)).map_err(Error::data)?;
        let model = checkpoint::load_newest(&run.dir, Model::new(config, &run.device)?)?;
        let collate = image_collate(&config.image, &AugmentConfig::default())?;
        let split = split.parse().map_err(Error::data)?;
        measure(run, &config.loader, collate, &data, split, &model)
    }
}
