//! BERT and RoBERTa.

use crucible_transformer::{Activation, EncoderConfig, NormPlacement, TextEncoderConfig};

use super::activation;
use super::fields::Fields;
use super::names::{any, prefix};
use crate::Error;
use crate::files::Tensors;
use crate::rules::{Form, Rules};

/// What tells RoBERTa from BERT, and one checkpoint from another.
pub(super) struct Bert {
    roberta: bool,
    /// What stands before all names.
    prefix: &'static str,
    /// What scale and shift of a norm are called; the oldest checkpoints have it from TensorFlow.
    norm: [&'static str; 2],
}

impl Bert {
    pub fn new(model_type: &str, tensors: &Tensors) -> Self {
        let roberta = model_type == "roberta";
        let old = any(tensors, |name| name.ends_with("LayerNorm.gamma"));
        Self {
            roberta,
            prefix: prefix(tensors, if roberta { "roberta." } else { "bert." }),
            norm: match old {
                true => ["gamma", "beta"],
                false => ["weight", "bias"],
            },
        }
    }

    pub fn config(&self, fields: &Fields, tensors: &Tensors) -> Result<TextEncoderConfig, Error> {
        fields.only("is_decoder", false)?;
        fields.only("add_cross_attention", false)?;
        fields.only_word("position_embedding_type", "absolute")?;
        let encoder = EncoderConfig::new(
            fields.size("hidden_size")?,
            fields.size("num_attention_heads")?,
            fields.size("intermediate_size")?,
            fields.layers("num_hidden_layers")?,
        );
        let encoder = encoder
            .with_norm(NormPlacement::Post)
            .with_activation(activation(fields, "hidden_act", "gelu")?)
            .with_norm_epsilon(fields.number_or("layer_norm_eps", 1e-12)?);
        let positions = fields.size("max_position_embeddings")?;
        // Padding has a position of its own in RoBERTa, and texts those after it.
        let first = match self.roberta {
            true => fields.size_or("pad_token_id", 1)? + 1,
            false => 0,
        };
        let Some(max_length @ 1..) = positions.checked_sub(first) else {
            let reason = format!("is {positions}, of which the first {first} are not for texts");
            return Err(fields.wrong("max_position_embeddings", reason));
        };
        let config = TextEncoderConfig::new(fields.size("vocab_size")?, max_length, encoder)
            .with_first_position(first)
            .with_token_types(fields.size_or("type_vocab_size", 2)?);
        Ok(config.with_pooler(any(tensors, |name| name.contains("pooler."))))
    }

    pub fn rules(&self, config: &TextEncoderConfig) -> Rules {
        let mut rules = Rules::default();
        let name = |theirs: &str| format!("{}{theirs}", self.prefix);
        for (ours, theirs) in [
            ("word.weight", "word_embeddings"),
            ("position.Learned", "position_embeddings"),
            ("token_type.weight", "token_type_embeddings"),
        ] {
            rules.same(
                format!("embeddings.{ours}"),
                name(&format!("embeddings.{theirs}.weight")),
            );
        }
        self.norm(&mut rules, "embeddings.norm", &name("embeddings.LayerNorm"));
        for layer in 0..config.encoder.layers {
            let ours = format!("encoder.blocks.{layer}");
            let theirs = name(&format!("encoder.layer.{layer}"));
            for (layer, name) in [
                ("attention.query", "attention.self.query"),
                ("attention.key", "attention.self.key"),
                ("attention.value", "attention.self.value"),
                ("attention.output", "attention.output.dense"),
                ("feed_forward.inner", "intermediate.dense"),
                ("feed_forward.outer", "output.dense"),
            ] {
                rules.linear(&format!("{ours}.{layer}"), &format!("{theirs}.{name}"));
            }
            for (norm, name) in [
                ("attention", "attention.output"),
                ("feed_forward", "output"),
            ] {
                let ours = format!("{ours}.{norm}_residual.norm");
                self.norm(&mut rules, &ours, &format!("{theirs}.{name}.LayerNorm"));
            }
        }
        rules.linear("pooler.linear", &name("pooler.dense"));
        rules.ignore("embeddings.position_ids");
        rules
    }

    /// The rules of a `LanguageHead`, where the checkpoint has one that is tied to the words.
    pub fn head(
        &self,
        fields: &Fields,
        config: &TextEncoderConfig,
        tensors: &Tensors,
    ) -> Result<Option<Rules>, Error> {
        let start = match self.roberta {
            true => "lm_head.",
            false => "cls.predictions.",
        };
        let tied = fields.flag_or("tie_word_embeddings", true)?;
        // RoBERTa's head has this one, whatever its blocks have.
        let alike = !self.roberta || config.encoder.activation == Activation::Gelu;
        if !(tied && alike && any(tensors, |name| name.starts_with(start))) {
            return Ok(None);
        }
        let mut rules = Rules::default();
        if self.roberta {
            rules.linear("hidden", "lm_head.dense");
            rules.norm("norm", "lm_head.layer_norm");
            rules.same("bias", "lm_head.bias");
            rules.ignore("lm_head.decoder.weight");
            rules.ignore("lm_head.decoder.bias");
        } else {
            rules.linear("hidden", "cls.predictions.transform.dense");
            self.norm(&mut rules, "norm", "cls.predictions.transform.LayerNorm");
            rules.same("bias", "cls.predictions.bias");
            rules.ignore("cls.predictions.decoder.weight");
            rules.ignore("cls.predictions.decoder.bias");
        }
        Ok(Some(rules))
    }

    fn norm(&self, rules: &mut Rules, ours: &str, theirs: &str) {
        for (ours_end, end) in ["gamma", "beta"].into_iter().zip(self.norm) {
            let (ours, theirs) = (format!("{ours}.{ours_end}"), format!("{theirs}.{end}"));
            rules.tensor(ours, theirs, Form::Same);
        }
    }
}
