use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{BlockConfig, linear, project};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig};

/// Configuration of [`LowRank`].
#[derive(Config, Debug, JsonSchema)]
pub struct LowRankConfig {
    /// Rank of the weight tensor.
    #[config(default = 4)]
    pub rank: usize,
}

/// Low-rank multimodal fusion (LMF, Liu et al. 2018, section 3.2): tensor fusion whose weights are a sum of `rank` outer
/// products, `h = sum_r (W_v^r [v, 1]) * (W_t^r [t, 1])`, so that the tensor is never there.
#[derive(Module, Debug)]
pub struct LowRank {
    /// All `W_v^r`, side by side: `d_model` to `rank d_model`; the bias is what meets the one.
    pub image: Linear,
    /// All `W_t^r`, side by side: `d_model` to `rank d_model`.
    pub text: Linear,
    rank: usize,
}

impl StrategyConfig for LowRankConfig {
    type Strategy = LowRank;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> LowRank {
        let factors = || linear(block.d_model, self.rank * block.d_model, device);
        LowRank {
            image: factors(),
            text: factors(),
            rank: self.rank,
        }
    }
}

impl Strategy for LowRank {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        let [pairs, d_model] = image.dims();
        let product = project(&self.image, image) * project(&self.text, text);
        let sum = product.reshape([pairs, self.rank, d_model]).sum_dim(1);
        sum.squeeze_dim(1)
    }
}
