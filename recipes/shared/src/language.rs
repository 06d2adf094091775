//! The language model of a recipe: fresh, or published weights; and which part of it trains.

use burn::module::Module;
use burn::tensor::Device;
use crucible_training::fit::draw;
use crucible_training::{Error, Run};
use crucible_transformer::{CausalLm, CausalLmConfig, LoraConfig};
use crucible_weights::CausalCheckpoint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::instruction::TextModel;
use crate::setting::setting;
use crate::{Origin, report};

/// What its sizes came to, in the run's directory.
const FILE: &str = "language.json";

/// Which part of a language model trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tune {
    /// All of it.
    #[default]
    Full,
    /// Low-rank adapters beside its frozen layers.
    Lora,
    /// Its last layers and its final norm.
    LastLayers,
    /// Nothing.
    Frozen,
}

/// A causal language model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageConfig {
    /// Published weights to start from: a Hugging Face folder, a GGUF file, or `hf:org/name` in a binary with the feature
    /// `hub`; "" for a fresh model of the sizes below.
    pub weights: String,
    /// Which part trains: full, lora, last-layers or frozen.
    pub tune: Tune,
    /// How many layers train when `tune` is last-layers.
    pub last_layers: usize,
    /// The adapters when `tune` is lora.
    pub lora: LoraConfig,
    /// Width of the tokens of a fresh model.
    pub d_model: usize,
    /// Attention heads of a fresh model; must divide `d_model`.
    pub heads: usize,
    /// Heads of keys and values of a fresh model; must divide `heads`.
    pub kv_heads: usize,
    /// Width of the hidden layer of each feed-forward network of a fresh model.
    pub d_ff: usize,
    /// Layers of a fresh model.
    pub layers: usize,
    /// Chance that a unit of a fresh model is dropped in training.
    pub dropout: f64,
}

impl LanguageConfig {
    /// A fresh model that trains whole.
    pub fn fresh(d_model: usize, heads: usize, layers: usize) -> Self {
        Self {
            weights: String::new(),
            tune: Tune::Full,
            last_layers: 2,
            lora: LoraConfig::new(),
            d_model,
            heads,
            kv_heads: heads,
            d_ff: 2 * d_model,
            layers,
            dropout: 0.0,
        }
    }

    /// Whether the settings make sense, as far as that shows without weights and vocabulary.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] by the key.
    pub fn check(&self) -> Result<(), Error> {
        if self.tune == Tune::Lora {
            self.lora.check().map_err(setting("language.lora"))?;
        }
        match self.weights.is_empty() {
            true => self.own(1, 1).check().map_err(setting("language")),
            false => Ok(()),
        }
    }

    /// Where it begins in a run.
    ///
    /// # Errors
    ///
    /// Those of [`Origin::of`].
    pub fn origin(&self, run: &Run) -> Result<Origin, Error> {
        let origin = Origin::of("language", &self.weights, run)?;
        if let Origin::Published(path) = &origin {
            // Of another architecture, which matters more than what its tokenizer lacks.
            CausalCheckpoint::open(path).map_err(Error::data)?;
        }
        Ok(origin)
    }

    /// The sizes for a vocabulary and the longest sequence; those of published weights where it begins with some.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for sizes that do not fit together, and what is wrong with the weights.
    pub fn sizes(
        &self,
        origin: &Origin,
        run: &Run,
        vocabulary: usize,
        max_length: usize,
    ) -> Result<CausalLmConfig, Error> {
        let sizes = match origin {
            Origin::Published(path) => CausalCheckpoint::open(path).map_err(Error::data)?.config,
            Origin::Kept => Self::kept(run)?,
            Origin::Fresh => self.own(vocabulary, max_length),
        };
        sizes.check().map_err(setting("language"))?;
        if max_length > sizes.max_length {
            return Err(Error::Usage(format!(
                "max_length is {max_length}, but {} takes at most {} tokens",
                self.weights, sizes.max_length
            )));
        }
        check_vocabulary(&self.weights, vocabulary, sizes.vocabulary)?;
        Ok(sizes)
    }

    /// The sizes of a fresh model.
    fn own(&self, vocabulary: usize, max_length: usize) -> CausalLmConfig {
        CausalLmConfig::new(
            vocabulary,
            max_length,
            self.d_model,
            self.heads,
            self.d_ff,
            self.layers,
        )
        .with_kv_heads(self.kv_heads)
        .with_dropout(self.dropout)
    }

    /// The model to train, with its published weights if it begins with some, frozen where it does not train. Keeps its sizes
    /// with the run.
    ///
    /// # Errors
    ///
    /// Those of the weights and of the run's directory.
    pub fn start(
        &self,
        origin: &Origin,
        sizes: &CausalLmConfig,
        run: &Run,
        device: &Device,
    ) -> Result<CausalLm, Error> {
        run.dir.write_json(FILE, sizes)?;
        let model = match origin {
            Origin::Published(path) => {
                let checkpoint = CausalCheckpoint::open(path).map_err(Error::data)?;
                let (model, loaded) = checkpoint.load(path, device).map_err(Error::data)?;
                if !run.quiet {
                    report(&self.weights, &loaded);
                }
                model
            }
            Origin::Fresh | Origin::Kept => {
                // At the path that it has in every model; what is put beside a weight looks at it, which draws it.
                let alone = TextModel::new(sizes.init(device));
                draw(&alone, device, run.seed);
                alone.encoder.language
            }
        };
        Ok(self.tuned(model))
    }

    /// The model of a finished run, before it gets its weights.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn reopen(&self, run: &Run) -> Result<(CausalLmConfig, CausalLm), Error> {
        let sizes = Self::kept(run)?;
        let model = self.tuned(sizes.init(&run.device));
        Ok((sizes, model))
    }

    /// The sizes of the model of a run.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn kept(run: &Run) -> Result<CausalLmConfig, Error> {
        run.dir.read_json(FILE)
    }

    fn tuned(&self, mut model: CausalLm) -> CausalLm {
        match self.tune {
            Tune::Full => model,
            Tune::Lora => model.with_lora(&self.lora),
            Tune::Frozen => model.freeze(),
            Tune::LastLayers => {
                let first = model.blocks.len().saturating_sub(self.last_layers);
                let last = model.blocks.split_off(first);
                let norm = model.norm.clone();
                let mut model = model.freeze();
                model.blocks.extend(last);
                model.norm = norm;
                model
            }
        }
    }
}

/// That the embedding has a row for each token of a tokenizer; it may have more. `weights` names both.
///
/// # Errors
///
/// [`Error::Usage`] with both numbers.
pub fn check_vocabulary(weights: &str, tokens: usize, rows: usize) -> Result<(), Error> {
    match tokens > rows {
        true => Err(Error::Usage(format!(
            "{weights}: the tokenizer has {tokens} tokens, but the embedding of the model has {rows} rows; give the \
             tokenizer that the weights were published with, or enlarge the embedding (resize_token_embeddings in \
             transformers)"
        ))),
        false => Ok(()),
    }
}
