use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_transformer::BlockConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CoAttention, CoAttentionConfig, Concatenation, ConcatenationConfig, GatedSum, GatedSumConfig,
    Joint, JointConfig, Modalities, Tokens, WeightedSum, WeightedSumConfig,
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

    /// Patches and words of each pair after they have met, image first; where only pooled vectors meet, as the towers
    /// left them.
    ///
    /// # Shapes
    /// - output: `[pairs, patches, d_model]` and `[pairs, words, d_model]`
    pub fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        match self {
            Self::Early(fusion) => fusion.tokens(modalities),
            Self::Mid(fusion) => fusion.tokens(modalities),
            Self::Late(_) | Self::LateWeighted(_) | Self::LateGated(_) => modalities.token_pairs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::testing::difference;

    #[test]
    fn tokens_have_met_where_more_than_pooled_vectors_meet() {
        let (device, block) = (Device::flex(), fixture::block());
        for name in FusionConfig::NAMES {
            let config = FusionConfig::named(name, 1).unwrap();
            let fusion = config.init(&block, &device);
            let modalities = fixture::modalities(&block, &device);
            let mut other = modalities.clone();
            other.image.tokens = other.image.tokens.flip([1]) * 2.0;
            let (image, text) = fusion.tokens(modalities.clone());
            let (_, of_other) = fusion.tokens(other);
            assert_eq!(image.values.dims(), [6, 5, block.d_model], "{name}");
            assert_eq!(text.values.dims(), [6, 4, block.d_model], "{name}");
            assert_eq!(text.padding.clone().unwrap().dims(), [6, 4], "{name}");
            let meets = difference(text.values, of_other.values) > 1e-3;
            assert_eq!(meets, ["early", "mid"].contains(&name), "{name}");
        }
    }
}
