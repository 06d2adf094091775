use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    BlockConfig, CrossBlock, CrossBlockConfig, EncoderConfig, LayerNorm, Pooling, linear, project,
};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`CoAttention`].
#[derive(Config, Debug, JsonSchema)]
pub struct CoAttentionConfig {
    /// Layers in which the two streams attend to each other.
    pub layers: usize,
    /// How each stream becomes one vector.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
}

/// Co-attention (ViLBERT, Lu et al. 2019) in the layers of METER (Dou et al. 2022, section 3.1): in each layer
/// either stream attends to itself, then to the other, then passes its feed-forward network. The two
/// streams are pooled, concatenated and projected.
#[derive(Module, Debug)]
pub struct CoAttention {
    /// The layers, first to last.
    pub layers: Vec<CoAttentionLayer>,
    /// After the image stream's last layer, when pre-norm.
    pub image_norm: Option<LayerNorm>,
    /// After the text stream's last layer, when pre-norm.
    pub text_norm: Option<LayerNorm>,
    /// `2 d_model` to `d_model`.
    pub projection: Linear,
    #[module(skip)]
    pooling: Pooling,
}

/// One layer of both streams.
#[derive(Module, Debug)]
pub struct CoAttentionLayer {
    /// Attends to the text.
    pub image: CrossBlock,
    /// Attends to the image.
    pub text: CrossBlock,
}

impl StrategyConfig for CoAttentionConfig {
    type Strategy = CoAttention;
    const LAYER: Sublayers = Sublayers::new(4, 2);

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> CoAttention {
        let cross = CrossBlockConfig::new(block.clone());
        let norms = EncoderConfig::stack(block, self.layers);
        CoAttention {
            layers: (0..self.layers)
                .map(|_| CoAttentionLayer {
                    image: cross.init(device),
                    text: cross.init(device),
                })
                .collect(),
            image_norm: norms.final_norm(device),
            text_norm: norms.final_norm(device),
            projection: linear(2 * block.d_model, block.d_model, device),
            pooling: self.pooling,
        }
    }
}

impl Strategy for CoAttention {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = self.tokens(modalities);
        let pooled = vec![image.pool(self.pooling), text.pool(self.pooling)];
        project(&self.projection, Tensor::cat(pooled, 1))
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (mut image, mut text) = modalities.token_pairs();
        let (image_mask, text_mask) = (image.mask(), text.mask());
        for layer in &self.layers {
            // Both read what the other was before this layer.
            let seen = image.values.clone();
            let (image_mask, text_mask) = (image_mask.as_ref(), text_mask.as_ref());
            image.values =
                layer
                    .image
                    .forward(image.values, image_mask, text.values.clone(), text_mask);
            text.values = layer.text.forward(text.values, text_mask, seen, image_mask);
        }
        if let Some(norm) = &self.image_norm {
            image.values = norm.forward(image.values);
        }
        if let Some(norm) = &self.text_norm {
            text.values = norm.forward(text.values);
        }
        (image, text)
    }
}
