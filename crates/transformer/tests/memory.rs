//! What a long sequence takes.

use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    AttentionPattern, Encoder, EncoderConfig, LinearAttentionConfig, LshAttentionConfig,
    WindowAttentionConfig,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const WIDTH: usize = 16;

/// Bytes at most of one gradient over so many tokens, beyond those of the model.
fn peak(encoder: &Encoder, length: usize, device: &Device) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let x = Tensor::<3>::ones([1, length, WIDTH], device).sin();
    drop(encoder.forward(x, None).sum().backward());
    ALLOCATOR.peak_usage() - before
}

/// From 1,024 to 8,192 tokens. One test: what others allocate meanwhile would count.
#[test]
fn memory_grows_with_the_length_and_not_with_its_square() {
    let device = Device::flex().autodiff();
    let window = WindowAttentionConfig {
        window: 32,
        global: 1,
    };
    let linear = LinearAttentionConfig {
        projected: 64,
        max_length: 8192,
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
        peak(&encoder, 1024, &device);
        let least = peak(&encoder, 1024, &device);
        println!("{pattern:?}, 1024: {least} bytes");
        for length in [2048, 4096, 8192] {
            let found = peak(&encoder, length, &device);
            println!("{pattern:?}, {length}: {found} bytes");
            let growth = found as f64 / least as f64;
            assert!(
                growth < 1.2 * length as f64 / 1024.0,
                "{pattern:?}: {length} tokens take {found} bytes, 1024 take {least}"
            );
        }
    }
}
