//! The modules, each with inputs that it can be run on.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use crucible_fusion::{FusionConfig, FusionEncoderConfig, FusionInput, Missing};
use crucible_training::TrainingConfig;
use crucible_training::gradients::{clip, global_norm};
use crucible_training::optimizer::adamw;
use crucible_transformer::{
    Activation, AttentionMask, DecoderConfig, EncoderConfig, FeedForwardConfig,
    MultiHeadAttentionConfig, NormPlacement, Pooling, PositionKind, TextEncoderConfig,
};
use crucible_vision::{PatchEmbeddingConfig, ResNetConfig, VitConfig};

use super::scene::{Scene, VOCABULARY, Values, visible, weights};
use super::{language, objectives, prompts};

/// A model with its inputs, to be run on any device.
pub struct Case {
    pub name: String,
    run: Box<dyn Fn(&mut Scene) -> Values>,
}

impl Case {
    /// What it computes when its padded positions hold `padded`, and how many of them there are.
    pub fn on(&self, device: &Device, padded: f32) -> (Values, usize) {
        let mut scene = Scene::new(device, padded);
        ((self.run)(&mut scene), scene.padded_positions())
    }
}

/// All modules; sequences have padding.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, run: fn(&mut Scene) -> Values| {
        cases.push(Case {
            name: name.into(),
            run: Box::new(run),
        });
    };
    add("self-attention, padding", |scene| attention(scene, false));
    add("self-attention, padding and causal", |scene| {
        attention(scene, true)
    });
    add("cross-attention, padding", |scene| {
        let model = MultiHeadAttentionConfig::new(16, 4).with_d_context(10);
        let model = scene.fill(model.init(&scene.device));
        let x = scene.float("x", [3, 5, 16]);
        let (context, padding) = scene.sequences("context", [7, 2, 4], 10);
        let output = model.forward(x, context, Some(&AttentionMask::padding(padding)));
        scene.values(&model, output)
    });
    add("encoder, pre-norm", |scene| {
        encoder(scene, NormPlacement::Pre, Activation::Gelu)
    });
    add("encoder, post-norm", |scene| {
        encoder(scene, NormPlacement::Post, Activation::GeluTanh)
    });
    add("decoder, pre-norm", |scene| {
        decoder(scene, NormPlacement::Pre)
    });
    add("decoder, post-norm", |scene| {
        decoder(scene, NormPlacement::Post)
    });
    add("text encoder, mean", |scene| {
        text(scene, Pooling::Mean, PositionKind::Learned)
    });
    add("text encoder, max", |scene| {
        text(scene, Pooling::Max, PositionKind::Sinusoidal)
    });
    add("patch embedding with stem", |scene| {
        let model = PatchEmbeddingConfig::new(16, 8, 12).with_stem(vec![6, 8]);
        let model = scene.fill(model.init(&scene.device));
        let images = scene.float("images", [2, 3, 16, 16]);
        let output = model.forward(images);
        scene.values(&model, output)
    });
    add("ViT, cls", |scene| vit(scene, vision(Pooling::Cls)));
    add("ViT, mean", |scene| {
        vit(scene, vision(Pooling::Mean).with_stem(vec![6]))
    });
    add("ViT, max", |scene| {
        vit(
            scene,
            vision(Pooling::Max).with_stem(vec![6]).with_stem_cell(2),
        )
    });
    add("ResNet in training", |scene| resnet(scene, true));
    add("ResNet in evaluation", |scene| resnet(scene, false));
    add("AdamW, three clipped steps", optimizer);
    let others = objectives::CASES.into_iter().chain(language::CASES);
    for (name, run) in others.chain(prompts::CASES) {
        cases.push(Case {
            name: name.into(),
            run: Box::new(run),
        });
    }
    for strategy in FusionConfig::names() {
        cases.push(Case {
            name: format!("fusion, {strategy}"),
            run: Box::new(move |scene| fusion(scene, strategy)),
        });
    }
    cases
}

fn attention(scene: &mut Scene, causal: bool) -> Values {
    let model = scene.fill(MultiHeadAttentionConfig::new(16, 4).init(&scene.device));
    let (x, padding) = scene.sequences("x", [5, 2, 4], 16);
    let mut mask = AttentionMask::padding(padding.clone());
    if causal {
        mask = mask.or(AttentionMask::causal());
    }
    let output = model.forward(x.clone(), x, Some(&mask));
    scene.values(&model, visible(output, padding))
}

pub(super) fn stack() -> EncoderConfig {
    EncoderConfig::new(16, 4, 24, 2)
}

