//! What a language model makes of texts: scores of classes, calibrated and averaged over templates.

use burn::tensor::Tensor;
use crucible_datasets::{Collate, Drawn, LabelledText, LabelledTextData, Split};
use crucible_kernels::among_threads;
use crucible_prompt::calibration::{self, Calibrated, Change};
use crucible_prompt::template::{Ensemble, Template};
use crucible_training::{Error, Outcome, Prediction, Run};
use serde::{Deserialize, Serialize};

use super::batch::{WordBatch, WordCollate};
use super::model::PromptedLanguageModel;
use super::{CONTENT_FREE, Calibration, TextConfig};

/// A model and what it takes to ask it.
pub struct Scorer<'a> {
    pub run: &'a Run,
    pub batch_size: usize,
    pub model: &'a PromptedLanguageModel,
    pub collate: &'a WordCollate,
}

/// What a calibration did to the answers of a template.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calibrating {
    /// The template.
    pub template: Template,
    /// Mean probabilities of the classes before and after, and how many predictions changed.
    pub change: Change,
}

/// Texts of a split.
pub fn texts(data: &LabelledTextData, split: Split) -> Result<Vec<LabelledText>, Error> {
    let samples = data.samples(split).map_err(Error::data)?;
    let samples = (0..samples.len()).map(|at| samples.get(at).map_err(Error::data));
    samples.collect()
}

/// Texts that belong to no class.
pub fn contentless(texts: &[&str]) -> Vec<LabelledText> {
    let text = |text: &&str| LabelledText {
        id: String::new(),
        text: (*text).into(),
        label: 0,
    };
    texts.iter().map(text).collect()
}

