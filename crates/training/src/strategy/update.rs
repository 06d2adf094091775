//! One update of the weights: batches, gradients, guard, optimizer.

use super::guard::NonFinite;
use super::session::Session;
use super::workers;
use crate::gradients::{Mean, clip, first_broken, global_norm};
use crate::metrics::{Means, MetricsLog, SECONDS, TRAIN};
use crate::profile::Part;
use crate::progress::Tick;
use crate::{Error, Observe, Scalar, checkpoint, seeds};
use burn::data::dataloader::DataLoaderIterator;
use burn::optim::GradientsParams;
use burn::train::{InferenceStep, LearnerModel, TrainStep};
use std::time::Instant;

/// What the batches of an update came to.
struct Measured {
    grads: GradientsParams,
    means: Means,
    norm: f64,
    samples: f64,
}

impl<M> Session<'_, M>
where
    M: LearnerModel,
    <M as TrainStep>::Output: Observe,
    <M as InferenceStep>::Output: Observe,
{
    /// Takes the next step.
    pub(super) fn update(
        &mut self,
        batches: &mut dyn DataLoaderIterator<<M as TrainStep>::Input>,
        log: &mut MetricsLog,
    ) -> Result<(), Error> {
        let step = self.state.step + 1;
        let measured = self.measure(step, batches)?;
        self.learner.lr_step();
        match measured {
            Err(error) => self.leave_out(step, error, log)?,
            Ok(Measured {
                grads,
                means,
                norm,
                samples,
            }) => {
                let model = self.learner.model();
                let clock = Instant::now();
                let grads = clip(&model, grads, norm, self.config().clip_norm);
                drop(model);
                self.learner.optimizer_step(grads);
                if let Some(average) = &mut self.average {
                    average.update(step, &self.learner.model());
                }
                self.profile.add(Part::Optimizer, clock);
                self.state.samples += samples as u64;
                self.state.skipped = 0;
                let clock = Instant::now();
                self.report(step, &means, norm, samples, log)?;
                self.profile.add(Part::Logging, clock);
            }
        }
        self.state.step = step;
        Ok(())
    }

    /// Forward and backward passes over the batches of `step`; no weight is changed. The inner error is an
    /// [`Error::NonFinite`], for the policy to decide on.
    fn measure(
        &mut self,
        step: usize,
        batches: &mut dyn DataLoaderIterator<<M as TrainStep>::Input>,
    ) -> Result<Result<Measured, Error>, Error> {
        let accumulate = self.config().accumulate;
        let (mut mean, mut means) = (Mean::default(), Means::default());
        let (mut samples, mut ids) = (0.0, Vec::new());
        let (mut taken, model) = (0, self.learner.model());
        while taken < accumulate {
            let clock = Instant::now();
            let together = self.next(step, batches)?;
            self.profile.add(Part::Data, clock);
            taken += together.len();
            // Dropout and masks of these batches do not depend on those before them.
            let index = (step - 1) * accumulate + taken;
            let seed = seeds::derive(self.run().seed, seeds::STEP, index as u64);
            self.run().device.seed(seed);
            let clock = Instant::now();
            for output in workers::train(&self.learner, &self.devices, together)? {
                let scalars = output.item.observe();
                ids.extend_from_slice(output.item.ids());
                // What nothing was said about has no value.
                let broken = |scalar: &&Scalar| scalar.weight > 0.0 && !scalar.value().is_finite();
                if let Some(scalar) = scalars.iter().find(broken) {
                    // The next step starts at its own batches, whatever became of these.
                    batches.take(accumulate - taken).for_each(drop);
                    return Ok(Err(Error::NonFinite {
                        step,
                        split: TRAIN,
                        name: scalar.name.to_string(),
                        value: scalar.value(),
                        place: first_broken(&model, &output.grads),
                        samples: ids,
                    }));
                }
                let loss = scalars.iter().find(|scalar| scalar.name == "loss");
                let weight = loss.map_or(1.0, |loss| loss.weight);
                mean.add(&model, output.grads, weight);
                means.add(&scalars);
                samples += weight;
            }
            self.profile.add_compute(clock);
        }
        let clock = Instant::now();
        let grads = mean.finish();
        let norm = global_norm(&model, &grads);
        self.profile.add(Part::Optimizer, clock);
        Ok(match norm.is_finite() {
            true => Ok(Measured {
                grads,
                means,
                norm,
                samples,
            }),
            false => Err(Error::NonFinite {
                step,
                split: TRAIN,
                name: "grad_norm".to_string(),
                value: norm,
                place: first_broken(&model, &grads),
                samples: ids,
            }),
        })
    }

    /// The next batch of each device.
    fn next(
        &self,
        step: usize,
        batches: &mut dyn DataLoaderIterator<<M as TrainStep>::Input>,
    ) -> Result<Vec<<M as TrainStep>::Input>, Error> {
        let count = self.devices.len();
        let together: Result<Vec<_>, _> = batches.take(count).collect();
        let together = together.map_err(Error::data)?;
        match together.len() == count {
            true => Ok(together),
            false => Err(Error::Backend(format!(
                "the training data ended after step {} of {}",
                step - 1,
                self.config().steps
            ))),
        }
    }

    /// Follows the policy for numbers that are none.
    fn leave_out(&mut self, step: usize, error: Error, log: &mut MetricsLog) -> Result<(), Error> {
        let config = self.config();
        let policy = config.non_finite;
        self.state.skipped += 1;
        let skipped = self.state.skipped;
        if policy == NonFinite::Stop || skipped > config.non_finite_limit {
            return Err(error);
        }
        let what = match policy {
            NonFinite::RollBack => {
                let Some(set) = checkpoint::newest(&self.run().dir)?.0 else {
                    return Err(error);
                };
                self.take(&set)?;
                format!("rolled back to the weights of step {}", set.state.step)
            }
            _ => "skipped".to_string(),
        };
        let line = format!("{error}; {what}, {skipped} in a row");
        self.progress.say(&line);
        self.run().dir.log(&line)?;
        log.append(step, TRAIN, &[("skipped", skipped as f64)])
    }

    fn report(
        &mut self,
        step: usize,
        means: &Means,
        norm: f64,
        samples: f64,
        log: &mut MetricsLog,
    ) -> Result<(), Error> {
        let config = self.config();
        let means = means.means();
        if step == 1 || step == config.steps || due(step, config.log_every) {
            let mut values: Vec<(&str, f64)> = means
                .iter()
                .map(|(name, value)| (name.as_str(), *value))
                .collect();
            values.extend([
                ("grad_norm", norm),
                ("learning_rate", self.learner.lr_current().base()),
                (SECONDS, self.seconds()),
            ]);
            log.append(step, TRAIN, &values)?;
        }
        self.progress.step(Tick {
            step,
            epoch: step as f64 / self.steps_per_epoch(),
            loss: means.get("loss").copied(),
            accuracy: means.get("accuracy").copied(),
            samples,
        });
        Ok(())
    }
}

pub(super) fn due(step: usize, every: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}
