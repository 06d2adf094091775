//! What a large batch takes in chunks.

use std::ops::Range;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation::relu};
use crucible_objectives::{chunked, info_nce_of};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const CHUNK: usize = 16;
const WIDTH: usize = 64;
const EMBEDDING: usize = 32;

/// Tokens of an image or text of which only the mean is embedded: activations outweigh embeddings, as in a tower.
#[derive(Module, Debug)]
struct Tower {
    layers: Vec<Linear>,
    projection: Linear,
}

impl Tower {
    fn embed(&self, seed: usize, device: &Device) -> Tensor<2> {
        let tokens = Tensor::<3>::ones([CHUNK, 64, WIDTH], device);
        let tokens = (tokens * (seed as f64 * 0.37).sin()).sin();
        let through = |x, layer: &Linear| relu(layer.forward(x));
        let tokens = self.layers.iter().fold(tokens, through);
        self.projection
            .forward(tokens.mean_dim(1).squeeze_dim::<2>(1))
    }
}

/// Bytes at most of one gradient over so many pairs, beyond those of the model, and those of the embeddings.
fn peak(tower: &Tower, pairs: usize, device: &Device) -> (usize, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let embed = |tower: &Tower, chunk| [0, 1].map(|side| tower.embed(2 * chunk + side, device));
    let scale = Tensor::<1>::from_floats([5.0], device);
    let compare = |[a, b]: [Tensor<2>; 2], rows: Range<usize>| {
        (info_nce_of(a, b, scale.clone(), None, rows).loss, ())
    };
    drop(chunked(tower, pairs / CHUNK, embed, compare));
    (ALLOCATOR.peak_usage() - before, 2 * 4 * pairs * EMBEDDING)
}

/// From 64 to 1,024 pairs in chunks of 16. One test: what others allocate meanwhile would count.
#[test]
fn memory_grows_with_the_chunk_and_not_with_the_batch() {
    let device = Device::flex().autodiff();
    let layer = |to| LinearConfig::new(WIDTH, to).init(&device);
    let tower = Tower {
        layers: (0..6).map(|_| layer(WIDTH)).collect(),
        projection: layer(EMBEDDING),
    };
    peak(&tower, 64, &device);
    let (least, embeddings) = peak(&tower, 64, &device);
    println!("64: {least} bytes, {embeddings} of them embeddings");
    let activations = least - embeddings;
    for pairs in [128, 256, 512, 1024] {
        let (found, embeddings) = peak(&tower, pairs, &device);
        let beyond = found as f64 - embeddings as f64;
        println!("{pairs}: {found} bytes, {embeddings} of them embeddings");
        assert!(
            beyond < 1.2 * activations as f64,
            "{pairs} pairs take {found} bytes, 64 take {least}"
        );
    }
}
