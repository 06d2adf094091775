//! Floating-point operations, counted while a model computes and by hand from the shapes.

use burn::tensor::{Device, Int, Tensor};
use crucible_downstream::Vqa;
use crucible_fusion::{FusionConfig, FusionInput, Missing};
use crucible_kernels::flops::counted;
use crucible_training::Recipe;
use crucible_transformer::{EncoderConfig, TextEncoderConfig};
use crucible_vision::VitConfig;

/// Multiplications and additions of a linear layer on so many rows.
fn dense(rows: usize, input: usize, output: usize) -> f64 {
    2.0 * rows as f64 * input as f64 * output as f64
}

/// Those of attention of `queries` positions to `keys`, projections included.
fn attention(batch: usize, queries: usize, keys: usize, width: usize) -> f64 {
    2.0 * dense(batch * queries, width, width)
        + 2.0 * dense(batch * keys, width, width)
        + 4.0 * (batch * queries * keys * width) as f64
}

/// Those of a stack of blocks.
fn stack(config: &EncoderConfig, batch: usize, length: usize) -> f64 {
    let (width, hidden) = (config.d_model, config.d_ff);
    let feed_forward = 2.0 * dense(batch * length, width, hidden);
    config.layers as f64 * (attention(batch, length, length, width) + feed_forward)
}

/// Those of a ViT.
fn vision(config: &VitConfig, batch: usize) -> f64 {
    let (mut side, mut channels) = (config.image_size / config.stem_cell, config.channels);
    channels *= config.stem_cell.pow(2);
    let mut flops = 0.0;
    for &width in &config.stem {
        side /= 2;
        flops += dense(batch * side * side, 9 * channels, width);
        channels = width;
    }
    let patches = (config.image_size / config.patch_size).pow(2);
    let cell = side * side / patches;
    flops += dense(batch * patches, cell * channels, config.encoder.d_model);
    flops + stack(&config.encoder, batch, config.tokens())
}

fn agree(name: &str, found: u64, by_hand: f64) {
    let ratio = found as f64 / by_hand;
    println!("{name}: {found} counted, {by_hand:.0} by hand");
    assert!(
        (ratio - 1.0).abs() < 0.01,
        "{name}: {ratio:.4} of the hand count"
    );
}

fn numbers<const D: usize>(shape: [usize; D], below: i64, device: &Device) -> Tensor<D, Int> {
    let count: usize = shape.iter().product();
    let numbers = Tensor::<1, Int>::arange(0..count as i64, device);
    numbers.remainder_scalar(below).reshape(shape)
}

#[test]
fn a_vision_transformer() {
    let device = Device::flex();
    for config in [
        VitConfig::tiny(),
        VitConfig::new(32, 8, EncoderConfig::new(48, 3, 96, 2)).with_stem(vec![16, 24]),
    ] {
        let model = config.init(&device);
        let size = config.image_size;
        let images = Tensor::<4>::ones([2, 3, size, size], &device);
        let (_, found) = counted(|| model.forward(images));
        agree("ViT", found, vision(&config, 2));
    }
}

#[test]
fn a_text_encoder() {
    let device = Device::flex();
    let config = TextEncoderConfig::new(100, 40, EncoderConfig::new(64, 4, 200, 3));
    let model = config.init(&device);
    let (_, found) = counted(|| model.forward(numbers([5, 33], 100, &device), None, None));
    agree("text encoder", found, stack(&config.encoder, 5, 33));
}

/// Co-attention by the formula of its layers: two images with six questions, of which four are distinct.
#[test]
fn a_model_that_answers_questions() {
    let (device, choices) = (
        Device::flex(),
        toml::Table::from_iter([("fusion".into(), toml::Value::from("mid"))]),
    );
    let config = Vqa::preset("quick", &choices);
    let (images, texts, words, pairs) = (2, 4, 9, 6);
    let encoder = config.encoder(30);
    let model = encoder.init(&device);
    let input = FusionInput {
        images: Tensor::ones([images, 3, 64, 64], &device),
        image_of: numbers([pairs], images as i64, &device),
        tokens: numbers([texts, words], 30, &device),
        padding: Tensor::<2, Int>::zeros([texts, words], &device).bool(),
        text_of: numbers([pairs], texts as i64, &device),
        missing: Missing::default(),
    };
    let (_, found) = counted(|| model.forward(input));

    let FusionConfig::Mid(fusion) = &encoder.fusion else {
        panic!("{:?}", encoder.fusion);
    };
    let (width, hidden, patches) = (
        config.model.d_model,
        config.model.d_ff,
        encoder.vision.tokens(),
    );
    let one = |queries, keys| {
        attention(pairs, queries, queries, width)
            + attention(pairs, queries, keys, width)
            + 2.0 * dense(pairs * queries, width, hidden)
    };
    let fused = fusion.layers as f64 * (one(patches, words) + one(words, patches))
        + dense(pairs, 2 * width, width);
    let towers = vision(&encoder.vision, images) + stack(&encoder.text.encoder, texts, words);
    agree("vqa, mid", found, towers + fused);
}
