//! Masked vision modelling: a masked autoencoder guesses the pixels of patches that are hidden from it.
//!
//! ```text
//! crucible train mvm                                    # emoji, in 3 minutes on 2 cores
//! crucible train mvm --set masking.blocks=block --set masking.ratio=0.5
//! crucible train mvm --data my/folder                   # the images of any dataset
//! ```

use std::sync::Arc;

use burn::tensor::Device;
use crucible_datasets::{
    AugmentConfig, Data, ImageConfig, ImageProcessor, LoaderConfig, Picture, Split, open_images,
    open_pictures,
};
use crucible_objectives::masking::PatchMasking;
use crucible_shared::{data_name, final_split, learn, measure};
use crucible_training::{
    Error, Outcome, Preset, Recipe, Run, TrainingConfig, checkpoint, fit::draw, tell,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use collate::PatchCollate;
use model::{AutoencoderConfig, PixelModel};

mod collate;
mod model;
mod presets;
mod probe;
mod reconstruction;

/// The recipe.
pub struct Mvm;

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MvmConfig {
    /// Images: a name of the catalogue (`crucible data`) or a folder; what else it holds is left alone.
    pub data: String,
    /// How images are prepared.
    pub image: ImageConfig,
    /// Random changes to the training images.
    pub augment: AugmentConfig,
    /// Batches of images.
    pub loader: LoaderConfig,
    /// Which patches are hidden.
    pub masking: PatchMasking,
    /// Whether each patch is guessed less its mean and over its deviation.
    pub normalise: bool,
    /// Encoder and decoder.
    pub model: AutoencoderConfig,
    /// Images with classes that a linear probe of the encoder tells apart after training; "" for none.
    pub probe: String,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

impl MvmConfig {
    fn open(&self, command: &str, run: &Run) -> Result<Data<Picture>, Error> {
        open_pictures(data_name(command, run, &self.data)).map_err(Error::data)
    }

    fn images(&self) -> Result<Arc<ImageProcessor>, Error> {
        let images = ImageProcessor::new(&self.image).map_err(Error::data)?;
        Ok(Arc::new(images))
    }

    fn collate(&self) -> Result<Arc<PatchCollate>, Error> {
        let side = self.image.size / self.model.patch_size;
        let collate = PatchCollate::new(self.images()?, self.augment.clone(), &self.masking, side);
        Ok(Arc::new(collate.map_err(Error::data)?))
    }

    fn init(&self, device: &Device) -> PixelModel {
        PixelModel {
            encoder: self.model.autoencoder(self.image.size).init(device),
            patch: self.model.patch_size,
            normalise: self.normalise,
        }
    }
}

impl Recipe for Mvm {
    const NAME: &'static str = "mvm";
    const ABOUT: &'static str = "guesses the patches of an image that are hidden from it (MAE)";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    const METRIC: &'static str = "probe_accuracy";
    type Config = MvmConfig;

    fn preset(preset: &str, _: &toml::Table) -> MvmConfig {
        presets::config(preset)
    }

    fn train(config: &MvmConfig, run: &Run) -> Result<Outcome, Error> {
        let sizes = config.model.autoencoder(config.image.size).check();
        sizes.map_err(|error| Error::Usage(error.to_string()))?;
        let side = config.image.size / config.model.patch_size;
        let patches = config.masking.check(side * side);
        patches.map_err(|reason| Error::Usage(format!("masking.{reason}")))?;
        let data = config.open("", run)?;
        let split = final_split(run);
        data.samples(split).map_err(Error::data)?;
        if !config.probe.is_empty() {
            let probed = open_images(&config.probe).map_err(Error::data)?;
            if probed.labels.len() < 2 {
                let reason = "has one class, which nothing has to be told apart from";
                return Err(Error::Usage(format!("probe: {} {reason}", config.probe)));
            }
            for split in Split::ALL {
                probed.samples(split).map_err(Error::data)?;
            }
        }
        run.record_data(&data.digest)?;
        let model = config.init(&run.training_device(&config.training));
        let collate = config.collate()?;
        let (training, loader) = (&config.training, &config.loader);
        let fitted = learn(run, training, loader, &collate, &data, model)?;
        let outcome = score(config, run, collate, &data, split, &fitted.model)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(config: &MvmConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let model = checkpoint::load_newest(&run.dir, config.init(&run.device))?;
        score(config, run, config.collate()?, &data, split, &model)
    }
}

/// The loss over hidden patches, the same ones each time, and what a linear probe reads off the encoder and off one that
/// has learnt nothing.
fn score(
    config: &MvmConfig,
    run: &Run,
    collate: Arc<PatchCollate>,
    data: &Data<Picture>,
    split: Split,
    model: &PixelModel,
) -> Result<Outcome, Error> {
    let mut outcome = measure(run, &config.loader, collate.clone(), data, split, model)?;
    let figure = reconstruction::figure(&collate, data, split, model, &run.device)?;
    outcome.figures.push(figure);
    if !config.probe.is_empty() {
        let images = config.images()?;
        let mut probe = |encoder: &str, prefix: &str, vision| -> Result<(), Error> {
            if !run.quiet {
                tell!("probe  {encoder} encoder, images of {}", config.probe);
            }
            let found = probe::probe(
                &config.probe,
                &images,
                vision,
                &run.device,
                final_split(run),
            )?;
            for (name, accuracy) in [("probe", found.linear), ("knn", found.neighbours)] {
                let name = format!("{name}{prefix}_accuracy");
                outcome.metrics.insert(name, accuracy);
            }
            Ok(())
        };
        probe("trained", "", &model.encoder.vision)?;
        let untrained = config.init(&run.device);
        draw(&untrained, &run.device, run.seed);
        probe("random", "_random", &untrained.encoder.vision)?;
    }
    Ok(outcome)
}
