use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{Activation, BlockConfig, linear, project_and_activate};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig};

/// Configuration of [`Concatenation`].
#[derive(Config, Debug, JsonSchema)]
pub struct ConcatenationConfig {
    /// Add the element-wise product of the two vectors to the concatenation.
    #[config(default = true)]
    pub product: bool,
}

/// Concatenation and a non-linear layer: `f(W [v, t, v * t])`. The product lets one modality select what
/// to read from the other, which a sum of the two cannot.
#[derive(Module, Debug)]
pub struct Concatenation {
    /// `3 d_model` (`2 d_model` without the product) to `d_model`.
    pub projection: Linear,
    #[module(skip)]
    activation: Activation,
    product: bool,
}

impl StrategyConfig for ConcatenationConfig {
    type Strategy = Concatenation;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> Concatenation {
        let parts = if self.product { 3 } else { 2 };
        Concatenation {
            projection: linear(parts * block.d_model, block.d_model, device),
            activation: block.activation,
            product: self.product,
        }
    }
}

impl Strategy for Concatenation {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        let mut parts = vec![image.clone(), text.clone()];
        if self.product {
            parts.push(image * text);
        }
        project_and_activate(&self.projection, Tensor::cat(parts, 1), self.activation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn without_the_product_it_keeps_its_promises_too() {
        fixture::check(|block, device| {
            let config = ConcatenationConfig::new().with_product(false);
            config.init(block, device)
        });
    }
}
