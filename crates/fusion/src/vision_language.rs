use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use crucible_transformer::{CausalLm, CausalLmConfig, ConfigError, Encoded};
use crucible_vision::{Vit, VitConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Connector, ConnectorConfig};

/// What of an image tower the connector is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// The patches, as in LLaVA.
    #[default]
    Patches,
    /// The vector of the whole image, which is what a tower is trained by, before the patches. (LLaVA's "cls_patch" where
    /// the tower has a `[CLS]` token.)
    PooledAndPatches,
    /// The vector of the whole image alone: one token, where a picture shows one thing.
    Pooled,
}

impl Features {
    /// How many vectors an image of that many patches becomes.
    pub fn of(self, patches: usize) -> usize {
        match self {
            Self::Patches => patches,
            Self::PooledAndPatches => patches + 1,
            Self::Pooled => 1,
        }
    }
}

/// Configuration of a [`VisionLanguage`] model.
#[derive(Config, Debug, JsonSchema)]
pub struct VisionLanguageConfig {
    /// The image tower.
    pub vision: VitConfig,
    /// What joins the two.
    pub connector: ConnectorConfig,
    /// The language model.
    pub language: CausalLmConfig,
    /// What of the tower the connector is given.
    #[config(default = "Features::Patches")]
    pub features: Features,
}

/// An image tower, a connector and a causal language model that reads pictures between its words (LLaVA, Liu et al.
/// 2023).
#[derive(Module, Debug)]
pub struct VisionLanguage {
    /// The image tower.
    pub vision: Vit,
    /// What joins the two.
    pub connector: Connector,
    /// The language model.
    pub language: CausalLm,
    /// What of the tower the connector is given.
    #[module(skip)]
    pub features: Features,
}

impl VisionLanguageConfig {
    /// Whether the sizes fit together; [`init`](Self::init) panics where they do not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.vision.check()?;
        self.connector.check()?;
        self.language.check()
    }

    /// How many tokens of the language model a picture takes.
    pub fn image_tokens(&self) -> usize {
        let patches = self.vision.patch_embedding().patches();
        self.connector.tokens(self.features.of(patches))
    }

    /// A model with fresh weights.
    pub fn init(&self, device: &Device) -> VisionLanguage {
        let block = self.vision.encoder.block();
        let d_language = self.language.d_model;
        VisionLanguage {
            vision: self.vision.init(device),
            connector: self.connector.init(&block, d_language, device),
            language: self.language.init(device),
            features: self.features,
        }
    }
}

impl VisionLanguage {
    /// Pictures as tokens of the language model. A `[CLS]` token is none of the patches.
    ///
    /// # Shapes
    /// - `images`: `[images, channels, height, width]`
    /// - output: `[images, image_tokens, d_model]`
    pub fn see(&self, images: Tensor<4>) -> Tensor<3> {
        let Encoded { tokens, pooled, .. } = self.vision.forward(images);
        let [images, length, d_vision] = tokens.dims();
        let first = self.vision.before_patches();
        let patches = tokens.narrow(1, first, length - first);
        let pooled = pooled.reshape([images, 1, d_vision]);
        self.connector.forward(match self.features {
            Features::Patches => patches,
            Features::PooledAndPatches => Tensor::cat(vec![pooled, patches], 1),
            Features::Pooled => pooled,
        })
    }
}

