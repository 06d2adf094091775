//! The rotary scaling of Llama 3.1 in a GGUF, as llama.cpp converts it.

use std::fs;
use std::path::{Path, PathBuf};

use crucible_transformer::{CausalPositions, RopeScaling};
use crucible_weights::CausalCheckpoint;
use crucible_weights::files::Tensors;

const HEAD: usize = 64;

/// `rope_freqs.weight` of Llama 3.2 1B, every fourth: `generate_extra_tensors` of llama.cpp's `convert_hf_to_gguf.py`
/// with theta 500000, factor 32.
const EVERY_FOURTH: [f32; 8] = [1.0, 1.0, 1.0, 1.0, 3.292_262, 32.0, 32.0, 32.0];

/// The same by hand: what turns often stays, what turns less than once in 8192 positions is divided by 32.
fn divisors() -> Vec<f32> {
    let divisor = |pair: usize| {
        let length = std::f64::consts::TAU * 500_000_f64.powf(2.0 * pair as f64 / HEAD as f64);
        let smooth = (8192.0 / length - 1.0) / 3.0;
        match length {
            ..2048.0 => 1.0,
            8192.0.. => 32.0,
            _ => 1.0 / ((1.0 - smooth) / 32.0 + smooth),
        }
    };
    (0..HEAD / 2).map(|pair| divisor(pair) as f32).collect()
}

/// A Llama without layers to speak of, which has these divisors.
fn written(folder: &Path, divisors: &[f32]) -> PathBuf {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let entry = |key: &str, kind: u32, value: Vec<u8>| {
        [text(key), kind.to_le_bytes().to_vec(), value].concat()
    };
    let number = |key: &str, value: u32| entry(key, 4, value.to_le_bytes().to_vec());
    let float = |key: &str, value: f32| entry(key, 6, value.to_le_bytes().to_vec());
    let metadata = [
        entry("general.architecture", 8, text("llama")),
        number("llama.block_count", 1),
        number("llama.attention.head_count", 1),
        number("llama.embedding_length", HEAD as u32),
        number("llama.feed_forward_length", 8),
        number("llama.context_length", 131_072),
        float("llama.attention.layer_norm_rms_epsilon", 1e-5),
        float("llama.rope.freq_base", 500_000.0),
    ];
    // Name, rank, sizes from the innermost, type f32, place.
    let info = |name: &str, sizes: &[u64], at: u64| {
        let sizes = sizes.iter().flat_map(|size| size.to_le_bytes());
        let rest = [0_u32.to_le_bytes().as_slice(), &at.to_le_bytes()].concat();
        let rank = (sizes.clone().count() as u32 / 8).to_le_bytes();
        [text(name), rank.to_vec(), sizes.collect(), rest].concat()
    };
    let embedding = vec![0.5_f32; 4 * HEAD];
    let mut bytes = [
        b"GGUF".to_vec(),
        3_u32.to_le_bytes().to_vec(),
        2_u64.to_le_bytes().to_vec(),
        (metadata.len() as u64).to_le_bytes().to_vec(),
        metadata.concat(),
        info("token_embd.weight", &[HEAD as u64, 4], 0),
        info(
            "rope_freqs.weight",
            &[divisors.len() as u64],
            4 * 4 * HEAD as u64,
        ),
    ]
    .concat();
    for values in [&embedding[..], divisors] {
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    let path = folder.join("model.gguf");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_divisors_of_llama_3_are_its_scaling() {
    let divisors = divisors();
    for (pair, expected) in EVERY_FOURTH.into_iter().enumerate() {
        let found = divisors[4 * pair];
        assert!((found / expected - 1.0).abs() < 1e-5, "{pair}: {found}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &divisors);
    let config = CausalCheckpoint::open(&path).unwrap().config;
    let CausalPositions::Rotary(rotary) = config.positions else {
        panic!("{:?}", config.positions);
    };
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_frequency: 1.0,
        high_frequency: 4.0,
        original_length: 8192,
    };
    assert_eq!((rotary.theta, rotary.scaling), (500_000.0, scaling));
    // They are no tensor of the model.
    let tensors = Tensors::open(&path).unwrap();
    assert!(tensors.names().eq(["model.embed_tokens.weight"]));
}

#[test]
fn divisors_of_another_kind_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = divisors();
    other[17] *= 1.01;
    for divisors in [&other[..], &other[..16], &[f32::NAN; 32]] {
        let path = written(folder.path(), divisors);
        let message = CausalCheckpoint::open(&path).unwrap_err().to_string();
        for part in [
            "`rope_freqs.weight`",
            "not Llama 3.1's",
            "Hugging Face folder",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
