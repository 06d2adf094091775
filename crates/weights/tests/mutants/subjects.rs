//! What is damaged.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// One file that is damaged and the folder that it is damaged in.
pub struct Subject {
    pub name: &'static str,
    /// The folder's files.
    pub files: BTreeMap<&'static str, Vec<u8>>,
    /// The file that is damaged.
    pub damaged: &'static str,
    /// Where its values stand.
    pub data: Range<usize>,
    /// The most values that one damaged byte changes.
    pub spread: usize,
}

pub fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/weight-files"
    );
    fs::read(Path::new(folder).join(name)).unwrap()
}

fn find(bytes: &[u8], needle: &[u8]) -> usize {
    let found = bytes
        .windows(needle.len())
        .rposition(|window| window == needle);
    found.unwrap()
}

pub fn subjects() -> Vec<Subject> {
    let texts = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ];
    let texts = texts.map(|name| (name, fixture(&format!("texts/{name}"))));
    let subject = |name, damaged, weights: &[(&'static str, &str)]| {
        let files = weights.iter().map(|(name, from)| (*name, fixture(from)));
        Subject {
            name,
            files: texts.iter().cloned().chain(files).collect(),
            damaged,
            data: 0..0,
            spread: 1,
        }
    };
    let shards = [
        (
            "model.safetensors.index.json",
            "sharded/model.safetensors.index.json",
        ),
        (
            "model-00001-of-00002.safetensors",
            "sharded/model-00001-of-00002.safetensors",
        ),
        (
            "model-00002-of-00002.safetensors",
            "sharded/model-00002-of-00002.safetensors",
        ),
    ];
    let types = [("model.safetensors", "types.safetensors")];
    let mut subjects = vec![
        subject("safetensors", "model.safetensors", &types),
        subject("index", "model.safetensors.index.json", &shards),
        subject("shard", "model-00001-of-00002.safetensors", &shards),
        subject(
            "bin",
            "pytorch_model.bin",
            &[("pytorch_model.bin", "pytorch_model.bin")],
        ),
        subject(
            "wrapped bin",
            "pytorch_model.bin",
            &[("pytorch_model.bin", "wrapped.pt")],
        ),
        subject("llama gguf", "llama.gguf", &[("llama.gguf", "llama.gguf")]),
        subject("qwen2 gguf", "qwen2.gguf", &[("qwen2.gguf", "qwen2.gguf")]),
        subject("config", "config.json", &types),
        subject("tokenizer config", "tokenizer_config.json", &types),
        subject("BPE", "tokenizer.json", &types),
        subject("Unigram", "tokenizer.json", &types),
        subject("WordPiece", "tokenizer.json", &types),
    ];
    for subject in &mut subjects {
        match subject.name {
            "Unigram" => subject.insert("tokenizer.json", "texts/unigram.json"),
            "WordPiece" => subject.insert("tokenizer.json", "texts/word-piece.json"),
            // Their own texts come before those of a GGUF.
            name if name.ends_with("gguf") => {
                subject.files.retain(|name, _| name.ends_with(".gguf"))
            }
            _ => {}
        }
        let bytes = &subject.files[subject.damaged];
        if subject.damaged.ends_with(".safetensors") {
            subject.data = 8 + header_length(bytes)..bytes.len();
        } else if subject.damaged.ends_with(".bin") {
            // From the end of the pickle on; views may repeat a value.
            let pickle = bytes.windows(4).position(|window| window == b"PK\x07\x08");
            subject.data = pickle.unwrap()..bytes.len();
            subject.spread = 32;
        } else if subject.damaged.ends_with(".gguf") {
            // Behind the last tensor's name, rank, sizes, type, offset; a scale is one of 32 values.
            let (last, rank) = match subject.name {
                "llama gguf" => (b"output_norm.weight".as_slice(), 1),
                _ => (b"\x0d\0\0\0\0\0\0\0output.weight".as_slice(), 2),
            };
            let end = find(bytes, last) + last.len() + 4 + rank * 8 + 4 + 8;
            subject.data = end.next_multiple_of(32)..bytes.len();
            subject.spread = 32;
        }
    }
    subjects
}

impl Subject {
    fn insert(&mut self, name: &'static str, from: &str) {
        self.files.insert(name, fixture(from));
    }
}

pub fn header_length(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
}
