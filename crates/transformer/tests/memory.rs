//! What a long sequence takes.

use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    AttentionPattern, Encoder, EncoderConfig, LinearAttentionConfig, LshAttentionConfig,
    WindowAttentionConfig,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const WIDTH: usize = 32;
const LENGTHS: [usize; 3] = [4096, 8192, 16384];

/// Bytes at most of one gradient over so many tokens, beyond those of the model.
fn peak(encoder: &Encoder, length: usize, device: &Device) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let x = Tensor::<3>::ones([1, length, WIDTH], device).sin();
    drop(encoder.forward(x, None).sum().backward());
    ALLOCATOR.peak_usage() - before
}

/// One test: what others allocate meanwhile would count.
#[test]
fn memory_grows_with_the_length_and_not_with_its_square() {
    let device = Device::flex().autodiff();
    let window = WindowAttentionConfig {
        window: 32,
        global: 1,
    };
    let linear = LinearAttentionConfig {
        projected: 64,
        max_length: LENGTHS[2],
        shared: false,
    };
    let lsh = LshAttentionConfig {
        buckets: 16,
        rounds: 2,
        chunk: 16,
        seed: 0,
    };
    for pattern in [
        AttentionPattern::Window(window),
        AttentionPattern::Linear(linear),
        AttentionPattern::Lsh(lsh),
    ] {
        let config = EncoderConfig::new(WIDTH, 1, WIDTH, 1).with_attention(pattern);
        let encoder = config.init(&device);
        // The first time, each thread allocates room that it keeps.
        peak(&encoder, LENGTHS[2], &device);
        let peaks = LENGTHS.map(|length| peak(&encoder, length, &device));
        println!("{pattern:?}: {peaks:?} bytes for {LENGTHS:?} tokens");
        for i in [1, 2] {
            let growth = peaks[i] as f64 / peaks[0] as f64;
            assert!(
                growth < 1.2 * LENGTHS[i] as f64 / LENGTHS[0] as f64,
                "{pattern:?}: {peaks:?} bytes for {LENGTHS:?} tokens"
            );
        }
    }
}
