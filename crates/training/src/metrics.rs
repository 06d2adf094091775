//! `metrics.jsonl`: one value a line, at full precision.

use crate::checkpoint::State;
use crate::events::Events;
use crate::{Error, Run, RunDir, Scalar, run_dir};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// Name of the training split.
pub const TRAIN: &str = "train";
/// Name of the validation split.
pub const VALID: &str = "valid";

/// Name of the seconds of training so far: of all values, the one that the seed does not decide.
pub const SECONDS: &str = "seconds";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricLine {
    /// Steps taken when it was measured.
    pub step: usize,
    /// The same in epochs.
    pub epoch: f64,
    /// [`TRAIN`] or [`VALID`].
    pub split: String,
    /// `loss`, `accuracy`, `learning_rate`, `grad_norm`, [`SECONDS`], ...
    pub name: String,
    /// The value.
    pub value: f64,
}

/// The lines of a run, for a report.
///
/// # Errors
///
/// [`Error::Run`] when there are none, or a line is broken.
pub fn read(dir: &RunDir) -> Result<Vec<MetricLine>, Error> {
    match dir.file(run_dir::METRICS).exists() {
        true => dir.read_json_lines(run_dir::METRICS),
        false => Ok(Vec::new()),
    }
}

/// The file, open for appending.
pub(crate) struct MetricsLog {
    path: PathBuf,
    file: File,
    steps_per_epoch: f64,
    events: Option<Events>,
}

impl MetricsLog {
    /// Opens the log where `state` was saved. What an earlier process wrote after that, which will be
    /// computed again, goes, as does a line it did not finish; every (step, split, name) stays unique.
    pub(crate) fn open(run: &Run, state: &State, steps_per_epoch: f64) -> Result<Self, Error> {
        let dir = &run.dir;
        let path = dir.file(run_dir::METRICS);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            result => result.map_err(Error::io("read", &path))?,
        };
        let precedes = |line: MetricLine| match line.split == TRAIN {
            true => line.step <= state.step,
            false => line.step <= state.looked,
        };
        let stays = |line: &&[u8]| serde_json::from_slice(line).is_ok_and(precedes);
        // The text of a line stays as it is: reading a number and writing it again may change it.
        let kept: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(stays).collect();
        let mut kept = kept.join(&b'\n');
        if !kept.is_empty() {
            kept.push(b'\n');
        }
        dir.write(run_dir::METRICS, &kept)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        let events = match run.tensorboard {
            true => Some(Events::create(dir, &read(dir)?, state.seconds)?),
            false => None,
        };
        Ok(Self {
            path,
            file,
            steps_per_epoch,
            events,
        })
    }

    /// Appends the values of one split at one step, in one write.
    pub(crate) fn append(
        &mut self,
        step: usize,
        split: &str,
        values: &[(&str, f64)],
    ) -> Result<(), Error> {
        if let Some(events) = &mut self.events {
            events.append(step, split, values)?;
        }
        let mut text = Vec::new();
        for (name, value) in values {
            let line = MetricLine {
                step,
                epoch: step as f64 / self.steps_per_epoch,
                split: split.to_string(),
                name: name.to_string(),
                value: *value,
            };
            serde_json::to_writer(&mut text, &line)
                .map_err(|error| Error::io("write", &self.path)(error.into()))?;
            text.push(b'\n');
        }
        self.file
            .write_all(&text)
            .map_err(Error::io("write", &self.path))
    }
}

/// Refuses metrics of which one is no number.
pub(crate) fn finite(
    step: usize,
    split: &'static str,
    metrics: &BTreeMap<String, f64>,
) -> Result<(), Error> {
    match metrics.iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((name, value)) => Err(Error::NonFinite {
            step,
            split,
            name: name.clone(),
            value: *value,
            place: None,
            samples: Vec::new(),
        }),
    }
}

/// Weighted means over the batches of a split.
#[derive(Default)]
pub struct Means {
    sums: BTreeMap<&'static str, (f64, f64)>,
}

impl Means {
    /// Adds what one batch observed.
    pub fn add(&mut self, observed: &[Scalar]) {
        for Scalar { name, sum, weight } in observed {
            let entry = self.sums.entry(name).or_default();
            entry.0 += sum;
            entry.1 += weight;
        }
    }

    /// The means by name. A name of weight zero has none.
    pub fn means(&self) -> BTreeMap<String, f64> {
        self.sums
            .iter()
            .filter(|(_, (_, weight))| *weight > 0.0)
            .map(|(name, (sum, weight))| (name.to_string(), sum / weight))
            .collect()
    }
}
