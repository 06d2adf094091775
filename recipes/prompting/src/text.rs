//! Prompts in front of a language model that classifies texts by the words that it goes on with.
//!
//! ```text
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none                   # the template alone
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none --set calibration=contextual
//! crucible train prompting-text --set backbone=smollm2.gguf                                     # prompt tuning
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none --set search=gradient # AutoPrompt
//! crucible train prompting-text --set backbone=smollm2.gguf --set prefix=none --set search=generate # LM-BFF
//! crucible compare prompting-text --set backbone=smollm2.gguf --set prefix=none --vary calibration=none,contextual,pmi,batch
//! ```

use std::sync::Arc;

use burn::tensor::Tensor;
use crucible_datasets::{
    Collate, Drawn, LabelledText, LabelledTextData, LoaderConfig, Split, open_labelled_texts,
};
use crucible_kernels::among_threads;
use crucible_prompt::calibration::{self, Calibrated};
use crucible_prompt::prefix::{
    Backbone, PTuningConfig, Prefix, PrefixConfig, PrefixTuningConfig, SoftPromptConfig,
};
use crucible_shared::{Frozen, LanguageBackbone, data_name, final_split, learn, setting};
use crucible_training::fit::draw;
use crucible_training::{
    Error, Outcome, Prediction, Preset, Recipe, Run, TrainingConfig, checkpoint,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::ClassWords;
use batch::WordCollate;
use model::PromptedLanguageModel;
use question::Question;
use search::TemplateSearch;

mod batch;
mod model;
mod presets;
mod question;
mod search;

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
}

