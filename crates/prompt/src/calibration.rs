//! Calibration: what a prompt says of every input alike is taken off its scores.
//!
//! All of these shift the scores of each class by one number, or by one for each item, and differ in where it comes
//! from:
//!
//! | function | the shift comes from |
//! |---|---|
//! | [`none`] | nowhere: it is zero |
//! | [`contextual`] | inputs without content |
//! | [`domain_pmi`] | the prompt without the input |
//! | [`batch`] | the inputs themselves, without labels |

use serde::{Deserialize, Serialize};

use crate::ScoreError;
use crate::scores::{argmax, check, check_row, log_mean_exp, log_softmax, width};

/// Calibrated scores, and what they changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibrated {
    /// Logarithms of probabilities that sum to one, `[items][classes]`.
    pub scores: Vec<Vec<f64>>,
    /// What the calibration did.
    pub change: Change,
}

/// What a calibration did to the predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Mean predicted probability of each class before.
    pub before: Vec<f64>,
    /// And after.
    pub after: Vec<f64>,
    /// Items that another class is predicted for.
    pub changed: usize,
}

/// Nothing is taken off.
///
/// # Shapes
/// - `scores`: `[items][classes]`
///
/// # Errors
/// When there are no items or classes, numbers do not fit, or a score is not finite.
pub fn none(scores: &[Vec<f64>]) -> Result<Calibrated, ScoreError> {
    check("scores", scores, width(scores))?;
    Ok(shifted(scores, &vec![0.0; width(scores)]))
}

/// Contextual calibration (Zhao et al. 2021, "Calibrate Before Use", section 5): probabilities are divided by the mean
/// of those that inputs without content get ("N/A", `[MASK]`, the empty text), and normalised again.
///
/// # Shapes
/// - `scores`: `[items][classes]`; `content_free`: `[texts][classes]`
///
/// # Errors
/// When there are no items, texts or classes, numbers do not fit, or a score is not finite.
pub fn contextual(
    scores: &[Vec<f64>],
    content_free: &[Vec<f64>],
) -> Result<Calibrated, ScoreError> {
    check("scores", scores, width(scores))?;
    check("content-free scores", content_free, width(scores))?;
    let content_free: Vec<Vec<f64>> = content_free.iter().map(|row| log_softmax(row)).collect();
    Ok(shifted(scores, &log_mean_exp(&content_free)))
}

/// Domain-conditional pointwise mutual information (Holtzman et al. 2021, "Surface Form Competition", section 3):
/// `log p(y | x) - log p(y | premise)`, where the premise is the prompt without the input ("It was").
///
/// # Shapes
/// - `scores`: `[items][classes]`; `premise`: `[classes]`
///
/// # Errors
/// When there are no items or classes, numbers do not fit, or a score is not finite.
pub fn domain_pmi(scores: &[Vec<f64>], premise: &[f64]) -> Result<Calibrated, ScoreError> {
    check("scores", scores, width(scores))?;
    check_row(|| "scores of the premise".into(), premise, width(scores))?;
    Ok(shifted(scores, premise))
}

/// Batch calibration (Zhou et al. 2024, section 3): from the log-probabilities of each class, `strength` times the
/// logarithm of its mean probability over the items is taken. No item needs a label; the paper's strength is 1.
///
/// # Shapes
/// - `scores`: `[items][classes]`
///
/// # Errors
/// When there are no items or classes, numbers do not fit, or a score or the strength is not finite.
pub fn batch(scores: &[Vec<f64>], strength: f64) -> Result<Calibrated, ScoreError> {
    check("scores", scores, width(scores))?;
    check_row(|| "strength of the calibration".into(), &[strength], 1)?;
    let normalised: Vec<Vec<f64>> = scores.iter().map(|row| log_softmax(row)).collect();
    let bias = log_mean_exp(&normalised)
        .into_iter()
        .map(|prior| strength * prior);
    Ok(shifted(scores, &bias.collect::<Vec<_>>()))
}

/// The scores less `bias`, `[classes]`.
fn shifted(scores: &[Vec<f64>], bias: &[f64]) -> Calibrated {
    let before: Vec<Vec<f64>> = scores.iter().map(|row| log_softmax(row)).collect();
    let after: Vec<Vec<f64>> = before
        .iter()
        .map(|row| {
            let row: Vec<f64> = row
                .iter()
                .zip(bias)
                .map(|(score, bias)| score - bias)
                .collect();
            log_softmax(&row)
        })
        .collect();
    let pairs = before.iter().zip(&after);
    let changed = pairs
        .filter(|(before, after)| argmax(before) != argmax(after))
        .count();
    Calibrated {
        change: Change {
            before: priors(&before),
            after: priors(&after),
            changed,
        },
        scores: after,
    }
}

/// Mean probability of each class.
fn priors(scores: &[Vec<f64>]) -> Vec<f64> {
    log_mean_exp(scores).into_iter().map(f64::exp).collect()
}

#[cfg(test)]
mod tests;
