use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor, TensorData};
use crucible_transformer::{ConfigError, embedding_initializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Sizes;
use super::config::{at_least_one, fits};

/// How the vectors of a prompt start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum SoftPromptInit {
    /// Normal with deviation 0.02, as embeddings do.
    #[default]
    Normal,
    /// Uniform between the least and the largest number of the embedding of words.
    Uniform,
    /// Uniform as a linear layer of the model's width starts (Glorot and Bengio 2010), as VPT does.
    Xavier,
    /// The embeddings of these words, of an instruction or of label words; repeated or cut to as many as there are vectors
    /// (Lester et al. 2021, section 3.2).
    Words {
        /// Token ids of the model's own tokenizer.
        ids: Vec<u32>,
    },
}

/// Configuration of a [`SoftPrompt`].
#[derive(Config, Debug, JsonSchema)]
pub struct SoftPromptConfig {
    /// How many vectors.
    pub tokens: usize,
    /// How they start.
    #[config(default = "SoftPromptInit::Normal")]
    pub init: SoftPromptInit,
}

/// Trained vectors before the embedded words (prompt tuning, Lester et al. 2021). In a causal model they take positions as
/// words do; in an encoder they take none.
#[derive(Module, Debug)]
pub struct SoftPrompt {
    /// `[tokens, d_model]`.
    pub vectors: Param<Tensor<2>>,
}

impl SoftPromptInit {
    /// Whether a model of those sizes has what they start from.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        let words = sizes.words.as_ref().map(Tensor::dims);
        match self {
            Self::Normal | Self::Xavier => Ok(()),
            Self::Uniform => ConfigError::unless(words.is_some(), "init", || {
                "is `uniform`, in the range of the words, but the model reads none; take `xavier`"
                    .into()
            }),
            Self::Words { ids } => {
                let [vocabulary, _] = words.unwrap_or_default();
                ConfigError::unless(!ids.is_empty(), "ids", || "must name a word".into())?;
                let unknown = ids.iter().find(|&&id| id as usize >= vocabulary);
                ConfigError::unless(unknown.is_none(), "ids", || {
                    format!("are {ids:?}, but the model knows {vocabulary} words")
                })
            }
        }
    }

    /// Vectors that start so. Those of words come first, in as many as the last but one axis has; whatever other axes
    /// count beyond that is normal.
    ///
    /// # Shapes
    /// - `shape`: `[.., tokens, d_model]`
    ///
    /// # Panics
    /// When [`check`](Self::check) fails.
    pub(super) fn vectors<const D: usize>(
        &self,
        shape: [usize; D],
        sizes: &Sizes,
        device: &Device,
    ) -> Param<Tensor<D>> {
        if let Err(error) = self.check(sizes) {
            panic!("{error}");
        }
        let normal = embedding_initializer();
        match (self, &sizes.words) {
            (Self::Uniform, Some(words)) => {
                let [min, max] = [words.clone().min(), words.clone().max()];
                let [min, max] = [min, max].map(|x| x.into_scalar::<f64>());
                Initializer::Uniform { min, max }.init(shape, device)
            }
            (Self::Words { ids }, Some(words)) => {
                let tokens = shape[D - 2];
                let ids = ids.iter().cycle().take(tokens).map(|&id| id as i32);
                let ids = TensorData::new(ids.collect::<Vec<i32>>(), [tokens]);
                let ids = Tensor::<1, Int>::from_data(ids, &words.device());
                let rows = words.clone().detach().select(0, ids).into_data();
                // The rest is drawn when the vectors are first used, and the words are put in then.
                normal
                    .init(shape, device)
                    .init_mapper(move |drawn: Tensor<D>| {
                        let mut first = drawn.dims();
                        first[..D - 2].fill(1);
                        let rows = Tensor::<2>::from_data(rows.clone(), &drawn.device());
                        let places = first.map(|count| 0..count);
                        drawn.slice_assign(places, rows.reshape(first))
                    })
            }
            (Self::Xavier, _) => {
                let xavier = Initializer::XavierUniform { gain: 1.0 };
                let width = Some(sizes.d_model);
                xavier.init_with(shape, width, width, device)
            }
            _ => normal.init(shape, device),
        }
    }
}

impl SoftPromptConfig {
    /// Whether it fits a model of those sizes; [`init`](Self::init) panics where it does not.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        at_least_one("tokens", self.tokens)?;
        fits(self.tokens, sizes)?;
        self.init.check(sizes)
    }

    /// Numbers that train.
    pub fn parameters(&self, sizes: &Sizes) -> usize {
        self.tokens * sizes.d_model
    }

    /// A prompt that has not been trained.
    ///
    /// # Panics
    /// When [`check`](Self::check) fails.
    pub fn init(&self, sizes: &Sizes, device: &Device) -> SoftPrompt {
        if let Err(error) = self.check(sizes) {
            panic!("{error}");
        }
        SoftPrompt {
            vectors: (self.init).vectors([self.tokens, sizes.d_model], sizes, device),
        }
    }
}
