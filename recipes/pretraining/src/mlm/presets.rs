//! Presets of the `mlm` recipe.

use crucible_datasets::{LoaderConfig, TokenizerConfig, Vocabulary};
use crucible_objectives::masking::TokenMasking;
use crucible_training::{Preset, TrainingConfig};
use crucible_transformer::{Activation, NormPlacement};

use super::{MlmConfig, TextTowerConfig};

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model on the names of emoji, to see that all works",
        time: "seconds",
        score: "above chance",
    },
    Preset::new("quick", "4 layers of width 128, sequences of 128 tokens"),
    Preset::new(
        "full",
        "BERT-base, sequences of 512 tokens, for text of your own",
    ),
];

pub fn config(preset: &str) -> MlmConfig {
    let quick = quick();
    match preset {
        "smoke" => MlmConfig {
            tokenizer: TokenizerConfig {
                vocabulary_size: 500,
                max_length: 32,
                ..quick.tokenizer
            },
            loader: LoaderConfig::new(16),
            model: TextTowerConfig {
                d_model: 32,
                heads: 2,
                d_ff: 64,
                layers: 1,
                ..quick.model
            },
            training: TrainingConfig {
                evaluate_every: 50,
                checkpoint_every: 50,
                log_every: 1,
                ..TrainingConfig::new(150, 1e-2)
            },
            ..quick
        },
        "full" => MlmConfig {
            passage: 2300,
            tokenizer: TokenizerConfig {
                vocabulary_size: 30_522,
                max_length: 512,
                ..quick.tokenizer
            },
            loader: LoaderConfig {
                workers: 8,
                ..LoaderConfig::new(256)
            },
            model: TextTowerConfig {
                d_model: 768,
                heads: 12,
                d_ff: 3072,
                layers: 12,
                dropout: 0.1,
                norm: NormPlacement::Post,
                ..quick.model
            },
            training: TrainingConfig {
                warmup_steps: 10_000,
                ..TrainingConfig::new(1_000_000, 1e-4)
            },
            ..quick
        },
        _ => quick,
    }
}

fn quick() -> MlmConfig {
    MlmConfig {
        data: "emoji".into(),
        passage: 600,
        tokenizer: TokenizerConfig {
            vocabulary: Vocabulary::WordPiece,
            vocabulary_size: 8000,
            max_length: 128,
            ..TokenizerConfig::default()
        },
        loader: LoaderConfig::new(32),
        masking: TokenMasking::default(),
        model: TextTowerConfig {
            d_model: 128,
            heads: 4,
            d_ff: 512,
            layers: 4,
            dropout: 0.0,
            activation: Activation::Gelu,
            norm: NormPlacement::Pre,
        },
        training: TrainingConfig {
            beta_2: 0.98,
            ..TrainingConfig::new(3000, 1e-3)
        },
    }
}
