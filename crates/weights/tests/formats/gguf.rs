//! GGUF: tensors, configuration, tokenizer.

use std::fs;

use crucible_weights::files::{Tensors, config, load_tokenizer, tokenizer};
use serde_json::{Value, json};

use crate::{assert_expected, copied, fixture, refusal};

#[test]
fn gguf_has_the_names_and_rows_of_hugging_face() {
    for name in ["llama.gguf", "qwen2.gguf"] {
        let tensors = Tensors::open(&fixture(name)).unwrap();
        assert_expected(&tensors, name, &[]);
    }
}

#[test]
fn gguf_has_a_config() {
    let expected = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 32,
        "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1,
        "head_dim": 4, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 100000.0,
        "vocab_size": 301, "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2,
        "attention_bias": false, "mlp_bias": false,
    });
    assert_eq!(config(&fixture("llama.gguf")).unwrap(), expected);
    let qwen2 = config(&fixture("qwen2.gguf")).unwrap();
    assert_eq!(qwen2["model_type"], "qwen2");
    assert_eq!(qwen2["tie_word_embeddings"], false);
    // A folder with nothing else.
    let (folder, _) = copied("llama.gguf", "model-q4.gguf");
    assert_eq!(config(folder.path()).unwrap(), expected);
    assert_expected(&Tensors::open(folder.path()).unwrap(), "llama.gguf", &[]);
    fs::copy(fixture("qwen2.gguf"), folder.path().join("b.gguf")).unwrap();
    assert!(refusal(folder.path()).contains("several *.gguf"));
}

/// Replaces bytes of `llama.gguf` by others of the same number.
fn patched(from: &[u8], to: &[u8]) -> String {
    let (_folder, path) = copied("llama.gguf", "x.gguf");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from);
    bytes.splice(at.unwrap()..at.unwrap() + from.len(), to.iter().copied());
    fs::write(&path, bytes).unwrap();
    let opened = Tensors::open(&path).map(drop);
    let error = opened.and_then(|()| config(&path).map(drop)).unwrap_err();
    error.to_string()
}

#[test]
fn a_gguf_that_is_not_understood_says_why() {
    assert!(patched(b"GGUF\x03", b"GGUF\x01").contains("GGUF version 1"));
    assert!(
        patched(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0gemma")
            .contains("architecture `gemma`")
    );
    let message = patched(b"blk.1.ffn_up.weight", b"blk.2.ffn_up.weight");
    assert!(
        message.contains("`blk.2.ffn_up.weight`: is unknown"),
        "{message}"
    );
    // Name, rank, sizes, type.
    let info = |kind: u8| {
        [
            b"output_norm.weight\x01\0\0\0\x20\0\0\0\0\0\0\0",
            [kind, 0, 0, 0].as_slice(),
        ]
        .concat()
    };
    let message = patched(&info(0), &info(12));
    assert!(
        message.contains("`output_norm.weight`: is of type Q4_K"),
        "{message}"
    );
    let message = patched(&info(0), &info(1));
    assert!(message.contains("where its tensors end"), "{message}");
    let message = patched(b"llama.block_count", b"llama.block_c0unt");
    assert!(
        message.contains("no metadata `llama.block_count`"),
        "{message}"
    );
}

/// Ids of texts as the made `tokenizer.json` cuts them.
fn assert_tokens(name: &str) {
    let golden: Value = serde_json::from_slice(&fs::read(fixture("tokens.json")).unwrap()).unwrap();
    let files = tokenizer(&fixture(name)).unwrap();
    let made = load_tokenizer(&files.json).unwrap();
    let texts = golden["texts"].as_array().unwrap();
    for (text, ids) in texts.iter().zip(golden["ids"][name].as_array().unwrap()) {
        let text = text.as_str().unwrap();
        let made = made.encode(text, true).unwrap();
        assert_eq!(&json!(made.get_ids()), ids, "{name}: {text:?}");
    }
    let id = |token: &Option<String>| made.token_to_id(token.as_ref().unwrap());
    assert_eq!(id(&files.eos), Some(2));
    assert_eq!(files.add_bos, name == "llama-bpe.gguf");
    assert_eq!(id(&files.bos), Some(u32::from(!files.add_bos)));
    assert_eq!(files.pad, None);
    assert!(files.chat_template.unwrap().contains("message.content"));
}

#[test]
fn gguf_has_a_tokenizer() {
    for name in ["gpt-2.gguf", "smollm.gguf", "qwen2.gguf", "llama-bpe.gguf"] {
        assert_tokens(if name == "smollm.gguf" {
            "llama.gguf"
        } else {
            name
        });
    }
}

#[test]
fn a_vocabulary_of_another_kind_says_so() {
    let (_folder, path) = copied("llama.gguf", "x.gguf");
    let bytes = fs::read(&path).unwrap();
    for (from, to, reason) in [
        (
            b"\x04\0\0\0\0\0\0\0gpt2",
            b"\x04\0\0\0\0\0\0\0bert",
            "is `bert`, not byte-level BPE",
        ),
        (
            b"\x06\0\0\0\0\0\0\0smol",
            b"\x06\0\0\0\0\0\0\0smal",
            "as `smallm` does",
        ),
    ] {
        let mut bytes = bytes.clone();
        let at = bytes.windows(from.len()).position(|window| window == from);
        bytes.splice(at.unwrap()..at.unwrap() + from.len(), to.iter().copied());
        fs::write(&path, bytes).unwrap();
        let message = tokenizer(&path).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
}
