use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{Activation, BlockConfig, linear, project, project_and_activate};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig};

/// Configuration of [`TensorFusion`].
#[derive(Config, Debug, JsonSchema)]
pub struct TensorFusionConfig {
    /// Width of the two vectors before their outer product.
    #[config(default = 16)]
    pub width: usize,
}

/// Tensor fusion (TFN, Zadeh et al. 2017, section 4.2): the outer product of `[v, 1]` and `[t, 1]`, which holds either
/// vector and all products of their entries, through a layer. The two come out of linear layers, where the paper has networks
/// of several.
#[derive(Module, Debug)]
pub struct TensorFusion {
    /// `d_model` to `width`.
    pub image: Linear,
    /// `d_model` to `width`.
    pub text: Linear,
    /// `(width + 1)^2` to `d_model`.
    pub output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl StrategyConfig for TensorFusionConfig {
    type Strategy = TensorFusion;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> TensorFusion {
        let (d_model, width) = (block.d_model, self.width);
        TensorFusion {
            image: linear(d_model, width, device),
            text: linear(d_model, width, device),
            output: linear((width + 1) * (width + 1), d_model, device),
            activation: block.activation,
        }
    }
}

impl Strategy for TensorFusion {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        let with_one = |by: &Linear, vector| {
            let vector: Tensor<2> = project(by, vector);
            let [pairs, _] = vector.dims();
            let one = Tensor::ones([pairs, 1], &vector.device());
            Tensor::cat(vec![vector, one], 1)
        };
        let (image, text) = (with_one(&self.image, image), with_one(&self.text, text));
        let [pairs, width] = image.dims();
        let product = image.unsqueeze_dim::<3>(2) * text.unsqueeze_dim::<3>(1);
        let product = product.reshape([pairs, width * width]);
        project_and_activate(&self.output, product, self.activation)
    }
}
