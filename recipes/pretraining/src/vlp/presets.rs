//! Presets of the `vlp` recipe. Towers and fusion are those that `vqa` has for the same strategy.

use crucible_datasets::{AugmentConfig, ImageConfig, LoaderConfig, TokenizerConfig};
use crucible_objectives::masking::{Blocks, PatchMasking, TokenMasking};
use crucible_shared::{Layers, TowersConfig};
use crucible_training::{Preset, TrainingConfig};

use super::VlpConfig;
use super::tasks::TasksConfig;

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model, to see that all works",
        time: "seconds",
        score: "above chance",
    },
    Preset {
        name: "quick",
        about: "0.8 M parameters, 3,399 images of easy-VQA and what they show in words",
        time: "5 minutes on 2 CPU cores, beside other work",
        score: "98% of 888 images find their words among 24, 97% of pairs are told from others",
    },
    Preset::new(
        "full",
        "25 M parameters at 224 pixels, for data of your own",
    ),
];

pub fn config(preset: &str, strategy: &str) -> VlpConfig {
    match preset {
        "smoke" => VlpConfig {
            loader: LoaderConfig::new(16),
            training: TrainingConfig {
                evaluate_every: 20,
                checkpoint_every: 20,
                log_every: 1,
                ..TrainingConfig::new(60, 3e-3)
            },
            ..small(strategy, 32)
        },
        "full" => full(strategy),
        _ => small(strategy, 128),
    }
}

fn small(strategy: &str, d_model: usize) -> VlpConfig {
    let layers = Layers::of(strategy, 5, 2);
    VlpConfig {
        data: "easy-vqa-captions".into(),
        words: "easy-vqa".into(),
        image: ImageConfig::symmetric(64),
        augment: AugmentConfig {
            flip: true,
            ..AugmentConfig::default()
        },
        tokenizer: TokenizerConfig::default(),
        loader: LoaderConfig::new(64),
        model: TowersConfig::small(d_model, layers),
        fusion: layers.strategy(strategy),
        d_embedding: d_model,
        tasks: TasksConfig::even(),
        token_masking: TokenMasking::default(),
        patch_masking: PatchMasking {
            ratio: 0.5,
            blocks: Blocks::Random,
        },
        training: TrainingConfig {
            beta_2: 0.98,
            ..TrainingConfig::new(300, 1e-3)
        },
    }
}

fn full(strategy: &str) -> VlpConfig {
    let layers = Layers::of(strategy, 16, 4);
    VlpConfig {
        words: String::new(),
        image: ImageConfig::imagenet(224),
        augment: AugmentConfig {
            crop_padding: 16,
            flip: true,
            colour: 0.2,
        },
        loader: LoaderConfig {
            workers: 8,
            ..LoaderConfig::new(256)
        },
        model: TowersConfig::vit_small(layers),
        d_embedding: 256,
        training: TrainingConfig {
            weight_decay: 0.1,
            ..TrainingConfig::new(100_000, 5e-4)
        },
        ..small(strategy, 128)
    }
}
