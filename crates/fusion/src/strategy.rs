use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_transformer::BlockConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CoAttention, CoAttentionConfig, Concatenation, ConcatenationConfig, GatedSum, GatedSumConfig,
    Joint, JointConfig, Modalities, WeightedSum, WeightedSumConfig,
};

/// How vision and language are fused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "strategy", rename_all = "kebab-case")]
pub enum FusionConfig {
    /// Early: one encoder over the tokens of both (ViLT).
    Early(JointConfig),
    /// Mid: two streams that attend to each other in the upper layers (ViLBERT, METER).
    Mid(CoAttentionConfig),
    /// Late: the pooled vectors and their product, through a layer.
    Late(ConcatenationConfig),
    /// Late: attention-weighted sum of the pooled vectors.
    LateWeighted(WeightedSumConfig),
    /// Late: gated sum of the pooled vectors (GMU).
    LateGated(GatedSumConfig),
}

impl FusionConfig {
    /// The strategies' names, as configurations spell them.
    pub const NAMES: [&str; 5] = ["early", "mid", "late", "late-weighted", "late-gated"];

    /// The strategy of that name with `layers` layers of its own, where it has any.
    pub fn named(name: &str, layers: usize) -> Option<Self> {
        Some(match name {
            "early" => Self::Early(JointConfig::new(layers)),
            "mid" => Self::Mid(CoAttentionConfig::new(layers)),
            "late" => Self::Late(ConcatenationConfig::new()),
            "late-weighted" => Self::LateWeighted(WeightedSumConfig::new()),
            "late-gated" => Self::LateGated(GatedSumConfig::new()),
            _ => return None,
        })
    }

    /// A strategy with fresh weights, whose layers are shaped like `block`.
    pub fn init(&self, block: &BlockConfig, device: &Device) -> Fusion {
        match self {
            Self::Early(config) => Fusion::Early(config.init(block, device)),
            Self::Mid(config) => Fusion::Mid(config.init(block, device)),
            Self::Late(config) => Fusion::Late(config.init(block, device)),
            Self::LateWeighted(config) => Fusion::LateWeighted(config.init(block, device)),
            Self::LateGated(config) => Fusion::LateGated(config.init(block, device)),
        }
    }
}

/// A fusion strategy with its weights.
#[derive(Module, Debug)]
pub enum Fusion {
    /// See [`Joint`].
    Early(Joint),
    /// See [`CoAttention`].
    Mid(CoAttention),
    /// See [`Concatenation`].
    Late(Concatenation),
    /// See [`WeightedSum`].
    LateWeighted(WeightedSum),
    /// See [`GatedSum`].
    LateGated(GatedSum),
}

impl Fusion {
    /// One vector for each pair.
    ///
    /// # Shapes
    /// - output: `[pairs, d_model]`
    pub fn forward(&self, modalities: Modalities) -> Tensor<2> {
        match self {
            Self::Early(fusion) => fusion.forward(modalities),
            Self::Mid(fusion) => fusion.forward(modalities),
            Self::Late(fusion) => fusion.forward(modalities),
            Self::LateWeighted(fusion) => fusion.forward(modalities),
            Self::LateGated(fusion) => fusion.forward(modalities),
        }
    }
}