impl Scorer<'_> {
    /// What is computed of each prompt, text by text and template by template.
    ///
    /// # Errors
    ///
    /// For a text that does not fit the model.
    pub fn rows(
        &self,
        texts: &[LabelledText],
        of: impl Fn(&PromptedLanguageModel, &WordBatch) -> Tensor<2> + Sync,
    ) -> Result<Vec<Vec<f64>>, Error> {
        let mut rows = Vec::with_capacity(texts.len());
        for texts in texts.chunks(self.batch_size.max(1)) {
            let drawn = texts.iter().enumerate().map(|(index, text)| Drawn {
                sample: text.clone(),
                index,
                draw: None,
            });
            let host = self.collate.collate(drawn.collect()).map_err(Error::data)?;
            let batch = self.collate.upload(host, &self.run.device);
            let (model, of) = (self.model.clone(), &of);
            let scores = among_threads(&self.run.device, move || of(&model, &batch));
            let [_, width] = scores.dims();
            let scores: Vec<f64> = scores.into_data().iter().collect();
            rows.extend(scores.chunks(width).map(<[f64]>::to_vec));
        }
        Ok(rows)
    }

    /// Log-probabilities of the label words, the mean over templates.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn words(&self, texts: &[LabelledText]) -> Result<Vec<Vec<f64>>, Error> {
        let rows = self.rows(texts, |model, batch| match &batch.words {
            Some(told) => model.words(batch, told),
            None => model.classes(batch),
        })?;
        let templates = self.collate.questions.len();
        let mean = |rows: &[Vec<f64>]| {
            let columns = 0..rows[0].len();
            let sum = |column| rows.iter().map(|row: &Vec<f64>| row[column]).sum::<f64>();
            columns
                .map(|column| sum(column) / templates as f64)
                .collect()
        };
        Ok(rows.chunks(templates).map(mean).collect())
    }

    /// The mean of [`words`](Self::words) over texts, `[words]`.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn mean_words(&self, texts: &[LabelledText]) -> Result<Vec<f64>, Error> {
        let rows = self.words(texts)?;
        let columns = 0..rows.first().map_or(0, Vec::len);
        let mean = |column| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64;
        Ok(columns.map(mean).collect())
    }

    /// Scores of the classes, not normalised, template by template.
    fn classes(&self, texts: &[LabelledText]) -> Result<Vec<Vec<Vec<f64>>>, Error> {
        let rows = self.rows(texts, PromptedLanguageModel::classes)?;
        let templates = self.collate.questions.len();
        let of = |template| {
            rows.iter()
                .skip(template)
                .step_by(templates)
                .cloned()
                .collect()
        };
        Ok((0..templates).map(of).collect())
    }

    /// Accuracy and loss on a split, and what the calibration of each template changed.
    ///
    /// # Errors
    ///
    /// Those of the data, and scores that cannot be calibrated.
    pub fn score(
        &self,
        config: &TextConfig,
        templates: &[Template],
        data: &LabelledTextData,
        split: Split,
    ) -> Result<(Outcome, Vec<Calibrating>), Error> {
        let texts = texts(data, split)?;
        let plain = self.classes(&texts)?;
        let usage = |error: crucible_prompt::ScoreError| Error::Usage(error.to_string());
        let asked = match config.calibration {
            Calibration::Contextual => self.classes(&contentless(&CONTENT_FREE))?,
            Calibration::Pmi => self.classes(&contentless(&[""]))?,
            Calibration::None | Calibration::Batch => vec![Vec::new(); plain.len()],
        };
        let calibrated = plain.iter().zip(&asked).map(|(plain, asked)| {
            let calibrated = match config.calibration {
                Calibration::None => calibration::none(plain),
                Calibration::Contextual => calibration::contextual(plain, asked),
                Calibration::Pmi => calibration::domain_pmi(plain, &asked.concat()),
                Calibration::Batch => calibration::batch(plain, 1.0),
            };
            calibrated.map_err(usage)
        });
        let calibrated: Vec<Calibrated> = calibrated.collect::<Result<_, _>>()?;
        let ensemble = Ensemble {
            templates: templates.to_vec(),
            mean: config.mean,
        };
        let before = ensemble.average(&plain).map_err(usage)?;
        let changes = calibrated.iter().map(|one| one.change.clone());
        let changes = templates.iter().cloned().zip(changes);
        let changes = changes.map(|(template, change)| Calibrating { template, change });
        let changes = changes.collect();
        let after: Vec<_> = calibrated.into_iter().map(|one| one.scores).collect();
        let after = ensemble.average(&after).map_err(usage)?;
        Ok((outcome(data, &texts, &before, &after), changes))
    }
}

/// What scores come to, before and after calibration: `[items][classes]`.
fn outcome(
    data: &LabelledTextData,
    texts: &[LabelledText],
    before: &[Vec<f64>],
    after: &[Vec<f64>],
) -> Outcome {
    let best = |row: &[f64]| {
        let higher = |best, place| if row[place] > row[best] { place } else { best };
        (1..row.len()).fold(0, higher)
    };
    let items = texts.iter().zip(after);
    let predictions = items.clone().map(|(text, row)| Prediction {
        id: text.id.clone(),
        target: data.labels[text.label].clone(),
        prediction: data.labels[best(row)].clone(),
        score: row[best(row)].exp(),
        image_weight: None,
        picture: None,
    });
    let predictions: Vec<Prediction> = predictions.collect();
    let count = predictions.len().max(1) as f64;
    let share = |of: &dyn Fn(usize) -> bool| {
        (0..texts.len()).filter(|&item| of(item)).count() as f64 / count
    };
    let loss: f64 = items.map(|(text, row)| -row[text.label]).sum();
    let right = |rows: &[Vec<f64>]| share(&|item| best(&rows[item]) == texts[item].label);
    let metrics = [
        ("accuracy", right(after)),
        ("loss", loss / count),
        ("accuracy_uncalibrated", right(before)),
        (
            "calibration_changed",
            share(&|item| best(&before[item]) != best(&after[item])),
        ),
    ];
    Outcome {
        metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
        predictions,
        data_digest: data.digest.clone(),
        ..Outcome::default()
    }
}