/// Words and pictures as one sequence of vectors.
///
/// # Shapes
/// - `words`: `[sequences, length, d_model]`; what stands where a picture is does not matter
/// - `seen`, of [`VisionLanguage::see`]: `[images, image_tokens, d_model]`
/// - `sources`: for each place of each sequence, `[sequences * length]`, where its vector comes from: its own number for
///   its word, or `sequences * length` plus the number of a token among those of all images
/// - output: `[sequences, length, d_model]`
pub fn splice(words: Tensor<3>, seen: Tensor<3>, sources: Tensor<1, Int>) -> Tensor<3> {
    let [sequences, length, d_model] = words.dims();
    let [images, tokens, _] = seen.dims();
    let words = words.reshape([sequences * length, d_model]);
    let seen = seen.reshape([images * tokens, d_model]);
    let all = Tensor::cat(vec![words, seen], 0);
    all.select(0, sources).reshape([sequences, length, d_model])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};
    use burn::tensor::TensorData;
    use crucible_transformer::{EncoderConfig, Places, Pooling};

    fn config(pooling: Pooling) -> VisionLanguageConfig {
        let vision = VitConfig::new(8, 4, EncoderConfig::new(8, 2, 12, 1)).with_pooling(pooling);
        let language = CausalLmConfig::new(7, 16, 12, 3, 16, 1);
        VisionLanguageConfig::new(vision, ConnectorConfig::Mlp, language)
    }

    /// Two sequences of six: the first with the second picture at places 1 to 4, the second with the first at 2 to 5.
    fn sources() -> Vec<i32> {
        vec![0, 16, 17, 18, 19, 5, 6, 7, 12, 13, 14, 15]
    }

    fn ids(rows: [[i32; 6]; 2]) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::from(rows), &device())
    }

    #[test]
    fn pictures_stand_where_they_are_put_and_everything_trains() {
        let config = config(Pooling::Mean);
        assert_eq!(config.image_tokens(), 4);
        let model = config.init(&device());
        let seen = model.see(values([2, 3, 8, 8], 1, &device()));
        assert_eq!(seen.dims(), [2, 4, 12]);
        let sources = Tensor::from_data(TensorData::from(sources().as_slice()), &device());
        let words = [[1, 0, 0, 0, 0, 2], [3, 4, 0, 0, 0, 0]];
        let x = splice(model.language.embed(ids(words)), seen.clone(), sources);
        let row = |sequence, place| x.clone().narrow(0, sequence, 1).narrow(1, place, 1);
        let token = |image, token| seen.clone().narrow(0, image, 1).narrow(1, token, 1);
        assert_eq!(difference(row(0, 1), token(1, 0)), 0.0);
        assert_eq!(difference(row(0, 4), token(1, 3)), 0.0);
        assert_eq!(difference(row(1, 2), token(0, 0)), 0.0);
        let word = model
            .language
            .embed(ids(words))
            .narrow(0, 0, 1)
            .narrow(1, 5, 1);
        assert_eq!(difference(row(0, 5), word), 0.0);
        let states = model.language.forward(x, &Places::whole(2, 6));
        // Through the logits, which read every word's vector.
        assert_gradients_reach_everything(&model, model.language.logits(states));
    }

    #[test]
    fn a_class_token_is_none_of_the_patches() {
        let model = config(Pooling::Cls).init(&device());
        let images = values([2, 3, 8, 8], 1, &device());
        assert_eq!(model.see(images.clone()).dims(), [2, 4, 12]);
        let with = |features| VisionLanguage {
            features,
            ..model.clone()
        };
        let seen = with(Features::PooledAndPatches).see(images.clone());
        assert_eq!(seen.dims(), [2, 5, 12]);
        let patches = seen.clone().narrow(1, 1, 4);
        assert!(difference(patches, model.see(images.clone())) < 1e-5);
        let pooled = model.vision.forward(images.clone()).pooled;
        let class = model.connector.forward(pooled.reshape([2, 1, 8]));
        assert!(difference(seen.narrow(1, 0, 1), class.clone()) < 1e-5);
        assert!(difference(with(Features::Pooled).see(images), class) < 1e-5);
    }

    #[test]
    fn the_pooled_vector_is_one_more_token_or_the_only_one() {
        for (features, tokens) in [(Features::PooledAndPatches, 5), (Features::Pooled, 1)] {
            let config = config(Pooling::Max).with_features(features);
            assert_eq!(config.image_tokens(), tokens);
            let seen = config
                .init(&device())
                .see(values([2, 3, 8, 8], 1, &device()));
            assert_eq!(seen.dims(), [2, tokens, 12]);
        }
    }
}
