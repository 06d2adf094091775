//! Presets of the `vqa` recipe. All strategies of a preset get the same budget of layers.

use crucible_datasets::{AugmentConfig, Blank, ImageConfig, LoaderConfig, TokenizerConfig};
use crucible_fusion::{ConcatenationConfig, FusionConfig};
use crucible_shared::TowersConfig;
use crucible_training::{Preset, TrainingConfig};
use crucible_transformer::{Activation, Pooling};

use super::VqaConfig;

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model, to see that all works",
        time: "seconds",
        score: "above chance",
    },
    Preset {
        name: "quick",
        about: "0.8 M parameters, five epochs of easy-VQA",
        time: "2 minutes on 2 CPU cores",
        score: "99% test accuracy",
    },
    Preset {
        name: "full",
        about: "25 M parameters at 224 pixels, for data of your own",
        time: "not measured",
        score: "not measured",
    },
];

/// The layers of image tower, text tower and fusion, for a feed-forward layer `ratio` times as wide as
/// the tokens. Of `d_model^2` parameters a layer has `4 + 2 ratio`; a co-attention layer has two streams
/// with a second attention each, `2 (8 + 2 ratio)`, and so stands for two to three layers.
fn layers(strategy: &str, budget: usize, ratio: usize) -> (usize, usize, usize) {
    match strategy {
        "early" => (0, 0, budget),
        "mid" => {
            let fusion = (budget / 5).max(1);
            let towers = budget - fusion * (16 + 4 * ratio) / (4 + 2 * ratio);
            (towers.div_ceil(2), towers / 2, fusion)
        }
        _ => (budget.div_ceil(2), budget / 2, 0),
    }
}

pub fn config(preset: &str, strategy: &str) -> VqaConfig {
    match preset {
        "smoke" => VqaConfig {
            loader: LoaderConfig::new(8),
            training: TrainingConfig {
                evaluate_every: 20,
                checkpoint_every: 20,
                log_every: 1,
                ..TrainingConfig::new(60, 3e-3)
            },
            ..small(strategy, 32, 5)
        },
        "full" => full(strategy),
        _ => small(strategy, 128, 5),
    }
}

/// A model for the 64-pixel images of easy-VQA.
fn small(strategy: &str, d_model: usize, budget: usize) -> VqaConfig {
    let (image_layers, text_layers, fusion_layers) = layers(strategy, budget, 2);
    VqaConfig {
        data: "easy-vqa".into(),
        blank: Blank::None,
        image: ImageConfig::symmetric(64),
        augment: AugmentConfig {
            flip: true,
            ..AugmentConfig::default()
        },
        tokenizer: TokenizerConfig::default(),
        loader: LoaderConfig::new(16),
        model: TowersConfig {
            d_model,
            heads: 4,
            d_ff: 2 * d_model,
            image_layers,
            text_layers,
            patch_size: 8,
            stem_cell: 4,
            stem: vec![d_model],
            pooling: Pooling::Max,
            dropout: 0.0,
            activation: Activation::Relu,
        },
        fusion: strategy_or_late(strategy, fusion_layers),
        training: TrainingConfig {
            beta_2: 0.98,
            evaluate_every: 250,
            checkpoint_every: 250,
            ..TrainingConfig::new(1250, 1e-3)
        },
    }
}

/// ViT-S and a text tower of its width.
fn full(strategy: &str) -> VqaConfig {
    let (image_layers, text_layers, fusion_layers) = layers(strategy, 16, 4);
    VqaConfig {
        image: ImageConfig::imagenet(224),
        augment: AugmentConfig {
            crop_padding: 16,
            // The questions may ask about left and right.
            flip: false,
            colour: 0.2,
        },
        loader: LoaderConfig {
            workers: 8,
            ..LoaderConfig::new(64)
        },
        model: TowersConfig {
            d_model: 384,
            heads: 6,
            d_ff: 1536,
            image_layers,
            text_layers,
            patch_size: 16,
            stem_cell: 1,
            stem: Vec::new(),
            pooling: Pooling::Mean,
            dropout: 0.1,
            activation: Activation::Gelu,
        },
        fusion: strategy_or_late(strategy, fusion_layers),
        training: TrainingConfig::new(20_000, 5e-4),
        ..small(strategy, 128, 5)
    }
}

/// A name that is no strategy is refused when the configuration is put together.
fn strategy_or_late(strategy: &str, layers: usize) -> FusionConfig {
    FusionConfig::named(strategy, layers)
        .unwrap_or_else(|| FusionConfig::Late(ConcatenationConfig::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::tensor::Device;

    /// A comparison of strategies is one of equal budgets.
    #[test]
    fn the_strategies_of_a_preset_have_equally_many_parameters() {
        for preset in ["quick", "full"] {
            let count = |strategy| {
                let config = config(preset, strategy);
                config.init(30, 13, &Device::flex()).num_params() as f64
            };
            let late = count("late");
            for strategy in FusionConfig::NAMES {
                let ratio = count(strategy) / late;
                assert!(
                    (0.95..=1.05).contains(&ratio),
                    "{preset} {strategy}: {ratio:.3}"
                );
            }
        }
    }
}
