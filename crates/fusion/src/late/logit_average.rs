use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{Activation, BlockConfig, linear, project_and_activate};
use schemars::JsonSchema;

use crate::strategy::Head;
use crate::{Modalities, Strategy, StrategyConfig};

/// Configuration of [`LogitAverage`].
#[derive(Config, Debug, JsonSchema)]
pub struct LogitAverageConfig {}

/// Decision-level fusion by the mean of logits (Baltrusaitis et al. 2019, section 6.1): each modality is judged by itself
/// and what is there is averaged. No sum of two judgements can depend on whether the modalities agree.
#[derive(Module, Debug)]
pub struct LogitAverage {
    /// Of the image, before its decision: `d_model` to `d_model`.
    pub image: Linear,
    /// Of the text, before its decision: `d_model` to `d_model`.
    pub text: Linear,
    #[module(skip)]
    activation: Activation,
}

impl StrategyConfig for LogitAverageConfig {
    type Strategy = LogitAverage;

    fn with_layers(_layers: usize) -> Self {
        Self::new()
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> LogitAverage {
        LogitAverage {
            image: linear(block.d_model, block.d_model, device),
            text: linear(block.d_model, block.d_model, device),
            activation: block.activation,
        }
    }
}

impl LogitAverage {
    /// What the head of each modality reads, image first, and whether it counts: `[pairs, 1]`, 1 or 0.
    pub fn judged(&self, modalities: Modalities) -> [(Tensor<2>, Tensor<2>); 2] {
        let missing = modalities.missing.clone();
        let (image, text) = modalities.pooled_pairs();
        let sides = [
            (&self.image, image, missing.image),
            (&self.text, text, missing.text),
        ];
        sides.map(|(by, vector, missing)| {
            let [pairs, _] = vector.dims();
            let there = match missing {
                Some(missing) => missing.bool_not().float().unsqueeze_dim(1),
                None => Tensor::ones([pairs, 1], &vector.device()),
            };
            (project_and_activate(by, vector, self.activation), there)
        })
    }
}

/// The mean of what counts; zero where nothing does.
fn mean([(image, seen), (text, read)]: [(Tensor<2>, Tensor<2>); 2]) -> Tensor<2> {
    (image * seen.clone() + text * read.clone()) / (seen + read).clamp_min(1.0)
}

impl Strategy for LogitAverage {
    /// The mean of what the two heads would read.
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        mean(self.judged(modalities))
    }

    fn decide(&self, modalities: Modalities, head: &Head) -> Tensor<2> {
        let judged = self.judged(modalities);
        mean(judged.map(|(vector, there)| (head(vector), there)))
    }
}
