//! GPT-2.

use crucible_transformer::{CausalLmConfig, CausalPositions, NormKind, QkvBias};
use serde_json::{Value, json};

use super::fields::Fields;
use super::{activation, activation_name};
use crate::Error;
use crate::rules::{Form, Rules};

pub(super) fn config(fields: &Fields) -> Result<CausalLmConfig, Error> {
    fields.only("scale_attn_weights", true)?;
    fields.only("scale_attn_by_inverse_layer_idx", false)?;
    fields.only("add_cross_attention", false)?;
    let d_model = fields.size("n_embd")?;
    let max_length = fields.size_or("n_positions", 1024)?;
    let config = CausalLmConfig::gpt2(
        fields.size("vocab_size")?,
        max_length,
        d_model,
        fields.size("n_head")?,
    )
    .with_activation(activation(fields, "activation_function", "gelu_new")?)
    .with_norm_epsilon(fields.number_or("layer_norm_epsilon", 1e-5)?)
    .with_tied(fields.flag_or("tie_word_embeddings", true)?);
    Ok(CausalLmConfig {
        d_ff: fields.size_or("n_inner", 4 * d_model)?,
        layers: fields.layers("n_layer")?,
        ..config
    })
}

/// Its `config.json`, if it is a GPT-2.
pub(super) fn json(config: &CausalLmConfig) -> Option<Value> {
    let learned = matches!(config.positions, CausalPositions::Learned);
    let heads = config.key_value_heads() == config.heads
        && config.d_model == config.heads * config.head_width();
    let fits = learned
        && heads
        && !config.gated
        && config.norm == NormKind::Layer
        && config.bias == QkvBias::All;
    fits.then(|| {
        json!({
            "model_type": "gpt2",
            "architectures": ["GPT2LMHeadModel"],
            "vocab_size": config.vocabulary,
            "n_positions": config.max_length,
            "n_embd": config.d_model,
            "n_head": config.heads,
            "n_inner": config.d_ff,
            "n_layer": config.layers,
            "activation_function": activation_name(config.activation),
            "layer_norm_epsilon": config.norm_epsilon,
        })
    })
}

pub(super) fn rules(config: &CausalLmConfig) -> Rules {
    let mut rules = Rules::with_loose("transformer.");
    rules.same("word.weight", "transformer.wte.weight");
    rules.same("position.Learned", "transformer.wpe.weight");
    rules.norm("norm.Layer", "transformer.ln_f");
    for layer in 0..config.layers {
        let (ours, theirs) = (format!("blocks.{layer}"), format!("transformer.h.{layer}"));
        rules.norm(
            &format!("{ours}.attention_norm.Layer"),
            &format!("{theirs}.ln_1"),
        );
        rules.norm(
            &format!("{ours}.feed_forward_norm.Layer"),
            &format!("{theirs}.ln_2"),
        );
        let sides = ["query", "key", "value"].map(|side| format!("{ours}.attention.{side}.linear"));
        let packed = ["weight", "bias"].map(|name| format!("{theirs}.attn.c_attn.{name}"));
        let [weight, bias] = &packed;
        rules.packed(&sides, [weight, bias], Form::Same);
        for (layer, name) in [
            ("attention.output", "attn.c_proj"),
            ("feed_forward.inner", "mlp.c_fc"),
            ("feed_forward.outer", "mlp.c_proj"),
        ] {
            rules.conv1d(
                &format!("{ours}.{layer}.linear"),
                &format!("{theirs}.{name}"),
            );
        }
    }
    super::head(&mut rules, config.tied);
    // The causal mask, which old checkpoints hold.
    rules.ignore(".attn.bias");
    rules.ignore(".attn.masked_bias");
    rules
}
