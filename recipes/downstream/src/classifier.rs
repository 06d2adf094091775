//! What the recipes of this crate share: a classifier is trained on one split and scored on another.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn::train::{InferenceStep, LearnerModel, TrainStep};
use crucible_datasets::{Collate, Data, EvalLoader, LoaderConfig, Split, TrainLoader};
use crucible_training::memory::rehearse;
use crucible_training::metrics::Means;
use crucible_training::{
    ClassificationOutput, Cost, Error, Observe, Outcome, Prediction, Run, TrainingConfig, fit,
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
    let samples = |split| data.samples(split).map_err(Error::data);
    samples(Split::Test)?;
    let (training, devices) = (samples(Split::Train)?, run.training_devices(config));
    let batches = |loader: &LoaderConfig, count| {
        let (training, collate) = (training.clone(), collate.clone());
        TrainLoader::new(training, collate, loader, run.seed, count, &devices).map_err(Error::data)
    };
    let model = rehearse(run, config, model, loader.batch_size, |batch_size| {
        let ready = loader
            .workers
            .saturating_mul(loader.prefetch.saturating_add(1));
        let ready = config.batches().min(ready.saturating_add(1));
        let loader = LoaderConfig {
            batch_size,
            ..*loader
        };
        batches(&loader, ready)?
            .iter()
            .map(|batch| batch.map_err(Error::data))
            .collect()
    })?;
    let train = batches(loader, config.batches())?;
    let epoch = train.batches_per_epoch() / config.accumulate as f64;
    let valid = EvalLoader::new(samples(Split::Valid)?, collate.clone(), loader, &run.device);
    let valid = Arc::new(valid.map_err(Error::data)?);
    let fitted = fit(run, config, model, Arc::new(train), valid, epoch)?;
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
        let output = model.step(batch);
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
    })
}

/// # Shapes
/// - `logits`: `[items, classes]`; output: one row of probabilities for each item
pub fn probabilities(logits: Tensor<2>) -> Vec<Vec<f64>> {
    let [_, classes] = logits.dims();
    let values: Vec<f64> = softmax(logits, 1).into_data().iter().collect();
    values.chunks(classes).map(<[f64]>::to_vec).collect()
}

/// The dataset that is named first: by the command, by the run, by the configuration.
pub fn data_name<'a>(command: &'a str, run: &'a Run, config: &'a str) -> &'a str {
    let names = [command, run.data.as_str(), config];
    let named = names.into_iter().find(|name| !name.is_empty());
    named.unwrap_or_default()
}
