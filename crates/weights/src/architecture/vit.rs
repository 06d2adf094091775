//! ViT, DeiT and DINOv2.

use crucible_transformer::{Activation, EncoderConfig};
use crucible_vision::{VitConfig, VitPoolerKind};

use super::activation;
use super::fields::Fields;
use super::names::{any, prefix};
use super::vision::vit;
use crate::Error;
use crate::files::Tensors;
use crate::rules::{Form, Rules};

/// Which of the three, and what stands before the names of its tensors.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Vit,
    Deit,
    Dinov2,
}

impl Kind {
    fn prefix(self, tensors: &Tensors) -> &'static str {
        let beside_a_head = match self {
            Self::Vit => "vit.",
            Self::Deit => "deit.",
            Self::Dinov2 => "dinov2.",
        };
        prefix(tensors, beside_a_head)
    }

    pub fn config(self, fields: &Fields, tensors: &Tensors) -> Result<VitConfig, Error> {
        fields.only("qkv_bias", true)?;
        let (d_model, heads) = (
            fields.size("hidden_size")?,
            fields.size("num_attention_heads")?,
        );
        let layers = fields.layers("num_hidden_layers")?;
        let has = |part: &str| any(tensors, |name| name.contains(part));
        let encoder = match self {
            Self::Vit | Self::Deit => {
                let d_ff = fields.size("intermediate_size")?;
                EncoderConfig::new(d_model, heads, d_ff, layers)
                    .with_norm_epsilon(fields.number_or("layer_norm_eps", 1e-12)?)
                    .with_activation(activation(fields, "hidden_act", "gelu")?)
            }
            Self::Dinov2 => {
                let d_ff = fields.multiple_or("mlp_ratio", 4.0, d_model)?;
                let gated = fields.flag_or("use_swiglu_ffn", false)?;
                let (d_ff, activation) = match gated {
                    // Two thirds as wide, for it has three matrices, and a multiple of eight.
                    true => ((d_ff * 2 / 3).next_multiple_of(8), Activation::Silu),
                    false => (d_ff, activation(fields, "hidden_act", "gelu")?),
                };
                let scale = fields.number_or("layerscale_value", 1.0)?;
                EncoderConfig::new(d_model, heads, d_ff, layers)
                    .with_norm_epsilon(fields.number_or("layer_norm_eps", 1e-6)?)
                    .with_activation(activation)
                    .with_gated(gated)
                    // Where scales would start at nothing there would be none, but they are in the checkpoint.
                    .with_layer_scale(if scale == 0.0 { 1.0 } else { scale })
            }
        };
        let pooler = has("pooler.");
        if pooler {
            fields.only_word("pooler_act", "tanh")?;
            let width = fields.size_or("pooler_output_size", d_model)?;
            if width != d_model {
                let reason = format!("is {width}, of which only hidden_size is supported");
                return Err(fields.wrong("pooler_output_size", reason));
            }
        }
        Ok(vit(fields, [224, 16], encoder)?
            .with_pooler(pooler.then_some(VitPoolerKind::Tanh))
            .with_distillation_token(matches!(self, Self::Deit))
            .with_mask_token(has("embeddings.mask_token")))
    }

    pub fn rules(self, config: &VitConfig, tensors: &Tensors) -> Rules {
        let mut rules = Rules::default();
        let prefix = self.prefix(tensors);
        let name = |theirs: &str| format!("{prefix}{theirs}");
        let token = |theirs: &str| name(&format!("embeddings.{theirs}"));
        rules.tensor("class_token", token("cls_token"), Form::Axes(3));
        rules.tensor(
            "distillation_token",
            token("distillation_token"),
            Form::Axes(3),
        );
        rules.tensor("mask_token", token("mask_token"), Form::Axes(2));
        rules.tensor(
            "position.Learned",
            token("position_embeddings"),
            Form::Axes(3),
        );
        rules.patches(
            "patch_embedding.projection",
            &token("patch_embeddings.projection"),
            config.channels,
            config.patch_size,
        );
        for layer in 0..config.encoder.layers {
            let ours = format!("encoder.blocks.{layer}");
            let theirs = name(&format!("encoder.layer.{layer}"));
            let linear = [
                ("attention.query", "attention.attention.query"),
                ("attention.key", "attention.attention.key"),
                ("attention.value", "attention.attention.value"),
                ("attention.output", "attention.output.dense"),
            ];
            for (layer, name) in linear.iter().chain(self.network()) {
                rules.linear(&format!("{ours}.{layer}"), &format!("{theirs}.{name}"));
            }
            if config.encoder.gated {
                let sides = ["gate", "inner"].map(|side| format!("{ours}.feed_forward.{side}"));
                let packed = ["weight", "bias"].map(|end| format!("{theirs}.mlp.weights_in.{end}"));
                let outer = format!("{ours}.feed_forward.outer");
                rules.packed(
                    &sides,
                    packed.each_ref().map(String::as_str),
                    Form::Transposed,
                );
                rules.linear(&outer, &format!("{theirs}.mlp.weights_out"));
            }
            for (branch, norm, scale) in [
                ("attention", self.norms()[0], "layer_scale1"),
                ("feed_forward", self.norms()[1], "layer_scale2"),
            ] {
                let ours = format!("{ours}.{branch}_residual");
                rules.norm(&format!("{ours}.norm"), &format!("{theirs}.{norm}"));
                rules.same(format!("{ours}.scale"), format!("{theirs}.{scale}.lambda1"));
            }
        }
        rules.norm("encoder.norm", &name("layernorm"));
        rules.linear("pooler.Tanh.linear", &name("pooler.dense"));
        rules
    }

    /// The layers of the network without a gate.
    fn network(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Vit | Self::Deit => &[
                ("feed_forward.inner", "intermediate.dense"),
                ("feed_forward.outer", "output.dense"),
            ],
            Self::Dinov2 => &[
                ("feed_forward.inner", "mlp.fc1"),
                ("feed_forward.outer", "mlp.fc2"),
            ],
        }
    }

    fn norms(self) -> [&'static str; 2] {
        match self {
            Self::Vit | Self::Deit => ["layernorm_before", "layernorm_after"],
            Self::Dinov2 => ["norm1", "norm2"],
        }
    }

    /// Where the head is that tells the class from the pooled state.
    pub fn head(self) -> Option<&'static str> {
        match self {
            Self::Vit | Self::Deit => Some("classifier"),
            // It reads the mean of the patches as well.
            Self::Dinov2 => None,
        }
    }
}
