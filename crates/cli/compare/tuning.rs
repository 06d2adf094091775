//! The same tuning for every arm: as many candidates, judged on the validation split, before a test split is read.

use super::arms::{Arm, arms as combinations};
use super::session::Session;
use crate::options::Choice;
use crucible_training::recipe::RunResult;
use crucible_training::{Error, RunDir, tell};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::path::Path;

/// The folder of the candidates.
const FOLDER: &str = "tuning";
/// The seed of every candidate: none that a comparison would have.
const SEED: u64 = 1_000_000;

/// What was chosen for an arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tuned {
    /// Its name.
    pub label: String,
    /// What was set.
    pub sets: Vec<String>,
    /// What that came to on the validation split.
    pub score: f64,
}

/// The candidates: all combinations, or so many of them, the same for every arm.
///
/// # Errors
///
/// Those of `--tune` texts.
pub fn candidates(tune: &[String], trials: Option<usize>) -> Result<Vec<Arm>, Error> {
    let all = combinations("--tune", tune)?;
    Ok(match trials {
        Some(trials) if trials < all.len() => {
            let mut random = ChaCha8Rng::seed_from_u64(SEED);
            all.sample(&mut random, trials).cloned().collect()
        }
        _ => all,
    })
}

/// Trains every candidate of every arm, and gives each arm its best.
///
/// # Errors
///
/// Those of the training; a candidate that fails is only not chosen, unless all of an arm do.
pub fn tune(
    choice: &Choice,
    arms: &mut [Arm],
    candidates: &[Arm],
    out: &Path,
    session: &Session,
    metric: impl Fn(&RunResult) -> Option<f64>,
) -> Result<Vec<Tuned>, Error> {
    let mut tuned = Vec::new();
    for arm in arms {
        let mut best: Option<Tuned> = None;
        for candidate in candidates {
            let name = format!("[tuning] {}, {}", arm.label, candidate.label);
            let sets = [&arm.sets[..], &candidate.sets].concat();
            let dir = out.join(FOLDER).join(&arm.folder).join(&candidate.folder);
            tell!("{name}: {}", dir.display());
            let config = choice.resolve(&sets)?.table;
            let result = match session.tune(&config, SEED, &RunDir::new(dir)) {
                Err(error @ Error::Interrupted { .. }) => return Err(error),
                Err(error) => {
                    tell!("{name}: failed: {error}");
                    continue;
                }
                Ok(result) => result,
            };
            let score = metric(&result).filter(|score| score.is_finite());
            let Some(score) = score else { continue };
            if best.as_ref().is_none_or(|best| score > best.score) {
                best = Some(Tuned {
                    label: arm.label.clone(),
                    sets: candidate.sets.clone(),
                    score,
                });
            }
        }
        let best = best.ok_or_else(|| {
            Error::Usage(format!(
                "{}: no candidate of the tuning came to a score",
                arm.label
            ))
        })?;
        arm.sets.extend(best.sets.iter().cloned());
        tuned.push(best);
    }
    Ok(tuned)
}

/// What was chosen, in a sentence.
pub fn sentence(candidates: usize, tuned: &[Tuned]) -> String {
    let chosen: Vec<String> = tuned
        .iter()
        .map(|arm| format!("{} {}", arm.label, arm.sets.join(" ")))
        .collect();
    format!(
        "{candidates} candidates for every arm, one seed each, chosen on the validation split: {}",
        chosen.join("; ")
    )
}
