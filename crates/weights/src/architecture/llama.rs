//! The Llama family: Llama, SmolLM2, Mistral without its window, Qwen2.

use crucible_transformer::{
    CausalLmConfig, CausalPositions, NormKind, QkvBias, RopeScaling, RotaryConfig,
};

use serde_json::{Value, json};

use super::fields::Fields;
use super::{activation, activation_name};
use crate::Error;
use crate::rules::Rules;

pub(super) fn config(fields: &Fields, model_type: &str) -> Result<CausalLmConfig, Error> {
    let (d_model, heads) = (
        fields.size("hidden_size")?,
        fields.size("num_attention_heads")?,
    );
    fields.only("mlp_bias", false)?;
    fields.only("use_sliding_window", false)?;
    let max_length = fields.size_or("max_position_embeddings", 2048)?;
    if let Some(window) = fields.optional_size("sliding_window")?
        && model_type == "mistral"
        && window < max_length
    {
        return Err(fields.wrong(
            "sliding_window",
            format!("is {window}, but attention here sees all {max_length} tokens"),
        ));
    }
    let bias = match (model_type, fields.flag_or("attention_bias", false)?) {
        ("qwen2", _) => QkvBias::Inputs,
        (_, true) => QkvBias::All,
        (_, false) => QkvBias::None,
    };
    let config = CausalLmConfig::new(
        fields.size("vocab_size")?,
        max_length,
        d_model,
        heads,
        fields.size("intermediate_size")?,
        fields.layers("num_hidden_layers")?,
    );
    Ok(config
        .with_kv_heads(fields.size_or("num_key_value_heads", heads)?)
        .with_d_head(fields.optional_size("head_dim")?.unwrap_or(0))
        .with_positions(CausalPositions::Rotary(rotary(fields)?))
        .with_activation(activation(fields, "hidden_act", "silu")?)
        .with_norm_epsilon(fields.number_or("rms_norm_eps", 1e-6)?)
        .with_bias(bias)
        .with_tied(fields.flag_or("tie_word_embeddings", false)?))
}

fn rotary(fields: &Fields) -> Result<RotaryConfig, Error> {
    // Newer configurations hold all of it in one table.
    let parameters = fields.table("rope_parameters")?;
    let of = parameters.as_ref().unwrap_or(fields);
    let theta = of.number_or("rope_theta", 10_000.0)?;
    let scaling = match &parameters {
        Some(parameters) => Some(parameters.clone()),
        None => fields.table("rope_scaling")?,
    };
    let scaling = match scaling {
        None => RopeScaling::None,
        Some(table) => {
            let older = table.word_or("type", "default")?;
            match table.word_or("rope_type", older)? {
                "default" => RopeScaling::None,
                "linear" => RopeScaling::Linear {
                    factor: table.number("factor")?,
                },
                "llama3" => RopeScaling::Llama3 {
                    factor: table.number("factor")?,
                    low_frequency: table.number("low_freq_factor")?,
                    high_frequency: table.number("high_freq_factor")?,
                    original_length: table.size("original_max_position_embeddings")?,
                },
                other => {
                    let reason = format!(
                        "is of the kind `{other}`; default, linear and llama3 are supported"
                    );
                    return Err(fields.wrong("rope_scaling", reason));
                }
            }
        }
    };
    Ok(RotaryConfig { theta, scaling })
}

/// Its `config.json`, if it is of the family.
pub(super) fn json(config: &CausalLmConfig) -> Option<Value> {
    let CausalPositions::Rotary(rotary) = &config.positions else {
        return None;
    };
    if !config.gated || config.norm != NormKind::Rms {
        return None;
    }
    let (model_type, architecture) = match config.bias {
        QkvBias::Inputs => ("qwen2", "Qwen2ForCausalLM"),
        QkvBias::None | QkvBias::All => ("llama", "LlamaForCausalLM"),
    };
    let scaling = match rotary.scaling {
        RopeScaling::None => Value::Null,
        RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RopeScaling::Llama3 {
            factor,
            low_frequency,
            high_frequency,
            original_length,
        } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_frequency,
            "high_freq_factor": high_frequency,
            "original_max_position_embeddings": original_length,
        }),
    };
    Some(json!({
        "model_type": model_type,
        "architectures": [architecture],
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.max_length,
        "hidden_size": config.d_model,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_value_heads(),
        "head_dim": config.head_width(),
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.layers,
        "hidden_act": activation_name(config.activation),
        "rms_norm_eps": config.norm_epsilon,
        "attention_bias": config.bias == QkvBias::All,
        "mlp_bias": false,
        "rope_theta": rotary.theta,
        "rope_scaling": scaling,
    }))
}

pub(super) fn rules(config: &CausalLmConfig) -> Rules {
    let mut rules = Rules::with_loose("model.");
    rules.same("word.weight", "model.embed_tokens.weight");
    rules.same("norm.Rms.gamma", "model.norm.weight");
    for layer in 0..config.layers {
        let (ours, theirs) = (format!("blocks.{layer}"), format!("model.layers.{layer}"));
        for (norm, name) in [
            ("attention_norm", "input_layernorm"),
            ("feed_forward_norm", "post_attention_layernorm"),
        ] {
            rules.same(
                format!("{ours}.{norm}.Rms.gamma"),
                format!("{theirs}.{name}.weight"),
            );
        }
        for (layer, name) in [
            ("attention.query", "self_attn.q_proj"),
            ("attention.key", "self_attn.k_proj"),
            ("attention.value", "self_attn.v_proj"),
            ("attention.output", "self_attn.o_proj"),
            ("feed_forward.gate", "mlp.gate_proj"),
            ("feed_forward.inner", "mlp.up_proj"),
            ("feed_forward.outer", "mlp.down_proj"),
        ] {
            rules.linear(
                &format!("{ours}.{layer}.linear"),
                &format!("{theirs}.{name}"),
            );
        }
    }
    super::head(&mut rules, config.tied);
    rules.ignore(".rotary_emb.inv_freq");
    rules
}
