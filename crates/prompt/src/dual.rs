//! Prompts of a dual encoder: before the words of its text tower, before the patches of its image tower, or both.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Int, Tensor};
use crucible_fusion::DualEncoder;
use crucible_transformer::{ConfigError, embedding_initializer, linear, project};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prefix::Backbone;

/// How many vectors, in how many layers.
#[derive(Config, Debug, JsonSchema)]
pub struct DepthConfig {
    /// Vectors of each layer.
    pub tokens: usize,
    /// Layers that have vectors of their own, from the first; 1 is shallow.
    pub layers: usize,
}

/// Where the prompts of a dual encoder stand.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum DualPromptConfig {
    /// Nowhere: classes are told by their names alone.
    None,
    /// Before the words that name a class (CoOp, Zhou et al. 2022, where all classes have the same).
    Text(DepthConfig),
    /// Before the patches (VPT, Jia et al. 2022).
    Vision(DepthConfig),
    /// Before both, each by itself (Khattak et al. 2023, table 1, "independent V-L prompting").
    Both(DepthConfig),
    /// Before both, those of the patches made of those of the words by a matrix a layer (MaPLe, Khattak et al. 2023).
    Coupled(DepthConfig),
}

/// The vectors themselves.
#[derive(Module, Debug)]
pub struct DualPrompt {
    /// `[layers, tokens, d_text]`.
    pub text: Option<Param<Tensor<3>>>,
    /// `[layers, tokens, d_vision]`.
    pub vision: Option<Param<Tensor<3>>>,
    /// A matrix a layer from the width of words to that of patches; none where the prompts are not coupled.
    pub coupling: Vec<Linear>,
}

impl DualPromptConfig {
    fn depth(&self) -> Option<&DepthConfig> {
        match self {
            Self::None => None,
            Self::Text(depth) | Self::Vision(depth) | Self::Both(depth) | Self::Coupled(depth) => {
                Some(depth)
            }
        }
    }

    /// Whether it fits a model.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, model: &DualEncoder) -> Result<(), ConfigError> {
        let Some(DepthConfig { tokens, layers }) = self.depth() else {
            return Ok(());
        };
        let [text, vision] = [model.text.sizes(), model.vision.sizes()].map(|sizes| sizes.layers);
        let most = match self {
            Self::Text(_) => text,
            Self::Vision(_) => vision,
            _ => text.min(vision),
        };
        ConfigError::unless(*tokens > 0, "tokens", || "must be at least 1".into())?;
        ConfigError::unless((1..=most).contains(layers), "layers", || {
            format!("is {layers}, but must lie between 1 and the {most} layers of the model")
        })
    }

    /// Prompts that have not been trained.
    ///
    /// # Errors
    /// Those of [`check`](Self::check).
    pub fn init(&self, model: &DualEncoder, device: &Device) -> Result<DualPrompt, ConfigError> {
        self.check(model)?;
        let [d_text, d_vision] =
            [model.text.sizes(), model.vision.sizes()].map(|sizes| sizes.d_model);
        let vectors = |here: bool, d_model| {
            let depth = self.depth().filter(|_| here)?;
            let shape = [depth.layers, depth.tokens, d_model];
            Some(embedding_initializer().init(shape, device))
        };
        let coupled = self.depth().filter(|_| matches!(self, Self::Coupled(_)));
        let matrices = 0..coupled.map_or(0, |depth| depth.layers);
        Ok(DualPrompt {
            text: vectors(!matches!(self, Self::Vision(_)), d_text),
            vision: vectors(matches!(self, Self::Vision(_) | Self::Both(_)), d_vision),
            coupling: matrices.map(|_| linear(d_text, d_vision, device)).collect(),
        })
    }
}

impl DualPrompt {
    /// As [`DualEncoder::embed_images`], with the prompt before the patches.
    ///
    /// # Shapes
    /// - `images`: `[images, channels, height, width]`; output: `[images, d_embedding]`, of any length
    pub fn embed_images(&self, model: &DualEncoder, images: Tensor<4>) -> Tensor<2> {
        let pooled = model
            .vision
            .forward_prompted(images, self.of_patches())
            .pooled;
        match &model.image_projection {
            Some(projection) => project(projection, pooled),
            None => pooled,
        }
    }

