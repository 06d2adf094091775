//! Continuous prompts in front of each kind of model.

use burn::module::Module;
use burn::tensor::Tensor;
use crucible_fusion::{DualEncoder, DualEncoderConfig};
use crucible_prompt::dual::{DualPrompt, DualPromptConfig};
use crucible_prompt::prefix::{
    Backbone, DeepPromptConfig, PTuningConfig, PrefixConfig, PrefixTuningConfig, Prefixed,
    PromptEncoder, SoftPromptConfig, SoftPromptInit,
};
use crucible_transformer::{Pooling, TextEncoderConfig};

use super::cases::{stack, vision};
use super::language::{llama, rows};
use super::scene::{Scene, VOCABULARY, Values, visible};

/// Its name, and what it computes.
type Case = (&'static str, fn(&mut Scene) -> Values);

pub const CASES: [Case; 10] = [
    ("prompt tuning", |scene| {
        causal(scene, PrefixConfig::PromptTuning(SoftPromptConfig::new(2)))
    }),
    ("P-tuning, LSTM", |scene| {
        p_tuning(scene, PromptEncoder::Lstm)
    }),
    ("P-tuning, MLP", |scene| p_tuning(scene, PromptEncoder::Mlp)),
    ("prefix tuning", |scene| {
        causal(
            scene,
            PrefixConfig::PrefixTuning(PrefixTuningConfig::new(3)),
        )
    }),
    ("prefix tuning, MLP", |scene| {
        let config = PrefixTuningConfig::new(3).with_hidden(7);
        causal(scene, PrefixConfig::PrefixTuning(config))
    }),
    ("text encoder, shallow prompt", |scene| {
        text(scene, PrefixConfig::Deep(DeepPromptConfig::new(2, 1)))
    }),
    ("text encoder, deep prompt", |scene| {
        text(scene, PrefixConfig::Deep(DeepPromptConfig::new(2, 2)))
    }),
    ("ViT, deep prompt", |scene| {
        let backbone = vision(Pooling::Cls).init(&scene.device);
        let config = PrefixConfig::Deep(DeepPromptConfig::new(3, 2));
        let model = scene.fill(prefixed(backbone, &config, scene));
        let output = model.forward(scene.float("images", [2, 3, 16, 16])).tokens;
        scene.values(&model, output)
    }),
    ("dual encoder, coupled prompts", |scene| {
        let config = DualPromptConfig::Coupled(DeepPromptConfig::new(3, 2));
        let (model, prompt) = dual(scene, &config);
        let images = prompt.embed_images(&model, scene.float("images", [2, 3, 16, 16]));
        let (ids, padding) = scene.texts([5, 2, 4]);
        let texts = prompt.embed_texts(&model, ids, padding);
        scene.values(&prompt, Tensor::cat(vec![images, texts], 0))
    }),
    ("dual encoder, conditional prompt", |scene| {
        let config = DualPromptConfig::Conditional(DeepPromptConfig::new(3, 1));
        let (model, prompt) = dual(scene, &config);
        let seen = scene.float("seen", [2, 32]);
        let (ids, padding) = scene.texts([5, 2, 4]);
        let output = prompt.embed_texts_for(&model, seen, ids, padding);
        scene.values(&prompt, output)
    }),
];

fn dual(scene: &Scene, config: &DualPromptConfig) -> (DualEncoder, DualPrompt) {
    let text = TextEncoderConfig::new(VOCABULARY, 6, stack()).with_pooling(Pooling::Mean);
    let towers = DualEncoderConfig::new(vision(Pooling::Mean), text, 32);
    let model = scene.fill(towers.init(&scene.device)).no_grad();
    let prompt = config.init(&model, &SoftPromptInit::Normal, &scene.device);
    (model, scene.fill(prompt.unwrap()))
}

fn prefixed<M: Backbone>(backbone: M, config: &PrefixConfig, scene: &Scene) -> Prefixed<M> {
    let prefix = config.init(&backbone.sizes(), &scene.device).unwrap();
    Prefixed::new(backbone, prefix).unwrap()
}

fn causal(scene: &mut Scene, config: PrefixConfig) -> Values {
    let model = prefixed(llama().init(&scene.device), &config, scene);
    let model = scene.fill(model);
    let (ids, padding) = scene.texts([5, 2, 4]);
    let x = model.backbone.embed(ids);
    let states = model.forward(x, &rows(padding.clone()));
    let states = states.narrow(1, model.prefix.places(), 5);
    let output = model.backbone.logits(states);
    scene.values(&model, visible(output, padding))
}

fn p_tuning(scene: &mut Scene, encoder: PromptEncoder) -> Values {
    let config = PTuningConfig::new(2).with_encoder(encoder);
    causal(scene, PrefixConfig::PTuning(config))
}

fn text(scene: &mut Scene, config: PrefixConfig) -> Values {
    let backbone = TextEncoderConfig::new(VOCABULARY, 6, stack());
    let model = prefixed(backbone.init(&scene.device), &config, scene);
    let model = scene.fill(model);
    let (ids, padding) = scene.texts([5, 2, 4]);
    let output = model.forward(ids, None, Some(padding.clone())).tokens;
    scene.values(&model, visible(output, padding))
}
