//! From the tokens of an image tower to those of a language model.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use crucible_transformer::{
    Activation, BlockConfig, ConfigError, CrossBlock, CrossBlockConfig, EncoderConfig, LayerNorm,
    embedding_initializer, linear, project, project_and_activate,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PerceiverResampler, PerceiverResamplerConfig};

/// Which [`Connector`] joins an image tower with a language model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ConnectorConfig {
    /// One matrix; a token for each patch (LLaVA, Liu et al. 2023).
    Linear,
    /// A norm, then two layers with GELU between; a token for each patch (LLaVA-1.5, Liu et al. 2024, has the layers,
    /// InternVL, Chen et al. 2024, the norm before them).
    Mlp,
    /// Latents that attend to the patches; a token for each latent (Flamingo, Alayrac et al. 2022).
    PerceiverResampler(PerceiverResamplerConfig),
    /// Queries that attend to each other and to the patches; a token for each query (BLIP-2, Li et al. 2023).
    QFormer(QueryConnectorConfig),
}

/// Sizes of the Q-Former as a connector.
#[derive(Config, Debug, JsonSchema)]
pub struct QueryConnectorConfig {
    /// Layers.
    pub layers: usize,
    /// Learned queries, which is how many tokens come out.
    pub queries: usize,
}

/// From patches to tokens of a language model; its width is changed last.
#[derive(Module, Debug)]
pub enum Connector {
    /// One matrix.
    Linear(Linear),
    /// Two.
    Mlp(MlpConnector),
    /// A resampler, then a matrix.
    PerceiverResampler(ResamplerConnector),
    /// A Q-Former, then a matrix.
    QFormer(QueryConnector),
}

/// Two layers.
#[derive(Module, Debug)]
pub struct MlpConnector {
    /// Over the patches: it takes away what all vectors that are pooled by their maximum have in common.
    pub norm: LayerNorm,
    /// `d_vision` to `d_language`.
    pub inner: Linear,
    /// `d_language` to `d_language`.
    pub outer: Linear,
}

/// Latents, then a matrix.
#[derive(Module, Debug)]
pub struct ResamplerConnector {
    /// Patches to latents.
    pub resampler: PerceiverResampler,
    /// `d_vision` to `d_language`.
    pub output: Linear,
}

/// The Q-Former without words, as BLIP-2 has it before a language model.
#[derive(Module, Debug)]
pub struct QueryConnector {
    /// `[queries, d_vision]`.
    pub queries: Param<Tensor<2>>,
    /// First to last.
    pub blocks: Vec<CrossBlock>,
    /// After the last.
    pub norm: Option<LayerNorm>,
    /// `d_vision` to `d_language`.
    pub output: Linear,
}

impl ConnectorConfig {
    /// Whether it gives the language model anything of a picture.
    ///
    /// # Errors
    /// The first field that is 0.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (layers, tokens) = match self {
            Self::Linear | Self::Mlp => return Ok(()),
            Self::PerceiverResampler(config) => (config.layers, ("latents", config.latents)),
            Self::QFormer(config) => (config.layers, ("queries", config.queries)),
        };
        for (field, value) in [("layers", layers), tokens] {
            ConfigError::unless(value > 0, field, || "must be at least 1".into())?;
        }
        Ok(())
    }

    /// How many tokens an image of that many patches becomes.
    pub fn tokens(&self, patches: usize) -> usize {
        match self {
            Self::Linear | Self::Mlp => patches,
            Self::PerceiverResampler(config) => config.latents,
            Self::QFormer(config) => config.queries,
        }
    }

    /// A connector with fresh weights, from an image tower of such blocks to a language model of that width.
    pub fn init(&self, vision: &BlockConfig, d_language: usize, device: &Device) -> Connector {
        let output = || linear(vision.d_model, d_language, device);
        match self {
            Self::Linear => Connector::Linear(output()),
            Self::Mlp => Connector::Mlp(MlpConnector {
                norm: LayerNorm::new(vision.d_model, vision.norm_epsilon, device),
                inner: output(),
                outer: linear(d_language, d_language, device),
            }),
            Self::PerceiverResampler(config) => Connector::PerceiverResampler(ResamplerConnector {
                resampler: config.init(vision, device),
                output: output(),
            }),
            Self::QFormer(config) => {
                let shape = [config.queries, vision.d_model];
                let block = || CrossBlockConfig::new(vision.clone()).init(device);
                Connector::QFormer(QueryConnector {
                    queries: embedding_initializer().init(shape, device),
                    blocks: (0..config.layers).map(|_| block()).collect(),
                    norm: EncoderConfig::stack(vision, config.layers).final_norm(device),
                    output: output(),
                })
            }
        }
    }
}

