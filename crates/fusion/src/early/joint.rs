use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    Activation, BlockConfig, Encoder, EncoderConfig, Pooling, embedding_initializer, linear,
    project_and_activate,
};
use schemars::JsonSchema;

use crate::{Modalities, Tokens};

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
/// with the embedding of its modality, in one sequence through one encoder and a pooler.
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

impl JointConfig {
    /// A strategy with fresh weights.
    pub fn init(&self, block: &BlockConfig, device: &Device) -> Joint {
        Joint {
            modality: embedding_initializer().init([2, block.d_model], device),
            encoder: EncoderConfig::stack(block, self.layers).init(device),
            pooler: linear(block.d_model, block.d_model, device),
            pooling: self.pooling,
            activation: block.activation,
        }
    }
}

impl Joint {
    /// # Shapes
    /// - output: `[pairs, d_model]`
    pub fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (tokens, _) = self.sequence(modalities);
        let pooled = self.pooling.forward(tokens.values, tokens.padding.as_ref());
        project_and_activate(&self.pooler, pooled, self.activation)
    }

    /// Patches and words of each pair as the encoder leaves them, image first.
    pub fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (tokens, words) = self.sequence(modalities);
        let [_, length, _] = tokens.values.dims();
        (
            tokens.narrow(words, length - words),
            tokens.narrow(0, words),
        )
    }

    /// Words and patches in one sequence, and how many of them are words.
    fn sequence(&self, mut modalities: Modalities) -> (Tokens, usize) {
        let modality = |row| self.modality.val().narrow(0, row, 1).unsqueeze::<3>();
        modalities.text.tokens = modalities.text.tokens + modality(0);
        modalities.image.tokens = modalities.image.tokens + modality(1);

        let (image, text) = modalities.token_pairs();
        let padding = (image.padding.is_some() || text.padding.is_some())
            .then(|| Tensor::cat(vec![text.padding_or_none(), image.padding_or_none()], 1));
        let [_, words, _] = text.values.dims();
        let values = Tensor::cat(vec![text.values, image.values], 1);
        let values = self.encoder.forward(values, padding.clone());
        (Tokens { values, padding }, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn one_vector_a_pair_that_depends_on_both_and_not_on_padding() {
        fixture::check(|block, device| {
            let fusion = JointConfig::new(2).init(block, device);
            (fusion.clone(), Box::new(move |m| fusion.forward(m)))
        });
    }
}
