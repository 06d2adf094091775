//! Presets of the `contrastive` recipe.

use crucible_datasets::{AugmentConfig, ImageConfig, LoaderConfig, TokenizerConfig, Vocabulary};
use crucible_shared::TowersConfig;
use crucible_training::{Preset, TrainingConfig};
use crucible_transformer::{Activation, Pooling};

use super::{ContrastiveConfig, Loss, ZeroShotConfig};

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model, to see that all works",
        time: "seconds",
        score: "above chance",
    },
    Preset {
        name: "quick",
        about: "1,332 emoji and their names, 28 epochs",
        time: "4 minutes on 2 CPU cores",
        score: "R@5 of 21% among 386 emoji it has not seen (chance: 1.3%)",
    },
    Preset::new(
        "full",
        "ViT-S and a text tower of its width at 224 pixels, for data of your own",
    ),
];

pub fn config(preset: &str) -> ContrastiveConfig {
    match preset {
        "smoke" => ContrastiveConfig {
            loader: LoaderConfig::new(16),
            training: TrainingConfig {
                evaluate_every: 20,
                checkpoint_every: 20,
                log_every: 1,
                ..TrainingConfig::new(60, 3e-3)
            },
            ..small(32, 1)
        },
        "full" => full(),
        _ => small(128, 4),
    }
}

fn small(d_model: usize, layers: usize) -> ContrastiveConfig {
    ContrastiveConfig {
        data: "emoji".into(),
        image: ImageConfig::symmetric(64),
        augment: AugmentConfig {
            crop_padding: 6,
            flip: true,
            colour: 0.2,
        },
        tokenizer: TokenizerConfig {
            vocabulary: Vocabulary::WordPiece,
            vocabulary_size: 1000,
            max_length: 32,
            ..TokenizerConfig::default()
        },
        loader: LoaderConfig::new(128),
        model: TowersConfig {
            d_model,
            heads: 4,
            d_ff: 2 * d_model,
            image_layers: layers,
            text_layers: layers / 2,
            patch_size: 8,
            stem_cell: 4,
            stem: vec![d_model],
            pooling: Pooling::Mean,
            dropout: 0.0,
            activation: Activation::Relu,
        },
        d_embedding: d_model,
        loss: Loss::InfoNce,
        chunk: 0,
        zero_shot: ZeroShotConfig {
            data: "emoji-groups".into(),
            // Chosen among a few on the validation split.
            templates: ["{}", "a {}", "the {}", "{} sign", "{} picture", "{} emoji"]
                .map(String::from)
                .to_vec(),
        },
        training: TrainingConfig {
            weight_decay: 0.1,
            ..TrainingConfig::new(300, 1e-3)
        },
    }
}

fn full() -> ContrastiveConfig {
    ContrastiveConfig {
        image: ImageConfig::imagenet(224),
        loader: LoaderConfig {
            workers: 8,
            ..LoaderConfig::new(1024)
        },
        model: TowersConfig {
            d_model: 384,
            heads: 6,
            d_ff: 1536,
            image_layers: 12,
            text_layers: 12,
            patch_size: 16,
            stem_cell: 1,
            stem: Vec::new(),
            pooling: Pooling::Cls,
            dropout: 0.0,
            activation: Activation::Gelu,
        },
        tokenizer: TokenizerConfig {
            vocabulary: Vocabulary::WordPiece,
            ..TokenizerConfig::default()
        },
        d_embedding: 384,
        chunk: 128,
        training: TrainingConfig {
            weight_decay: 0.2,
            beta_2: 0.98,
            ..TrainingConfig::new(100_000, 5e-4)
        },
        ..small(128, 4)
    }
}
