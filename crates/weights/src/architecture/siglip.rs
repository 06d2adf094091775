//! SigLIP.

use crucible_fusion::{DualEncoderConfig, DualProjections};
use crucible_transformer::{Pooling, TextEncoderConfig, TextEnd};
use crucible_vision::{VitConfig, VitPoolerKind};

use super::clip::{self, stack, text_rules};
use super::fields::Fields;
use super::vision::vit;
use crate::Error;
use crate::rules::{Form, Rules};

const BASE: [usize; 4] = [768, 12, 3072, 12];

pub(super) fn config(fields: &Fields) -> Result<DualEncoderConfig, Error> {
    let text_fields = fields.table_or_empty("text_config")?;
    let text = text(&text_fields)?;
    let vision = vision(&fields.table_or_empty("vision_config")?)?;
    let d_embedding = text_fields.size_or("projection_size", text.encoder.d_model)?;
    Ok(DualEncoderConfig::new(vision, text, d_embedding)
        .with_projections(DualProjections::Text)
        .with_largest_scale(None))
}

fn text(fields: &Fields) -> Result<TextEncoderConfig, Error> {
    let stack = stack(fields, BASE, "gelu_pytorch_tanh", 1e-6)?;
    let vocabulary = fields.size_or("vocab_size", 32_000)?;
    let max_length = fields.size_or("max_position_embeddings", 64)?;
    Ok(TextEncoderConfig::new(vocabulary, max_length, stack)
        .with_embedding_norm(false)
        .with_end(Some(TextEnd::LastPlace)))
}

pub(super) fn vision(fields: &Fields) -> Result<VitConfig, Error> {
    fields.only("vision_use_head", true)?;
    let stack = stack(fields, BASE, "gelu_pytorch_tanh", 1e-6)?;
    Ok(vit(fields, [224, 16], stack)?
        .with_pooling(Pooling::Mean)
        .with_pooler(Some(VitPoolerKind::Attention)))
}

pub(super) fn rules(config: &DualEncoderConfig) -> Rules {
    let text = text_rules(&config.text).within("text");
    let mut rules = text.and(vision_rules(&config.vision).within("vision"));
    rules.linear("text_projection", "text_model.head");
    rules.tensor("log_scale", "logit_scale", Form::Axes(1));
    rules.tensor("bias", "logit_bias", Form::Axes(1));
    rules
}

pub(super) fn vision_rules(config: &VitConfig) -> Rules {
    let mut rules = clip::vision_rules(config);
    let (ours, theirs) = ("pooler.Attention", "vision_model.head");
    let probe = format!("{theirs}.probe");
    rules.tensor(format!("{ours}.probe"), probe, Form::Axes(3));
    let sides = ["query", "key", "value"].map(|side| format!("{ours}.attention.{side}"));
    let packed = ["weight", "bias"].map(|end| format!("{theirs}.attention.in_proj_{end}"));
    let packed = packed.each_ref().map(String::as_str);
    rules.packed(&sides, packed, Form::Transposed);
    for (layer, name) in [
        ("attention.output", "attention.out_proj"),
        ("feed_forward.inner", "mlp.fc1"),
        ("feed_forward.outer", "mlp.fc2"),
    ] {
        rules.linear(&format!("{ours}.{layer}"), &format!("{theirs}.{name}"));
    }
    rules.norm(&format!("{ours}.norm"), &format!("{theirs}.layernorm"));
    rules
}
