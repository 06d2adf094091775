//! What the recipes of this crate share: a classifier is trained on one split and scored on another.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn::train::{InferenceStep, LearnerModel, TrainStep};
use crucible_datasets::{Collate, Data, EvalLoader, LoaderConfig, Split};
use crucible_kernels::among_threads;
use crucible_shared::learn;
use crucible_training::metrics::Means;
use crucible_training::{
    ClassificationOutput, Cost, Error, Observe, Outcome, Prediction, Run, TrainingConfig,
};

/// Trains on the training split and scores on the test split.
pub fn train<M, C>(
    run: &Run,
    config: &TrainingConfig,
    loader: &LoaderConfig,
    collate: Arc<C>,
    data: &Data<C::Sample>,
    model: M,
) -> Result<Outcome, Error>
where
    C: Collate,
    M: LearnerModel
        + TrainStep<Input = C::Batch, Output = ClassificationOutput>
        + InferenceStep<Input = C::Batch, Output = ClassificationOutput>,
{
    data.samples(Split::Test).map_err(Error::data)?;
    let fitted = learn(run, config, loader, &collate, data, model)?;
    let outcome = score(run, loader, collate, data, Split::Test, &fitted.model)?;
    Ok(Outcome {
        cost: fitted.cost,
        ..outcome
    })
}

/// One pass over a split: the metrics, and the likeliest label of each item.
pub fn score<M, C>(
    run: &Run,
    loader: &LoaderConfig,
    collate: Arc<C>,
    data: &Data<C::Sample>,
    split: Split,
    model: &M,
) -> Result<Outcome, Error>
where
    C: Collate,
    M: Module + InferenceStep<Input = C::Batch, Output = ClassificationOutput>,
{
    let samples = data.samples(split).map_err(Error::data)?;
    let loader = EvalLoader::new(samples, collate, loader, &run.device).map_err(Error::data)?;
    let mut means = Means::default();
    let mut predictions = Vec::new();
    for batch in loader.iter() {
        let batch = batch.map_err(Error::data)?;
        let model = model.clone();
        let output = among_threads(&run.device, move || InferenceStep::step(&model, batch));
        means.add(&output.observe());
        let targets: Vec<i64> = output.targets.into_data().iter().collect();
        // The same choice as that of the accuracy, even between equals.
        let best = output.logits.clone().argmax(1).into_data();
        let rows = probabilities(output.logits);
        let rows = rows.into_iter().zip(best.iter::<i64>());
        for ((id, target), (row, best)) in output.ids.into_iter().zip(targets).zip(rows) {
            predictions.push(Prediction {
                id,
                target: data.labels[target as usize].clone(),
                prediction: data.labels[best as usize].clone(),
                score: row[best as usize],
            });
        }
    }
    Ok(Outcome {
        metrics: means.means(),
        predictions,
        cost: Cost {
            parameters: model.num_params(),
            ..Cost::default()
        },
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
