use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    EncoderConfig, FeedForward, LayerNorm, MultiHeadAttention, embedding_initializer,
};

/// One trained query attends to all tokens, and a feed-forward network follows: multihead attention pooling (Zhai et al.
/// 2022, appendix C; the head of SigLIP).
#[derive(Module, Debug)]
pub struct AttentionPooling {
    /// The query, `[1, 1, d_model]`.
    pub probe: Param<Tensor<3>>,
    /// Of the query to the tokens.
    pub attention: MultiHeadAttention,
    /// Before the network.
    pub norm: LayerNorm,
    /// Around a residual connection.
    pub feed_forward: FeedForward,
}

impl AttentionPooling {
    /// As wide, with as many heads, as the blocks of a transformer.
    pub fn new(encoder: &EncoderConfig, device: &Device) -> Self {
        let block = encoder.block();
        Self {
            probe: embedding_initializer().init([1, 1, encoder.d_model], device),
            attention: block.cross_attention(0).init(device),
            norm: LayerNorm::new(encoder.d_model, encoder.norm_epsilon, device),
            feed_forward: block.feed_forward().init(device),
        }
    }

    /// # Shapes
    /// - from `[batch, length, d_model]` to `[batch, d_model]`
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [batch, _, d_model] = tokens.dims();
        let probe = self.probe.val().expand([batch, 1, d_model]);
        let read = self.attention.forward(probe, tokens, None);
        let branch = self.feed_forward.forward(self.norm.forward(read.clone()));
        (read + branch).squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};

    #[test]
    fn one_vector_whatever_the_order_of_the_tokens_and_everything_trains() {
        let pooling = AttentionPooling::new(&EncoderConfig::new(8, 2, 12, 1), &device());
        let tokens = values([3, 4, 8], 1, &device());
        let pooled = pooling.forward(tokens.clone());
        assert_eq!(pooled.dims(), [3, 8]);
        let turned = pooling.forward(tokens.flip([1]));
        assert!(difference(pooled.clone(), turned) < 1e-6);
        assert_gradients_reach_everything(&pooling, pooled);
    }
}
