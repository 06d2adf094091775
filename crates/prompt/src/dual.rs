//! Prompts of a dual encoder: before the words of its text tower, before the patches of its image tower, or both.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Int, Tensor};
use crucible_fusion::DualEncoder;
use crucible_transformer::{ConfigError, linear, project};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prefix::{Backbone, DeepPromptConfig, Sizes, SoftPromptInit, shared};

mod meta;

pub use meta::MetaNetwork;

/// Where the prompts of a dual encoder stand.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum DualPromptConfig {
    /// Nowhere: classes are told by their names alone.
    None,
    /// Before the words that name a class (CoOp, Zhou et al. 2022a, where all classes have the same).
    Text(DeepPromptConfig),
    /// The same, and to each a network adds what it makes of the image (CoCoOp, Zhou et al. 2022b).
    Conditional(DeepPromptConfig),
    /// Before the patches (VPT, Jia et al. 2022).
    Vision(DeepPromptConfig),
    /// Before both, each by itself (Khattak et al. 2023, table 1, "independent V-L prompting").
    Both(DeepPromptConfig),
    /// Before both, those of the patches made of those of the words by a matrix a layer (MaPLe, Khattak et al. 2023).
    Coupled(DeepPromptConfig),
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
    /// What an image adds to the vectors before the words; none where it adds nothing.
    pub meta: Option<MetaNetwork>,
}

impl DualPromptConfig {
    /// The prompt before the words and the one before the patches that train.
    fn trained(&self) -> [Option<&DeepPromptConfig>; 2] {
        match self {
            Self::None => [None, None],
            Self::Text(deep) | Self::Conditional(deep) | Self::Coupled(deep) => [Some(deep), None],
            Self::Vision(deep) => [None, Some(deep)],
            Self::Both(deep) => [Some(deep), Some(deep)],
        }
    }

    fn coupled(&self) -> Option<&DeepPromptConfig> {
        match self {
            Self::Coupled(deep) => Some(deep),
            _ => None,
        }
    }

    /// Whether it fits a model.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, model: &DualEncoder) -> Result<(), ConfigError> {
        let [text, vision] = self.trained();
        if let Some(text) = text {
            text.check(&model.text.sizes())?;
        }
        let vision = vision.or(self.coupled());
        vision.map_or(Ok(()), |vision| vision.check(&model.vision.sizes()))
    }

    /// Prompts that have not been trained. Those of the first layer before the words start like `words` (CoOp, section
    /// 3.1), all others at random.
    ///
    /// # Errors
    /// Those of [`check`](Self::check) and of [`SoftPromptInit::check`].
    pub fn init(
        &self,
        model: &DualEncoder,
        words: &SoftPromptInit,
        device: &Device,
    ) -> Result<DualPrompt, ConfigError> {
        self.check(model)?;
        let [of_text, of_vision] = [model.text.sizes(), model.vision.sizes()];
        words.check(&of_text)?;
        let [text, vision] = self.trained();
        let vectors = |deep: &DeepPromptConfig, init: &SoftPromptInit, sizes: &Sizes| {
            deep.init(init, sizes, device).vectors
        };
        let matrices = 0..self.coupled().map_or(0, |deep| deep.layers);
        let matrix = |_| linear(of_text.d_model, of_vision.d_model, device);
        let conditional = matches!(self, Self::Conditional(_));
        let [_, d_embedding] = model.text_projection.weight.dims();
        Ok(DualPrompt {
            text: text.map(|deep| vectors(deep, words, &of_text)),
            vision: vision.map(|deep| vectors(deep, &SoftPromptInit::Normal, &of_vision)),
            coupling: matrices.map(matrix).collect(),
            meta: conditional.then(|| MetaNetwork::new(d_embedding, of_text.d_model, device)),
        })
    }
}

impl DualPrompt {
    /// As [`DualEncoder::embed_images`], with the prompt before the patches.
    ///
    /// # Shapes
    /// - `images`: `[images, channels, height, width]`; output: `[images, d_embedding]`, of any length
    pub fn embed_images(&self, model: &DualEncoder, images: Tensor<4>) -> Tensor<2> {
        let prompt = self.of_patches().map(shared);
        let pooled = model.vision.forward_prompted(images, prompt).pooled;
        match &model.image_projection {
            Some(projection) => project(projection, pooled),
            None => pooled,
        }
    }

    /// As [`DualEncoder::embed_texts`], with the prompt before the words, to which no image adds anything.
    ///
    /// # Shapes
    /// - `ids` and `padding` (`true` = padding): `[texts, length]`; output: `[texts, d_embedding]`, of any length
    pub fn embed_texts(
        &self,
        model: &DualEncoder,
        ids: Tensor<2, Int>,
        padding: Tensor<2, Bool>,
    ) -> Tensor<2> {
        let prompt = self.of_words().map(shared);
        embed(model, ids, padding, prompt)
    }

    /// The same texts for each of several images, which adds what its network makes of it to every vector before the words
    /// (Zhou et al. 2022b, section 3.2). As many sequences as images times texts are read at once.
    ///
    /// # Shapes
    /// - `images`: `[images, d_embedding]`, of length one
    /// - `ids` and `padding` (`true` = padding): `[texts, length]`
    /// - output: `[images * texts, d_embedding]`, of any length, image by image
    pub fn embed_texts_for(
        &self,
        model: &DualEncoder,
        images: Tensor<2>,
        ids: Tensor<2, Int>,
        padding: Tensor<2, Bool>,
    ) -> Tensor<2> {
        let ([count, _], [texts, _]) = (images.dims(), ids.dims());
        let rows = count * texts;
        let prompt = self.of_words().map(shared).map(|prompt| {
            let [layers, _, tokens, d_text] = prompt.dims();
            let prompt = match &self.meta {
                Some(meta) => prompt + meta.forward(images).reshape([1, count, 1, d_text]),
                None => prompt.expand([layers, count, tokens, d_text]),
            };
            let prompt = prompt.unsqueeze_dim::<5>(2);
            let each = prompt.expand([layers, count, texts, tokens, d_text]);
            each.reshape([layers, rows, tokens, d_text])
        });
        embed(
            model,
            ids.repeat_dim(0, count),
            padding.repeat_dim(0, count),
            prompt,
        )
    }

    /// Whether the texts of each image are embedded by themselves, by [`embed_texts_for`](Self::embed_texts_for).
    pub fn is_conditional(&self) -> bool {
        self.meta.is_some()
    }

    /// How much of the attention of the image tower goes to the prompt: see
    /// [`Vit::attention_to_prompt`](crucible_vision::Vit::attention_to_prompt). None without such a prompt as well.
    ///
    /// # Shapes
    /// - `images`: `[images, channels, height, width]`; output: `[images, layers]`, between 0 and 1
    pub fn attention(&self, model: &DualEncoder, images: Tensor<4>) -> Option<Tensor<2>> {
        let prompt = shared(self.of_patches()?);
        model.vision.attention_to_prompt(images, prompt)
    }

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

/// # Shapes
/// - `ids` and `padding` (`true` = padding): `[texts, length]`; `prompt`: `[layers, texts or 1, tokens, d_text]`
/// - output: `[texts, d_embedding]`
fn embed(
    model: &DualEncoder,
    ids: Tensor<2, Int>,
    padding: Tensor<2, Bool>,
    prompt: Option<Tensor<4>>,
) -> Tensor<2> {
    let encoded = (model.text).forward_prompted(ids, None, Some(padding), prompt);
    project(&model.text_projection, encoded.pooled)
}

#[cfg(test)]
mod tests;
