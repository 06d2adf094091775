//! Prompts in front of a language model that classifies texts by the words that it goes on with.
//!
//! ```text
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none                   # the template alone
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none --set calibration=contextual
//! crucible train prompting-text --set backbone=smollm2.gguf                                     # prompt tuning
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none --set verbalizer=automatic
//! crucible export runs/prompting-text-quick-seed0 prompt                                        # for peft, or for
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=adapter --set prefix.path=prompt
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none --set search=gradient # AutoPrompt
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none --set search=generate # LM-BFF
//! crucible compare prompting-text --set backbone=smollm2.gguf --set prefix=none --vary calibration=none,contextual,pmi,batch
//! ```

use crucible_datasets::{LabelledTextData, LoaderConfig, Split, open_labelled_texts};
use crucible_prompt::prefix::{PTuningConfig, PrefixConfig, PrefixTuningConfig, SoftPromptConfig};
use crucible_prompt::template::Mean;
use crucible_shared::{Frozen, LanguageBackbone, data_name, final_split, learn};
use crucible_training::{Error, Outcome, Preset, Recipe, Run, TrainingConfig, checkpoint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::ClassWords;
pub use adapter::export;
use asking::{Asked, Asking, Opened};
use batch::WordCollate;
use learnt::{Start, tell_learnt};
use model::PromptedLanguageModel;
use score::{Calibrating, Scorer, texts};
use search::TemplateSearch;
use verbalizer::VerbalizerConfig;

mod adapter;
mod asking;
mod batch;
mod continuations;
mod label_words;
mod learnt;
mod model;
mod presets;
mod question;
mod score;
mod search;
mod verbalizer;

/// The recipe.
pub struct Text;

/// What is taken off the scores of the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// Nothing.
    None,
    /// The mean prediction for texts without content (Zhao et al. 2021).
    Contextual,
    /// What the template alone predicts (domain-conditional PMI, Holtzman et al. 2021).
    Pmi,
    /// The mean prediction for the texts that are classified (batch calibration, Zhou et al. 2024).
    Batch,
}

/// Vectors that train before the words, in the way of each paper.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Trained {
    /// None: the template alone asks.
    None,
    /// Vectors before the words (Lester et al. 2021).
    PromptTuning(SoftPromptConfig),
    /// The same, made by a network in training (Liu et al. 2021).
    PTuning(PTuningConfig),
    /// Keys and values in every layer (Li and Liang 2021).
    PrefixTuning(PrefixTuningConfig),
    /// Those of a folder that `crucible export` or `peft` wrote.
    Adapter(AdapterConfig),
}

/// Where a trained prompt lies.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AdapterConfig {
    /// The folder.
    pub path: String,
    /// Whether it trains on; otherwise it asks as it is.
    pub train: bool,
}

impl Trained {
    fn config(&self) -> Option<PrefixConfig> {
        match self.clone() {
            Self::None | Self::Adapter(_) => None,
            Self::PromptTuning(config) => Some(PrefixConfig::PromptTuning(config)),
            Self::PTuning(config) => Some(PrefixConfig::PTuning(config)),
            Self::PrefixTuning(config) => Some(PrefixConfig::PrefixTuning(config)),
        }
    }
}

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TextConfig {
    /// Published weights of a causal language model: a Hugging Face folder (such as `crucible export` writes), a GGUF file,
    /// or `hf:org/name` in a binary with the feature `hub`.
    pub backbone: String,
    /// Texts with classes: a name of the catalogue (`crucible data`), or a file or folder.
    pub data: String,
    /// So many texts of each class to learn from, drawn by the seed, and as many to validate; 0 for all.
    pub shots: usize,
    /// How a text is asked about: `{text}` stands for it, `{mask}` for the label word, `{soft:4}` for four vectors that train
    /// and `{soft:'It was'}` for as many as the words have tokens, which begin as these. Several are asked and averaged.
    pub templates: Vec<String>,
    /// What is averaged over several templates: log-probabilities or probabilities.
    pub mean: Mean,
    /// So many solved texts of each class before each text.
    pub demonstrations: usize,
    /// How another template is found in their place, before anything trains: none, gradient or generate.
    pub search: TemplateSearch,
    /// Label words of classes that are not to be called by their own name: `[{class = "1", words = ["great", "good"]}]`.
    pub words: Vec<ClassWords>,
    /// How a class is told: manual (by its label words), automatic, knowledge, soft or prototypical.
    pub verbalizer: VerbalizerConfig,
    /// Vectors that train: none, prompt-tuning, p-tuning or prefix-tuning; or adapter, for those of a folder.
    pub prefix: Trained,
    /// What is taken off the scores: none, contextual, pmi or batch.
    pub calibration: Calibration,
    /// Batches of texts.
    pub loader: LoaderConfig,
    /// Optimizer, schedule, how often to look and save.
    pub training: TrainingConfig,
}

