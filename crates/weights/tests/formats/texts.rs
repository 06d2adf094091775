//! The texts beside the weights: configuration, tokenizer, chat template.

use std::fs;

use crucible_weights::files::{config, load_tokenizer, tokenizer};
use serde_json::{Value, json};

use crate::{copied, fixture};

#[test]
fn a_folder_has_texts_beside_its_weights() {
    let files = tokenizer(&fixture("texts")).unwrap();
    assert_eq!(
        files.json,
        fs::read_to_string(fixture("texts/tokenizer.json")).unwrap()
    );
    assert_eq!(files.chat_template.as_deref(), Some("{{ messages }}"));
    assert_eq!(files.bos.as_deref(), Some("<|im_start|>"));
    assert_eq!(files.eos.as_deref(), Some("<|im_end|>"));
    assert_eq!(files.pad.as_deref(), Some("<|endoftext|>"));
    assert!(!files.add_bos);
    assert_eq!(
        config(&fixture("texts")).unwrap()["rope_scaling"]["factor"],
        8.0
    );
    // A file's own folder.
    let (folder, path) = copied("types.safetensors", "model.safetensors");
    assert!(
        config(&path)
            .unwrap_err()
            .to_string()
            .contains("no config.json")
    );
    assert!(
        tokenizer(&path)
            .unwrap_err()
            .to_string()
            .contains("no tokenizer.json")
    );
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(fixture("texts").join(name), folder.path().join(name)).unwrap();
    }
    assert_eq!(config(&path).unwrap()["model_type"], "llama");
    let files = tokenizer(&path).unwrap();
    assert_eq!(
        (files.chat_template, files.bos, files.add_bos),
        (None, None, false)
    );
    // The newer place of the template.
    let settings = json!({"chat_template": "old", "add_bos_token": true, "bos_token": "<s>"});
    fs::write(
        folder.path().join("tokenizer_config.json"),
        settings.to_string(),
    )
    .unwrap();
    let files = tokenizer(folder.path()).unwrap();
    assert_eq!(files.chat_template.as_deref(), Some("old"));
    assert!(files.add_bos);
    fs::write(folder.path().join("chat_template.jinja"), "new").unwrap();
    let files = tokenizer(folder.path()).unwrap();
    assert_eq!(files.chat_template.as_deref(), Some("new"));
}

/// Llama 3's settings do not say whether texts begin with the token; its tokenizer does.
#[test]
fn the_tokenizer_tells_whether_texts_begin_with_bos() {
    let folder = tempfile::tempdir().unwrap();
    let made = tokenizer(&fixture("llama-bpe.gguf")).unwrap();
    let adds = |json: &str| {
        fs::write(folder.path().join("tokenizer.json"), json).unwrap();
        let settings = r#"{"bos_token": "<|endoftext|>"}"#;
        fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
        tokenizer(folder.path()).unwrap().add_bos
    };
    assert!(adds(&made.json));
    assert!(adds(
        r#"{"post_processor": {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "trim_offsets": true},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|endoftext|>"}}, {"Sequence": {"id": "A"}}]}
    ]}}"#
    ));
    assert!(adds(
        r#"{"post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<|endoftext|>", 0]}}"#
    ));
    assert!(!adds(
        r#"{"post_processor": {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}}"#
    ));
    assert!(!adds(r#"{"post_processor": null}"#));
}

#[test]
fn json_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |content: String| {
        fs::write(folder.path().join("config.json"), content).unwrap();
        config(folder.path()).unwrap_err().to_string()
    };
    let deep = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(refused(deep(64)).contains("nested more than 64 deep"));
    assert!(refused(format!("[{}1]", "1,".repeat(1 << 18))).contains("more than 262144 values"));
    assert!(refused(" ".repeat((8 << 20) + 1)).contains("more than 8388608 bytes"));
    assert!(refused("[1]".into()).contains("is no JSON object"));
    // Within a text nothing nests.
    let text = json!({"a": "[".repeat(100) + "\"" + &"{".repeat(100)}).to_string();
    fs::write(folder.path().join("config.json"), text).unwrap();
    config(folder.path()).unwrap();
    fs::write(folder.path().join("config.json"), deep(63)).unwrap();
    config(folder.path()).unwrap();
}

/// Files on which the tokenizers library itself panics or takes terabytes.
#[test]
fn a_tokenizer_that_would_do_harm_is_refused() {
    let [byte_level, unigram, word_piece] = ["tokenizer", "unigram", "word-piece"].map(|name| {
        let text = fs::read_to_string(fixture("texts").join(format!("{name}.json"))).unwrap();
        load_tokenizer(&text).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    });
    let refused = |tokenizer: &Value, key: &str, value: Value| {
        let mut tokenizer = tokenizer.clone();
        *tokenizer.pointer_mut(key).unwrap() = value;
        load_tokenizer(&tokenizer.to_string())
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let library = "the tokenizers library fails on it";
    for (tokenizer, key, value, reason) in [
        (
            &byte_level,
            "/model/continuing_subword_prefix",
            json!("####"),
            library,
        ),
        (
            &unigram,
            "/normalizer/precompiled_charsmap",
            json!("?"),
            library,
        ),
        (
            &unigram,
            "/normalizer/precompiled_charsmap",
            json!("BAAAAP////8="),
            library,
        ),
        (
            &byte_level,
            "/normalizer",
            json!({"type": "Replace", "pattern": {"String": ""}, "content": "xyz"}),
            library,
        ),
        (
            &word_piece,
            "/pre_tokenizer",
            json!({"type": "FixedLength", "length": 0}),
            library,
        ),
        (&word_piece, "/model/vocab", json!([]), "tokenizer.json: "),
    ] {
        let message = refused(tokenizer, key, value);
        assert!(
            message.contains(reason),
            "{message}\nwhere {reason} was expected"
        );
    }
    let longer = json!({"type": "Replace", "pattern": {"Regex": "."}, "content": "x".repeat(20)});
    let steps = json!({"type": "Sequence", "normalizers": vec![longer; 6]});
    assert!(refused(&word_piece, "/normalizer", steps).contains("4096 times longer"));
    // Padding and truncation are left out.
    let mut padded = word_piece.clone();
    padded["padding"]["pad_to_multiple_of"] = json!(8_000_000_000_000u64);
    padded["truncation"]["stride"] = json!(100);
    let loaded = load_tokenizer(&padded.to_string()).unwrap();
    assert!(loaded.get_padding().is_none() && loaded.get_truncation().is_none());
    assert_eq!(
        loaded.encode("the cats", true).unwrap().get_ids(),
        [2, 5, 11, 10, 3]
    );
}
