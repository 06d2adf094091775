//! Checkpoints: sets of model, optimizer, schedule and state that are whole or not there.
//!
//! A set is written into a hidden directory beside the others, synced, and renamed to
//! `step-00000400`; the rename is the commit. `state.json` is written last and names every other file
//! with its size, so that a set which lost a file or its tail is recognised and skipped.

use crate::run_dir::{shared, sync_dir};
use crate::{Error, RunDir};
use burn::lr_scheduler::LrSchedulerRecord;
use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::train::checkpoint::{
    AsyncCheckpointer, Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction,
    CheckpointingStrategy,
};
use burn::train::metric::store::EventStoreClient;
use burn::train::{Interrupter, Learner, LearnerModel, LearningCheckpointer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const SCHEDULE: &str = "schedule.bpk";
const STATE: &str = "state.json";
const PREFIX: &str = "step-";
const UNFINISHED: &str = ".step-";

/// What a set holds beside tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps taken.
    pub step: usize,
    /// Samples trained on so far.
    pub samples: u64,
    /// Seconds of training so far, over all processes.
    pub seconds: f64,
    /// Whether the validation that was due at this step is in the log.
    pub validated: bool,
    /// SHA-256 of the resolved configuration.
    pub config_digest: String,
}

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct Manifest {
    state: State,
    /// Size in bytes of every other file of the set.
    files: BTreeMap<String, u64>,
}

/// A whole set on disk.
#[derive(Clone, Debug)]
pub struct CheckpointSet {
    path: PathBuf,
    /// Its state.
    pub state: State,
}

impl CheckpointSet {
    /// Opens the set at `path`, or says why it is not whole.
    fn open(path: &Path) -> Result<Self, String> {
        let text = fs::read(path.join(STATE)).map_err(|error| format!("{STATE}: {error}"))?;
        let Manifest { state, files } =
            serde_json::from_slice(&text).map_err(|error| format!("{STATE}: {error}"))?;
        for (name, size) in files {
            let found = fs::metadata(path.join(&name))
                .map_err(|error| format!("{name}: {error}"))?
                .len();
            if found != size {
                return Err(format!("{name} has {found} bytes instead of {size}"));
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            state,
        })
    }

    /// The directory of the set.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn load<R: Checkpoint>(&self, name: &'static str) -> Result<R, Error> {
        let path = self.path.join(name);
        SetFile(path.clone())
            .restore(self.state.step)
            .map_err(|error| failed(&path, error))
    }

    /// Gives `model` the saved weights.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when the file is broken or belongs to another architecture.
    pub fn load_model<M: Module>(&self, model: M) -> Result<M, Error> {
        model
            .try_load_record(self.load::<ModuleRecord>(MODEL)?)
            .map_err(|error| failed(&self.path.join(MODEL), error))
    }

    pub(crate) fn optimizer(&self) -> Result<OptimizerRecord, Error> {
        self.load(OPTIMIZER)
    }

    pub(crate) fn schedule(&self) -> Result<LrSchedulerRecord, Error> {
        self.load(SCHEDULE)
    }
}

