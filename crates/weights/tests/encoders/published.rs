//! A published checkpoint: `CRUCIBLE_MINILM=FOLDER cargo test --workspace --test encoders -- --ignored`, where the folder
//! is `sentence-transformers/all-MiniLM-L6-v2`.
//!
//! `tests/reference/published.py` makes `tests/fixtures/published/minilm.*`.

use std::env;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use crucible_transformer::Pooling;
use crucible_weights::files::{Tensors, tokenizer};
use crucible_weights::{SentenceEmbedding, TextCheckpoint};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

use crate::fixture::{assert_whole, device};

/// Sentences at a time, of different lengths.
const BATCH: usize = 16;
/// As `sentence_bert_config.json` has it.
const MAX_LENGTH: usize = 256;

#[test]
#[ignore = "needs the checkpoint"]
fn minilm_embeds_sentences_as_sentence_transformers_does() {
    let folder = PathBuf::from(env::var_os("CRUCIBLE_MINILM").expect("CRUCIBLE_MINILM=FOLDER"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/published");
    let json = std::fs::read_to_string(golden.join("minilm.json")).unwrap();
    let sentences: Vec<String> = serde_json::from_str(&json).unwrap();
    assert_eq!(sentences.len(), 50);
    let golden = Tensors::open(&golden.join("minilm.safetensors")).unwrap();
    let expected = golden.read("embeddings").unwrap();
    let mut golden_ids = (0..).map(|i| golden.read(&format!("ids.{i}")).unwrap());

    let checkpoint = TextCheckpoint::open(&folder).unwrap();
    let (encoder, loaded) = checkpoint.load(&folder, &device()).unwrap();
    assert_whole(&loaded);
    // What its `1_Pooling/config.json` says, which some copies lack.
    let sentence = SentenceEmbedding {
        pooling: Pooling::Mean,
        normalize: true,
    };
    let mut tokenizer: Tokenizer = tokenizer(&folder).unwrap().json.parse().unwrap();
    tokenizer.with_padding(Some(PaddingParams::default()));
    let truncation = TruncationParams {
        max_length: MAX_LENGTH,
        ..TruncationParams::default()
    };
    tokenizer.with_truncation(Some(truncation)).unwrap();

    let mut found: Vec<f32> = Vec::new();
    let mut padded = 0;
    for batch in sentences.chunks(BATCH) {
        let encodings = tokenizer.encode_batch(batch.to_vec(), true).unwrap();
        for encoding in &encodings {
            let seen = encoding.get_attention_mask().iter().sum::<u32>() as usize;
            let ids = encoding.get_ids()[..seen].iter().map(|&id| id as f32);
            assert_eq!(ids.collect::<Vec<_>>(), golden_ids.next().unwrap());
        }
        let shape = [encodings.len(), encodings[0].len()];
        let ids = encodings.iter().flat_map(|text| text.get_ids());
        let ids: Vec<i32> = ids.map(|&id| i32::try_from(id).unwrap()).collect();
        let seen = encodings.iter().flat_map(|text| text.get_attention_mask());
        let padding: Vec<bool> = seen.map(|&seen| seen == 0).collect();
        padded += padding.iter().filter(|&&padding| padding).count();
        let ids = Tensor::from_data(TensorData::new(ids, shape), &device());
        let padding = Tensor::from_data(TensorData::new(padding, shape), &device());
        let encoded = encoder.forward(ids, None, Some(padding));
        found.extend(sentence.forward(&encoded).into_data().iter::<f32>());
    }
    assert!(padded > 0);
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f32::max);
    println!("{} sentences: at most {worst:.1e} off", sentences.len());
    assert!(worst <= 1e-4);
}
