use burn::config::Config;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rotary::RotaryConfig;
use crate::{Activation, ConfigError, NormKind};

/// How a causal model knows where a token stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum CausalPositions {
    /// One trained vector per position, added to the word (GPT-2).
    Learned,
    /// Queries and keys are turned by their position (Llama).
    Rotary(RotaryConfig),
}

/// Which projections of attention have a bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QkvBias {
    /// None of them, as Llama.
    #[default]
    None,
    /// Queries, keys and values, as Qwen2.
    Inputs,
    /// The output as well, as GPT-2.
    All,
}

/// Configuration of a [`CausalLm`](crate::CausalLm).
#[derive(Config, Debug, JsonSchema)]
pub struct CausalLmConfig {
    /// Number of token ids.
    pub vocabulary: usize,
    /// Longest sequence, in tokens.
    pub max_length: usize,
    /// Width of the tokens.
    pub d_model: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Number of heads of keys and values, shared by equally many query heads each (Ainslie et al. 2023); 0 for as many
    /// as of queries.
    #[config(default = 0)]
    pub kv_heads: usize,
    /// Width of a head; 0 for `d_model / heads`.
    #[config(default = 0)]
    pub d_head: usize,
    /// How positions are told.
    #[config(default = "CausalPositions::Rotary(RotaryConfig::default())")]
    pub positions: CausalPositions,
    /// Which norm.
    #[config(default = "NormKind::Rms")]
    pub norm: NormKind,
    /// Added to the variance or the mean square in each norm.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// Non-linearity of the feed-forward networks.
    #[config(default = "Activation::Silu")]
    pub activation: Activation,
    /// The activation opens a gate for a second projection (Shazeer 2020), and no layer of the network has a bias.
    #[config(default = true)]
    pub gated: bool,
    /// Which projections of attention have a bias.
    #[config(default = "QkvBias::None")]
    pub bias: QkvBias,
    /// Words are read and told by the same matrix.
    #[config(default = true)]
    pub tied: bool,
    /// Dropout on embeddings, attention weights and each residual branch.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl CausalLmConfig {
    /// GPT-2 (Radford et al. 2019) of any size.
    pub fn gpt2(vocabulary: usize, max_length: usize, d_model: usize, heads: usize) -> Self {
        Self::new(vocabulary, max_length, d_model, heads, 4 * d_model, 12)
            .with_positions(CausalPositions::Learned)
            .with_norm(NormKind::Layer)
            .with_activation(Activation::GeluTanh)
            .with_gated(false)
            .with_bias(QkvBias::All)
    }

    /// SmolLM2-135M (Allal et al. 2025): a Llama of 134.5 M parameters.
    pub fn smollm2_135m() -> Self {
        let rotary = RotaryConfig {
            theta: 100_000.0,
            ..RotaryConfig::default()
        };
        Self::new(49_152, 8_192, 576, 9, 1_536, 30)
            .with_kv_heads(3)
            .with_positions(CausalPositions::Rotary(rotary))
    }

    /// Heads of keys and values.
    pub fn key_value_heads(&self) -> usize {
        match self.kv_heads {
            0 => self.heads,
            heads => heads,
        }
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        match self.d_head {
            0 => self.d_model / self.heads.max(1),
            width => width,
        }
    }

    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("vocabulary", self.vocabulary),
            ("max_length", self.max_length),
            ("d_model", self.d_model),
            ("heads", self.heads),
            ("d_ff", self.d_ff),
        ] {
            ConfigError::unless(value > 0, field, || "must be at least 1".into())?;
        }
        let (heads, d_model) = (self.heads, self.d_model);
        ConfigError::unless(
            self.d_head > 0 || d_model.is_multiple_of(heads),
            "heads",
            || format!("is {heads}, which does not divide d_model ({d_model}); set d_head"),
        )?;
        let kv_heads = self.key_value_heads();
        ConfigError::unless(heads.is_multiple_of(kv_heads), "kv_heads", || {
            format!("is {kv_heads}, which does not divide heads ({heads})")
        })?;
        if let CausalPositions::Rotary(rotary) = &self.positions {
            let width = self.head_width();
            ConfigError::unless(width.is_multiple_of(2), "d_head", || {
                format!("is {width}, but rotary positions turn pairs of numbers")
            })?;
            rotary.check()?;
        }
        ConfigError::unless((0.0..1.0).contains(&self.dropout), "dropout", || {
            format!("is {}, but must lie in [0, 1)", self.dropout)
        })
    }
}