fn encoder(scene: &mut Scene, norm: NormPlacement, activation: Activation) -> Values {
    let config = stack().with_norm(norm).with_activation(activation);
    let model = scene.fill(config.init(&scene.device));
    let (x, padding) = scene.sequences("x", [5, 2, 4], 16);
    let output = model.forward(x, Some(padding.clone()));
    scene.values(&model, visible(output, padding))
}

fn decoder(scene: &mut Scene, norm: NormPlacement) -> Values {
    let model = scene.fill(DecoderConfig::new(stack().with_norm(norm)).init(&scene.device));
    let (x, padding) = scene.sequences("x", [5, 2, 4], 16);
    let (context, context_padding) = scene.sequences("context", [3, 6, 2], 16);
    let output = model.forward(x, Some(padding.clone()), context, Some(context_padding));
    scene.values(&model, visible(output, padding))
}

fn text(scene: &mut Scene, pooling: Pooling, positions: PositionKind) -> Values {
    let config = TextEncoderConfig::new(VOCABULARY, 6, stack())
        .with_token_types(2)
        .with_positions(positions)
        .with_pooling(pooling);
    let model = scene.fill(config.init(&scene.device));
    let (ids, padding) = scene.texts([5, 2, 4]);
    let encoded = model.forward(ids, None, Some(padding.clone()));
    let pooled = encoded.pooled.unsqueeze_dim(1);
    let output = Tensor::cat(vec![pooled, visible(encoded.tokens, padding)], 1);
    scene.values(&model, output)
}

pub(super) fn vision(pooling: Pooling) -> VitConfig {
    VitConfig::new(16, 8, stack()).with_pooling(pooling)
}

fn vit(scene: &mut Scene, config: VitConfig) -> Values {
    let model = scene.fill(config.init(&scene.device));
    let encoded = model.forward(scene.float("images", [2, 3, 16, 16]));
    let output = Tensor::cat(vec![encoded.pooled.unsqueeze_dim(1), encoded.tokens], 1);
    scene.values(&model, output)
}

fn resnet(scene: &mut Scene, training: bool) -> Values {
    let mut model = scene.fill(ResNetConfig::new().with_width(2).init(&scene.device));
    if !training {
        // The statistics of evaluation, but still with gradients to compare.
        model = model.freeze().set_require_grad(true);
    }
    let output = model.forward(scene.float("images", [4, 3, 16, 16])).pooled;
    scene.values(&model, output)
}

/// Two images and three texts in all six pairs.
fn fusion(scene: &mut Scene, strategy: &str) -> Values {
    let vision = vision(Pooling::Max).with_stem(vec![6]);
    let text = TextEncoderConfig::new(VOCABULARY, 6, stack()).with_pooling(Pooling::Max);
    let strategy = match FusionConfig::named(strategy, 1) {
        // What is dropped by chance cannot be compared.
        Some(FusionConfig::EarlyDropout(config)) => {
            FusionConfig::EarlyDropout(config.with_probability(0.0))
        }
        strategy => strategy.unwrap(),
    };
    let model = FusionEncoderConfig::new(vision, text, strategy).init(&scene.device);
    let model = scene.fill(model);
    let indices = |values: [i32; 6]| Tensor::<1, Int>::from_data(values, &scene.device);
    let (image_of, text_of) = (indices([0, 0, 0, 1, 1, 1]), indices([0, 1, 2, 0, 1, 2]));
    let images = scene.float("images", [2, 3, 16, 16]);
    let (tokens, padding) = scene.texts([5, 2, 4]);
    let output = model.forward(FusionInput {
        images,
        image_of,
        tokens,
        padding,
        text_of,
        missing: Missing::default(),
    });
    scene.values(&model, output)
}

/// Its values are the weights after the steps.
fn optimizer(scene: &mut Scene) -> Values {
    let mut model = scene.fill(FeedForwardConfig::new(16, 24).init(&scene.device));
    let config = TrainingConfig::new(3, 1e-2);
    let mut optimizer = adamw(&config, &model, &scene.device.clone().inner());
    let x: Tensor<3> = scene.float("x", [2, 5, 16]);
    for _ in 0..3 {
        let gradients = model.forward(x.clone()).square().sum().backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        let norm = global_norm(&model, &gradients);
        assert!(norm > config.clip_norm, "{norm} needs no clipping");
        let gradients = clip(&model, gradients, norm, config.clip_norm);
        model = optimizer.step(config.learning_rate, model, gradients);
    }
    weights(&model)
}
