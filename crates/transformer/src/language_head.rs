use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Tensor};

use crate::{Activation, LayerNorm, linear, project_and_activate};

/// What turns states into a guess among all tokens: a layer with activation and norm, then the product with the word
/// embeddings, which it shares with the encoder (BERT, Devlin et al. 2019).
#[derive(Module, Debug)]
pub struct LanguageHead {
    /// `d_model` to `d_model`.
    pub hidden: Linear,
    /// After its activation.
    pub norm: LayerNorm,
    /// One for each token, `[vocabulary]`.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl LanguageHead {
    /// A head with fresh weights.
    pub fn new(
        d_model: usize,
        vocabulary: usize,
        activation: Activation,
        norm_epsilon: f64,
        device: &Device,
    ) -> Self {
        Self {
            hidden: linear(d_model, d_model, device),
            norm: LayerNorm::new(d_model, norm_epsilon, device),
            bias: Initializer::Zeros.init([vocabulary], device),
            activation,
        }
    }

    /// # Shapes
    /// - `states`: `[positions, d_model]`; `words`: `[vocabulary, d_model]`
    /// - output: `[positions, vocabulary]`
    pub fn forward(&self, states: Tensor<2>, words: Tensor<2>) -> Tensor<2> {
        let hidden = project_and_activate(&self.hidden, states, self.activation);
        let hidden = self.norm.forward(hidden);
        crucible_kernels::linear(hidden, words.transpose(), Some(self.bias.val()), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, values};

    #[test]
    fn one_number_for_each_token_and_everything_trains() {
        let head = LanguageHead::new(6, 9, Activation::Gelu, 1e-5, &device());
        let logits = head.forward(values([4, 6], 1, &device()), values([9, 6], 2, &device()));
        assert_eq!(logits.dims(), [4, 9]);
        assert_gradients_reach_everything(&head, logits);
    }
}
