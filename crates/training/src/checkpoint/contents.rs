//! What a set holds: the records of Burn as bytes, and a checksum of each tensor in them.

use crate::Error;
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use burn::train::checkpoint::{
    AsyncCheckpointer, Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction,
    CheckpointingStrategy,
};
use burn::train::metric::store::EventStoreClient;
use burn::train::{Interrupter, Learner, LearnerModel, LearningCheckpointer};
use burn_pack::Reader;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub const MODEL: &str = "model.bpk";
pub const OPTIMIZER: &str = "optimizer.bpk";
pub const SCHEDULE: &str = "schedule.bpk";
/// The moving average of the weights, where there is one.
pub const AVERAGE: &str = "average.bpk";

/// The files of a set, in memory, shared: a clone of one copies nothing.
pub type Contents = BTreeMap<String, Bytes>;

/// The size of a file and its checksums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    bytes: u64,
    sha256: String,
    /// SHA-256 of each tensor in it.
    tensors: BTreeMap<String, String>,
}

impl Seal {
    /// The seal of a burnpack file.
    pub fn of(content: &Bytes) -> Result<Self, String> {
        Ok(Self {
            bytes: content.len() as u64,
            sha256: sha256(content),
            tensors: tensors(content)?,
        })
    }

    /// Says what is wrong with `content`, down to the tensor.
    pub fn check(&self, content: &Bytes) -> Result<(), String> {
        if content.len() as u64 != self.bytes {
            return Err(format!(
                "has {} bytes instead of {}",
                content.len(),
                self.bytes
            ));
        }
        if sha256(content) == self.sha256 {
            return Ok(());
        }
        let found = tensors(content).map_err(|error| format!("its header is damaged: {error}"))?;
        let damaged = self
            .tensors
            .iter()
            .find(|(name, sum)| found.get(*name) != Some(sum));
        Err(match damaged {
            Some((name, _)) => format!("tensor `{name}` is damaged"),
            None => "it is damaged outside of its tensors".into(),
        })
    }
}

/// The checksum of each tensor of a burnpack file.
fn tensors(content: &Bytes) -> Result<BTreeMap<String, String>, String> {
    let tensors = Reader::from_bytes(content.clone()).and_then(Reader::into_tensors);
    let sum = |tensor: burn_pack::Tensor| {
        let (name, _, _, _, data) = tensor.into_parts()?;
        Ok((name, sha256(&data)))
    };
    let sums = tensors.and_then(|tensors| tensors.into_iter().map(sum).collect());
    sums.map_err(|error| error.to_string())
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The files of a set, from the learner.
pub fn collect<M: LearnerModel>(
    learner: &Learner<M>,
    store: &EventStoreClient,
    average: Option<M>,
) -> Result<Contents, Error> {
    // The optimizer of a `Learner` is private: only its checkpointer can read it. That one works on
    // three threads, which are joined when it is dropped and report to an interrupter of their own.
    let report = Interrupter::new();
    let shelf = Shelf::default();
    LearningCheckpointer::<M>::new(
        shelf.keep(MODEL, &report),
        shelf.keep(OPTIMIZER, &report),
        shelf.keep(SCHEDULE, &report),
        Box::new(SaveNow),
    )
    .checkpoint(learner, 0, store);
    if let Some(error) = report.error() {
        return Err(Error::Backend(error.to_string()));
    }
    let mut contents = std::mem::take(&mut *shelf.lock());
    if let Some(average) = average {
        let record = Module::into_record(average);
        let bytes =
            ModuleRecord::into_bytes(record).map_err(|error| Error::Backend(error.to_string()))?;
        contents.insert(AVERAGE.into(), bytes.shared());
    }
    Ok(contents)
}

/// A record from the bytes of its file.
pub fn restore<R: Checkpoint>(content: &Bytes, path: &Path) -> Result<R, Error> {
    R::checkpoint_from_bytes(content.clone()).map_err(|error| Error::Checkpoint {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

/// Where Burn's checkpointer leaves its records.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Contents>>);

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep<R: Checkpoint>(
        &self,
        name: &'static str,
        report: &Interrupter,
    ) -> AsyncCheckpointer<R> {
        AsyncCheckpointer::new(Place {
            shelf: self.clone(),
            name,
        })
        .with_interrupter(report.clone())
    }
}

/// One file on the shelf.
struct Place {
    shelf: Shelf,
    name: &'static str,
}

impl<R: Checkpoint> Checkpointer<R> for Place {
    fn save(&self, _: usize, record: R) -> Result<(), CheckpointerError> {
        // One after the other: each record is in memory several times until it is bytes.
        let mut shelf = self.shelf.lock();
        let bytes = record
            .checkpoint_into_bytes()
            .map_err(CheckpointerError::Record)?;
        shelf.insert(self.name.into(), bytes.shared());
        Ok(())
    }

    fn delete(&self, _: usize) -> Result<(), CheckpointerError> {
        self.shelf.lock().remove(self.name);
        Ok(())
    }

    fn restore(&self, _: usize) -> Result<R, CheckpointerError> {
        let shelf = self.shelf.lock();
        let content = shelf
            .get(self.name)
            .ok_or_else(|| CheckpointerError::Unknown(format!("no {}", self.name)))?;
        R::checkpoint_from_bytes(content.clone()).map_err(CheckpointerError::Record)
    }
}

/// When to save is our strategy's decision; asked, Burn saves.
struct SaveNow;

impl CheckpointingStrategy for SaveNow {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        vec![CheckpointingAction::Save]
    }
}
