//! Presets of the `captioning` recipe.

use crucible_datasets::instruction::{AuditConfig, BuiltIn};
use crucible_datasets::{AugmentConfig, ImageConfig, LoaderConfig, TokenizerConfig};
use crucible_fusion::{ConnectorConfig, PerceiverResamplerConfig};
use crucible_shared::LanguageConfig;
use crucible_shared::instruction::{ChatConfig, ScoreConfig, SightConfig};
use crucible_training::{Preset, TrainingConfig};

use super::CaptioningConfig;

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model, to see that all works",
        time: "seconds",
        score: "none",
    },
    Preset::new("quick", "a small model from scratch on easy-VQA's captions"),
    Preset::new(
        "full",
        "a tower of ViT-S size and 30 M parameters of language, for data of your own",
    ),
];

pub fn config(preset: &str) -> CaptioningConfig {
    match preset {
        "smoke" => CaptioningConfig {
            loader: LoaderConfig::new(8),
            score: ScoreConfig {
                most: 40,
                ..ScoreConfig::short(8)
            },
            training: TrainingConfig {
                evaluate_every: 20,
                checkpoint_every: 20,
                log_every: 1,
                ..TrainingConfig::new(40, 3e-3)
            },
            ..small(32)
        },
        "full" => CaptioningConfig {
            image: ImageConfig::imagenet(224),
            augment: AugmentConfig {
                crop_padding: 16,
                flip: false,
                colour: 0.2,
            },
            loader: LoaderConfig {
                workers: 8,
                ..LoaderConfig::new(32)
            },
            vision: SightConfig::vit_small(),
            connector: ConnectorConfig::PerceiverResampler(PerceiverResamplerConfig::new(2, 64)),
            language: LanguageConfig {
                d_ff: 2048,
                dropout: 0.1,
                ..LanguageConfig::fresh(512, 8, 8)
            },
            score: ScoreConfig::short(32),
            training: TrainingConfig::new(20_000, 5e-4),
            ..small(128)
        },
        _ => small(128),
    }
}

/// A model for the 64-pixel images of easy-VQA.
fn small(d_model: usize) -> CaptioningConfig {
    CaptioningConfig {
        data: "easy-vqa-captions".into(),
        audit: AuditConfig::default(),
        image: ImageConfig::symmetric(64),
        augment: AugmentConfig {
            flip: true,
            ..AugmentConfig::default()
        },
        tokenizer: TokenizerConfig::default(),
        chat: ChatConfig {
            template: BuiltIn::Plain,
            own_template: false,
            ..ChatConfig::published(128)
        },
        loader: LoaderConfig::new(32),
        vision: SightConfig::small(d_model),
        connector: ConnectorConfig::Mlp,
        language: LanguageConfig::fresh(d_model, 4, 2),
        score: ScoreConfig::short(24),
        training: TrainingConfig {
            beta_2: 0.98,
            evaluate_every: 100,
            checkpoint_every: 100,
            ..TrainingConfig::new(600, 1e-3)
        },
    }
}
