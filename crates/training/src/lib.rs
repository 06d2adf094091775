//! Everything between a recipe and Burn's `Learner`: strict configuration, the run directory, seeds,
//! the optimizer and its schedule, one training strategy that counts steps, checkpoints that are
//! whole or absent, metrics and progress.
//!
//! A recipe implements [`Recipe`], builds its loaders and its model, and calls [`fit`]. The binary
//! holds the recipes as [`AnyRecipe`] and knows nothing of their types.
//!
//! | module | one idea |
//! |---|---|
//! | [`config`] | preset, file and `--set` merge into one checked table |
//! | [`recipe`] | what a recipe is, and its erased form |
//! | [`run`] | one run: device, seed, directory; `run.json` |
//! | [`run_dir`] | files that are written whole or not at all |
//! | [`optimizer`] | AdamW, what decays, which layers learn more slowly |
//! | [`gradients`] | of all parameters together: norm, clipping, mean over batches |
//! | [`schedule`] | linear warmup, then one of four decays |
//! | [`mod@fit`] | the one way to train a model |
//! | [`init`] | weights of another run to start from |
//! | [`strategy`] | the loop over steps: guards, averages, when to look and to save |
//! | [`memory`] | whether a training fits, before it starts |
//! | [`checkpoint`] | sets of model, optimizer, schedule and state |
//! | [`observe`] | what a step tells the log |
//! | [`metrics`] | `metrics.jsonl` |
//! | [`profile`] | where the time goes |
//! | [`progress`] | the bar on a terminal, lines elsewhere |
//! | [`query`] | looking for images and texts with a model |
//! | [`signals`] | Ctrl-C saves and leaves |

#![warn(missing_docs)]

pub mod checkpoint;
pub mod config;
mod error;
mod events;
pub mod fit;
#[cfg(test)]
mod fixture;
pub mod gradients;
pub mod init;
pub mod memory;
pub mod metrics;
pub mod observe;
pub mod optimizer;
pub mod profile;
pub mod progress;
pub mod query;
pub mod recipe;
pub mod run;
pub mod run_dir;
pub mod schedule;
pub mod seeds;
pub mod signals;
mod silent;
mod steps;
pub mod strategy;
mod suggest;

pub use crucible_evaluation::accuracy::Prediction;
pub use error::{Error, Names, Origin};
pub use fit::{Cost, Fitted, TrainingConfig, fit};
pub use init::Init;
pub use observe::{ClassificationOutput, Observe, Scalar};
pub use profile::backward;
pub use query::{Among, Match, Query};
pub use recipe::{AnyRecipe, Outcome, Preset, Probe, Recipe, Resolved, Size};
pub use run::{Run, RunRecord};
pub use run_dir::RunDir;
pub use suggest::suggest;
