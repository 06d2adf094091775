use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    Block, BlockConfig, EncoderConfig, LayerNorm, Pooling, linear, project,
};
use schemars::JsonSchema;

use crate::{Modalities, Strategy, StrategyConfig, Sublayers, Tokens};

/// Configuration of [`Film`].
#[derive(Config, Debug, JsonSchema)]
pub struct FilmConfig {
    /// Layers over the patches, each followed by a modulation.
    pub layers: usize,
    /// How the patches become one vector.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
}

/// Feature-wise linear modulation (FiLM, Perez et al. 2018, section 2): after each layer the text scales and shifts the
/// channels of the patches, `(1 + gamma) x + beta` with `gamma` and `beta` linear in the text's pooled vector. It acts on what leaves a block, where
/// the paper has it within its residual branch.
#[derive(Module, Debug)]
pub struct Film {
    /// First to last.
    pub layers: Vec<FilmLayer>,
    /// After the last layer, when pre-norm.
    pub norm: Option<LayerNorm>,
    #[module(skip)]
    pooling: Pooling,
}

/// A block and its modulation.
#[derive(Module, Debug)]
pub struct FilmLayer {
    /// Over the patches.
    pub block: Block,
    /// From the text: `d_model` to `2 d_model`, `gamma` then `beta`.
    pub modulation: Linear,
}

impl StrategyConfig for FilmConfig {
    type Strategy = Film;
    const LAYER: Sublayers = Sublayers {
        linears: 2,
        ..Sublayers::new(1, 1)
    };

    fn with_layers(layers: usize) -> Self {
        Self::new(layers)
    }

    fn init(&self, block: &BlockConfig, device: &Device) -> Film {
        let layer = || FilmLayer {
            block: block.init(device),
            modulation: linear(block.d_model, 2 * block.d_model, device),
        };
        Film {
            layers: (0..self.layers).map(|_| layer()).collect(),
            norm: EncoderConfig::stack(block, self.layers).final_norm(device),
            pooling: self.pooling,
        }
    }
}

impl Strategy for Film {
    fn forward(&self, modalities: Modalities) -> Tensor<2> {
        self.tokens(modalities).0.pool(self.pooling)
    }

    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        let (_, question) = modalities.clone().pooled_pairs();
        let (mut image, text) = modalities.token_pairs();
        let mask = image.mask();
        for layer in &self.layers {
            let x = layer.block.forward(image.values, mask.as_ref());
            let modulation = project(&layer.modulation, question.clone()).unsqueeze_dim::<3>(1);
            let [_, _, d_model] = x.dims();
            let gamma = modulation.clone().narrow(2, 0, d_model);
            image.values = x * (gamma + 1.0) + modulation.narrow(2, d_model, d_model);
        }
        if let Some(norm) = &self.norm {
            image.values = norm.forward(image.values);
        }
        (image, text)
    }
}