impl Connector {
    /// # Shapes
    /// - from `[images, patches, d_vision]` to `[images, tokens, d_language]`
    pub fn forward(&self, patches: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Linear(layer) => project(layer, patches),
            Self::Mlp(mlp) => {
                let hidden =
                    project_and_activate(&mlp.inner, mlp.norm.forward(patches), Activation::Gelu);
                project(&mlp.outer, hidden)
            }
            Self::PerceiverResampler(connector) => project(
                &connector.output,
                connector.resampler.forward(patches, None),
            ),
            Self::QFormer(connector) => project(&connector.output, connector.ask(patches)),
        }
    }
}

impl QueryConnector {
    fn ask(&self, patches: Tensor<3>) -> Tensor<3> {
        let [images, _, d_model] = patches.dims();
        let [count, _] = self.queries.dims();
        let queries = self.queries.val().unsqueeze::<3>();
        let queries = queries.expand([images, count, d_model]);
        let queries = self.blocks.iter().fold(queries, |queries, block| {
            block.forward(queries, None, patches.clone(), None)
        });
        match &self.norm {
            Some(norm) => norm.forward(queries),
            None => queries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};

    fn connectors() -> [(ConnectorConfig, usize); 4] {
        let resampler = PerceiverResamplerConfig::new(2, 3);
        [
            (ConnectorConfig::Linear, 5),
            (ConnectorConfig::Mlp, 5),
            (ConnectorConfig::PerceiverResampler(resampler), 3),
            (ConnectorConfig::QFormer(QueryConnectorConfig::new(2, 4)), 4),
        ]
    }

    #[test]
    fn each_gives_the_tokens_it_promises_and_trains() {
        for (config, tokens) in connectors() {
            assert_eq!(config.tokens(5), tokens);
            let connector = config.init(&BlockConfig::new(8, 2, 12), 6, &device());
            let output = connector.forward(values([2, 5, 8], 1, &device()));
            assert_eq!(output.dims(), [2, tokens, 6], "{config:?}");
            assert_gradients_reach_everything(&connector, output);
        }
    }

    #[test]
    fn sizes_of_zero_are_named() {
        let resampler = |layers, latents| {
            ConnectorConfig::PerceiverResampler(PerceiverResamplerConfig::new(layers, latents))
        };
        let q_former =
            |layers, queries| ConnectorConfig::QFormer(QueryConnectorConfig::new(layers, queries));
        for (config, field) in [
            (resampler(1, 0), "latents"),
            (resampler(0, 1), "layers"),
            (q_former(1, 0), "queries"),
            (q_former(0, 1), "layers"),
        ] {
            assert_eq!(config.check().unwrap_err().field, field);
        }
        for (config, _) in connectors() {
            assert_eq!(config.check(), Ok(()));
        }
    }

    #[test]
    fn each_token_depends_on_its_own_image() {
        for (config, _) in connectors() {
            let connector = config.init(&BlockConfig::new(8, 2, 12), 6, &device());
            let images = values([2, 5, 8], 1, &device());
            let both = connector.forward(images.clone());
            let alone = connector.forward(images.narrow(0, 1, 1));
            assert!(
                difference(both.clone().narrow(0, 1, 1), alone) < 1e-5,
                "{config:?}"
            );
            let [first, second] = [0, 1].map(|image| both.clone().narrow(0, image, 1));
            assert!(difference(first, second) > 1e-3, "{config:?}");
        }
    }
}
