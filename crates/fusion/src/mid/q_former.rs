use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    AttentionMask, BlockConfig, EncoderConfig, FeedForward, LayerNorm, MultiHeadAttention, Pooling,
    Residual, embedding_initializer,
};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`QFormer`].
#[derive(Config, Debug, JsonSchema)]
pub struct QFormerConfig {
    /// Layers.
    pub layers: usize,
    /// Learned queries.
    #[config(default = 8)]
    pub queries: usize,
}

/// The querying transformer of BLIP-2 (Li et al. 2023, section 3.1) that reads the words too (InstructBLIP, Dai et al.
/// 2023): in each layer learned queries and words attend to each other, the queries attend to the patches (in BLIP-2 in
/// every second layer), and either passes a feed-forward network of its own. The queries' mean is the fused vector.
#[derive(Module, Debug)]
pub struct QFormer {
    /// `[queries, d_model]`.
    pub queries: Param<Tensor<2>>,
    /// First to last.
    pub layers: Vec<QFormerLayer>,
    /// After the queries' last layer, when pre-norm.
    pub norm: Option<LayerNorm>,
}

/// One layer of queries and words.
#[derive(Module, Debug)]
pub struct QFormerLayer {
    /// Of queries and words to both.
    pub attention: MultiHeadAttention,
    /// Around that.
    pub attention_residual: Residual,
    /// Of the queries to the patches.
    pub cross_attention: MultiHeadAttention,
    /// Around that.
    pub cross_attention_residual: Residual,
    /// Of the queries.
    pub query_network: FeedForward,
    /// Around that.
    pub query_residual: Residual,
    /// Of the words; the last layer has none, as nothing reads them after it.
    pub text: Option<TextNetwork>,
}

/// The feed-forward network of the words.
#[derive(Module, Debug)]
pub struct TextNetwork {
    /// The network.
    pub network: FeedForward,
    /// Around that.
    pub residual: Residual,
}

impl QFormerLayer {
    fn init(block: &BlockConfig, last: bool, device: &Device) -> Self {
        let text = || TextNetwork {
            network: block.feed_forward().init(device),
            residual: Residual::new(block, device),
        };
        Self {
            attention: block.cross_attention(0).init(device),
            attention_residual: Residual::new(block, device),
            cross_attention: block.cross_attention(0).init(device),
            cross_attention_residual: Residual::new(block, device),
            query_network: block.feed_forward().init(device),
            query_residual: Residual::new(block, device),
            text: (!last).then(text),
        }
    }
}

impl StrategyConfig for QFormerConfig {
    type Strategy = QFormer;
    const LAYER: Sublayers = Sublayers::new(2, 2);
    // The words read the queries before these have seen the image.
    const LEAST: usize = 2;

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> QFormer {
        let norms = EncoderConfig::stack(block, self.layers);
        let layers = 1..=self.layers;
        let layers = layers.map(|layer| QFormerLayer::init(block, layer == self.layers, device));
        QFormer {
            queries: embedding_initializer().init([self.queries, block.d_model], device),
            layers: layers.collect(),
            norm: norms.final_norm(device),
        }
    }
}

impl QFormer {
    /// Queries and words of each pair after the last layer, and the patches as they came.
    fn read(&self, modalities: Modalities) -> (Tensor<3>, Tokens, Tokens) {
        let (image, mut text) = modalities.token_pairs();
        let ([pairs, words, d_model], [count, _]) = (text.values.dims(), self.queries.dims());
        let none = Tensor::<2>::zeros([pairs, count], &text.values.device().inner());
        let padding = vec![none.greater_elem(1.0), text.padding_or_none()];
        let mask = AttentionMask::padding(Tensor::cat(padding, 1));
        let seen = image.mask();
        let queries = self.queries.val().unsqueeze::<3>();
        let mut queries = queries.expand([pairs, count, d_model]);
        for layer in &self.layers {
            let both = Tensor::cat(vec![queries, text.values], 1);
            let attend = |x: Tensor<3>| layer.attention.forward(x.clone(), x, Some(&mask));
            let both = layer.attention_residual.forward(both, attend);
            let look = |x| {
                layer
                    .cross_attention
                    .forward(x, image.values.clone(), seen.as_ref())
            };
            let asking = both.clone().narrow(1, 0, count);
            let asking = layer.cross_attention_residual.forward(asking, look);
            let network = |x| layer.query_network.forward(x);
            queries = layer.query_residual.forward(asking, network);
            let reading = both.narrow(1, count, words);
            text.values = match &layer.text {
                Some(text) => text.residual.forward(reading, |x| text.network.forward(x)),
                None => reading,
            };
        }
        if let Some(norm) = &self.norm {
            queries = norm.forward(queries);
        }
        (queries, image, text)
    }
}

impl Strategy for QFormer {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        Pooling::Mean.forward(self.read(modalities).0, None)
    }

    /// The words, once they have met the queries; the patches stay as their tower left them.
    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (_, image, text) = self.read(modalities);
        (image, text)
    }
}