    /// As [`DualEncoder::embed_texts`], with the prompt before the words.
    ///
    /// # Shapes
    /// - `ids` and `padding` (`true` = padding): `[texts, length]`; output: `[texts, d_embedding]`, of any length
    pub fn embed_texts(
        &self,
        model: &DualEncoder,
        ids: Tensor<2, Int>,
        padding: Tensor<2, Bool>,
    ) -> Tensor<2> {
        let encoded = (model.text).forward_prompted(ids, None, Some(padding), self.of_words());
        project(&model.text_projection, encoded.pooled)
    }

    /// Before the words, `[layers, tokens, d_text]`.
    fn of_words(&self) -> Option<Tensor<3>> {
        self.text.as_ref().map(Param::val)
    }

    /// Before the patches, `[layers, tokens, d_vision]`.
    fn of_patches(&self) -> Option<Tensor<3>> {
        if let Some(vision) = &self.vision {
            return Some(vision.val());
        }
        let text = self.of_words().filter(|_| !self.coupling.is_empty())?;
        let layers = self.coupling.iter().enumerate();
        let layers =
            layers.map(|(layer, matrix)| project(matrix, text.clone().narrow(0, layer, 1)));
        Some(Tensor::cat(layers.collect(), 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::module::ModuleMapper;
    use burn::tensor::TensorData;
    use crucible_fusion::DualEncoderConfig;
    use crucible_transformer::{EncoderConfig, TextEncoderConfig};
    use crucible_vision::VitConfig;

    /// An image tower of three layers and a text tower of two, of unlike widths.
    fn model() -> DualEncoder {
        let vision = VitConfig::new(16, 8, EncoderConfig::new(8, 2, 12, 3));
        let text = TextEncoderConfig::new(11, 6, EncoderConfig::new(12, 3, 16, 2));
        let model = DualEncoderConfig::new(vision, text, 5).init(&device());
        model.no_grad()
    }

    fn embedded(prompt: &DualPrompt, model: &DualEncoder) -> [Tensor<2>; 2] {
        let images = prompt.embed_images(model, values([3, 3, 16, 16], 1, &device()));
        let ids = Tensor::from_data([[1i32, 2, 3], [4, 5, 0]], &device());
        let padding = TensorData::from([[false; 3], [false, false, true]]);
        let padding = Tensor::from_data(padding, &device());
        [images, prompt.embed_texts(model, ids, padding)]
    }

    fn depth(layers: usize) -> DepthConfig {
        DepthConfig { tokens: 4, layers }
    }

    #[test]
    fn each_kind_changes_its_tower_and_trains_alone() {
        let model = model();
        let none = DualPromptConfig::None.init(&model, &device()).unwrap();
        assert_eq!(none.num_params(), 0);
        let plain = embedded(&none, &model);
        for (config, changed, parameters) in [
            (DualPromptConfig::Text(depth(2)), [false, true], 2 * 4 * 12),
            (DualPromptConfig::Vision(depth(3)), [true, false], 3 * 4 * 8),
            (DualPromptConfig::Both(depth(1)), [true, true], 4 * (12 + 8)),
            (
                DualPromptConfig::Coupled(depth(2)),
                [true, true],
                2 * (4 * 12 + 12 * 8 + 8),
            ),
        ] {
            let prompt = config.init(&model, &device()).unwrap();
            assert_eq!(prompt.num_params(), parameters, "{config:?}");
            // Vectors that begin near zero change little.
            let prompt = prompt.map(&mut Large);
            let [images, texts] = embedded(&prompt, &model);
            for ((found, plain), changed) in [&images, &texts].into_iter().zip(&plain).zip(changed)
            {
                let by = difference(found.clone(), plain.clone());
                assert_eq!(by > 1e-3, changed, "{config:?}: {by}");
            }
            assert_gradients_reach_everything(&prompt, Tensor::cat(vec![images, texts], 0));
        }
    }

    #[test]
    fn prompts_of_more_layers_than_there_are_are_refused() {
        let model = model();
        for (config, field) in [
            (DualPromptConfig::Text(depth(3)), "layers"),
            (DualPromptConfig::Vision(depth(4)), "layers"),
            (DualPromptConfig::Coupled(depth(3)), "layers"),
            (DualPromptConfig::Both(depth(0)), "layers"),
            (
                DualPromptConfig::Text(DepthConfig {
                    tokens: 0,
                    layers: 1,
                }),
                "tokens",
            ),
        ] {
            assert_eq!(config.check(&model).unwrap_err().field, field, "{config:?}");
        }
        assert_eq!(DualPromptConfig::Vision(depth(3)).check(&model), Ok(()));
    }

    /// Ten times as large.
    struct Large;

    impl ModuleMapper for Large {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| (x * 10.0).detach().require_grad())
        }
    }
}
