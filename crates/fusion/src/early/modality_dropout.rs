use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use crucible_transformer::BlockConfig;
use schemars::JsonSchema;

use super::{Joint, JointConfig};
use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`ModalityDropout`].
#[derive(Config, Debug, JsonSchema)]
pub struct ModalityDropoutConfig {
    /// Layers of the joint encoder.
    pub layers: usize,
    /// Chance that a pair loses one of its modalities in training, either as often.
    #[config(default = 0.2)]
    pub probability: f64,
}

/// Token concatenation with modality dropout (ModDrop, Neverova et al. 2016): in training, a pair now and then has no image, or no text, so that the model learns to do without. Both are
/// never gone.
#[derive(Module, Debug)]
pub struct ModalityDropout {
    /// The strategy that loses its modalities.
    pub joint: Joint,
    probability: f64,
}

impl StrategyConfig for ModalityDropoutConfig {
    type Strategy = ModalityDropout;
    const LAYER: Sublayers = JointConfig::LAYER;

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> ModalityDropout {
        ModalityDropout {
            joint: JointConfig::new(self.layers).init(block, device),
            probability: self.probability,
        }
    }
}

impl ModalityDropout {
    /// Draws which pairs lose what, in training alone; a pair that lacks one already keeps the other.
    fn drop(&self, mut modalities: Modalities) -> Modalities {
        if !modalities.image.tokens.is_autodiff() {
            return modalities;
        }
        let pairs = modalities.image_of.dims();
        let device = modalities.image.tokens.device().inner();
        let drawn = Tensor::<1>::random(pairs, Distribution::Uniform(0.0, 1.0), &device);
        let missing = &mut modalities.missing;
        let [no_image, no_text] = [missing.image.clone(), missing.text.clone()];
        let half = self.probability / 2.0;
        let losing = [
            drawn.clone().lower_elem(half),
            drawn.greater_elem(1.0 - half),
        ];
        let sides = [
            (&mut missing.image, &no_text),
            (&mut missing.text, &no_image),
        ];
        for ((side, other), losing) in sides.into_iter().zip(losing) {
            let losing = match other {
                Some(other) => losing.bool_and(other.clone().bool_not()),
                None => losing,
            };
            *side = Some(match side.take() {
                Some(already) => already.bool_or(losing),
                None => losing,
            });
        }
        modalities
    }
}

impl Strategy for ModalityDropout {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        self.joint.forward(self.drop(modalities))
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        self.joint.tokens(self.drop(modalities))
    }
}
