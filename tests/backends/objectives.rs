//! Losses, and the models that only pretraining has.

use burn::nn::Linear;
use burn::tensor::{Bool, Int, Tensor, TensorData};
use crucible_fusion::DualEncoderConfig;
use crucible_objectives::language::{
    at_positions, masked_language, next_token, permutation_masks, prefix_mask, sentence_pair,
};
use crucible_objectives::matching::{hard_negatives, matching};
use crucible_objectives::pixels::{hide_patches, normalise_patches, patchify, pixel_loss};
use crucible_objectives::rotation::rotations;
use crucible_objectives::{info_nce_of, information, siglip_of, uncertainty};
use crucible_transformer::{
    AttentionMask, AttentionPattern, EncoderConfig, LinearAttentionConfig, LshAttentionConfig,
    Pooling, TextEncoderConfig, WindowAttentionConfig,
};
use crucible_vision::{MaskedAutoencoderConfig, Visible, VitConfig};

use super::scene::{Scene, VOCABULARY, Values, visible};

/// Its name, and what it computes.
type Case = (&'static str, fn(&mut Scene) -> Values);

pub const CASES: [Case; 22] = [
    ("InfoNCE", |scene| {
        let [image, text] = pairs(scene);
        let fits = fits(scene);
        let scale = scene.float("scale", [1]) + 3.0;
        let loss = info_nce_of(image, text, scale, Some(&fits), 0..6).loss;
        values(scene, loss)
    }),
    ("SigLIP", |scene| {
        let [image, text] = pairs(scene);
        let fits = fits(scene);
        let (scale, bias) = (scene.float("scale", [1]), scene.float("bias", [1]));
        let loss = siglip_of(image, text, scale + 3.0, bias, Some(&fits), 1..4).loss;
        values(scene, loss)
    }),
    ("masked language", |scene| {
        let logits = scene.float("logits", [3, 5, VOCABULARY]);
        let logits = at_positions(logits, int(scene, [14, 0, 6, 7]));
        let loss = masked_language(logits, int(scene, [3, 0, 10, 3]));
        values(scene, loss)
    }),
    ("next token", |scene| {
        let logits = scene.float("logits", [3, 5, VOCABULARY]);
        let (ids, padding) = scene.texts([5, 2, 4]);
        let loss = next_token(logits, ids, Some(padding), None);
        values(scene, loss)
    }),
    ("next token after a prefix", |scene| {
        let logits = scene.float("logits", [3, 5, VOCABULARY]);
        let (ids, padding) = scene.texts([5, 2, 4]);
        let loss = next_token(logits, ids, Some(padding), Some(&[2, 1, 3]));
        values(scene, loss)
    }),
    ("sentence pairs", |scene| {
        let loss = sentence_pair(scene.float("logits", [4, 2]), int(scene, [0, 1, 1, 0]));
        values(scene, loss)
    }),
    ("two streams of a permutation", |scene| {
        let model = scene.fill(stack().init(&scene.device));
        let streams = ["content", "query"].map(|name| scene.float(name, [2, 4, 16]));
        let orders = [vec![2, 0, 3, 1], vec![1, 2, 0, 3]];
        let masks = permutation_masks(&orders, &scene.device).map(AttentionMask::pairs);
        let streams = model.two_streams(streams, &masks);
        scene.values(&model, Tensor::cat(streams.to_vec(), 1))
    }),
    ("encoder of a prefix", |scene| {
        let model = scene.fill(stack().init(&scene.device));
        let mask = AttentionMask::pairs(prefix_mask(&[1, 3], 4, &scene.device));
        let output = model.forward_masked(scene.float("x", [2, 4, 16]), Some(&mask));
        scene.values(&model, output)
    }),
    ("pixels", |scene| pixels(scene, false)),
    ("normalised pixels", |scene| pixels(scene, true)),
    ("rotations", |scene| {
        let (turned, _) = rotations(scene.float("images", [2, 3, 4, 4]));
        values(scene, turned)
    }),
    ("matching", |scene| {
        let loss = matching(scene.float("logits", [7, 2]), 3);
        values(scene, loss)
    }),
    ("hard negatives", |scene| {
        let similarity = scene.float("similarity", [6, 6]);
        let chosen = hard_negatives(similarity.clone(), Some(fits(scene)), false);
        let output = similarity.select(1, chosen);
        values(scene, output)
    }),
    ("bound of InfoNCE", |scene| {
        let bound = information::info_nce(scene.float("scores", [5, 5]));
        values(scene, bound)
    }),
    ("bound of NWJ", |scene| {
        let bound = information::nwj(scene.float("scores", [5, 5]));
        values(scene, bound)
    }),
    ("bound of Donsker and Varadhan", |scene| {
        let bound = information::donsker_varadhan(scene.float("scores", [5, 5]));
        values(scene, bound)
    }),
    ("uncertainty", |scene| {
        let losses = ["a", "b"].map(|name| scene.float(name, [1])).to_vec();
        let loss = uncertainty(losses, scene.float("variances", [2]));
        values(scene, loss)
    }),
    ("dual encoder", |scene| {
        let vision = VitConfig::new(16, 8, stack()).with_pooling(Pooling::Mean);
        let text = TextEncoderConfig::new(VOCABULARY, 6, stack()).with_pooling(Pooling::Mean);
        let model = DualEncoderConfig::new(vision, text, 6).init(&scene.device);
        let model = scene.fill(model);
        let images = model.embed_images(scene.float("images", [3, 3, 16, 16]));
        let (ids, padding) = scene.texts([5, 2, 4]);
        let texts = model.embed_texts(ids, padding);
        let scaled = (images * texts).sum_dim(1) * model.scale().unsqueeze();
        scene.values(&model, scaled + model.bias.val().unsqueeze())
    }),
    ("masked autoencoder", |scene| {
        let vision = VitConfig::new(16, 8, stack()).with_pooling(Pooling::Mean);
        let decoder = EncoderConfig::new(8, 2, 12, 1);
        let model = MaskedAutoencoderConfig::new(vision, decoder).init(&scene.device);
        let model = scene.fill(model);
        let visible = Visible {
            seen: int(scene, [0, 3, 5, 6]),
            places: int(scene, [0, 2, 2, 1, 5, 3, 4, 5]),
        };
        let output = model.forward(scene.float("images", [2, 3, 16, 16]), visible);
        scene.values(&model, output)
    }),
    ("attention in windows", |scene| {
        let window = WindowAttentionConfig {
            window: 1,
            global: 1,
        };
        long(scene, AttentionPattern::Window(window))
    }),
    ("attention through a projection", |scene| {
        let linear = LinearAttentionConfig {
            projected: 3,
            max_length: 6,
            shared: false,
        };
        long(scene, AttentionPattern::Linear(linear))
    }),
    ("attention by hashing", |scene| {
        let lsh = LshAttentionConfig {
            buckets: 2,
            rounds: 2,
            chunk: 4,
            seed: 0,
        };
        long(scene, AttentionPattern::Lsh(lsh))
    }),
];

fn stack() -> EncoderConfig {
    EncoderConfig::new(16, 4, 24, 2)
}

/// Of no model.
fn values<const D: usize>(scene: &Scene, output: Tensor<D>) -> Values {
    scene.values(&Vec::<Linear>::new(), output)
}

fn int<const L: usize>(scene: &Scene, values: [i32; L]) -> Tensor<1, Int> {
    Tensor::from_data(values, &scene.device)
}

fn pairs(scene: &mut Scene) -> [Tensor<2>; 2] {
    ["image", "text"].map(|name| scene.float(name, [6, 5]))
}

/// Of six pairs, one image and the text of another.
fn fits(scene: &Scene) -> Tensor<2, Bool> {
    let mut fits = vec![false; 36];
    fits[9] = true;
    Tensor::from_data(TensorData::new(fits, [6, 6]), &scene.device)
}

fn pixels(scene: &mut Scene, normalise: bool) -> Values {
    let images = scene.float("images", [2, 3, 8, 8]);
    let hidden = [[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]];
    let hidden = Tensor::<2>::from_floats(hidden, &scene.device);
    let target = patchify(images.clone(), 4);
    let target = match normalise {
        true => normalise_patches(target),
        false => target,
    };
    let guessed = patchify(hide_patches(images, hidden.clone(), 4), 4) + 0.5;
    let loss = pixel_loss(guessed, target, hidden);
    values(scene, loss)
}

fn long(scene: &mut Scene, pattern: AttentionPattern) -> Values {
    let config = stack().with_attention(pattern);
    let model = scene.fill(config.init(&scene.device));
    let (x, padding) = scene.sequences("x", [6, 2, 4], 16);
    let output = model.forward(x, Some(padding.clone()));
    scene.values(&model, visible(output, padding))
}
