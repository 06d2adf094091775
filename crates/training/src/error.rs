//! The one error type of this crate, and the exit code each kind of failure deserves.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a configured value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a configuration file.
    File {
        /// The file, as the user named it.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// One `--set` on the command line, as it was typed.
    Set(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Set(text) => write!(f, "--set {text}"),
        }
    }
}

/// The valid names where an unknown one was given; the tail of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The nearest to what was given.
    pub suggestion: Option<String>,
    /// All of them.
    pub valid: Vec<String>,
}

impl Names {
    pub(crate) fn near<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> Box<Self> {
        let valid: Vec<String> = valid.into_iter().map(str::to_string).collect();
        let nearest = crate::suggest(name, valid.iter().map(String::as_str));
        Box::new(Self {
            suggestion: nearest.map(str::to_string),
            valid,
        })
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nearest) = &self.suggestion {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        write!(f, " (valid: {})", self.valid.join(", "))
    }
}

/// What can go wrong between the command line and the last step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be met as asked.
    #[error("{0}")]
    Usage(String),

    /// A recipe, preset, dataset, backend, ... that does not exist.
    #[error("unknown {kind} `{name}`{names}")]
    UnknownName {
        /// What was looked for: `recipe`, `preset`, `dataset`, `backend`, ...
        kind: &'static str,
        /// The name as given.
        name: String,
        /// What would be valid.
        names: Box<Names>,
    },

    /// A configuration key that the recipe does not have.
    #[error("{at}: unknown key `{key}`{names}")]
    UnknownKey {
        /// Where it was written.
        at: Origin,
        /// The dotted key as given.
        key: String,
        /// What would be valid.
        names: Box<Names>,
    },

    /// A word that is none of the words the key accepts.
    #[error("{at}: `{key}` cannot be `{value}`{names}")]
    UnknownVariant {
        /// Where it was written.
        at: Origin,
        /// The dotted key.
        key: String,
        /// The word as given.
        value: String,
        /// What would be valid.
        names: Box<Names>,
    },

    /// A value of another type, or outside the range of the key.
    #[error("{at}: `{key}` must be {expected}, not {found}")]
    WrongType {
        /// Where it was written.
        at: Origin,
        /// The dotted key.
        key: String,
        /// What the key accepts: `an integer of at least 1`.
        expected: String,
        /// What was given: ``the string `ten` ``.
        found: String,
    },

    /// A file or a `--set` that is not TOML, or not an assignment.
    #[error("{at}: {reason}")]
    Syntax {
        /// Where it was written.
        at: Origin,
        /// What is wrong with it.
        reason: String,
    },

    /// A data set that cannot be read; the error itself names file, line and remedy.
    #[error("{0}")]
    Data(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// A directory that holds no run, or a run that does not match what was asked.
    #[error("{}: {reason}", path.display())]
    Run {
        /// The run directory.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },

    /// A checkpoint that could not be written or read.
    #[error("checkpoint {}: {reason}", path.display())]
    Checkpoint {
        /// The checkpoint or its directory.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },

    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb: `write`, `read`, `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A loss, a metric or a gradient that is no longer a number; nothing was updated with it.
    #[error(
        "step {step}: {split} {name} is {value}{}{}; lower `learning_rate`, raise `warmup_steps`, look at the data, or set `training.non_finite`",
        reached(place),
        listed(samples)
    )]
    NonFinite {
        /// The step that computed it.
        step: usize,
        /// `train` or `valid`.
        split: &'static str,
        /// `loss`, `grad_norm`, ...
        name: String,
        /// `NaN`, `inf`, `-inf`.
        value: f64,
        /// The first parameter of the model that is broken or has a broken gradient.
        place: Option<String>,
        /// The samples it was computed from.
        samples: Vec<String>,
    },

    /// Training would take more memory than there is; no step was taken.
    #[error(
        "training would take about {} with batches of {batch_size}, and {} may be used; lower `loader.batch_size` (and raise `training.accumulate`, which keeps the samples of an update), set `training.gradient_checkpointing = true`, or make the model smaller",
        size(*needed),
        size(*limit)
    )]
    Memory {
        /// Bytes expected.
        needed: u64,
        /// Bytes that may be used.
        limit: u64,
        /// Samples of a batch.
        batch_size: usize,
    },

    /// Stopped on request; the state was saved.
    #[error("interrupted at step {step}; continue with --resume --out {}", run.display())]
    Interrupted {
        /// The last finished step, which is also the saved one.
        step: usize,
        /// The run directory.
        run: PathBuf,
    },

    /// The backend failed, or Burn's own training loop did.
    #[error("{0}")]
    Backend(String),
}

fn reached(place: &Option<String>) -> String {
    let place = place.as_ref();
    place.map_or(String::new(), |place| format!(", first in {place}"))
}

/// `12.5 GiB`
fn size(bytes: u64) -> String {
    match bytes {
        0..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

/// The first few samples.
fn listed(samples: &[String]) -> String {
    const SHOWN: usize = 5;
    match samples {
        [] => String::new(),
        few if few.len() <= SHOWN => format!(" (samples {})", few.join(", ")),
        many => format!(
            " (samples {} and {} more)",
            many[..SHOWN].join(", "),
            many.len() - SHOWN
        ),
    }
}

impl Error {
    /// The process exit code: 2 for wrong usage, configuration or data, 130 for an interruption, 1 otherwise.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Usage(_)
            | Error::UnknownName { .. }
            | Error::UnknownKey { .. }
            | Error::UnknownVariant { .. }
            | Error::WrongType { .. }
            | Error::Syntax { .. }
            | Error::Data(_)
            | Error::Run { .. }
            | Error::Memory { .. } => 2,
            Error::Interrupted { .. } => 130,
            Error::Checkpoint { .. }
            | Error::Io { .. }
            | Error::NonFinite { .. }
            | Error::Backend(_) => 1,
        }
    }

    /// Wraps the error of a data set.
    pub fn data(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Error::Data(Box::new(error))
    }

    /// An unknown `kind` of thing called `name`, with the nearest of the `valid` names.
    pub fn unknown<'a>(
        kind: &'static str,
        name: &str,
        valid: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Error::UnknownName {
            kind,
            name: name.to_string(),
            names: Names::near(name, valid),
        }
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_exit_code() {
        let path = PathBuf::from("run");
        let at = Origin::Set("a=1".into());
        let io = || std::io::Error::other("full");
        for (error, code) in [
            (Error::Usage("x".into()), 2),
            (Error::unknown("recipe", "vqaa", ["vqa"]), 2),
            (
                Error::Syntax {
                    at,
                    reason: "x".into(),
                },
                2,
            ),
            (Error::data(io()), 2),
            (
                Error::Run {
                    path: path.clone(),
                    reason: "x".into(),
                },
                2,
            ),
            (
                Error::Interrupted {
                    step: 3,
                    run: path.clone(),
                },
                130,
            ),
            (
                Error::Checkpoint {
                    path: path.clone(),
                    reason: "x".into(),
                },
                1,
            ),
            (Error::io("write", &path)(io()), 1),
            (
                Error::NonFinite {
                    step: 3,
                    split: "train",
                    name: "loss".into(),
                    value: f64::NAN,
                    place: None,
                    samples: Vec::new(),
                },
                1,
            ),
            (Error::Backend("x".into()), 1),
            (
                Error::Memory {
                    needed: 2,
                    limit: 1,
                    batch_size: 8,
                },
                2,
            ),
        ] {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }

    #[test]
    fn messages_name_the_file_and_the_way_out() {
        let error =
            Error::io("write", Path::new("run/metrics.jsonl"))(std::io::Error::other("no space"));
        assert_eq!(
            error.to_string(),
            "cannot write run/metrics.jsonl: no space"
        );
        let error = Error::Interrupted {
            step: 12,
            run: "runs/a".into(),
        };
        assert_eq!(
            error.to_string(),
            "interrupted at step 12; continue with --resume --out runs/a"
        );
        let error = Error::NonFinite {
            step: 7,
            split: "train",
            name: "loss".into(),
            value: f64::NAN,
            place: Some("the gradient of `head.weight`".into()),
            samples: (0..7).map(|id| id.to_string()).collect(),
        };
        assert!(
            error.to_string().starts_with(
                "step 7: train loss is NaN, first in the gradient of `head.weight` (samples 0, 1, 2, 3, 4 and 2 more); lower"
            ),
            "{error}"
        );
        let error = Error::Memory {
            needed: 25 << 29,
            limit: 800 << 20,
            batch_size: 64,
        };
        assert!(
            error.to_string().starts_with(
                "training would take about 12.5 GiB with batches of 64, and 800 MiB may be used; lower `loader.batch_size`"
            ),
            "{error}"
        );
        let error = Error::unknown("dataset", "zzz", ["easy-vqa", "cifar"]);
        assert_eq!(
            error.to_string(),
            "unknown dataset `zzz` (valid: easy-vqa, cifar)"
        );
    }
}
