//! Presets of the `prompting-text` recipe.

use crucible_datasets::LoaderConfig;
use crucible_prompt::prefix::{PTuningConfig, PrefixTuningConfig, SoftPromptConfig};
use crucible_prompt::template::search::{GeneratedSearch, GradientSearch};
use crucible_training::{Preset, TrainingConfig, config};

use crucible_prompt::template::Mean;

use super::verbalizer::VerbalizerConfig;
use super::{AdapterConfig, Calibration, TemplateSearch, TextConfig, Trained};

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps, to see that all works",
        time: "seconds",
        score: "none",
    },
    Preset {
        name: "quick",
        about: "16 reviews a class in front of a small language model",
        time: "a minute on 2 CPU cores, with SmolLM2-135M",
        score: "100% of 86 reviews, and 97% without a trained prompt (one seed)",
    },
    Preset::new("full", "all texts, for data of your own"),
];

pub fn config(preset: &str, choices: &toml::Table) -> TextConfig {
    let kind = config::choice(choices, "prefix", "kind").unwrap_or("prompt-tuning");
    let verbalizer = config::choice(choices, "verbalizer", "kind").unwrap_or("manual");
    let tokens = 8;
    let prefix = match kind {
        "none" => Trained::None,
        "adapter" => Trained::Adapter(AdapterConfig {
            path: String::new(),
            train: false,
        }),
        "p-tuning" => Trained::PTuning(PTuningConfig::new(tokens)),
        "prefix-tuning" => Trained::PrefixTuning(PrefixTuningConfig::new(tokens)),
        _ => Trained::PromptTuning(SoftPromptConfig::new(tokens)),
    };
    let search = match config::choice(choices, "search", "kind") {
        Some("gradient") => TemplateSearch::Gradient(GradientSearch::default()),
        Some("generate") => TemplateSearch::Generate(GeneratedSearch::default()),
        _ => TemplateSearch::None,
    };
    let quick = TextConfig {
        backbone: String::new(),
        data: "reviews".into(),
        shots: 16,
        templates: vec!["Review: {text}\nSentiment: {mask}".into()],
        mean: Mean::LogProbabilities,
        demonstrations: 0,
        search,
        words: Vec::new(),
        verbalizer: VerbalizerConfig::preset(verbalizer),
        prefix,
        calibration: Calibration::None,
        loader: LoaderConfig::new(8),
        training: TrainingConfig {
            evaluate_every: 20,
            checkpoint_every: 20,
            ..TrainingConfig::new(60, 1e-2)
        },
    };
    match preset {
        "smoke" => TextConfig {
            shots: 2,
            loader: LoaderConfig::new(4),
            training: TrainingConfig {
                evaluate_every: 5,
                checkpoint_every: 5,
                log_every: 1,
                ..TrainingConfig::new(10, 1e-2)
            },
            ..quick
        },
        "full" => TextConfig {
            shots: 0,
            loader: LoaderConfig {
                workers: 8,
                ..LoaderConfig::new(32)
            },
            training: TrainingConfig::new(2_000, 3e-3),
            ..quick
        },
        _ => quick,
    }
}
