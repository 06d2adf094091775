//! Training on the splits of a dataset.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::train::{InferenceStep, LearnerModel, TrainStep};
use crucible_datasets::{
    AugmentConfig, Collate, Data, EvalLoader, ImageCollate, ImageConfig, ImageProcessor,
    LoaderConfig, Samples, Split, TrainLoader,
};
use crucible_kernels::among_threads;
use crucible_kernels::flops::counted;
use crucible_training::memory::rehearse;
use crucible_training::metrics::Means;
use crucible_training::{Cost, Error, Fitted, Observe, Outcome, Run, Size, TrainingConfig, fit};

/// Batches that tell the size of a model.
const SIZED: usize = 4;

/// How a training is rehearsed.
pub struct Rehearsal<C> {
    /// Makes the batches that take the most memory.
    pub collate: Arc<C>,
    /// Samples of a batch that have activations at a time.
    pub at_once: usize,
}

/// Makes sure that the training fits into memory, then trains on the training split and validates on its own.
///
/// # Errors
///
/// Those of the data, of [`rehearse`] and of [`fit`](crucible_training::fit()).
pub fn learn<M, C>(
    run: &Run,
    config: &TrainingConfig,
    loader: &LoaderConfig,
    collate: &Arc<C>,
    data: &Data<C::Sample>,
    model: M,
) -> Result<Fitted<M>, Error>
where
    C: Collate,
    M: LearnerModel + TrainStep<Input = C::Batch> + InferenceStep<Input = C::Batch>,
    <M as TrainStep>::Output: Observe,
    <M as InferenceStep>::Output: Observe,
{
    let rehearsal = Rehearsal {
        collate: collate.clone(),
        at_once: loader.batch_size,
    };
    learn_as_rehearsed(run, config, loader, collate, data, model, rehearsal)
}

/// As [`learn`], for trainings whose batches take unlike memory or are worked on in parts.
///
/// # Errors
///
/// As [`learn`].
pub fn learn_as_rehearsed<M, C>(
    run: &Run,
    config: &TrainingConfig,
    loader: &LoaderConfig,
    collate: &Arc<C>,
    data: &Data<C::Sample>,
    model: M,
    rehearsal: Rehearsal<C>,
) -> Result<Fitted<M>, Error>
where
    C: Collate,
    M: LearnerModel + TrainStep<Input = C::Batch> + InferenceStep<Input = C::Batch>,
    <M as TrainStep>::Output: Observe,
    <M as InferenceStep>::Output: Observe,
{
    let samples = |split| data.samples(split).map_err(Error::data);
    let (training, devices) = (samples(Split::Train)?, run.training_devices(config));
    let batches = |loader: &LoaderConfig, collate: &Arc<C>, count| {
        let (training, collate) = (training.clone(), collate.clone());
        TrainLoader::new(training, collate, loader, run.seed, count, &devices).map_err(Error::data)
    };
    let Rehearsal {
        collate: most,
        at_once,
    } = rehearsal;
    let model = rehearse(
        run,
        config,
        model,
        loader.batch_size,
        at_once,
        |batch_size| {
            let ready = loader
                .workers
                .saturating_mul(loader.prefetch.saturating_add(1));
            let ready = config.batches().min(ready.saturating_add(1));
            let loader = LoaderConfig {
                batch_size,
                ..*loader
            };
            batches(&loader, &most, ready)?
                .iter()
                .map(|batch| batch.map_err(Error::data))
                .collect()
        },
    )?;
    let train = batches(loader, collate, config.batches())?;
    let epoch = train.batches_per_epoch() / config.accumulate as f64;
    let valid = EvalLoader::new(samples(Split::Valid)?, collate.clone(), loader, &run.device);
    let valid = Arc::new(valid.map_err(Error::data)?);
    fit(run, config, model, Arc::new(train), valid, epoch)
}

