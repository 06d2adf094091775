//! A classifier is trained on one split and scored on another.

use std::sync::Arc;

use crate::{final_split, learn};
use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};
use burn::train::{InferenceStep, LearnerModel, TrainStep};
use crucible_datasets::{Collate, Data, EvalLoader, LoaderConfig, Split};
use crucible_evaluation::statistics::mean;
use crucible_kernels::among_threads;
use crucible_kernels::flops::counted;
use crucible_training::metrics::Means;
use crucible_training::{
    ClassificationOutput, Cost, Error, Observe, Outcome, Prediction, Run, TrainingConfig,
};

/// What there is to tell of the items of a batch beside the answers.
#[derive(Default)]
pub struct Beside {
    /// The picture in the batch that each is about, where several share one, `[items]`.
    pub image_of: Option<Tensor<1, Int>>,
    /// The weight of the image in each answer, where a model weighs, `[items]`.
    pub image_weights: Option<Tensor<1>>,
}

/// Tells it.
pub type Tell<M, B> = fn(&M, B) -> Beside;

/// Trains on the training split and scores on the test split.
pub fn train<M, C>(
    run: &Run,
    config: &TrainingConfig,
    loader: &LoaderConfig,
    collate: Arc<C>,
    data: &Data<C::Sample>,
    model: M,
    tell: Tell<M, C::Batch>,
) -> Result<Outcome, Error>
where
    C: Collate,
    C::Batch: Clone,
    M: LearnerModel
        + TrainStep<Input = C::Batch, Output = ClassificationOutput>
        + InferenceStep<Input = C::Batch, Output = ClassificationOutput>,
{
    let split = final_split(run);
    data.samples(split).map_err(Error::data)?;
    let fitted = learn(run, config, loader, &collate, data, model)?;
    let outcome = score(run, loader, collate, data, split, &fitted.model, tell)?;
    Ok(outcome.after(fitted.cost))
}

/// One pass over a split: the metrics, and the likeliest label of each item.
pub fn score<M, C>(
    run: &Run,
    loader: &LoaderConfig,
    collate: Arc<C>,
    data: &Data<C::Sample>,
    split: Split,
    model: &M,
    tell: Tell<M, C::Batch>,
) -> Result<Outcome, Error>
where
    C: Collate,
    C::Batch: Clone,
    M: Module + InferenceStep<Input = C::Batch, Output = ClassificationOutput>,
{
    let samples = data.samples(split).map_err(Error::data)?;
    let loader = EvalLoader::new(samples, collate, loader, &run.device).map_err(Error::data)?;
    let mut means = Means::default();
    let mut predictions = Vec::new();
    let (mut flops, mut before) = (0, 0);
    for batch in loader.iter() {
        let batch = batch.map_err(Error::data)?;
        let model = model.clone();
        let ((output, count), beside) = among_threads(&run.device, move || {
            let beside = tell(&model, batch.clone());
            (counted(|| InferenceStep::step(&model, batch)), beside)
        });
        flops += count;
        means.add(&output.observe());
        let weights = beside.image_weights;
        let weights: Option<Vec<f64>> = weights.map(|weights| weights.into_data().iter().collect());
        let pictures = beside.image_of;
        let pictures: Option<Vec<u64>> = pictures.map(|of| of.into_data().iter().collect());
        let targets: Vec<i64> = output.targets.into_data().iter().collect();
        // The same choice as that of the accuracy, even between equals.
        let best = output.logits.clone().argmax(1).into_data();
        let rows = probabilities(output.logits);
        let rows = rows.into_iter().zip(best.iter::<i64>());
        let items = output.ids.into_iter().zip(targets).zip(rows);
        for (place, ((id, target), (row, best))) in items.enumerate() {
            predictions.push(Prediction {
                id,
                target: data.labels[target as usize].clone(),
                prediction: data.labels[best as usize].clone(),
                score: row[best as usize],
                image_weight: weights.as_ref().map(|weights| weights[place]),
                picture: pictures.as_ref().map(|pictures| before + pictures[place]),
            });
        }
        before += pictures
            .and_then(|of| of.into_iter().max())
            .map_or(0, |last| last + 1);
    }
    let weights: Option<Vec<f64>> = predictions.iter().map(|item| item.image_weight).collect();
    let mut metrics = means.means();
    if let Some(mean) = weights.as_deref().and_then(mean) {
        metrics.insert("image_weight".into(), mean);
    }
    Ok(Outcome {
        metrics,
        cost: Cost {
            parameters: model.num_params(),
            flops: flops as f64 / predictions.len().max(1) as f64,
            ..Cost::default()
        },
        predictions,
        data_digest: data.digest.clone(),
        ..Outcome::default()
    })
}

/// # Shapes
/// - `logits`: `[items, classes]`; output: one row of probabilities for each item
pub fn probabilities(logits: Tensor<2>) -> Vec<Vec<f64>> {
    let [_, classes] = logits.dims();
    let values: Vec<f64> = softmax(logits, 1).into_data().iter().collect();
    values.chunks(classes).map(<[f64]>::to_vec).collect()
}
