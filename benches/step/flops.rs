//! Floating-point operations of a forward pass, from the shapes.

use crucible_transformer::EncoderConfig;
use crucible_vision::VitConfig;

/// Multiplications and additions of a linear layer on so many rows.
pub fn dense(rows: usize, input: usize, output: usize) -> f64 {
    2.0 * rows as f64 * input as f64 * output as f64
}

/// Those of attention of `queries` positions to `keys`, projections included.
pub fn attention(batch: usize, queries: usize, keys: usize, width: usize) -> f64 {
    2.0 * dense(batch * queries, width, width)
        + 2.0 * dense(batch * keys, width, width)
        + 4.0 * (batch * queries * keys * width) as f64
}

/// Those of a stack of blocks.
pub fn stack(config: &EncoderConfig, batch: usize, length: usize) -> f64 {
    let (width, hidden) = (config.d_model, config.d_ff);
    let feed_forward = 2.0 * dense(batch * length, width, hidden);
    config.layers as f64 * (attention(batch, length, length, width) + feed_forward)
}

/// Those of a ViT.
pub fn vision(config: &VitConfig, batch: usize) -> f64 {
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
