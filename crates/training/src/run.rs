//! One run: where it writes, what it draws its numbers from, where it computes.

use crate::run_dir::Lock;
use crate::{Error, Init, RunDir, TrainingConfig, checkpoint, run_dir};
use burn::tensor::Device;
use burn::train::Interrupter;
use crucible_kernels::{Implementation, implementation, threads};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// The release of Burn this crate is built against; Burn does not export its own version.
pub const BURN_VERSION: &str = "0.22.1";

/// `run.json`: all it takes to run it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Name of the recipe.
    pub recipe: String,
    /// Preset the configuration started from.
    pub preset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Backend, as given to `--backend`.
    pub backend: String,
    /// The device of that backend, in words.
    pub device: String,
    /// Whether its operations are `fused` or `composed`, as all were before records said so.
    #[serde(default = "composed")]
    pub kernels: String,
    /// Threads that operations on the CPU shared when it started; 0 in records older than the question.
    #[serde(default)]
    pub threads: usize,
    /// Run whose weights it started from; empty when it started from none.
    #[serde(default)]
    pub init: String,
    /// Data set given with `--data`; empty when the configuration names it.
    pub data: String,
    /// The split that its result is measured on: `test`, or `valid` for a run that only helps to choose.
    #[serde(default = "test")]
    pub scored_on: String,
    /// SHA-256 of the data as the recipe read it; empty until then.
    pub data_digest: String,
    /// SHA-256 of the files of published weights that it started from, as `language/model.safetensors`; empty until they
    /// are read, and in records older than the question.
    #[serde(default)]
    pub weights: BTreeMap<String, String>,
    /// Versions of the crates that decide the result.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of the resolved configuration; every checkpoint carries it too.
    pub config_digest: String,
    /// The whole resolved configuration.
    pub config: Table,
}

impl RunRecord {
    /// The record of a run that is about to start.
    pub fn new(
        recipe: &str,
        preset: &str,
        config: &Table,
        seed: u64,
        backend: &str,
        device: &Device,
        data: &str,
    ) -> Self {
        let version = |name: &str, version: &str| (name.to_string(), version.to_string());
        Self {
            recipe: recipe.to_string(),
            preset: preset.to_string(),
            seed,
            backend: backend.to_string(),
            device: device_name(device),
            kernels: implementation(device).name().to_string(),
            threads: threads(),
            init: String::new(),
            data: data.to_string(),
            scored_on: test(),
            data_digest: String::new(),
            weights: BTreeMap::new(),
            versions: BTreeMap::from([
                version("crucible", env!("CARGO_PKG_VERSION")),
                version("burn", BURN_VERSION),
            ]),
            config_digest: checkpoint::sha256(config.to_string().as_bytes()),
            config: config.clone(),
        }
    }

    /// What differs between two records of what should be the same run, one line a difference.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let top = [
            ("recipe", &self.recipe, &other.recipe),
            ("backend", &self.backend, &other.backend),
            ("data", &self.data, &other.data),
            ("kernels", &self.kernels, &other.kernels),
            ("init", &self.init, &other.init),
            ("scored_on", &self.scored_on, &other.scored_on),
        ];
        let mut lines: Vec<String> = top
            .into_iter()
            .filter(|(_, mine, theirs)| mine != theirs)
            .map(|(name, mine, theirs)| format!("{name} was {mine:?}, now {theirs:?}"))
            .collect();
        if self.seed != other.seed {
            lines.push(format!("seed was {}, now {}", self.seed, other.seed));
        }
        for (name, version) in &self.versions {
            if other
                .versions
                .get(name)
                .is_some_and(|other| other != version)
            {
                lines.push(format!(
                    "{name} was {version}, now {}",
                    other.versions[name]
                ));
            }
        }
        if self.config_digest != other.config_digest {
            differing_keys(&self.config, &other.config, "", &mut lines);
        }
        lines
    }
}

fn composed() -> String {
    Implementation::Composed.name().into()
}

fn test() -> String {
    "test".into()
}

fn with_gradients(device: &Device, config: &TrainingConfig) -> Device {
    let device = device.clone().autodiff();
    match config.gradient_checkpointing {
        true => device.gradient_checkpointing(),
        false => device,
    }
}

/// The device in words, such as `Flex(Cpu)`.
pub fn device_name(device: &Device) -> String {
    let text = format!("{device:?}");
    let name = text
        .strip_prefix("Device<")
        .and_then(|text| text.strip_suffix('>'));
    name.unwrap_or(&text).to_string()
}

