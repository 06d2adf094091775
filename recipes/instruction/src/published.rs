//! What presets make of published weights.

use crucible_training::{TrainingConfig, config};

/// Whether the part of that name starts from published weights.
pub fn is_published(choices: &toml::Table, part: &str) -> bool {
    config::choice(choices, part, "weights").is_some_and(|weights| !weights.is_empty())
}

/// A learning rate that leaves a published language model what it knows; that of low-rank adapters, which start from
/// nothing, is ten times as high (both as LLaVA-1.5 has them, Liu et al. 2024).
pub fn for_language(choices: &toml::Table, training: TrainingConfig) -> TrainingConfig {
    if !is_published(choices, "language") {
        return training;
    }
    let adapters = config::choice(choices, "language", "tune") == Some("lora");
    let learning_rate = if adapters { 2e-4 } else { 2e-5 };
    TrainingConfig {
        learning_rate,
        min_learning_rate: training.min_learning_rate / training.learning_rate * learning_rate,
        ..training
    }
}
