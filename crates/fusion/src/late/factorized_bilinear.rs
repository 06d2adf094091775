use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{BlockConfig, linear, project};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig};

/// Keeps the square root's slope finite at zero, where a missing modality puts everything.
const EPSILON: f64 = 1e-6;

/// Configuration of [`FactorizedBilinear`].
#[derive(Config, Debug, JsonSchema)]
pub struct FactorizedBilinearConfig {
    /// Products that are summed to one channel.
    #[config(default = 3)]
    pub factors: usize,
}

/// Multimodal factorized bilinear pooling (MFB, Yu et al. 2017, section 3.1): `z = SumPool_k(U v * V t)`, then the signed
/// square root and the length one (power and l2 normalisation). The length is `sqrt(d_model)` here, so that a channel is as
/// large as that of other strategies; the paper's dropout is left out.
#[derive(Module, Debug)]
pub struct FactorizedBilinear {
    /// `U`: `d_model` to `factors d_model`.
    pub image: Linear,
    /// `V`: `d_model` to `factors d_model`.
    pub text: Linear,
    factors: usize,
}

impl StrategyConfig for FactorizedBilinearConfig {
    type Strategy = FactorizedBilinear;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> FactorizedBilinear {
        let factor = || linear(block.d_model, self.factors * block.d_model, device);
        FactorizedBilinear {
            image: factor(),
            text: factor(),
            factors: self.factors,
        }
    }
}

impl Strategy for FactorizedBilinear {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        let [pairs, d_model] = image.dims();
        let product = project(&self.image, image) * project(&self.text, text);
        let sum = product.reshape([pairs, d_model, self.factors]).sum_dim(2);
        let sum: Tensor<2> = sum.squeeze_dim(2);
        let root = (sum.clone().abs() + EPSILON).sqrt() - EPSILON.sqrt();
        let z = root * sum.sign();
        let length = (z.clone().square().sum_dim(1) + EPSILON).sqrt();
        z / length * (d_model as f64).sqrt()
    }
}
