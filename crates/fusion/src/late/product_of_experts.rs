use burn::config::Config;
use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};
use crucible_transformer::BlockConfig;
use schemars::JsonSchema;

use super::{LogitAverage, LogitAverageConfig};
use crate::strategy::Head;
use crate::{Modalities, Strategy, StrategyConfig};

/// Configuration of [`ProductOfExperts`].
#[derive(Config, Debug, JsonSchema)]
pub struct ProductOfExpertsConfig {}

/// A product of experts (Hinton 2002, equation 1): each modality gives probabilities by itself and these are multiplied,
/// so that two that agree are surer than either, and one that is missing says nothing.
#[derive(Module, Debug)]
pub struct ProductOfExperts {
    /// The two that judge.
    pub experts: LogitAverage,
}

impl StrategyConfig for ProductOfExpertsConfig {
    type Strategy = ProductOfExperts;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> ProductOfExperts {
        ProductOfExperts {
            experts: LogitAverageConfig::new().init(block, device),
        }
    }
}

impl Strategy for ProductOfExperts {
    /// The mean of what the two heads would read.
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        self.experts.forward(modalities)
    }

    /// The logarithm of the product, up to the constant that a softmax takes away.
    fn decide(&self, modalities: Modalities, head: &Head) -> Tensor<2> {
        let judged = self.experts.judged(modalities);
        let [image, text] = judged.map(|(vector, there)| log_softmax(head(vector), 1) * there);
        image + text
    }
}
