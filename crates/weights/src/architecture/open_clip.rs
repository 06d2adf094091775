//! CLIP, as open_clip holds it.

use crucible_fusion::DualEncoderConfig;
use crucible_transformer::{Activation, EncoderConfig, TextEncoderConfig, TextEnd};
use crucible_vision::VitConfig;

use super::fields::Fields;
use super::vision::vit;
use crate::Error;
use crate::rules::{Form, Rules};

/// Each key is an argument of a constructor, so that one that is not known makes another model.
const MODEL: &[&str] = &[
    "embed_dim",
    "vision_cfg",
    "text_cfg",
    "quick_gelu",
    "custom_text",
];
const VISION: &[&str] = &[
    "image_size",
    "patch_size",
    "width",
    "head_width",
    "layers",
    "mlp_ratio",
    "patch_dropout",
];
const TEXT: &[&str] = &[
    "context_length",
    "vocab_size",
    "width",
    "heads",
    "layers",
    "mlp_ratio",
];

pub(super) fn config(fields: &Fields) -> Result<DualEncoderConfig, Error> {
    let vision = vision(fields)?;
    let (model, activation) = model(fields)?;
    let text = text(&model.table_or_empty("text_cfg")?, activation)?;
    let d_embedding = model.size("embed_dim")?;
    Ok(DualEncoderConfig::new(vision, text, d_embedding))
}

/// The table of the model, and what both towers have.
fn model(fields: &Fields) -> Result<(Fields, Activation), Error> {
    let model = fields.table_or_empty("model_cfg")?;
    model.known(MODEL)?;
    model.only("custom_text", false)?;
    let activation = match model.flag_or("quick_gelu", false)? {
        true => Activation::QuickGelu,
        false => Activation::Gelu,
    };
    Ok((model, activation))
}

pub(super) fn vision(fields: &Fields) -> Result<VitConfig, Error> {
    let (model, activation) = model(fields)?;
    let fields = model.table_or_empty("vision_cfg")?;
    fields.known(VISION)?;
    let width = fields.size_or("width", 768)?;
    let heads = width / fields.size_or("head_width", 64)?;
    let stack = stack(&fields, width, heads)?.with_activation(activation);
    Ok(vit(&fields, [224, 16], stack)?
        .with_patch_bias(false)
        .with_embedding_norm(true))
}

fn text(fields: &Fields, activation: Activation) -> Result<TextEncoderConfig, Error> {
    fields.known(TEXT)?;
    let width = fields.size_or("width", 512)?;
    let stack = stack(fields, width, fields.size_or("heads", 8)?)?.with_activation(activation);
    let vocabulary = fields.size_or("vocab_size", 49_408)?;
    let max_length = fields.size_or("context_length", 77)?;
    Ok(TextEncoderConfig::new(vocabulary, max_length, stack)
        .with_embedding_norm(false)
        .with_causal(true)
        .with_end(Some(TextEnd::HighestId)))
}

fn stack(fields: &Fields, width: usize, heads: usize) -> Result<EncoderConfig, Error> {
    let d_ff = fields.multiple_or("mlp_ratio", 4.0, width)?;
    let layers = fields.layers_or("layers", 12)?;
    Ok(EncoderConfig::new(width, heads, d_ff, layers))
}

pub(super) fn rules(config: &DualEncoderConfig) -> Rules {
    let mut text = Rules::default();
    text.same("embeddings.word.weight", "token_embedding.weight");
    text.same("embeddings.position.Learned", "positional_embedding");
    blocks(&mut text, "", config.text.encoder.layers);
    text.norm("encoder.norm", "ln_final");
    // The causal mask, which old checkpoints hold.
    text.ignore("attn_mask");
    let vision = vision_rules(&config.vision).within("vision");
    let mut rules = text.within("text").and(vision);
    rules.same("image_projection.weight", "visual.proj");
    rules.same("text_projection.weight", "text_projection");
    rules.tensor("log_scale", "logit_scale", Form::Axes(0));
    rules.absent("bias");
    rules
}

pub(super) fn vision_rules(config: &VitConfig) -> Rules {
    let mut rules = Rules::default();
    rules.tensor("class_token", "visual.class_embedding", Form::Axes(1));
    rules.same("position.Learned", "visual.positional_embedding");
    rules.patches(
        "patch_embedding.projection",
        "visual.conv1",
        config.channels,
        config.patch_size,
    );
    rules.norm("embedding_norm", "visual.ln_pre");
    blocks(&mut rules, "visual.", config.encoder.layers);
    rules.norm("encoder.norm", "visual.ln_post");
    rules
}

fn blocks(rules: &mut Rules, prefix: &str, layers: usize) {
    for layer in 0..layers {
        let ours = format!("encoder.blocks.{layer}");
        let theirs = format!("{prefix}transformer.resblocks.{layer}");
        let sides = ["query", "key", "value"].map(|side| format!("{ours}.attention.{side}"));
        let packed = ["weight", "bias"].map(|end| format!("{theirs}.attn.in_proj_{end}"));
        let packed = packed.each_ref().map(String::as_str);
        rules.packed(&sides, packed, Form::Transposed);
        for (layer, name) in [
            ("attention.output", "attn.out_proj"),
            ("feed_forward.inner", "mlp.c_fc"),
            ("feed_forward.outer", "mlp.c_proj"),
        ] {
            rules.linear(&format!("{ours}.{layer}"), &format!("{theirs}.{name}"));
        }
        for (branch, norm) in [("attention", "ln_1"), ("feed_forward", "ln_2")] {
            let ours = format!("{ours}.{branch}_residual.norm");
            rules.norm(&ours, &format!("{theirs}.{norm}"));
        }
    }
}
