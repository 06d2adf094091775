use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    AttentionMask, Block, BlockConfig, EncoderConfig, LayerNorm, Pooling, embedding_initializer,
    linear, project,
};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`Bottleneck`].
#[derive(Config, Debug, JsonSchema)]
pub struct BottleneckConfig {
    /// Layers of either stream.
    pub layers: usize,
    /// Tokens through which the streams meet.
    #[config(default = 4)]
    pub bottlenecks: usize,
    /// How each stream becomes one vector.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
}

/// Bottleneck tokens (MBT, Nagrani et al. 2021, section 3.2): in each layer either stream attends to itself and to a few
/// tokens that both share; what the two make of these is averaged (equations 8 and 9). The streams are pooled,
/// concatenated and projected, where the paper averages two decisions.
#[derive(Module, Debug)]
pub struct Bottleneck {
    /// The tokens at the start, `[bottlenecks, d_model]`.
    pub tokens: Param<Tensor<2>>,
    /// First to last.
    pub layers: Vec<BottleneckLayer>,
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
pub struct BottleneckLayer {
    /// Over patches and bottlenecks.
    pub image: Block,
    /// Over words and bottlenecks.
    pub text: Block,
}

impl StrategyConfig for BottleneckConfig {
    type Strategy = Bottleneck;
    const LAYER: Sublayers = Sublayers::new(2, 2);
    // What a stream has put into the tokens in one layer the other reads in the next.
    const LEAST: usize = 2;

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> Bottleneck {
        let layer = || BottleneckLayer {
            image: block.init(device),
            text: block.init(device),
        };
        let norms = EncoderConfig::stack(block, self.layers);
        Bottleneck {
            tokens: embedding_initializer().init([self.bottlenecks, block.d_model], device),
            layers: (0..self.layers).map(|_| layer()).collect(),
            image_norm: norms.final_norm(device),
            text_norm: norms.final_norm(device),
            projection: linear(2 * block.d_model, block.d_model, device),
            pooling: self.pooling,
        }
    }
}

/// A stream after one layer, and what it made of the bottlenecks.
fn layer(
    block: &Block,
    stream: Tensor<3>,
    shared: Tensor<3>,
    mask: &AttentionMask,
) -> [Tensor<3>; 2] {
    let ([_, length, _], [_, bottlenecks, _]) = (stream.dims(), shared.dims());
    let both = block.forward(Tensor::cat(vec![stream, shared], 1), Some(mask));
    [
        both.clone().narrow(1, 0, length),
        both.narrow(1, length, bottlenecks),
    ]
}

impl Strategy for Bottleneck {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = self.tokens(modalities);
        let pooled = vec![image.pool(self.pooling), text.pool(self.pooling)];
        project(&self.projection, Tensor::cat(pooled, 1))
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (mut image, mut text) = modalities.token_pairs();
        let [pairs, _, d_model] = image.values.dims();
        let [bottlenecks, _] = self.tokens.dims();
        let none = Tensor::<2>::zeros([pairs, bottlenecks], &image.values.device().inner());
        let none = none.greater_elem(1.0);
        let mask = |tokens: &Tokens| {
            let padding = vec![tokens.padding_or_none(), none.clone()];
            AttentionMask::padding(Tensor::cat(padding, 1))
        };
        let (of_image, of_text) = (mask(&image), mask(&text));
        let shared = self.tokens.val().unsqueeze::<3>();
        let mut shared = shared.expand([pairs, bottlenecks, d_model]);
        for BottleneckLayer {
            image: patches,
            text: words,
        } in &self.layers
        {
            let [seen, by_image] = layer(patches, image.values, shared.clone(), &of_image);
            let [read, by_text] = layer(words, text.values, shared, &of_text);
            (image.values, text.values) = (seen, read);
            shared = (by_image + by_text) / 2.0;
        }
        if let (Some(of_image), Some(of_text)) = (&self.image_norm, &self.text_norm) {
            image.values = of_image.forward(image.values);
            text.values = of_text.forward(text.values);
        }
        (image, text)
    }
}
