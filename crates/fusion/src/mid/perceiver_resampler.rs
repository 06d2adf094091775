use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor};
use crucible_transformer::{
    AttentionMask, BlockConfig, EncoderConfig, FeedForward, LayerNorm, MultiHeadAttention,
    Residual, embedding_initializer,
};
use schemars::JsonSchema;

/// Configuration of a [`PerceiverResampler`].
#[derive(Config, Debug, JsonSchema)]
pub struct PerceiverResamplerConfig {
    /// Layers.
    pub layers: usize,
    /// Latents, which is how many tokens come out.
    pub latents: usize,
}

/// From a sequence of any length to a few tokens (Flamingo, Alayrac et al. 2022, figure 5): in each layer learned latents attend to the sequence and to themselves, then pass a feed-forward network.
#[derive(Module, Debug)]
pub struct PerceiverResampler {
    /// `[latents, d_model]`.
    pub latents: Param<Tensor<2>>,
    /// First to last.
    pub layers: Vec<ResamplerLayer>,
    /// After the last layer, when pre-norm.
    pub norm: Option<LayerNorm>,
}

/// Attention of the latents, then a feed-forward network.
#[derive(Module, Debug)]
pub struct ResamplerLayer {
    /// Of what is read.
    pub media_norm: LayerNorm,
    /// Latents to sequence and latents.
    pub attention: MultiHeadAttention,
    /// Around the attention.
    pub attention_residual: Residual,
    /// Of the latents.
    pub feed_forward: FeedForward,
    /// Around that.
    pub feed_forward_residual: Residual,
}

impl PerceiverResamplerConfig {
    /// A resampler with fresh weights.
    pub fn init(&self, block: &BlockConfig, device: &Device) -> PerceiverResampler {
        let layer = || ResamplerLayer {
            media_norm: LayerNorm::new(block.d_model, block.norm_epsilon, device),
            attention: block.cross_attention(0).init(device),
            attention_residual: Residual::new(block, device),
            feed_forward: block.feed_forward().init(device),
            feed_forward_residual: Residual::new(block, device),
        };
        PerceiverResampler {
            latents: embedding_initializer().init([self.latents, block.d_model], device),
            layers: (0..self.layers).map(|_| layer()).collect(),
            norm: EncoderConfig::stack(block, self.layers).final_norm(device),
        }
    }
}

impl PerceiverResampler {
    /// # Shapes
    /// - `x`: `[batch, length, d_model]`; `padding`: `[batch, length]`, `true` = padding
    /// - output: `[batch, latents, d_model]`
    pub fn forward(&self, x: Tensor<3>, padding: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let ([batch, _, d_model], [count, _]) = (x.dims(), self.latents.dims());
        let mask = padding.map(|padding| {
            let none = Tensor::<2>::zeros([batch, count], &padding.device()).greater_elem(1.0);
            AttentionMask::padding(Tensor::cat(vec![padding, none], 1))
        });
        let start = self
            .latents
            .val()
            .unsqueeze::<3>()
            .expand([batch, count, d_model]);
        let latents = self.layers.iter().fold(start, |latents, layer| {
            let media = layer.media_norm.forward(x.clone());
            let latents = layer.attention_residual.forward(latents, |latents| {
                let both = Tensor::cat(vec![media, latents.clone()], 1);
                layer.attention.forward(latents, both, mask.as_ref())
            });
            let network = |latents| layer.feed_forward.forward(latents);
            layer.feed_forward_residual.forward(latents, network)
        });
        match &self.norm {
            Some(norm) => norm.forward(latents),
            None => latents,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::testing::difference;

    #[test]
    fn any_length_comes_down_to_the_latents_and_padding_is_not_read() {
        let (block, device) = (fixture::block(), Device::flex());
        let resampler = PerceiverResamplerConfig::new(2, 3).init(&block, &device);
        let text = fixture::modalities(&block, &device).text;
        let padding = text.mask.clone().unwrap();
        let hidden = padding
            .clone()
            .unsqueeze_dim::<3>(2)
            .expand(text.tokens.dims());
        let other = text.tokens.clone().mask_fill(hidden, 5.0);
        let [a, b] = [text.tokens.clone(), other]
            .map(|tokens| resampler.forward(tokens, Some(padding.clone())));
        assert_eq!(a.dims(), [3, 3, block.d_model]);
        assert!(difference(a, b) < 1e-6);
        let longer = Tensor::cat(vec![text.tokens.clone(); 3], 1);
        assert_eq!(
            resampler.forward(longer, None).dims(),
            [3, 3, block.d_model]
        );
    }
}
