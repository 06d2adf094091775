//! What the runs of a comparison need to be trained: recipe, device, data.

use crate::options::{Choice, Place};
use crate::{devices, session};
use burn::tensor::Device;
use burn::train::Interrupter;
use crucible_training::recipe::RunResult;
use crucible_training::{AnyRecipe, Error, Outcome, Run, RunDir, RunRecord, Size};
use std::panic::{AssertUnwindSafe, catch_unwind};
use toml::Table;

/// All that runs share.
pub struct Session<'a> {
    /// What is trained.
    pub recipe: &'static dyn AnyRecipe,
    choice: &'a Choice,
    place: &'a Place,
    backend: devices::Request,
    device: Device,
    /// Asks to save and stop.
    pub interrupter: Interrupter,
}

impl<'a> Session<'a> {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// An unknown recipe, and a backend that cannot be had.
    pub fn open(choice: &'a Choice, place: &'a Place) -> Result<Self, Error> {
        let backend = devices::find(&place.backend)?;
        Ok(Self {
            recipe: choice.recipe()?,
            choice,
            place,
            device: backend.open()?,
            backend,
            interrupter: Interrupter::new(),
        })
    }

    /// What a run with that configuration and seed is.
    pub fn record(&self, config: &Table, seed: u64) -> RunRecord {
        let Choice { recipe, preset, .. } = self.choice;
        let (backend, data) = (&self.backend.name, &self.place.data);
        RunRecord::new(recipe, preset, config, seed, backend, &self.device, data)
    }

    /// A run in that directory, which goes on if it has begun.
    pub fn run(&self, dir: &RunDir, seed: u64) -> Run {
        Run {
            dir: dir.clone(),
            seed,
            device: self.device.clone(),
            others: Vec::new(),
            backend: self.backend.name.clone(),
            memory: self.backend.memory(&[]),
            interrupter: self.interrupter.clone(),
            resume: true,
            init: None,
            data: self.place.data.clone(),
            tuning: false,
            quiet: false,
            profile: false,
            tensorboard: false,
        }
    }

    /// Trains a run, or goes on with it. A variant that panics, as one may whose shapes do not fit, is one failed run and
    /// not the end of the others.
    ///
    /// # Errors
    ///
    /// Those of the training.
    pub fn train(&self, record: &RunRecord, run: &Run) -> Result<RunResult, Error> {
        catch_unwind(AssertUnwindSafe(|| {
            session::train(self.recipe, record, run)
        }))
        .unwrap_or_else(|_| Err(Error::Backend("it panicked, see above".into())))
    }

    /// Evaluates a finished run on its test split with another configuration.
    ///
    /// # Errors
    ///
    /// Those of the evaluation; a panic is one of them.
    pub fn evaluate(&self, config: &Table, run: &Run) -> Result<Outcome, Error> {
        let split = crucible_datasets::Split::Test.name();
        catch_unwind(AssertUnwindSafe(|| {
            self.recipe.evaluate(config, run, &run.data, split)
        }))
        .unwrap_or_else(|_| Err(Error::Backend("it panicked, see above".into())))
    }

    /// Trains a run that only helps to choose, and measures it on the validation split.
    ///
    /// # Errors
    ///
    /// Those of the training.
    pub fn tune(&self, config: &Table, seed: u64, dir: &RunDir) -> Result<RunResult, Error> {
        let run = Run {
            tuning: true,
            ..self.run(dir, seed)
        };
        let mut record = self.record(config, seed);
        record.scored_on = crucible_datasets::Split::Valid.name().into();
        self.train(&record, &run)
    }

    /// How large the model of a configuration is.
    ///
    /// # Errors
    ///
    /// Those of the recipe.
    pub fn size(&self, config: &Table) -> Result<Size, Error> {
        let nowhere = RunDir::new(std::env::temp_dir());
        self.recipe.size(config, &self.run(&nowhere, 0))
    }
}