fn differing_keys(mine: &Table, theirs: &Table, prefix: &str, lines: &mut Vec<String>) {
    let names: std::collections::BTreeSet<&String> = mine.keys().chain(theirs.keys()).collect();
    for name in names {
        match (mine.get(name), theirs.get(name)) {
            (Some(Value::Table(mine)), Some(Value::Table(theirs))) => {
                differing_keys(mine, theirs, &format!("{prefix}{name}."), lines);
            }
            (mine, theirs) if mine != theirs => {
                let print =
                    |value: Option<&Value>| value.map_or("absent".to_string(), Value::to_string);
                lines.push(format!(
                    "{prefix}{name} was {}, now {}",
                    print(mine),
                    print(theirs)
                ));
            }
            _ => {}
        }
    }
}

/// The context that a recipe runs in.
#[derive(Clone)]
pub struct Run {
    /// Where it writes.
    pub dir: RunDir,
    /// Seed of everything random; the parts take theirs with [`seeds::derive`](crate::seeds::derive).
    pub seed: u64,
    /// The plain device, for data and evaluation. A model may be initialised on it too: [`fit`](crate::fit())
    /// moves it to [`training_device`](Self::training_device).
    pub device: Device,
    /// Further devices, which share the batches of an update with that one.
    pub others: Vec<Device>,
    /// Name of the backend, for the records.
    pub backend: String,
    /// Most bytes of memory that this process may hold, where that is known.
    pub memory: Option<u64>,
    /// Asks the run to save and stop.
    pub interrupter: Interrupter,
    /// Whether to continue at the newest checkpoint, if there is one.
    pub resume: bool,
    /// The run whose weights to start from.
    pub init: Option<Init>,
    /// The data set that `--data` names; empty for the one of the configuration.
    pub data: String,
    /// Whether this run only helps to choose: its result is measured on the validation split, and the test split stays
    /// untouched.
    pub tuning: bool,
    /// Whether to print no progress.
    pub quiet: bool,
    /// Whether to say at the end where the time went.
    pub profile: bool,
    /// Whether to write event files for TensorBoard.
    pub tensorboard: bool,
}

impl Run {
    /// The device with gradients.
    pub fn training_device(&self, config: &TrainingConfig) -> Device {
        with_gradients(&self.device, config)
    }

    /// All devices that train, with gradients. Batch b of a training is for the one at b modulo their number.
    pub fn training_devices(&self, config: &TrainingConfig) -> Vec<Device> {
        let devices = std::iter::once(&self.device).chain(&self.others);
        devices
            .map(|device| with_gradients(device, config))
            .collect()
    }

    /// Whether it goes on from a checkpoint of its own, and not from its beginning.
    pub fn goes_on(&self) -> bool {
        self.resume && checkpoint::exists(&self.dir).unwrap_or(false)
    }

    /// Writes `run.json`, or, to resume, makes sure that it is the run that was started here. The
    /// directory is this process's until the lock is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when another process is at work here, when the directory already holds a run and
    /// this is no resume, or when the run to resume differs, with every key that does.
    pub fn start(&self, record: &RunRecord) -> Result<Lock, Error> {
        let lock = self.dir.lock()?;
        let refuse = |reason: String| {
            Err(Error::Run {
                path: self.dir.path().to_path_buf(),
                reason,
            })
        };
        if !self.dir.is_run() {
            if checkpoint::exists(&self.dir)? {
                return refuse(
                    "this directory has checkpoints but no run.json; choose another --out".into(),
                );
            }
            self.dir.remove(run_dir::RESULT)?;
            self.dir.write_json(run_dir::RUN, record)?;
            return Ok(lock);
        }
        if !self.resume {
            return refuse("this directory already holds a run; continue it with --resume or choose another --out".into());
        }
        match self.record()?.differences(record).as_slice() {
            [] => Ok(lock),
            lines => refuse(format!(
                "cannot resume a different run: {}; repeat the command that started it, or choose another --out",
                lines.join("; ")
            )),
        }
    }

    /// What `run.json` says.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when the directory holds no run.
    pub fn record(&self) -> Result<RunRecord, Error> {
        open(self.dir.path())
    }

