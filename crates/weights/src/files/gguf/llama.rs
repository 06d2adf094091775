//! The Llama family in GGUF: tensors under the names of Hugging Face, and the `config.json`.
//!
//! The reverse of llama.cpp's `convert_hf_to_gguf.py`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Gguf;
use super::rope::{self, FREQUENCIES};
use crate::Error;
use crate::files::entry::Entry;
use crate::files::source::Source;

/// The token embedding, whose rows are the vocabulary.
const EMBEDDING: &str = "token_embd.weight";

/// The output layer; where it is missing, the embedding serves.
const OUTPUT: &str = "output.weight";

/// What a file says about the shape of its model.
struct Shape {
    architecture: &'static str,
    layers: i64,
    heads: i64,
    kv_heads: i64,
}

impl Shape {
    fn of(gguf: &Gguf) -> Result<Self, Error> {
        let named = gguf.text("general.architecture")?;
        let architecture = match gguf.required("general.architecture", named)? {
            "llama" => "llama",
            "qwen2" => "qwen2",
            other => {
                let other = crate::error::shown(other);
                let reason =
                    format!("is of the architecture `{other}`; of GGUF, llama and qwen2 are read");
                return Err(gguf.error(reason));
            }
        };
        let layers = required(gguf, architecture, "block_count")?;
        let heads = required(gguf, architecture, "attention.head_count")?;
        let kv_heads = integer(gguf, architecture, "attention.head_count_kv")?.unwrap_or(heads);
        Ok(Self {
            architecture,
            layers,
            heads,
            kv_heads,
        })
    }
}

/// All tensors under the names that transformers gives them.
pub(in crate::files) fn open(source: &Arc<Source>) -> Result<BTreeMap<String, Entry>, Error> {
    let gguf = Gguf::open(source)?;
    let shape = Shape::of(&gguf)?;
    let heads = |heads: i64| usize::try_from(heads).unwrap_or(0);
    // Its numbers are in the configuration.
    let learnt = gguf
        .tensors
        .into_iter()
        .filter(|(name, _)| name != FREQUENCIES);
    let entries = learnt.map(|(name, entry)| {
        let named = hugging_face(&name, shape.layers);
        let named = named.ok_or_else(|| {
            let reason = format!("is unknown in the architecture {}", shape.architecture);
            let remedy = "give the model's Hugging Face folder";
            Error::tensor(source.path(), &name, reason, remedy)
        })?;
        let entry = match name.split('.').nth(2) {
            Some("attn_q") if shape.architecture == "llama" => entry.paired(heads(shape.heads))?,
            Some("attn_k") if shape.architecture == "llama" => {
                entry.paired(heads(shape.kv_heads))?
            }
            _ => entry,
        };
        Ok((named, entry))
    });
    entries.collect()
}