/// Texts without content (Zhao et al. 2021, section 5).
const CONTENT_FREE: [&str; 3] = ["N/A", "[MASK]", ""];

impl TextConfig {
    fn open(&self, command: &str, run: &Run) -> Result<LabelledTextData, Error> {
        open_labelled_texts(data_name(command, run, &self.data)).map_err(Error::data)
    }

    fn backbone(&self, run: &Run) -> Result<Opened, Error> {
        let backbone = LanguageBackbone::open(&self.backbone, run)?;
        let device = run.training_device(&self.training);
        Ok(Opened {
            frozen: Frozen::new(backbone.model(run, &device)?),
            backbone,
            device,
        })
    }

    fn few(&self, data: LabelledTextData, run: &Run) -> Result<LabelledTextData, Error> {
        match self.shots {
            0 => Ok(data),
            shots => data.few_shot(shots, run.seed).map_err(Error::data),
        }
    }

    fn score(
        &self,
        run: &Run,
        asking: &Asking,
        (model, collate): &Asked,
        data: &LabelledTextData,
        split: Split,
    ) -> Result<(Outcome, Vec<Calibrating>), Error> {
        let scorer = self.scorer(run, model, collate);
        scorer.score(self, &asking.templates, data, split)
    }

    fn scorer<'a>(
        &self,
        run: &'a Run,
        model: &'a PromptedLanguageModel,
        collate: &'a WordCollate,
    ) -> Scorer<'a> {
        Scorer {
            run,
            batch_size: self.loader.batch_size,
            model,
            collate,
        }
    }
}

impl Recipe for Text {
    const NAME: &'static str = "prompting-text";
    const ABOUT: &'static str = "learns how to ask a frozen language model for classes of texts (prompt, prefix and P-tuning)";
    const PRESETS: &'static [Preset] = &presets::PRESETS;
    type Config = TextConfig;

    fn preset(preset: &str, choices: &toml::Table) -> TextConfig {
        presets::config(preset, choices)
    }

    fn train(config: &TextConfig, run: &Run) -> Result<Outcome, Error> {
        let data = config.open("", run)?;
        run.record_data(&data.digest)?;
        let split = final_split(run);
        data.samples(split).map_err(Error::data)?;
        let data = config.few(data, run)?;
        let opened = config.backbone(run)?;
        let asking = Asking::settle(config, &data, &opened, run)?;
        let (model, collate) = asking.start(config, &opened, run)?;
        let start = Start::of(&model);
        let (model, cost) = match model.trains() {
            false => (model, None),
            true => {
                let (training, loader) = (&config.training, &config.loader);
                let fitted = learn(run, training, loader, &collate, &data, model)?;
                (fitted.model, Some(fitted.cost))
            }
        };
        let asked = (model, collate);
        let (outcome, calibrating) = config.score(run, &asking, &asked, &data, split)?;
        let (model, collate) = &asked;
        let words = match model.verbalizer {
            None => Vec::new(),
            Some(_) => (config.scorer(run, model, collate)).mean_words(&texts(&data, split)?)?,
        };
        tell_learnt(run, &opened, &asking, &start, model, &words, &calibrating)?;
        Ok(match cost {
            None => outcome,
            Some(cost) => outcome.after(cost),
        })
    }

    fn evaluate(config: &TextConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let opened = config.backbone(run)?;
        let asking = Asking::reopen(run)?;
        asking.answers(&data)?;
        let (model, collate) = asking.start(config, &opened, run)?;
        let model = match model.trains() {
            false => model,
            true => checkpoint::load_newest(&run.dir, model)?,
        };
        let (outcome, ..) = config.score(run, &asking, &(model, collate), &data, split)?;
        Ok(outcome)
    }
}
