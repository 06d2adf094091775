//! Checkpoints: sets of model, optimizer, schedule and state that are whole or not there.
//!
//! A set is written into a hidden folder beside the others, synced, and renamed to `step-00000400`; the
//! rename is the commit. `state.json` holds a checksum of every tensor, and `COMPLETE`, written last,
//! the checksum of `state.json`: a set that lost a bit, a file or its tail is recognised, named and
//! passed over.

use crate::strategy::Watch;
use crate::tell;
use crate::{Error, RunDir, init};
use burn::lr_scheduler::LrSchedulerRecord;
use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use contents::{AVERAGE, MODEL, OPTIMIZER, SCHEDULE, Seal, restore};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use contents::{Contents, collect, sha256};
pub(crate) use storage::{Disk, Storage};

mod contents;
mod storage;

const STATE: &str = "state.json";
const COMPLETE: &str = "COMPLETE";
const PREFIX: &str = "step-";
/// What is being written or removed.
const HIDDEN: &str = ".step-";
/// What a set that was passed over is called, before its name.
const DAMAGED: &str = "damaged-";
/// What a set of the same step is about to take the place of.
const REPLACED: &str = ".replaced-";

/// What a set holds beside tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps taken.
    pub step: usize,
    /// Samples trained on so far.
    pub samples: u64,
    /// Seconds of training so far, over all processes.
    pub seconds: f64,
    /// The last step whose validation is in the log.
    pub looked: usize,
    /// What the validations came to.
    pub watch: Watch,
    /// Steps in a row that were left out because a number broke.
    pub skipped: usize,
    /// Why training ended; nothing while it goes on.
    pub ended: Option<String>,
    /// The step of the weights to use, where they are not those of this set.
    pub selected: Option<usize>,
    /// SHA-256 of the resolved configuration.
    pub config_digest: String,
}

impl State {
    /// Before the first step.
    pub(crate) fn new(config_digest: String) -> Self {
        Self {
            step: 0,
            samples: 0,
            seconds: 0.0,
            looked: 0,
            watch: Watch::default(),
            skipped: 0,
            ended: None,
            selected: None,
            config_digest,
        }
    }

    /// Whether the two are the same but for the clock.
    fn is_same(&self, other: &Self) -> bool {
        let timeless = |state: &Self| Self {
            seconds: 0.0,
            ..state.clone()
        };
        timeless(self) == timeless(other)
    }
}

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct Manifest {
    state: State,
    /// Every other file of the set.
    files: BTreeMap<String, Seal>,
}

/// A whole set, read and checked.
#[derive(Clone, Debug)]
pub struct CheckpointSet {
    path: PathBuf,
    contents: Contents,
    /// Its state.
    pub state: State,
}

impl CheckpointSet {
    /// Reads the set at `path`, or says why it is not whole.
    fn open(path: &Path) -> Result<Self, String> {
        let read =
            |name: &str| fs::read(path.join(name)).map_err(|error| format!("{name}: {error}"));
        let text = read(STATE)?;
        if read(COMPLETE)? != sha256(&text).as_bytes() {
            return Err(format!("{STATE}: it is not the one that was committed"));
        }
        let Manifest { state, files } =
            serde_json::from_slice(&text).map_err(|error| format!("{STATE}: {error}"))?;
        let mut contents = Contents::new();
        for (name, seal) in files {
            let content = Bytes::from_bytes_vec(read(&name)?).shared();
            let wrong = |reason: String| format!("{name}: {reason}");
            seal.check(&content).map_err(wrong)?;
            contents.insert(name, content);
        }
        Ok(Self {
            path: path.to_path_buf(),
            contents,
            state,
        })
    }

