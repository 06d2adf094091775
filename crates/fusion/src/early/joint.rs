use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    Activation, BlockConfig, Encoder, EncoderConfig, Pooling, embedding_initializer, linear,
    project_and_activate,
};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`Joint`].
#[derive(Config, Debug, JsonSchema)]
pub struct JointConfig {
    /// Layers of the joint encoder.
    pub layers: usize,
    /// How the joint sequence becomes one vector; `cls` is the text's first token.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
}

/// Token concatenation, the single stream of ViLT (Kim et al. 2021, section 3.1): words and patches, each
/// with the embedding of its modality, in one sequence through one encoder and a pooler. ViLT pools the first
/// token and ends in a tanh; here the pooling is a choice and the activation that of the blocks.
///
/// Every pair is a sequence of its own, so an image costs as much as it has texts.
#[derive(Module, Debug)]
pub struct Joint {
    /// Modality-type embeddings, `[2, d_model]`: text, image.
    pub modality: Param<Tensor<2>>,
    /// The joint encoder.
    pub encoder: Encoder,
    /// The pooler: `d_model` to `d_model`, with the activation of the blocks.
    pub pooler: Linear,
    #[module(skip)]
    pooling: Pooling,
    #[module(skip)]
    activation: Activation,
}

impl StrategyConfig for JointConfig {
    type Strategy = Joint;
    const LAYER: Sublayers = Sublayers::new(1, 1);

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> Joint {
        Joint {
            modality: embedding_initializer().init([2, block.d_model], device),
            encoder: EncoderConfig::stack(block, self.layers).init(device),
            pooler: linear(block.d_model, block.d_model, device),
            pooling: self.pooling,
            activation: block.activation,
        }
    }
}

impl Strategy for Joint {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (tokens, _) = self.sequence(modalities);
        project_and_activate(&self.pooler, tokens.pool(self.pooling), self.activation)
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (tokens, words) = self.sequence(modalities);
        let [_, length, _] = tokens.values.dims();
        (
            tokens.narrow(words, length - words),
            tokens.narrow(0, words),
        )
    }
}

impl Joint {
    /// Words and patches in one sequence, and how many of them are words.
    fn sequence(&self, modalities: Modalities) -> (Tokens, usize) {
        let modality = |row| self.modality.val().narrow(0, row, 1).unsqueeze::<3>();
        let (mut image, mut text) = modalities.token_pairs();
        text.values = text.values + modality(0);
        image.values = image.values + modality(1);
        let padding = (image.padding.is_some() || text.padding.is_some())
            .then(|| Tensor::cat(vec![text.padding_or_none(), image.padding_or_none()], 1));
        let [_, words, _] = text.values.dims();
        let values = Tensor::cat(vec![text.values, image.values], 1);
        let values = self.encoder.forward(values, padding.clone());
        (Tokens { values, padding }, words)
    }
}
