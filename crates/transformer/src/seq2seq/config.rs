use burn::config::Config;
use schemars::JsonSchema;

use crate::{Activation, ConfigError};

/// Configuration of a [`Seq2Seq`](crate::Seq2Seq).
#[derive(Config, Debug, JsonSchema)]
pub struct Seq2SeqConfig {
    /// Number of token ids.
    pub vocabulary: usize,
    /// Width of the tokens.
    pub d_model: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Number of blocks of the encoder.
    pub layers: usize,
    /// Number of blocks of the decoder; 0 for as many as the encoder has.
    #[config(default = 0)]
    pub decoder_layers: usize,
    /// Width of a head; 0 for `d_model / heads`.
    #[config(default = 0)]
    pub d_head: usize,
    /// Longest sequence, in tokens. Relative positions set no limit: it is the one of the training.
    #[config(default = 512)]
    pub max_length: usize,
    /// Number of classes of distances, half of them for each direction in the encoder.
    #[config(default = 32)]
    pub buckets: usize,
    /// Distances from here on are of one class.
    #[config(default = 128)]
    pub max_distance: usize,
    /// Added to the mean square in each norm.
    #[config(default = 1e-6)]
    pub norm_epsilon: f64,
    /// Non-linearity of the feed-forward networks.
    #[config(default = "Activation::GeluTanh")]
    pub activation: Activation,
    /// The activation opens a gate for a second projection (Shazeer 2020).
    #[config(default = true)]
    pub gated: bool,
    /// Words are read and told by the same matrix; what is told is scaled by `d_model^-0.5` then.
    #[config(default = false)]
    pub tied: bool,
    /// The token that a decoder begins with.
    #[config(default = 0)]
    pub decoder_start: u32,
    /// Dropout on embeddings, attention weights, hidden layers, each residual branch and what a stack gives.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl Seq2SeqConfig {
    /// Flan-T5-small (Chung et al. 2022): 77 M parameters.
    pub fn flan_t5_small() -> Self {
        Self::new(32_128, 512, 6, 1_024, 8).with_d_head(64)
    }

    /// Flan-T5-base (Chung et al. 2022): 248 M parameters.
    pub fn flan_t5_base() -> Self {
        Self::new(32_128, 768, 12, 2_048, 12)
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        match self.d_head {
            0 => self.d_model / self.heads.max(1),
            width => width,
        }
    }

    /// Number of blocks of the decoder.
    pub fn blocks_of_decoder(&self) -> usize {
        match self.decoder_layers {
            0 => self.layers,
            layers => layers,
        }
    }

    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("vocabulary", self.vocabulary),
            ("d_model", self.d_model),
            ("heads", self.heads),
            ("d_ff", self.d_ff),
            ("max_length", self.max_length),
        ] {
            ConfigError::unless(value > 0, field, || "must be at least 1".into())?;
        }
        let (heads, d_model, buckets) = (self.heads, self.d_model, self.buckets);
        ConfigError::unless(
            self.d_head > 0 || d_model.is_multiple_of(heads),
            "heads",
            || format!("is {heads}, which does not divide d_model ({d_model}); set d_head"),
        )?;
        // Two directions, in each half for single distances and half for ranges.
        ConfigError::unless(buckets >= 4 && buckets.is_multiple_of(4), "buckets", || {
            format!("is {buckets}, but must be a multiple of 4")
        })?;
        ConfigError::unless(self.max_distance > buckets / 2, "max_distance", || {
            format!(
                "is {}, but must be above half of the buckets ({buckets})",
                self.max_distance
            )
        })?;
        ConfigError::unless(
            (self.decoder_start as usize) < self.vocabulary,
            "decoder_start",
            || format!("is {}, which is no token", self.decoder_start),
        )?;
        ConfigError::unless((0.0..1.0).contains(&self.dropout), "dropout", || {
            format!("is {}, but must lie in [0, 1)", self.dropout)
        })
    }
}