    /// The folder of the set.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn content(&self, name: &str) -> Result<&Bytes, Error> {
        match self.contents.get(name) {
            Some(content) => Ok(content),
            None => Err(failed(&self.path, format!("it has no {name}"))),
        }
    }

    fn load<M: Module>(&self, name: &str, model: M) -> Result<M, Error> {
        let path = self.path.join(name);
        let record: ModuleRecord = restore(self.content(name)?, &path)?;
        model
            .try_load_record(record)
            .map_err(|error| failed(&path, error))
    }

    /// Gives `model` the weights to go on training with.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when the file belongs to another architecture.
    pub(crate) fn weights<M: Module>(&self, model: M) -> Result<M, Error> {
        self.load(MODEL, model)
    }

    /// Gives `model` the moving average of the weights, if the run keeps one.
    pub(crate) fn average<M: Module>(&self, model: M) -> Result<Option<M>, Error> {
        match self.contents.contains_key(AVERAGE) {
            true => self.load(AVERAGE, model).map(Some),
            false => Ok(None),
        }
    }

    /// Gives `model` the weights to use: their moving average, if the run keeps one.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when the file belongs to another architecture.
    pub fn load_model<M: Module>(&self, model: M) -> Result<M, Error> {
        self.load(self.model_name(), model)
    }

    /// The file that [`load_model`](Self::load_model) reads.
    pub(crate) fn model_bytes(&self) -> Result<&Bytes, Error> {
        self.content(self.model_name())
    }

    fn model_name(&self) -> &'static str {
        match self.contents.contains_key(AVERAGE) {
            true => AVERAGE,
            false => MODEL,
        }
    }

    pub(crate) fn optimizer(&self) -> Result<OptimizerRecord, Error> {
        restore(self.content(OPTIMIZER)?, &self.path.join(OPTIMIZER))
    }

    pub(crate) fn schedule(&self) -> Result<LrSchedulerRecord, Error> {
        restore(self.content(SCHEDULE)?, &self.path.join(SCHEDULE))
    }
}

