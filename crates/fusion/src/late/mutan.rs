use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{BlockConfig, linear, project};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig};

/// Configuration of [`Mutan`].
#[derive(Config, Debug, JsonSchema)]
pub struct MutanConfig {
    /// Width of the projected vectors; 0 for half of `d_model`.
    #[config(default = 0)]
    pub width: usize,
    /// Rank of each slice of the core tensor.
    #[config(default = 3)]
    pub rank: usize,
}

/// Multimodal Tucker fusion (MUTAN, Ben-younes et al. 2017, section 3.2): a bilinear product whose core tensor
/// has slices of low rank, `z = sum_r tanh(W_v v) M_r * tanh(W_t t) N_r`, then `W_o z`.
#[derive(Module, Debug)]
pub struct Mutan {
    /// `W_v`: `d_model` to `width`.
    pub image: Linear,
    /// `W_t`: `d_model` to `width`.
    pub text: Linear,
    /// All `M_r` side by side: `width` to `rank width`.
    pub image_factors: Linear,
    /// All `N_r` side by side: `width` to `rank width`.
    pub text_factors: Linear,
    /// `W_o`: `width` to `d_model`.
    pub output: Linear,
}

impl StrategyConfig for MutanConfig {
    type Strategy = Mutan;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> Mutan {
        let d_model = block.d_model;
        let width = match self.width {
            0 => d_model.div_ceil(2),
            width => width,
        };
        Mutan {
            image: linear(d_model, width, device),
            text: linear(d_model, width, device),
            image_factors: linear(width, self.rank * width, device),
            text_factors: linear(width, self.rank * width, device),
            output: linear(width, d_model, device),
        }
    }
}

impl Strategy for Mutan {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        let factors = |vector, inner, outer| project(outer, project(inner, vector).tanh());
        let image: Tensor<2> = factors(image, &self.image, &self.image_factors);
        let product = image * factors(text, &self.text, &self.text_factors);
        let ([pairs, all], [_, width]) = (product.dims(), self.image.weight.dims());
        let sum = product.reshape([pairs, all / width, width]).sum_dim(1);
        project(&self.output, sum.squeeze_dim(1))
    }
}
