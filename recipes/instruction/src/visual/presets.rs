//! Presets of the `instruction-visual` recipe.

use crucible_datasets::instruction::clean::CleanConfig;
use crucible_datasets::instruction::{AuditConfig, BuiltIn};
use crucible_datasets::{AugmentConfig, ImageConfig, LoaderConfig, TokenizerConfig, Vocabulary};
use crucible_fusion::{ConnectorConfig, Features, PerceiverResamplerConfig};
use crucible_shared::LanguageConfig;
use crucible_shared::instruction::{ChatConfig, ScoreConfig, SightConfig};
use crucible_training::{Preset, TrainingConfig, config};

use super::{Stage, VisualConfig};
use crate::published::{for_language, is_published};

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model, to see that all works",
        time: "seconds",
        score: "none",
    },
    Preset {
        name: "quick",
        about: "a small model from scratch on easy-VQA's instructions",
        time: "8 minutes on 2 CPU cores",
        score: "95% of easy-VQA's questions in wordings never seen, beside a tower of `contrastive` (--init)",
    },
    Preset::new(
        "full",
        "a tower of ViT-S size and 30 M parameters of language, for data of your own",
    ),
];

pub fn config(preset: &str, choices: &toml::Table) -> VisualConfig {
    let kind = config::choice(choices, "connector", "kind").unwrap_or("mlp");
    let mut config = sized(preset, kind);
    let aligns = config::choice(choices, "stage", "stage") == Some("align");
    if is_published(choices, "vision") {
        config.vision.train = false;
        config.vision.features = Features::Patches;
        config.vision.naming = 0.0;
    }
    match aligns {
        true => aligning(config),
        false => VisualConfig {
            training: for_language(choices, config.training),
            ..config
        },
    }
}

/// For the first stage: pictures and their captions, and nothing around them.
fn aligning(config: VisualConfig) -> VisualConfig {
    VisualConfig {
        data: "easy-vqa-captions".into(),
        stage: Stage::Align,
        chat: ChatConfig {
            template: BuiltIn::Plain,
            own_template: false,
            ..config.chat
        },
        ..config
    }
}

fn sized(preset: &str, kind: &str) -> VisualConfig {
    match preset {
        "smoke" => VisualConfig {
            loader: LoaderConfig::new(4),
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
            ..small(kind, 32, 2)
        },
        "full" => full(kind),
        _ => small(kind, 128, 4),
    }
}

fn connector(kind: &str, layers: usize, tokens: usize) -> ConnectorConfig {
    use crucible_fusion::QueryConnectorConfig;
    match kind {
        "linear" => ConnectorConfig::Linear,
        "perceiver-resampler" => {
            ConnectorConfig::PerceiverResampler(PerceiverResamplerConfig::new(layers, tokens))
        }
        "q-former" => ConnectorConfig::QFormer(QueryConnectorConfig::new(layers, tokens)),
        _ => ConnectorConfig::Mlp,
    }
}

/// A model for the 64-pixel images of easy-VQA.
fn small(kind: &str, d_model: usize, layers: usize) -> VisualConfig {
    VisualConfig {
        data: "easy-vqa-instructions".into(),
        clean: CleanConfig::copies(),
        audit: AuditConfig::default(),
        stage: Stage::Tune,
        image: ImageConfig::symmetric(64),
        // Not mirrored: what is said may be of left and right.
        augment: AugmentConfig {
            crop_padding: 4,
            ..AugmentConfig::default()
        },
        tokenizer: TokenizerConfig {
            vocabulary: Vocabulary::WordPiece,
            vocabulary_size: 2_000,
            ..TokenizerConfig::default()
        },
        chat: ChatConfig {
            packing: true,
            per_picture: 4,
            ..ChatConfig::published(512)
        },
        loader: LoaderConfig::new(16),
        vision: SightConfig::small(d_model),
        connector: connector(kind, 1, 8),
        language: LanguageConfig::fresh(d_model, 4, layers),
        score: ScoreConfig::short(8),
        training: TrainingConfig {
            beta_2: 0.98,
            evaluate_every: 250,
            checkpoint_every: 250,
            ..TrainingConfig::new(1500, 1e-3)
        },
    }
}

/// A tower of the size of ViT-S and a language model beside it.
fn full(kind: &str) -> VisualConfig {
    VisualConfig {
        image: ImageConfig::imagenet(224),
        augment: AugmentConfig {
            crop_padding: 0,
            flip: false,
            colour: 0.0,
        },
        tokenizer: TokenizerConfig {
            vocabulary: Vocabulary::WordPiece,
            ..TokenizerConfig::default()
        },
        chat: ChatConfig {
            max_length: 1024,
            ..small(kind, 128, 4).chat
        },
        loader: LoaderConfig {
            workers: 8,
            ..LoaderConfig::new(32)
        },
        vision: SightConfig::vit_small(),
        connector: connector(kind, 2, 64),
        language: LanguageConfig {
            d_ff: 2048,
            dropout: 0.1,
            ..LanguageConfig::fresh(512, 8, 8)
        },
        score: ScoreConfig::short(64),
        training: TrainingConfig::new(20_000, 5e-4),
        ..small(kind, 128, 4)
    }
}
