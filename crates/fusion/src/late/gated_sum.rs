use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{BlockConfig, linear, project};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig};

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

impl StrategyConfig for GatedSumConfig {
    type Strategy = GatedSum;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> GatedSum {
        let d_model = block.d_model;
        GatedSum {
            image: linear(d_model, d_model, device),
            text: linear(d_model, d_model, device),
            gate: linear(2 * d_model, d_model, device),
        }
    }
}

impl Strategy for GatedSum {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        let gate = self.gate(&image, &text);
        let image = project(&self.image, image).tanh();
        let text = project(&self.text, text).tanh();
        (image - text.clone()) * gate + text
    }

    fn weighs(&self) -> bool {
        true
    }

    /// The mean of the gate over the channels.
    fn image_weight(&self, modalities: Modalities) -> Option<Tensor<1>> {
        let (image, text) = modalities.pooled_pairs();
        Some(self.gate(&image, &text).mean_dim(1).squeeze_dim(1))
    }
}

impl GatedSum {
    /// # Shapes
    /// - output: `[pairs, d_model]`
    fn gate(&self, image: &Tensor<2>, text: &Tensor<2>) -> Tensor<2> {
        let both = Tensor::cat(vec![image.clone(), text.clone()], 1);
        sigmoid(project(&self.gate, both))
    }
}