/// Trains as [`learn`] does and measures the result on the test split as [`measure`] does: all there is to a recipe that
/// tells no more than what its steps observe.
///
/// # Errors
///
/// Those of both.
pub fn learn_and_measure<M, C>(
    run: &Run,
    config: &TrainingConfig,
    loader: &LoaderConfig,
    collate: Arc<C>,
    data: &Data<C::Sample>,
    model: M,
) -> Result<Outcome, Error>
where
    C: Collate,
    M: LearnerModel + TrainStep<Input = C::Batch> + InferenceStep<Input = C::Batch>,
    <M as TrainStep>::Output: Observe,
    <M as InferenceStep>::Output: Observe,
{
    let split = final_split(run);
    data.samples(split).map_err(Error::data)?;
    let fitted = learn(run, config, loader, &collate, data, model)?;
    let outcome = measure(run, loader, collate, data, split, &fitted.model)?;
    Ok(outcome.after(fitted.cost))
}

/// The split that tells what a run came to: the test split, or, of one that helps to choose, the validation split.
pub fn final_split(run: &Run) -> Split {
    match run.tuning {
        true => Split::Valid,
        false => Split::Test,
    }
}

/// One pass over a split: the means of what the steps observe, without predictions.
///
/// # Errors
///
/// Those of the data.
pub fn measure<M, C>(
    run: &Run,
    loader: &LoaderConfig,
    collate: Arc<C>,
    data: &Data<C::Sample>,
    split: Split,
    model: &M,
) -> Result<Outcome, Error>
where
    C: Collate,
    M: Module + InferenceStep<Input = C::Batch>,
    <M as InferenceStep>::Output: Observe,
{
    let samples = data.samples(split).map_err(Error::data)?;
    let loader = EvalLoader::new(samples, collate, loader, &run.device).map_err(Error::data)?;
    let (means, size) = pass(run, &loader, model, usize::MAX)?;
    Ok(Outcome {
        metrics: means.means(),
        cost: Cost {
            parameters: size.parameters,
            flops: size.flops,
            ..Cost::default()
        },
        data_digest: data.digest.clone(),
        ..Outcome::default()
    })
}

/// How large a model is, by its first batches of some samples.
///
/// # Errors
///
/// Those of the data.
pub fn size<M, C>(
    run: &Run,
    loader: &LoaderConfig,
    collate: Arc<C>,
    samples: Samples<C::Sample>,
    model: &M,
) -> Result<Size, Error>
where
    C: Collate,
    M: Module + InferenceStep<Input = C::Batch>,
    <M as InferenceStep>::Output: Observe,
{
    let loader = EvalLoader::new(samples, collate, loader, &run.device).map_err(Error::data)?;
    pass(run, &loader, model, SIZED).map(|(_, size)| size)
}

/// At most so many batches: what their steps observe, and what a loss counts as one item takes.
fn pass<M, C>(
    run: &Run,
    loader: &EvalLoader<C>,
    model: &M,
    batches: usize,
) -> Result<(Means, Size), Error>
where
    C: Collate,
    M: Module + InferenceStep<Input = C::Batch>,
    <M as InferenceStep>::Output: Observe,
{
    let (mut means, mut items, mut flops) = (Means::default(), 0.0, 0);
    for batch in loader.iter().take(batches) {
        let (batch, model) = (batch.map_err(Error::data)?, model.clone());
        let step = move || counted(|| InferenceStep::step(&model, batch).observe());
        let (scalars, count) = among_threads(&run.device, step);
        let losses = scalars.iter().filter(|scalar| scalar.name == "loss");
        items += losses.map(|scalar| scalar.weight).sum::<f64>();
        flops += count;
        means.add(&scalars);
    }
    let size = Size {
        parameters: model.num_params(),
        flops: flops as f64 / f64::max(items, 1.0),
    };
    Ok((means, size))
}

/// What makes batches of images with classes.
///
/// # Errors
///
/// Settings that make no sense.
pub fn image_collate(
    images: &ImageConfig,
    augment: &AugmentConfig,
) -> Result<Arc<ImageCollate>, Error> {
    let images = ImageProcessor::new(images).map_err(Error::data)?;
    let collate = ImageCollate::new(Arc::new(images), augment.clone());
    Ok(Arc::new(collate.map_err(Error::data)?))
}

/// The dataset that is named first: by the command, by the run, by the configuration.
pub fn data_name<'a>(command: &'a str, run: &'a Run, config: &'a str) -> &'a str {
    let names = [command, run.data.as_str(), config];
    let named = names.into_iter().find(|name| !name.is_empty());
    named.unwrap_or_default()
}
