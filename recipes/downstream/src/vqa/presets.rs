//! Presets of the `vqa` recipe. All strategies of a preset get the same budget of layers.

use crucible_datasets::{
    AugmentConfig, Blank, CorruptConfig, ImageConfig, LoaderConfig, TokenizerConfig,
};
use crucible_shared::{Layers, TowersConfig};
use crucible_training::{Preset, Probe, TrainingConfig};

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
    Preset::new(
        "full",
        "25 M parameters at 224 pixels, for data of your own",
    ),
];

/// What a finished model is asked to stand.
pub const PROBES: [Probe; 9] = [
    Probe::new("without image", 1.0, "blank", "image"),
    Probe::new("without question", 1.0, "blank", "question"),
    Probe::new("without both", 1.0, "blank", "both"),
    Probe::new("image noise", 0.25, "corrupt.image_noise", "0.25"),
    Probe::new("image noise", 0.5, "corrupt.image_noise", "0.5"),
    Probe::new("image noise", 1.0, "corrupt.image_noise", "1.0"),
    Probe::new("word dropout", 0.1, "corrupt.word_dropout", "0.1"),
    Probe::new("word dropout", 0.2, "corrupt.word_dropout", "0.2"),
    Probe::new("word dropout", 0.4, "corrupt.word_dropout", "0.4"),
];

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
    let layers = Layers::of(strategy, budget, 2);
    VqaConfig {
        data: "easy-vqa".into(),
        blank: Blank::None,
        corrupt: CorruptConfig::default(),
        image: ImageConfig::symmetric(64),
        augment: AugmentConfig {
            flip: true,
            ..AugmentConfig::default()
        },
        tokenizer: TokenizerConfig::default(),
        loader: LoaderConfig::new(16),
        model: TowersConfig::small(d_model, layers),
        fusion: layers.strategy(strategy),
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
    let layers = Layers::of(strategy, 16, 4);
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
        model: TowersConfig::vit_small(layers),
        fusion: layers.strategy(strategy),
        training: TrainingConfig::new(20_000, 5e-4),
        ..small(strategy, 128, 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::tensor::Device;
    use crucible_fusion::FusionConfig;

    /// A comparison of strategies is one of equal budgets of layers. Layers are whole, and what a fusion has beside them is
    /// its own: `compare --match parameters` takes the rest of the difference away.
    #[test]
    fn the_strategies_of_a_preset_have_about_equally_many_parameters() {
        for preset in ["quick", "full"] {
            let count = |strategy| {
                let config = config(preset, strategy);
                config.init(30, 13, &Device::flex()).num_params() as f64
            };
            let late = count("late");
            for strategy in FusionConfig::names() {
                let ratio = count(strategy) / late;
                println!("{preset} {strategy}: {ratio:.3}");
                assert!(
                    (0.85..=1.15).contains(&ratio),
                    "{preset} {strategy}: {ratio:.3}"
                );
                if ["early", "mid", "late-weighted", "late-gated"].contains(&strategy) {
                    assert!(
                        (0.95..=1.05).contains(&ratio),
                        "{preset} {strategy}: {ratio:.3}"
                    );
                }
            }
        }
    }
}
