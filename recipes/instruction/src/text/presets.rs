//! Presets of the `instruction-text` recipe.

use crucible_datasets::instruction::AuditConfig;
use crucible_datasets::instruction::clean::CleanConfig;
use crucible_datasets::{LoaderConfig, TokenizerConfig, Vocabulary};
use crucible_shared::LanguageConfig;
use crucible_shared::instruction::{ChatConfig, ScoreConfig};
use crucible_training::{Preset, TrainingConfig};

use super::TextConfig;
use crate::published::for_language;

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model, to see that all works",
        time: "seconds",
        score: "none",
    },
    Preset::new(
        "quick",
        "a small model from scratch on instructions about words",
    ),
    Preset::new("full", "30 M parameters, for data of your own"),
];

pub fn config(preset: &str, choices: &toml::Table) -> TextConfig {
    let config = sized(preset);
    TextConfig {
        training: for_language(choices, config.training),
        ..config
    }
}

fn sized(preset: &str) -> TextConfig {
    match preset {
        "smoke" => TextConfig {
            loader: LoaderConfig::new(8),
            score: ScoreConfig {
                most: 40,
                ..ScoreConfig::short(8)
            },
            training: TrainingConfig {
                evaluate_every: 50,
                checkpoint_every: 50,
                log_every: 1,
                ..TrainingConfig::new(150, 3e-3)
            },
            ..small(32, 2)
        },
        "full" => TextConfig {
            chat: ChatConfig {
                max_length: 1024,
                packing: true,
                ..small(128, 4).chat
            },
            loader: LoaderConfig {
                workers: 8,
                ..LoaderConfig::new(32)
            },
            tokenizer: TokenizerConfig {
                vocabulary_size: 16_000,
                ..small(128, 4).tokenizer
            },
            language: LanguageConfig {
                d_ff: 2048,
                dropout: 0.1,
                ..LanguageConfig::fresh(512, 8, 8)
            },
            score: ScoreConfig::short(128),
            training: TrainingConfig::new(20_000, 5e-4),
            ..small(128, 4)
        },
        _ => small(128, 4),
    }
}

fn small(d_model: usize, layers: usize) -> TextConfig {
    TextConfig {
        data: "word-instructions".into(),
        clean: CleanConfig::copies(),
        audit: AuditConfig::default(),
        tokenizer: TokenizerConfig {
            vocabulary: Vocabulary::WordPiece,
            vocabulary_size: 2_000,
            ..TokenizerConfig::default()
        },
        chat: ChatConfig::published(256),
        loader: LoaderConfig::new(32),
        language: LanguageConfig::fresh(d_model, 4, layers),
        score: ScoreConfig::short(16),
        training: TrainingConfig {
            beta_2: 0.98,
            evaluate_every: 250,
            checkpoint_every: 250,
            ..TrainingConfig::new(1500, 1e-3)
        },
    }
}
