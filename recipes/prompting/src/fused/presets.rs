//! Presets of the `prompting-fused` recipe.

use crucible_datasets::{AugmentConfig, LoaderConfig, TokenizerConfig};
use crucible_prompt::fused::{FusedPromptConfig, TokensConfig};
use crucible_prompt::instruction::{InstructionConfig, ReaderKind};
use crucible_training::{Preset, TrainingConfig, config};

use super::FusedConfig;
use super::align::{AlignConfig, AlignForm, Pairs};

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps, to see that all works",
        time: "seconds",
        score: "none",
    },
    Preset {
        name: "quick",
        about: "16 pictures and 4 wordings of each meaning in front of a small fused model",
        time: "half a minute on 2 CPU cores",
        score: "72% consistency and 82% accuracy in wordings never seen; 50% and 60% without alignment",
    },
    Preset::new("full", "all pictures and wordings, for a model of your own"),
];

pub fn config(preset: &str, choices: &toml::Table) -> FusedConfig {
    let kind = config::choice(choices, "prompt", "kind").unwrap_or("instructed");
    let tokens = || TokensConfig::new(4);
    let (prompt, form) = match kind {
        "none" => (FusedPromptConfig::None, AlignForm::None),
        "text" => (FusedPromptConfig::Text(tokens()), AlignForm::None),
        "vision" => (FusedPromptConfig::Vision(tokens()), AlignForm::None),
        "both" => (FusedPromptConfig::Both(tokens()), AlignForm::None),
        _ => {
            let config = InstructionConfig::new(4).with_encoder(ReaderKind::Transformer);
            (
                FusedPromptConfig::Instructed(config),
                AlignForm::Contrastive,
            )
        }
    };
    let quick = FusedConfig {
        backbone: String::new(),
        data: "easy-vqa".into(),
        shots: 16,
        wordings: 4,
        prompt,
        tokenizer: TokenizerConfig::default(),
        hidden_words: 0.1,
        align: AlignConfig {
            form,
            weight: 1.0,
            scale: 10.0,
            pairs: Pairs::Meanings,
            clusters: 13,
            paraphrases: 2,
        },
        augment: AugmentConfig {
            flip: true,
            ..AugmentConfig::default()
        },
        loader: LoaderConfig::new(32),
        training: TrainingConfig {
            evaluate_every: 100,
            checkpoint_every: 100,
            ..TrainingConfig::new(400, 3e-3)
        },
    };
    match preset {
        "smoke" => FusedConfig {
            shots: 2,
            loader: LoaderConfig::new(8),
            training: TrainingConfig {
                evaluate_every: 10,
                checkpoint_every: 10,
                log_every: 1,
                ..TrainingConfig::new(20, 3e-3)
            },
            ..quick
        },
        "full" => FusedConfig {
            shots: 0,
            wordings: 0,
            loader: LoaderConfig {
                workers: 8,
                ..LoaderConfig::new(256)
            },
            training: TrainingConfig::new(5_000, 1e-3),
            ..quick
        },
        _ => quick,
    }
}
