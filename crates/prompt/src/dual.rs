//! Prompts of a dual encoder: before the words of its text tower, before the patches of its image tower, or both.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
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
    /// Before the words, `[layers, tokens, d_text]`.
    pub fn of_words(&self) -> Option<Tensor<3>> {
        self.text.as_ref().map(Param::val)
    }

    /// Before the patches, `[layers, tokens, d_vision]`.
    pub fn of_patches(&self) -> Option<Tensor<3>> {
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