/// The name that transformers gives a tensor; `None` if its models have no such tensor.
fn hugging_face(name: &str, layers: i64) -> Option<String> {
    let whole = match name {
        EMBEDDING => Some("model.embed_tokens.weight"),
        OUTPUT => Some("lm_head.weight"),
        "output_norm.weight" => Some("model.norm.weight"),
        _ => None,
    };
    if let Some(whole) = whole {
        return Some(whole.to_owned());
    }
    let (number, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let layer: i64 = number.parse().ok()?;
    // `+1` and `01` are numbers, but no names.
    if layer >= layers || layer.to_string() != number {
        return None;
    }
    let (part, kind) = part.split_once('.')?;
    let part = match part {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "ffn_norm" => "post_attention_layernorm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    };
    matches!(kind, "weight" | "bias").then(|| format!("model.layers.{layer}.{part}.{kind}"))
}

/// What `config.json` would say.
pub(in crate::files) fn config(source: &Arc<Source>) -> Result<Value, Error> {
    let gguf = Gguf::open(source)?;
    let Shape {
        architecture,
        layers,
        heads,
        kv_heads,
    } = Shape::of(&gguf)?;
    let width = required(&gguf, architecture, "embedding_length")?;
    let whole = width.checked_rem(heads) == Some(0);
    let head = match integer(&gguf, architecture, "attention.key_length")? {
        Some(head) => head,
        None if whole => width / heads,
        None => return Err(gguf.error(format!("has {heads} heads for a width of {width}"))),
    };
    let rotated = integer(&gguf, architecture, "rope.dimension_count")?.unwrap_or(head);
    if rotated != head {
        let reason = format!("rotates {rotated} of {head} dimensions of a head");
        return Err(gguf.error(reason));
    }
    let embedding = gguf.tensors.get(EMBEDDING);
    let rows = embedding.and_then(|entry| entry.shape().first());
    let vocabulary = gguf.required(EMBEDDING, rows)?;
    let epsilon = "attention.layer_norm_rms_epsilon";
    let epsilon = format!("{architecture}.{epsilon}");
    let theta = gguf.float(&format!("{architecture}.rope.freq_base"))?;
    let theta = theta.unwrap_or(10_000.0);
    let class = match architecture {
        "llama" => "LlamaForCausalLM",
        _ => "Qwen2ForCausalLM",
    };
    let mut config = json!({
        "architectures": [class],
        "model_type": architecture,
        "hidden_act": "silu",
        "hidden_size": width,
        "intermediate_size": required(&gguf, architecture, "feed_forward_length")?,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head,
        "max_position_embeddings": required(&gguf, architecture, "context_length")?,
        "rms_norm_eps": gguf.required(&epsilon, gguf.float(&epsilon)?)?,
        "rope_theta": theta,
        "vocab_size": vocabulary,
        "tie_word_embeddings": !gguf.tensors.contains_key(OUTPUT),
    });
    if let Some(config) = config.as_object_mut() {
        optional(&gguf, architecture, config)?;
        if let Some(divisors) = gguf.tensors.get(FREQUENCIES) {
            let scaling = rope::scaling(source, divisors, theta, head)?;
            config.insert("rope_scaling".to_owned(), scaling);
        }
    }
    Ok(config)
}

/// What only some models have.
fn optional(gguf: &Gguf, architecture: &str, config: &mut Map<String, Value>) -> Result<(), Error> {
    for (key, name) in [
        ("bos_token_id", "tokenizer.ggml.bos_token_id"),
        ("eos_token_id", "tokenizer.ggml.eos_token_id"),
        ("pad_token_id", "tokenizer.ggml.padding_token_id"),
    ] {
        if let Some(id) = gguf.integer(name)? {
            config.insert(key.to_owned(), id.into());
        }
    }
    // Qwen2 always has these and does not say so.
    let has = |name: &str| gguf.tensors.contains_key(name);
    if architecture == "llama" {
        config.insert("attention_bias".to_owned(), has("blk.0.attn_q.bias").into());
        config.insert("mlp_bias".to_owned(), has("blk.0.ffn_gate.bias").into());
    }
    let scaling = |key: &str| format!("{architecture}.rope.scaling.{key}");
    let kind = gguf.text(&scaling("type"))?;
    if let Some(kind) = kind.filter(|&kind| kind != "none") {
        let rope = json!({
            "rope_type": kind,
            "factor": gguf.float(&scaling("factor"))?,
            "original_max_position_embeddings": integer(gguf, architecture, "rope.scaling.original_context_length")?,
        });
        config.insert("rope_scaling".to_owned(), rope);
    }
    Ok(())
}

fn integer(gguf: &Gguf, architecture: &str, key: &str) -> Result<Option<i64>, Error> {
    gguf.integer(&format!("{architecture}.{key}"))
}

/// A size, which must be there and positive.
fn required(gguf: &Gguf, architecture: &str, key: &str) -> Result<i64, Error> {
    let key = format!("{architecture}.{key}");
    let value = gguf.integer(&key)?.filter(|&value| value > 0);
    gguf.required(&key, value)
}
