use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{BlockConfig, Pooling};
use schemars::JsonSchema;

use crate::{Joint, JointConfig, Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`MergedAttention`].
#[derive(Config, Debug, JsonSchema)]
pub struct MergedAttentionConfig {
    /// Layers over the tokens of both.
    pub layers: usize,
    /// How the sequence becomes one vector; `cls` is the text's first token.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
}

/// Merged attention (METER, Dou et al. 2022, section 3.1): the tokens of both towers go on in one sequence through layers
/// whose weights they share. It is [`Joint`] on top of towers.
#[derive(Module, Debug)]
pub struct MergedAttention {
    /// Over both.
    pub joint: Joint,
}

impl StrategyConfig for MergedAttentionConfig {
    type Strategy = MergedAttention;
    const LAYER: Sublayers = JointConfig::LAYER;

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> MergedAttention {
        let joint = JointConfig::new(self.layers).with_pooling(self.pooling);
        MergedAttention {
            joint: joint.init(block, device),
        }
    }
}

impl Strategy for MergedAttention {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        self.joint.forward(modalities)
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        self.joint.tokens(modalities)
    }
}