impl Trained {
    fn config(&self) -> Option<PrefixConfig> {
        match self.clone() {
            Self::None => None,
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
    /// How a text is asked about: `{text}` stands for it, `{mask}` for the label word, which comes last.
    pub template: String,
    /// How another is found in its place, before anything trains: none, gradient or generate.
    pub search: TemplateSearch,
    /// Label words of classes that are not to be called by their own name: `[{class = "1", words = ["great", "good"]}]`.
    pub words: Vec<ClassWords>,
    /// Vectors that train: none, prompt-tuning, p-tuning or prefix-tuning.
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

    /// The model with a prompt that has not been trained, and what makes its batches.
    fn init(
        &self,
        data: &LabelledTextData,
        run: &Run,
    ) -> Result<(PromptedLanguageModel, Arc<WordCollate>), Error> {
        let backbone = LanguageBackbone::open(&self.backbone, run)?;
        let device = run.training_device(&self.training);
        let frozen = Frozen::new(backbone.model(run, &device)?);
        let sizes = frozen.beside(true).sizes();
        let prefix = self
            .prefix
            .config()
            .map(|config| config.init(&sizes, &device));
        let prefix = prefix.transpose().map_err(setting("prefix"))?;
        let mut model = PromptedLanguageModel {
            prefix,
            backbone: frozen,
            class: Vec::new(),
        };
        // Before it is asked for its size, which would draw its numbers otherwise; on a device with gradients the seed would
        // not reach them.
        draw(&model, &run.device, run.seed);
        let tokens = model.prefix.as_ref().map_or(0, Prefix::tokens);
        let question = Question::new(&self.template, &self.words, &data.labels, &backbone, tokens)?;
        model.class = question.class.clone();
        Ok((model, Arc::new(WordCollate { question })))
    }

    fn score(
        &self,
        run: &Run,
        data: &LabelledTextData,
        split: Split,
        model: &PromptedLanguageModel,
        collate: &WordCollate,
    ) -> Result<Outcome, Error> {
        let samples = data.samples(split).map_err(Error::data)?;
        let samples = (0..samples.len()).map(|at| samples.get(at).map_err(Error::data));
        let samples: Vec<LabelledText> = samples.collect::<Result<_, _>>()?;
        let scores = |texts: &[LabelledText]| self.scores(run, texts, model, collate);
        let asked = |texts: &[&str]| {
            let texts = texts.iter().map(|text| LabelledText {
                id: String::new(),
                text: (*text).into(),
                label: 0,
            });
            scores(&texts.collect::<Vec<_>>())
        };
        let plain = scores(&samples)?;
        let calibrated = match self.calibration {
            Calibration::None => calibration::batch(&plain, 0.0),
            Calibration::Contextual => calibration::contextual(&plain, &asked(&CONTENT_FREE)?),
            Calibration::Pmi => calibration::domain_pmi(&plain, &asked(&[""])?.concat()),
            Calibration::Batch => calibration::batch(&plain, 1.0),
        };
        let calibrated = calibrated.map_err(|error| Error::Usage(error.to_string()))?;
        Ok(outcome(data, &samples, &calibrated))
    }

    /// Log-probabilities of the classes of each text, not normalised.
    fn scores(
        &self,
        run: &Run,
        texts: &[LabelledText],
        model: &PromptedLanguageModel,
        collate: &WordCollate,
    ) -> Result<Vec<Vec<f64>>, Error> {
        let mut rows = Vec::with_capacity(texts.len());
        for texts in texts.chunks(self.loader.batch_size.max(1)) {
            let drawn = texts.iter().enumerate().map(|(index, text)| Drawn {
                sample: text.clone(),
                index,
                draw: None,
            });
            let host = collate.collate(drawn.collect()).map_err(Error::data)?;
            let batch = collate.upload(host, &run.device);
            let model = model.clone();
            let scores: Tensor<2> = among_threads(&run.device, move || model.classes(&batch));
            let [_, classes] = scores.dims();
            let scores: Vec<f64> = scores.into_data().iter().collect();
            rows.extend(scores.chunks(classes).map(<[f64]>::to_vec));
        }
        Ok(rows)
    }
}

/// What the calibrated scores come to.
fn outcome(data: &LabelledTextData, samples: &[LabelledText], calibrated: &Calibrated) -> Outcome {
    let items = samples.iter().zip(&calibrated.scores);
    let predictions: Vec<Prediction> = items
        .clone()
        .map(|(sample, row)| {
            let best = (0..row.len())
                .max_by(|&a, &b| row[a].total_cmp(&row[b]))
                .unwrap_or(0);
            Prediction {
                id: sample.id.clone(),
                target: data.labels[sample.label].clone(),
                prediction: data.labels[best].clone(),
                score: row[best].exp(),
                image_weight: None,
                picture: None,
            }
        })
        .collect();
    let count = predictions.len().max(1) as f64;
    let right = predictions
        .iter()
        .filter(|prediction| prediction.is_right())
        .count();
    let loss: f64 = items.map(|(sample, row)| -row[sample.label]).sum();
    let changed = calibrated.change.changed as f64;
    let metrics = [
        ("accuracy", right as f64 / count),
        ("loss", loss / count),
        ("calibration_changed", changed / count),
    ];
    Outcome {
        metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
        predictions,
        data_digest: data.digest.clone(),
        ..Outcome::default()
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
        let config = &config.searched(&data, run)?;
        let (model, collate) = config.init(&data, run)?;
        let split = final_split(run);
        if model.prefix.is_none() {
            return config.score(run, &data, split, &model, &collate);
        }
        let data = match config.shots {
            0 => data,
            shots => data.few_shot(shots, run.seed).map_err(Error::data)?,
        };
        let fitted = learn(
            run,
            &config.training,
            &config.loader,
            &collate,
            &data,
            model,
        )?;
        let outcome = config.score(run, &data, split, &fitted.model, &collate)?;
        Ok(outcome.after(fitted.cost))
    }

    fn evaluate(config: &TextConfig, run: &Run, data: &str, split: &str) -> Result<Outcome, Error> {
        let split = split.parse().map_err(Error::data)?;
        let data = config.open(data, run)?;
        let config = &config.found(run)?;
        let (model, collate) = config.init(&data, run)?;
        let model = match model.prefix {
            None => model,
            Some(_) => checkpoint::load_newest(&run.dir, model)?,
        };
        config.score(run, &data, split, &model, &collate)
    }
}
