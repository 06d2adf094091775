//! The `tokenizer.json` of a byte-level BPE vocabulary in GGUF (GPT-2, section 2.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::Gguf;
use super::metadata::{Reader, Value};
use crate::Error;
use crate::error::shown;
use crate::files::source::Source;
use crate::files::tokenizer::TokenizerFiles;

/// `tokenizer.ggml.token_type`: tokens that stand for no text, such as the end of a turn.
const CONTROL: i32 = 3;

/// `tokenizer.ggml.token_type`: texts that are one token wherever they occur.
const USER_DEFINED: i32 = 4;

/// How Qwen2 and Llama 3 cut texts into words. They differ in how many digits make one.
macro_rules! words {
    ($digits:literal) => {
        concat!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
            $digits,
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    };
}

/// What `tokenizer.json` would say, and what `tokenizer_config.json` has beside it.
pub(in crate::files) fn tokenizer(source: &Arc<Source>) -> Result<TokenizerFiles, Error> {
    let gguf = Gguf::open(source)?;
    let key = "tokenizer.ggml.model";
    let model = gguf.required(key, gguf.text(key)?)?;
    if model != "gpt2" {
        let reason = format!(
            "its tokenizer is `{}`, not byte-level BPE (`gpt2`), the only kind that is read of GGUF",
            shown(model)
        );
        return Err(gguf.error(reason));
    }
    let tokens = texts(&gguf, "tokenizer.ggml.tokens")?;
    let merges = texts(&gguf, "tokenizer.ggml.merges")?;
    let added = added(&gguf, &tokens)?;
    let key = "tokenizer.ggml.pre";
    let style = Style::new(gguf.required(key, gguf.text(key)?)?).map_err(|name| {
        gguf.error(format!(
            "cuts texts into words as `{}` does, which is unknown; gpt-2, smollm, qwen2 and llama-bpe are read",
            shown(name)
        ))
    })?;
    let token = |key: &str| -> Result<Option<String>, Error> {
        let Some(id) = gguf.integer(key)? else {
            return Ok(None);
        };
        let token = usize::try_from(id).ok().and_then(|id| tokens.get(id));
        let missing = || {
            gguf.error(format!(
                "`{key}` is {id}, but there are {} tokens",
                tokens.len()
            ))
        };
        token.cloned().map(Some).ok_or_else(missing)
    };
    let bos = token("tokenizer.ggml.bos_token_id")?;
    let add_bos = gguf
        .flag("tokenizer.ggml.add_bos_token")?
        .unwrap_or(style.add_bos);
    let start = bos.as_ref().filter(|_| add_bos);
    let bos_id = gguf.integer("tokenizer.ggml.bos_token_id")?;
    let ids: BTreeMap<&str, usize> = tokens.iter().map(String::as_str).zip(0..).collect();
    if ids.len() != tokens.len() {
        return Err(gguf.error("has a token twice"));
    }
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": style.normalizer,
        "pre_tokenizer": style.pre_tokenizer,
        "post_processor": start.map(|bos| json!({
            "type": "TemplateProcessing",
            "single": [special(bos, 0), sequence("A", 0)],
            "pair": [special(bos, 0), sequence("A", 0), special(bos, 1), sequence("B", 1)],
            "special_tokens": {bos: {"id": bos, "ids": [bos_id], "tokens": [bos]}},
        })),
        "decoder": byte_level(true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": style.ignore_merges,
            "vocab": ids,
            "merges": merges,
        },
    });
    Ok(TokenizerFiles {
        json: json.to_string(),
        chat_template: gguf.text("tokenizer.chat_template")?.map(str::to_owned),
        eos: token("tokenizer.ggml.eos_token_id")?,
        pad: token("tokenizer.ggml.padding_token_id")?,
        add_bos: start.is_some(),
        bos,
    })
}

/// How a family of models cuts texts.
struct Style {
    normalizer: Json,
    pre_tokenizer: Json,
    /// Whether a word that is a token needs no merges.
    ignore_merges: bool,
    add_bos: bool,
}

impl Style {
    /// The style of that name in `tokenizer.ggml.pre`, as the models' own `tokenizer.json` has it.
    fn new(name: &str) -> Result<Self, &str> {
        let plain = |pre_tokenizer| Self {
            normalizer: Json::Null,
            pre_tokenizer,
            ignore_merges: false,
            add_bos: false,
        };
        Ok(match name {
            "gpt-2" | "gpt2" => plain(byte_level(true)),
            "smollm" => {
                let digits = json!({"type": "Digits", "individual_digits": true});
                plain(in_turn([digits, byte_level(true)]))
            }
            "qwen2" => Self {
                normalizer: json!({"type": "NFC"}),
                ..plain(in_turn([split(words!(r"\p{N}")), byte_level(false)]))
            },
            "llama-bpe" | "llama3" | "llama-v3" => Self {
                ignore_merges: true,
                add_bos: true,
                ..plain(in_turn([split(words!(r"\p{N}{1,3}")), byte_level(false)]))
            },
            other => return Err(other),
        })
    }
}

fn in_turn(parts: [Json; 2]) -> Json {
    json!({"type": "Sequence", "pretokenizers": parts})
}

fn split(regex: &str) -> Json {
    json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false})
}

/// Bytes as the characters that GPT-2 writes for them.
fn byte_level(use_regex: bool) -> Json {
    json!({
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": true,
        "use_regex": use_regex,
    })
}

fn special(token: &str, segment: u32) -> Json {
    json!({"SpecialToken": {"id": token, "type_id": segment}})
}

fn sequence(name: &str, segment: u32) -> Json {
    json!({"Sequence": {"id": name, "type_id": segment}})
}

/// The tokens that are found before a text is cut.
fn added(gguf: &Gguf, tokens: &[String]) -> Result<Vec<Json>, Error> {
    let key = "tokenizer.ggml.token_type";
    let kinds = match gguf.metadata.get(key) {
        Some(&Value::Array(array)) => Reader::integers(&gguf.source, array)?,
        _ => return Err(gguf.mistyped(key, "array")),
    };
    if kinds.len() != tokens.len() {
        return Err(gguf.error(format!("{} types for {} tokens", kinds.len(), tokens.len())));
    }
    let kinds = kinds.into_iter().zip(tokens).enumerate();
    let added = kinds.filter(|(_, (kind, _))| [CONTROL, USER_DEFINED].contains(kind));
    let added = added.map(|(id, (kind, content))| {
        json!({
            "id": id,
            "content": content,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": kind == CONTROL,
        })
    });
    Ok(added.collect())
}

fn texts(gguf: &Gguf, key: &str) -> Result<Vec<String>, Error> {
    match gguf.metadata.get(key) {
        Some(&Value::Array(array)) => Reader::texts(&gguf.source, array),
        Some(_) => Err(gguf.mistyped(key, "array")),
        None => Err(gguf.error(format!("has no metadata `{key}`"))),
    }
}
