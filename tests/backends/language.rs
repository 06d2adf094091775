//! Language models, and what joins them with pictures.

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use crucible_fusion::{
    ConnectorConfig, Features, PerceiverResamplerConfig, QueryConnectorConfig,
    VisionLanguageConfig, splice,
};
use crucible_transformer::{
    CausalLmConfig, CausalPositions, LoraConfig, Places, Pooling, RotaryConfig, Seq2SeqConfig,
};

use super::cases::vision;
use super::scene::{Scene, VOCABULARY, Values, visible};

/// Its name, and what it computes.
type Case = (&'static str, fn(&mut Scene) -> Values);

pub const CASES: [Case; 11] = [
    ("causal, GPT-2", |scene| {
        let mut config = CausalLmConfig::gpt2(VOCABULARY, 6, 16, 4);
        config.layers = 2;
        causal(scene, config)
    }),
    ("causal, Llama", |scene| causal(scene, llama())),
    ("causal, untied with wide heads", |scene| {
        let rotary = RotaryConfig {
            theta: 100.0,
            ..RotaryConfig::default()
        };
        let config = llama()
            .with_d_head(6)
            .with_tied(false)
            .with_positions(CausalPositions::Rotary(rotary));
        causal(scene, config)
    }),
    ("causal, LoRA", |scene| {
        let model = llama()
            .init(&scene.device)
            .with_lora(&LoraConfig::new().with_rank(3));
        let model = scene.fill(model).set_require_grad(true);
        let output =
            model.logits(model.forward(scene.float("x", [2, 5, 12]), &Places::whole(2, 5)));
        scene.values(&model, output)
    }),
    ("causal, step by step", |scene| {
        let model = scene.fill(llama().init(&scene.device));
        let (ids, padding) = scene.texts([2, 5, 4]);
        // What is on the right in a scene is on the left of a prompt.
        let (ids, padding) = (ids.flip([1]), rows(padding.flip([1])));
        let (mut cache, first) = model.begin(model.embed(ids), &padding);
        let second = model.advance(&mut cache, &[3, 1, 2]);
        let third = model.advance(&mut cache, &[0, 4, 4]);
        scene.values(&model, Tensor::cat(vec![first, second, third], 0))
    }),
    ("encoder and decoder, T5", |scene| seq2seq(scene, true)),
    ("encoder and decoder, Flan-T5", |scene| {
        seq2seq(scene, false)
    }),
    ("vision-language, linear", |scene| {
        sees(scene, ConnectorConfig::Linear)
    }),
    ("vision-language, MLP", |scene| {
        sees(scene, ConnectorConfig::Mlp)
    }),
    ("vision-language, resampler", |scene| {
        let config = PerceiverResamplerConfig::new(1, 3);
        sees(scene, ConnectorConfig::PerceiverResampler(config))
    }),
    ("vision-language, Q-Former", |scene| {
        let config = QueryConnectorConfig::new(1, 3);
        sees(scene, ConnectorConfig::QFormer(config))
    }),
];

/// Three heads, one of keys and values.
pub(super) fn llama() -> CausalLmConfig {
    CausalLmConfig::new(VOCABULARY, 8, 12, 3, 20, 2).with_kv_heads(1)
}

fn causal(scene: &mut Scene, config: CausalLmConfig) -> Values {
    let model = scene.fill(config.init(&scene.device));
    let (ids, padding) = scene.texts([5, 2, 4]);
    let places = Places::padded(&rows(padding.clone()), &scene.device);
    let output = model.logits(model.forward(model.embed(ids), &places));
    scene.values(&model, visible(output, padding))
}

fn seq2seq(scene: &mut Scene, tied: bool) -> Values {
    let config = Seq2SeqConfig::new(VOCABULARY, 12, 3, 20, 2)
        .with_buckets(8)
        .with_max_distance(6)
        .with_gated(!tied)
        .with_tied(tied);
    let model = scene.fill(config.init(&scene.device));
    let (ids, padding) = scene.texts([5, 2, 4]);
    let target = Tensor::<2, Int>::from_data([[0, 3, 1], [0, 9, 9], [0, 2, 4]], &scene.device);
    let [source, target] = [ids, target].map(|ids| model.embed(ids));
    let output = model.logits(model.forward(source, Some(padding), target));
    scene.values(&model, output)
}

/// Two pictures, the first of them twice, between words.
fn sees(scene: &mut Scene, connector: ConnectorConfig) -> Values {
    let config = VisionLanguageConfig::new(vision(Pooling::Max), connector, llama())
        .with_features(Features::PooledAndPatches);
    let (model, tokens) = (config.init(&scene.device), config.image_tokens() as i32);
    let model = scene.fill(model);
    let length = tokens + 2;
    let words = Tensor::<1, Int>::arange(0..i64::from(3 * length), &scene.device) % 7;
    let words = model.language.embed(words.reshape([3, length]));
    // A word, the picture, a word.
    let sources = [0, 1, 0].into_iter().enumerate().flat_map(|(row, image)| {
        let first = row as i32 * length;
        let picture = (0..tokens).map(move |token| 3 * length + image * tokens + token);
        [first]
            .into_iter()
            .chain(picture)
            .chain([first + length - 1])
    });
    let sources: Vec<i32> = sources.collect();
    let sources = Tensor::<1, Int>::from_data(&sources[..], &scene.device);
    let seen = model.see(scene.float("images", [2, 3, 16, 16]));
    let x = splice(words, seen, sources);
    let states = model
        .language
        .forward(x, &Places::whole(3, length as usize));
    let output = model.language.logits(states);
    scene.values(&model, output)
}

pub(super) fn rows(padding: Tensor<2, Bool>) -> Vec<Vec<bool>> {
    let length = padding.dims()[1];
    let all: Vec<bool> = padding.into_data().iter::<bool>().collect();
    all.chunks(length).map(<[bool]>::to_vec).collect()
}
