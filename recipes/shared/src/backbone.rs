//! Trained models that something small is learnt beside, while they stay as they are.

mod dual;
mod fused;
mod language;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use crucible_training::{Error, Run, RunDir, checkpoint, run};
use serde::de::DeserializeOwned;

pub use dual::DualBackbone;
pub use fused::FusedBackbone;
pub use language::LanguageBackbone;

/// A model that never trains, on the device that something else trains on and on the plain one.
///
/// It is no part of the module that holds it (`#[module(skip)]`): checkpoints are of what trains, and nothing that goes
/// through the modules of a training can change it.
#[derive(Clone, Debug)]
pub struct Frozen<M> {
    training: M,
    inference: M,
}

impl<M: Module> Frozen<M> {
    /// Of a model on a device that trains.
    pub fn new(model: M) -> Self {
        let training = model.no_grad();
        Self {
            inference: training.clone().valid(),
            training,
        }
    }

    /// The one whose tensors go with those of a training, or with plain ones.
    pub fn beside(&self, trains: bool) -> &M {
        match trains {
            true => &self.training,
            false => &self.inference,
        }
    }
}

/// The directory of the run of `recipe` at `path`, and what its configuration says of the model. The digest of its weights
/// is noted in `run.json`.
///
/// # Errors
///
/// [`Error::Usage`] for a run of another recipe, [`Error::Run`] when its weights have changed since `run` started, and
/// those of reading.
fn of_run<C: DeserializeOwned>(
    path: &str,
    recipe: &str,
    out: &str,
    run: &Run,
) -> Result<(RunDir, C), Error> {
    if path.is_empty() {
        return Err(Error::Usage(format!(
            "backbone is empty; train one (`crucible train {recipe} --out {out}`) and name its directory: \
             --set backbone={out}"
        )));
    }
    let record = run::open(Path::new(path))?;
    if record.recipe != recipe {
        return Err(Error::Usage(format!(
            "{path} is a run of {}; a backbone is one of {recipe}",
            record.recipe
        )));
    }
    let dir = RunDir::new(Path::new(path));
    let sections = record.config.try_into().map_err(|error| Error::Run {
        path: dir.path().to_owned(),
        reason: format!("its configuration is none of {recipe}: {error}"),
    })?;
    let digest = checkpoint::digest(&dir)?;
    run.record_weights("backbone", BTreeMap::from([(path.to_owned(), digest)]))?;
    Ok((dir, sections))
}
