//! Presets of the `mvm` recipe.

use crucible_datasets::{AugmentConfig, ImageConfig, LoaderConfig};
use crucible_objectives::masking::{Blocks, PatchMasking};
use crucible_training::{Preset, TrainingConfig};
use crucible_transformer::{Activation, Pooling};

use super::{AutoencoderConfig, MvmConfig};

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model, to see that all works",
        time: "seconds",
        score: "loss falls",
    },
    Preset {
        name: "quick",
        about: "4 layers of width 128 on 1,332 emoji, 48 epochs",
        time: "3 minutes on 2 CPU cores",
        score: "a linear probe names the group of 53% of the emoji it has not seen (random encoder: 49%)",
    },
    Preset::new("full", "MAE with ViT-B at 224 pixels, for data of your own"),
];

pub fn config(preset: &str) -> MvmConfig {
    let quick = quick();
    match preset {
        "smoke" => MvmConfig {
            loader: LoaderConfig::new(16),
            model: AutoencoderConfig {
                d_model: 32,
                heads: 2,
                d_ff: 64,
                layers: 1,
                d_decoder: 32,
                decoder_layers: 1,
                ..quick.model
            },
            probe: String::new(),
            training: TrainingConfig {
                evaluate_every: 20,
                checkpoint_every: 20,
                log_every: 1,
                ..TrainingConfig::new(60, 3e-3)
            },
            ..quick
        },
        "full" => MvmConfig {
            image: ImageConfig::imagenet(224),
            augment: AugmentConfig {
                crop_padding: 16,
                flip: true,
                colour: 0.0,
            },
            loader: LoaderConfig {
                workers: 8,
                ..LoaderConfig::new(256)
            },
            model: AutoencoderConfig {
                d_model: 768,
                heads: 12,
                d_ff: 3072,
                layers: 12,
                patch_size: 16,
                d_decoder: 384,
                decoder_layers: 8,
                pooling: Pooling::Mean,
                activation: Activation::Gelu,
            },
            probe: String::new(),
            training: TrainingConfig {
                beta_2: 0.95,
                ..TrainingConfig::new(100_000, 1.5e-4)
            },
            ..quick
        },
        _ => quick,
    }
}

fn quick() -> MvmConfig {
    MvmConfig {
        data: "emoji".into(),
        image: ImageConfig::symmetric(64),
        augment: AugmentConfig {
            flip: true,
            ..AugmentConfig::default()
        },
        loader: LoaderConfig::new(64),
        masking: PatchMasking {
            ratio: 0.75,
            blocks: Blocks::Random,
        },
        normalise: false,
        model: AutoencoderConfig {
            d_model: 128,
            heads: 4,
            d_ff: 256,
            layers: 4,
            patch_size: 8,
            d_decoder: 64,
            decoder_layers: 2,
            pooling: Pooling::Mean,
            activation: Activation::Gelu,
        },
        probe: "emoji-groups".into(),
        training: TrainingConfig {
            beta_2: 0.95,
            ..TrainingConfig::new(1000, 1e-3)
        },
    }
}
