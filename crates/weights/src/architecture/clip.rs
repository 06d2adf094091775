//! CLIP, as transformers holds it.

use crucible_fusion::DualEncoderConfig;
use crucible_transformer::{EncoderConfig, TextEncoderConfig, TextEnd};
use crucible_vision::VitConfig;

use super::activation;
use super::fields::Fields;
use super::vision::vit;
use crate::Error;
use crate::rules::{Form, Rules};

/// `eos_token_id` of the first configurations, which is not the id of the end.
const FORMER_END: usize = 2;

pub(super) fn config(fields: &Fields) -> Result<DualEncoderConfig, Error> {
    let text = text(&fields.table_or_empty("text_config")?)?;
    let vision = vision(&fields.table_or_empty("vision_config")?)?;
    let d_embedding = fields.size_or("projection_dim", 512)?;
    Ok(DualEncoderConfig::new(vision, text, d_embedding))
}

/// Of `[d_model, heads, d_ff, layers]` where nothing else is said.
pub(super) fn stack(
    fields: &Fields,
    [d_model, heads, d_ff, layers]: [usize; 4],
    default: &str,
    norm_epsilon: f64,
) -> Result<EncoderConfig, Error> {
    let stack = EncoderConfig::new(
        fields.size_or("hidden_size", d_model)?,
        fields.size_or("num_attention_heads", heads)?,
        fields.size_or("intermediate_size", d_ff)?,
        fields.layers_or("num_hidden_layers", layers)?,
    );
    Ok(stack
        .with_activation(activation(fields, "hidden_act", default)?)
        .with_norm_epsilon(fields.number_or("layer_norm_eps", norm_epsilon)?))
}

fn text(fields: &Fields) -> Result<TextEncoderConfig, Error> {
    let stack = stack(fields, [512, 8, 2048, 12], "quick_gelu", 1e-5)?;
    let end = match fields.size_or("eos_token_id", 49_407)? {
        FORMER_END => TextEnd::HighestId,
        id => TextEnd::Token(u32::try_from(id).unwrap_or(u32::MAX)),
    };
    let vocabulary = fields.size_or("vocab_size", 49_408)?;
    let max_length = fields.size_or("max_position_embeddings", 77)?;
    Ok(TextEncoderConfig::new(vocabulary, max_length, stack)
        .with_embedding_norm(false)
        .with_causal(true)
        .with_end(Some(end)))
}

pub(super) fn vision(fields: &Fields) -> Result<VitConfig, Error> {
    let stack = stack(fields, [768, 12, 3072, 12], "quick_gelu", 1e-5)?;
    Ok(vit(fields, [224, 32], stack)?
        .with_patch_bias(false)
        .with_embedding_norm(true))
}

pub(super) fn rules(config: &DualEncoderConfig) -> Rules {
    let text = text_rules(&config.text).within("text");
    let mut rules = text.and(vision_rules(&config.vision).within("vision"));
    rules.linear("image_projection", "visual_projection");
    rules.linear("text_projection", "text_projection");
    rules.tensor("log_scale", "logit_scale", Form::Axes(0));
    rules.absent("bias");
    rules
}

/// Of the text tower, which is SigLIP's as well.
pub(super) fn text_rules(config: &TextEncoderConfig) -> Rules {
    let mut rules = Rules::default();
    for (ours, theirs) in [
        ("word.weight", "token_embedding"),
        ("position.Learned", "position_embedding"),
    ] {
        let theirs = format!("text_model.embeddings.{theirs}.weight");
        rules.same(format!("embeddings.{ours}"), theirs);
    }
    blocks(&mut rules, "text_model", config.encoder.layers);
    rules.norm("encoder.norm", "text_model.final_layer_norm");
    rules.ignore("text_model.embeddings.position_ids");
    rules
}

/// Of the image tower. SigLIP's has the same names, but lacks some and has others.
pub(super) fn vision_rules(config: &VitConfig) -> Rules {
    let mut rules = Rules::default();
    let embedding = |theirs: &str| format!("vision_model.embeddings.{theirs}");
    rules.tensor("class_token", embedding("class_embedding"), Form::Axes(1));
    rules.same("position.Learned", embedding("position_embedding.weight"));
    rules.patches(
        "patch_embedding.projection",
        &embedding("patch_embedding"),
        config.channels,
        config.patch_size,
    );
    // Their spelling.
    rules.norm("embedding_norm", "vision_model.pre_layrnorm");
    blocks(&mut rules, "vision_model", config.encoder.layers);
    rules.norm("encoder.norm", "vision_model.post_layernorm");
    rules.ignore("vision_model.embeddings.position_ids");
    rules
}

fn blocks(rules: &mut Rules, tower: &str, layers: usize) {
    for layer in 0..layers {
        let ours = format!("encoder.blocks.{layer}");
        let theirs = format!("{tower}.encoder.layers.{layer}");
        for (layer, name) in [
            ("attention.query", "self_attn.q_proj"),
            ("attention.key", "self_attn.k_proj"),
            ("attention.value", "self_attn.v_proj"),
            ("attention.output", "self_attn.out_proj"),
            ("feed_forward.inner", "mlp.fc1"),
            ("feed_forward.outer", "mlp.fc2"),
        ] {
            rules.linear(&format!("{ours}.{layer}"), &format!("{theirs}.{name}"));
        }
        for (branch, norm) in [("attention", 1), ("feed_forward", 2)] {
            let ours = format!("{ours}.{branch}_residual.norm");
            rules.norm(&ours, &format!("{theirs}.layer_norm{norm}"));
        }
    }
}
