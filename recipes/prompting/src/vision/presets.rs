//! Presets of the `prompting-vision` recipe.

use crucible_datasets::{AugmentConfig, LoaderConfig};
use crucible_prompt::dual::DualPromptConfig;
use crucible_prompt::prefix::DeepPromptConfig;
use crucible_training::{Preset, TrainingConfig, config};

use super::VisionConfig;

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps, to see that all works",
        time: "seconds",
        score: "none",
    },
    Preset {
        name: "quick",
        about: "16 images a class in front of a small dual encoder",
        time: "half a minute on 2 CPU cores",
        score: "42% of emoji it has not seen, in 9 groups; 26% by their names alone",
    },
    Preset::new("full", "all images, for data of your own"),
];

pub fn config(preset: &str, choices: &toml::Table) -> VisionConfig {
    let kind = config::choice(choices, "prompt", "kind").unwrap_or("text");
    let (tokens, layers) = (8, 2);
    let depth = |layers| DeepPromptConfig::new(tokens, layers);
    let prompt = match kind {
        "none" => DualPromptConfig::None,
        "conditional" => DualPromptConfig::Conditional(depth(1)),
        "vision" => DualPromptConfig::Vision(depth(1)),
        "both" => DualPromptConfig::Both(depth(layers)),
        "coupled" => DualPromptConfig::Coupled(depth(layers)),
        _ => DualPromptConfig::Text(depth(1)),
    };
    let quick = VisionConfig {
        backbone: String::new(),
        data: "emoji-groups".into(),
        shots: 16,
        templates: vec!["{mask}".into()],
        words: Vec::new(),
        prompt,
        init_words: String::new(),
        augment: AugmentConfig {
            crop_padding: 6,
            flip: true,
            colour: 0.2,
        },
        loader: LoaderConfig::new(32),
        training: TrainingConfig {
            evaluate_every: 50,
            checkpoint_every: 50,
            ..TrainingConfig::new(200, 1e-2)
        },
    };
    match preset {
        "smoke" => VisionConfig {
            shots: 2,
            loader: LoaderConfig::new(8),
            training: TrainingConfig {
                evaluate_every: 10,
                checkpoint_every: 10,
                log_every: 1,
                ..TrainingConfig::new(20, 1e-2)
            },
            ..quick
        },
        "full" => VisionConfig {
            shots: 0,
            loader: LoaderConfig {
                workers: 8,
                ..LoaderConfig::new(256)
            },
            training: TrainingConfig::new(5_000, 2e-3),
            ..quick
        },
        _ => quick,
    }
}
