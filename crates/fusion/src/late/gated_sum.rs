use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{BlockConfig, linear, project};
use schemars::JsonSchema;

use crate::Modalities;

/// Configuration of [`GatedSum`].
#[derive(Config, Debug, JsonSchema)]
pub struct GatedSumConfig {}

/// The gated multimodal unit (Arevalo et al. 2017): `z h_v + (1 - z) h_t` with `h_i = tanh(W_i x_i)` and
/// the gate `z = sigmoid(W_z [x_v, x_t])`, one for each channel.
#[derive(Module, Debug)]
pub struct GatedSum {
    /// `W_v`: `d_model` to `d_model`.
    pub image: Linear,
    /// `W_t`: `d_model` to `d_model`.
    pub text: Linear,
    /// `W_z`: `2 d_model` to `d_model`.
    pub gate: Linear,
}

impl GatedSumConfig {
    /// A strategy with fresh weights.
    pub fn init(&self, block: &BlockConfig, device: &Device) -> GatedSum {
        let d_model = block.d_model;
        GatedSum {
            image: linear(d_model, d_model, device),
            text: linear(d_model, d_model, device),
            gate: linear(2 * d_model, d_model, device),
        }
    }
}

impl GatedSum {
    /// # Shapes
    /// - output: `[pairs, d_model]`
    pub fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        let both = Tensor::cat(vec![image.clone(), text.clone()], 1);
        let gate = sigmoid(project(&self.gate, both));
        let image = project(&self.image, image).tanh();
        let text = project(&self.text, text).tanh();
        (image - text.clone()) * gate + text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn one_vector_a_pair_that_depends_on_both_and_not_on_padding() {
        fixture::check(|block, device| {
            let fusion = GatedSumConfig::new().init(block, device);
            (fusion.clone(), Box::new(move |m| fusion.forward(m)))
        });
    }
}