fn failed(path: &Path, error: impl ToString) -> Error {
    Error::Checkpoint {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

/// The newest whole set of a run, and a line for each newer one that was skipped.
///
/// # Errors
///
/// When the folder of checkpoints cannot be read.
pub fn newest(dir: &RunDir) -> Result<(Option<CheckpointSet>, Vec<String>), Error> {
    let mut skipped = Vec::new();
    for path in sets(dir)?.into_iter().rev() {
        match CheckpointSet::open(&path) {
            Ok(set) => return Ok((Some(set), skipped)),
            Err(reason) => skipped.push(format!("skipped checkpoint {}: {reason}", path.display())),
        }
    }
    Ok((None, skipped))
}

/// Gives `model` the weights of the newest whole set of the run, for evaluation and use.
///
/// # Errors
///
/// [`Error::Checkpoint`] when there is none, or it does not fit the model.
pub fn load_newest<M: Module>(dir: &RunDir, model: M) -> Result<M, Error> {
    match newest(dir)?.0 {
        Some(set) => set.load_model(model),
        None => Err(failed(
            &dir.checkpoints(),
            "no whole checkpoint; train the run first",
        )),
    }
}

/// The directories of all committed sets, oldest first.
fn sets(dir: &RunDir) -> Result<Vec<PathBuf>, Error> {
    let mut sets: Vec<(usize, PathBuf)> = entries(&dir.checkpoints())?
        .into_iter()
        .filter_map(|path| {
            let step = path
                .file_name()?
                .to_str()?
                .strip_prefix(PREFIX)?
                .parse()
                .ok()?;
            Some((step, path))
        })
        .collect();
    sets.sort();
    Ok(sets.into_iter().map(|(_, path)| path).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("read", folder)(error)),
        Ok(entries) => entries
            .map(|entry| {
                entry
                    .map(|entry| entry.path())
                    .map_err(Error::io("read", folder))
            })
            .collect(),
    }
}

/// Writes and commits a set, then removes all but the newest `keep`. A set of this step that is
/// already whole stays as it is: training is deterministic, so it is the same.
pub(crate) fn save<M: LearnerModel>(
    dir: &RunDir,
    learner: &Learner<M>,
    store: &EventStoreClient,
    state: State,
    keep: usize,
) -> Result<(), Error> {
    let folder = dir.checkpoints();
    let target = folder.join(format!("{PREFIX}{:08}", state.step));
    if CheckpointSet::open(&target).is_err() {
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let unfinished = shared(tempfile::Builder::new().prefix(UNFINISHED), 0o777)
            .tempdir_in(&folder)
            .map_err(Error::io("create", &folder))?;
        write_set(unfinished.path(), learner, store, state)?;
        if target.exists() {
            fs::remove_dir_all(&target).map_err(Error::io("remove", &target))?;
        }
        fs::rename(unfinished.path(), &target).map_err(Error::io("create", &target))?;
        sync_dir(&folder)?;
    }
    let sets = sets(dir)?;
    for old in &sets[..sets.len().saturating_sub(keep.max(1))] {
        fs::remove_dir_all(old).map_err(Error::io("remove", old))?;
    }
    Ok(())
}

/// Removes what a killed process left unfinished.
pub(crate) fn clean(dir: &RunDir) -> Result<(), Error> {
    for path in entries(&dir.checkpoints())? {
        if path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(UNFINISHED))
        {
            fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Removes every set: the run starts from its first step.
pub(crate) fn clear(dir: &RunDir) -> Result<(), Error> {
    clean(dir)?;
    sets(dir)?
        .iter()
        .try_for_each(|path| fs::remove_dir_all(path).map_err(Error::io("remove", path)))
}

fn write_set<M: LearnerModel>(
    folder: &Path,
    learner: &Learner<M>,
    store: &EventStoreClient,
    state: State,
) -> Result<(), Error> {
    // The optimizer of a `Learner` is private: only its checkpointer can read it. That one writes on
    // three threads, which are joined when it is dropped and report to an interrupter of their own.
    let report = Interrupter::new();
    LearningCheckpointer::<M>::new(
        writer(folder, MODEL, &report),
        writer(folder, OPTIMIZER, &report),
        writer(folder, SCHEDULE, &report),
        Box::new(SaveNow),
    )
    .checkpoint(learner, state.step, store);
    if let Some(error) = report.error() {
        return Err(failed(folder, error));
    }
    let mut files = BTreeMap::new();
    for name in [MODEL, OPTIMIZER, SCHEDULE] {
        let path = folder.join(name);
        let file = File::open(&path).map_err(Error::io("read", &path))?;
        file.sync_all().map_err(Error::io("write", &path))?;
        files.insert(
            name.to_string(),
            file.metadata().map_err(Error::io("read", &path))?.len(),
        );
    }
    // Last, with its own sync: from here on the set is whole.
    RunDir::new(folder).write_json(STATE, &Manifest { state, files })
}

fn writer<R: Checkpoint>(folder: &Path, name: &str, report: &Interrupter) -> AsyncCheckpointer<R> {
    AsyncCheckpointer::new(SetFile(folder.join(name))).with_interrupter(report.clone())
}

/// One file of a set.
struct SetFile(PathBuf);

impl<R: Checkpoint> Checkpointer<R> for SetFile {
    fn save(&self, _: usize, record: R) -> Result<(), CheckpointerError> {
        record.save(self.0.clone())
    }

    fn delete(&self, _: usize) -> Result<(), CheckpointerError> {
        fs::remove_file(&self.0).map_err(CheckpointerError::IOError)
    }

    fn restore(&self, _: usize) -> Result<R, CheckpointerError> {
        R::load(self.0.clone())
    }
}

/// When to save is our strategy's decision; asked, Burn saves.
struct SaveNow;

impl CheckpointingStrategy for SaveNow {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        vec![CheckpointingAction::Save]
    }
}

#[cfg(test)]
mod tests;
