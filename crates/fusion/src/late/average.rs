use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_transformer::BlockConfig;
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig};

/// Configuration of [`Average`].
#[derive(Config, Debug, JsonSchema)]
pub struct AverageConfig {}

/// The mean of the two pooled vectors, `(v + t) / 2`: the baseline without a parameter. What follows it is not linear, so
/// that it can still tell pairs apart which neither vector tells apart.
#[derive(Module, Debug)]
pub struct Average;

impl StrategyConfig for AverageConfig {
    type Strategy = Average;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, _block: &BlockConfig, _device: &Device) -> Average {
        Average
    }
}

impl Strategy for Average {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        let (image, text) = modalities.pooled_pairs();
        (image + text) / 2.0
    }
}