    /// Notes the SHA-256 of the data in `run.json`. A recipe calls it once its data is open.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when a run is resumed on data that has changed since.
    pub fn record_data(&self, digest: &str) -> Result<(), Error> {
        let mut record = self.record()?;
        if record.data_digest == digest {
            return Ok(());
        }
        if !record.data_digest.is_empty() {
            return Err(Error::Run {
                path: self.dir.path().to_path_buf(),
                reason: format!(
                    "the data has changed since this run started ({} then, {digest} now)",
                    record.data_digest
                ),
            });
        }
        record.data_digest = digest.to_string();
        self.dir.write_json(run_dir::RUN, &record)
    }

    /// Notes in `run.json` which published weights a part of the model starts from: the SHA-256 of their files. A part
    /// calls it before it reads them.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when they have changed since the run started.
    pub fn record_weights(
        &self,
        part: &str,
        digests: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let mut record = self.record()?;
        let now: BTreeMap<String, String> = digests
            .into_iter()
            .map(|(file, digest)| (format!("{part}/{file}"), digest))
            .collect();
        let mut then = record.weights.iter();
        let of_part = |(file, _): &(&String, &String)| file.starts_with(&format!("{part}/"));
        if let Some((file, digest)) =
            then.find(|then| of_part(then) && now.get(then.0) != Some(then.1))
        {
            let found = now.get(file).map_or("none", String::as_str);
            return Err(Error::Run {
                path: self.dir.path().to_path_buf(),
                reason: format!(
                    "the weights {file} have changed since this run started ({digest} then, {found} now); put the \
                     old ones back or choose another --out"
                ),
            });
        }
        record.weights.extend(now);
        self.dir.write_json(run_dir::RUN, &record)
    }
}

/// Reads `run.json` of the run at `path`.
///
/// # Errors
///
/// [`Error::Run`] when the directory holds no run.
pub fn open(path: &Path) -> Result<RunRecord, Error> {
    RunDir::new(path).read_json(run_dir::RUN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{record, run};

    #[test]
    fn a_run_is_reopened_whole() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), false);
        assert_eq!(open(folder.path()).unwrap(), record(&run));
    }

    #[test]
    fn a_run_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), false);
        let error = run.start(&record(&run)).unwrap_err();
        assert!(error.to_string().contains("--resume"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn checkpoints_of_who_knows_what_are_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), false);
        std::fs::create_dir_all(run.dir.checkpoints().join("step-00001250")).unwrap();
        run.dir.remove(run_dir::RUN).unwrap();
        let error = run.start(&record(&run)).unwrap_err();
        assert!(error.to_string().contains("no run.json"), "{error}");
    }

    #[test]
    fn only_the_same_run_is_resumed_and_every_difference_is_named() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), false);
        let run = run(folder.path(), true);
        let config = toml::from_str("steps = 41\n[model]\nwidth = 8\ndepth = 2\n").unwrap();
        let other = RunRecord::new("points", "smoke", &config, 9, "flex", &run.device, "");
        let error = run.start(&other).unwrap_err().to_string();
        for part in [
            "seed was 3, now 9",
            "steps was 40, now 41",
            "model.depth was absent, now 2",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("width"), "{error}");
    }

    #[test]
    fn data_that_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), false);
        run.record_data("aa").unwrap();
        run.record_data("aa").unwrap();
        assert_eq!(run.record().unwrap().data_digest, "aa");
        let error = run.record_data("bb").unwrap_err();
        assert!(error.to_string().contains("aa then, bb now"), "{error}");
        assert_eq!(run.record().unwrap().data_digest, "aa");
    }

    #[test]
    fn weights_that_changed_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), false);
        let record = |part, digest: &str| {
            let digests = BTreeMap::from([("model.safetensors".into(), digest.into())]);
            run.record_weights(part, digests)
        };
        record("language", "aa").unwrap();
        record("vision", "bb").unwrap();
        record("language", "aa").unwrap();
        let error = record("language", "bb").unwrap_err().to_string();
        for part in ["language/model.safetensors", "aa then, bb now"] {
            assert!(error.contains(part), "{error}");
        }
        let error = run.record_weights("vision", BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("bb then, none now"), "{error}");
        let weights = run.record().unwrap().weights;
        assert_eq!(weights["language/model.safetensors"], "aa");
        assert_eq!(weights["vision/model.safetensors"], "bb");
    }

    #[test]
    fn the_recorded_version_of_burn_is_the_one_in_the_manifest() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        let manifest: Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
        let version = manifest["workspace"]["dependencies"]["burn"]["version"].as_str();
        assert_eq!(version, Some(format!("={BURN_VERSION}").as_str()));
    }
}