fn failed(path: &Path, error: impl ToString) -> Error {
    Error::Checkpoint {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

/// The newest whole set of a run, and a line for each newer one that was passed over.
///
/// # Errors
///
/// When the folder of checkpoints cannot be read.
pub(crate) fn newest(dir: &RunDir) -> Result<(Option<CheckpointSet>, Vec<String>), Error> {
    let mut skipped = Vec::new();
    for (_, path) in sets(dir)?.into_iter().rev() {
        match CheckpointSet::open(&path) {
            Ok(set) => return Ok((Some(set), skipped)),
            Err(reason) => skipped.push(format!("skipped checkpoint {}: {reason}", path.display())),
        }
    }
    Ok((None, skipped))
}

/// Whether a run has a set, whole or damaged.
///
/// # Errors
///
/// When the folder of checkpoints cannot be read.
pub fn exists(dir: &RunDir) -> Result<bool, Error> {
    Ok(!sets(dir)?.is_empty())
}

/// The set of that step.
pub(crate) fn of_step(dir: &RunDir, step: usize) -> Result<CheckpointSet, Error> {
    let path = dir.checkpoints().join(format!("{PREFIX}{step:08}"));
    CheckpointSet::open(&path).map_err(|reason| failed(&path, reason))
}

/// Gives `model` the weights of the run for evaluation and use: those of the newest whole set, or of
/// the one that this selects as the best.
///
/// # Errors
///
/// [`Error::Checkpoint`] when there is none, or it does not fit the model.
pub fn load_newest<M: Module>(dir: &RunDir, model: M) -> Result<M, Error> {
    chosen(dir)?.load_model(model)
}

/// SHA-256 of the weights to use, by name and to the last bit.
///
/// # Errors
///
/// [`Error::Checkpoint`] when there are none.
pub fn digest(dir: &RunDir) -> Result<String, Error> {
    let tensors = init::tensors(&chosen(dir)?)?.into_iter();
    let lines = tensors.map(|(name, data)| format!("{name} {}\n", sha256(data.bytes())));
    Ok(sha256(lines.collect::<String>().as_bytes()))
}

/// The set of a run to evaluate and use.
pub(crate) fn chosen(dir: &RunDir) -> Result<CheckpointSet, Error> {
    match newest(dir)? {
        (Some(set), skipped) => {
            skipped.iter().for_each(|line| tell!("{line}"));
            if set.state.ended.is_none() {
                let step = set.state.step;
                tell!("note: this training has not ended; these are the weights of step {step}");
            }
            match set.state.selected {
                Some(step) if step != set.state.step => of_step(dir, step),
                _ => Ok(set),
            }
        }
        (None, skipped) => {
            let reason =
                "no whole checkpoint; train the run, in another directory if this one was \
                          finished"
                    .to_string();
            let reasons: Vec<String> = [vec![reason], skipped].concat();
            Err(failed(&dir.checkpoints(), reasons.join("; ")))
        }
    }
}

/// Step and folder of all committed sets, oldest first.
fn sets(dir: &RunDir) -> Result<Vec<(usize, PathBuf)>, Error> {
    let step = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        Some((name.strip_prefix(PREFIX)?.parse().ok()?, path))
    };
    let mut sets: Vec<_> = entries(&dir.checkpoints())?
        .into_iter()
        .filter_map(step)
        .collect();
    sets.sort();
    Ok(sets)
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

/// Writes and commits a set. One of this step that is already whole and says the same stays as it is:
/// training is deterministic, so its tensors are the same.
///
/// # Errors
///
/// [`Error::Checkpoint`] with the path and the bytes that were to be written; the older sets stay.
pub(crate) fn save(
    dir: &RunDir,
    storage: &dyn Storage,
    state: State,
    contents: &Contents,
) -> Result<(), Error> {
    let folder = dir.checkpoints();
    let name = format!("{:08}", state.step);
    let target = folder.join(format!("{PREFIX}{name}"));
    if CheckpointSet::open(&target).is_ok_and(|set| set.state.is_same(&state)) {
        return Ok(());
    }
    let needed: usize = contents.values().map(|content| content.len()).sum();
    let unfinished = folder.join(format!("{HIDDEN}{name}"));
    let replaced = folder.join(format!("{REPLACED}{name}"));
    let write = || -> Result<(), Error> {
        let create = |path: &Path| storage.create_dir(path).map_err(Error::io("create", path));
        let remove = |path: &Path| storage.remove(path).map_err(Error::io("remove", path));
        let sync = |path: &Path| storage.sync(path).map_err(Error::io("sync", path));
        let put = |name: &str, content: &[u8]| {
            let path = unfinished.join(name);
            let written = storage.write(&path, content);
            written.map_err(Error::io("write", &path))?;
            sync(&path)
        };
        create(&folder)?;
        remove(&unfinished)?;
        create(&unfinished)?;
        let mut files = BTreeMap::new();
        for (name, content) in contents {
            put(name, content)?;
            let seal = Seal::of(content).map_err(|error| failed(&unfinished.join(name), error))?;
            files.insert(name.clone(), seal);
        }
        let text = serde_json::to_vec_pretty(&Manifest { state, files })
            .map_err(|error| failed(&unfinished.join(STATE), error))?;
        put(STATE, &text)?;
        put(COMPLETE, sha256(&text).as_bytes())?;
        sync(&unfinished)?;
        // What stands here is damaged or says something else, or it would have stayed. Until the new set
        // is in its place, `clean` could put it back.
        remove(&replaced)?;
        if target.exists() {
            let moved = storage.rename(&target, &replaced);
            moved.map_err(Error::io("rename", &target))?;
        }
        let renamed = storage.rename(&unfinished, &target);
        renamed.map_err(Error::io("create", &target))?;
        sync(&folder)?;
        remove(&replaced)
    };
    write().map_err(|error| {
        // A failed clean-up changes nothing: what is hidden is no set.
        storage.remove(&unfinished).ok();
        if !target.exists() && replaced.exists() {
            storage.rename(&replaced, &target).ok();
        }
        failed(
            &target,
            format!("{error}; it needs {needed} bytes; the older checkpoints are as they were"),
        )
    })
}

/// Removes all sets but the newest `keep` and those of the steps in `spare`.
pub(crate) fn retain(
    dir: &RunDir,
    storage: &dyn Storage,
    keep: usize,
    spare: &[usize],
) -> Result<(), Error> {
    let sets = sets(dir)?;
    for (step, old) in &sets[..sets.len().saturating_sub(keep.max(1))] {
        if !spare.contains(step) {
            // Out of sight first: a set that is half removed must not look like one.
            let hidden = dir.checkpoints().join(format!("{HIDDEN}{step:08}"));
            let gone = storage
                .rename(old, &hidden)
                .and_then(|()| storage.remove(&hidden));
            gone.map_err(Error::io("remove", old))?;
        }
    }
    Ok(())
}

/// Takes the sets after that step, which training goes on without, out of the count. They stay for a person to look at.
pub(crate) fn set_aside(dir: &RunDir, step: usize) -> Result<(), Error> {
    for (_, path) in sets(dir)?.into_iter().filter(|(later, _)| *later > step) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("{DAMAGED}{name}"));
        let moved = Disk
            .remove(&aside)
            .and_then(|()| Disk.rename(&path, &aside));
        moved.map_err(Error::io("rename", &path))?;
    }
    Ok(())
}

/// Removes what a killed process left unfinished, and puts back what it was about to replace.
pub(crate) fn clean(dir: &RunDir) -> Result<(), Error> {
    for path in entries(&dir.checkpoints())? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        if let Some(step) = name.strip_prefix(REPLACED) {
            let target = path.with_file_name(format!("{PREFIX}{step}"));
            if !target.exists() {
                Disk.rename(&path, &target)
                    .map_err(Error::io("rename", &path))?;
                continue;
            }
        }
        if name.starts_with(HIDDEN) || name.starts_with(REPLACED) {
            Disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
