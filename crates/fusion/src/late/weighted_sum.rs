use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{BlockConfig, linear, project};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig};

/// Configuration of [`WeightedSum`].
#[derive(Config, Debug, JsonSchema)]
pub struct WeightedSumConfig {}

/// Attention-weighted sum `Y = sum_i w_i X_i` with `w = softmax_i(u . tanh(W X_i))`: additive attention
/// (Bahdanau et al. 2015) over the modalities, so that the weights differ from pair to pair.
#[derive(Module, Debug)]
pub struct WeightedSum {
    /// `W`: `d_model` to `d_model`.
    pub hidden: Linear,
    /// `u`: `d_model` to 1, without a bias.
    pub score: Linear,
}

impl StrategyConfig for WeightedSumConfig {
    type Strategy = WeightedSum;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> WeightedSum {
        WeightedSum {
            hidden: linear(block.d_model, block.d_model, device),
            // It would shift all scores of a pair alike, which the softmax ignores.
            score: Linear {
                bias: None,
                ..linear(block.d_model, 1, device)
            },
        }
    }
}

impl Strategy for WeightedSum {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        let vectors: Tensor<3> = Tensor::stack(vec![image, text], 1);
        let weights = self.weights(vectors.clone());
        (vectors * weights).sum_dim(1).squeeze_dim(1)
    }

    fn weighs(&self) -> bool {
        true
    }

    fn image_weight(&self, modalities: Modalities) -> Option<Tensor<1>> {
        let (image, text) = modalities.pooled_pairs();
        let weights = self.weights(Tensor::stack(vec![image, text], 1));
        Some(weights.narrow(1, 0, 1).flatten(0, 2))
    }
}

impl WeightedSum {
    /// # Shapes
    /// - `vectors`: `[pairs, 2, d_model]`
    /// - output: `[pairs, 2, 1]`, summing to one over the modalities
    fn weights(&self, vectors: Tensor<3>) -> Tensor<3> {
        softmax(
            project(&self.score, project(&self.hidden, vectors).tanh()),
            1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_vector_fused_with_itself_is_itself() {
        let device = Device::flex();
        let block = fixture::block();
        let fusion = WeightedSumConfig::new().init(&block, &device);
        let mut modalities = fixture::modalities(&block, &device);
        modalities.text = modalities.image.clone();
        modalities.text_of = modalities.image_of.clone();
        let expected = modalities.clone().pooled_pairs().0;
        let found = fusion.forward(modalities);
        fixture::assert_close(found, expected);
    }
}
