//! Presets of the `classification` recipe.

use crucible_datasets::{AugmentConfig, ImageConfig, LoaderConfig};
use crucible_training::{Preset, TrainingConfig};
use crucible_transformer::{Activation, Pooling};
use crucible_vision::ResNetStem;

use super::ClassificationConfig;
use super::backbone::{BackboneConfig, ResnetBackboneConfig, VitBackboneConfig};

pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "smoke",
        about: "a few steps of a tiny model, to see that all works",
        time: "seconds",
        score: "above chance",
    },
    Preset {
        name: "quick",
        about: "a small model on the embedded easy-VQA objects, 24 classes",
        time: "2 minutes on 2 CPU cores",
        score: "99% test accuracy",
    },
    Preset::new(
        "full",
        "ResNet-18 or ViT-S/4 for CIFAR-10 and images of your own",
    ),
];

pub fn config(preset: &str, backbone: &str) -> ClassificationConfig {
    let resnet = |width| {
        BackboneConfig::Resnet(ResnetBackboneConfig {
            width,
            stem: ResNetStem::Cifar,
        })
    };
    match (preset, backbone) {
        ("smoke", "resnet") => smoke(resnet(4)),
        ("smoke", _) => smoke(vit(32, 1)),
        ("full", "resnet") => full(resnet(64)),
        ("full", _) => full(BackboneConfig::Vit(VitBackboneConfig {
            d_model: 384,
            heads: 6,
            d_ff: 1536,
            layers: 12,
            patch_size: 4,
            stem_cell: 1,
            stem: Vec::new(),
            pooling: Pooling::Mean,
            dropout: 0.1,
            activation: Activation::Gelu,
        })),
        (_, "resnet") => quick(resnet(16)),
        _ => quick(vit(128, 4)),
    }
}

fn vit(d_model: usize, layers: usize) -> BackboneConfig {
    BackboneConfig::Vit(VitBackboneConfig {
        d_model,
        heads: 4,
        d_ff: 2 * d_model,
        layers,
        patch_size: 8,
        stem_cell: 4,
        stem: vec![d_model],
        pooling: Pooling::Max,
        dropout: 0.0,
        activation: Activation::Relu,
    })
}

fn quick(backbone: BackboneConfig) -> ClassificationConfig {
    ClassificationConfig {
        data: "easy-vqa-objects".into(),
        image: ImageConfig::symmetric(64),
        augment: AugmentConfig {
            flip: true,
            ..AugmentConfig::default()
        },
        loader: LoaderConfig::new(32),
        backbone,
        label_smoothing: 0.0,
        training: TrainingConfig::new(1000, 1e-3),
    }
}

fn smoke(backbone: BackboneConfig) -> ClassificationConfig {
    ClassificationConfig {
        image: ImageConfig::symmetric(32),
        loader: LoaderConfig::new(16),
        training: TrainingConfig {
            log_every: 1,
            ..TrainingConfig::new(40, 3e-3)
        },
        ..quick(backbone)
    }
}

fn full(backbone: BackboneConfig) -> ClassificationConfig {
    ClassificationConfig {
        image: ImageConfig::symmetric(32),
        augment: AugmentConfig {
            crop_padding: 4,
            flip: true,
            colour: 0.2,
        },
        loader: LoaderConfig {
            workers: 4,
            ..LoaderConfig::new(128)
        },
        label_smoothing: 0.1,
        training: TrainingConfig::new(40_000, 1e-3),
        ..quick(backbone)
    }
}
