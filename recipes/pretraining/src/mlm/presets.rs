//! Presets of the `mlm` recipe.

use crucible_datasets::{LoaderConfig, TokenizerConfig, Vocabulary};
use crucible_objectives::masking::TokenMasking;
use crucible_training::config::choice;
use crucible_training::{Preset, TrainingConfig};
use crucible_transformer::{Activation, AttentionPattern, NormPlacement};
use toml::{Table, Value};

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

pub fn config(preset: &str, choices: &Table) -> MlmConfig {
    let mut config = sized(preset);
    config.model.attention = attention(choices, config.tokenizer.max_length);
    config
}

/// The pattern that was chosen, for sequences of the length that was chosen.
fn attention(choices: &Table, max_length: usize) -> AttentionPattern {
    let within = |key| choices.get(key).and_then(Value::as_table);
    let length =
        within("tokenizer").and_then(|tokenizer| tokenizer.get("max_length")?.as_integer());
    let length = length.and_then(|length| length.try_into().ok());
    let name = within("model").and_then(|model| choice(model, "attention", "pattern"));
    name.and_then(|name| AttentionPattern::named(name, length.unwrap_or(max_length)))
        .unwrap_or_default()
}

fn sized(preset: &str) -> MlmConfig {
    let quick = quick();
    match preset {
        "smoke" => MlmConfig {
            passage: 130,
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
        passage: 530,
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
            attention: AttentionPattern::Full,
        },
        training: TrainingConfig {
            beta_2: 0.98,
            ..TrainingConfig::new(3000, 1e-3)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_transformer::WindowAttentionConfig;

    fn chosen(preset: &str, choices: &str) -> AttentionPattern {
        let config = config(preset, &choices.parse().unwrap());
        config.model.attention
    }

    #[test]
    fn the_attention_that_is_chosen_fits_the_sequences() {
        assert_eq!(chosen("quick", ""), AttentionPattern::Full);
        let window = WindowAttentionConfig {
            window: 64,
            global: 1,
        };
        let window = AttentionPattern::Window(window);
        assert_eq!(chosen("full", "model.attention = \"window\""), window);
        let longer = "model.attention.pattern = \"linear\"\ntokenizer.max_length = 1024";
        assert_eq!(chosen("quick", longer).check_length(1024), Ok(()));
        for pattern in AttentionPattern::NAMES {
            for preset in PRESETS {
                let choice = format!("model.attention = \"{pattern}\"");
                let config = config(preset.name, &choice.parse().unwrap());
                assert!(config.model.check(config.tokenizer.max_length).is_ok());
            }
        }
    }
}
