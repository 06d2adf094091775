//! Tables of log-probabilities: that they fit, and the few sums that are made of them.

use thiserror::Error;

/// The largest magnitude of a score. No log-probability comes near it, and sums of so large numbers stay finite.
pub(crate) const LARGEST: f64 = 1e9;

/// Scores or numbers that go with them, which cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ScoreError {
    /// A table without rows, or rows without columns.
    #[error("{what}: there are none; give at least one")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// More or fewer than what they belong to.
    #[error("{what}: {found} are given, {expected} are needed")]
    Count {
        /// What was counted.
        what: String,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A number that is no log-probability, or no weight.
    #[error("{what}: number {place} is {value}; {needed}")]
    Number {
        /// Where it stands.
        what: String,
        /// Its place there, from 0.
        place: usize,
        /// The number.
        value: f64,
        /// What it must be.
        needed: &'static str,
    },
}

/// Holds a table to `width` columns of usable scores, and at least one row. `what` names the table in errors.
pub(crate) fn check(
    what: &'static str,
    table: &[Vec<f64>],
    width: usize,
) -> Result<(), ScoreError> {
    if table.is_empty() || width == 0 {
        return Err(ScoreError::Empty { what });
    }
    for (item, row) in table.iter().enumerate() {
        check_row(|| format!("{what}, item {item}"), row, width)?;
    }
    Ok(())
}

/// Holds one row to `width` usable scores.
pub(crate) fn check_row(
    what: impl Fn() -> String,
    row: &[f64],
    width: usize,
) -> Result<(), ScoreError> {
    if row.len() != width {
        return Err(ScoreError::Count {
            what: what(),
            found: row.len(),
            expected: width,
        });
    }
    let unusable = |score: &f64| score.is_nan() || score.abs() > LARGEST;
    match row.iter().position(unusable) {
        Some(place) => Err(ScoreError::Number {
            what: what(),
            place,
            value: row[place],
            needed: "a score is the finite logarithm of a probability, as a log-softmax gives it",
        }),
        None => Ok(()),
    }
}

/// Columns of the first row, which [`check`] then holds the others to.
pub(crate) fn width(table: &[Vec<f64>]) -> usize {
    table.first().map_or(0, Vec::len)
}

/// `log sum exp`, which neither overflows nor loses small terms; minus infinity of nothing.
pub(crate) fn log_sum_exp(scores: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest
        + scores
            .map(|score| (score - largest).exp())
            .sum::<f64>()
            .ln()
}

/// A row as logarithms of probabilities that sum to one.
pub(crate) fn log_softmax(row: &[f64]) -> Vec<f64> {
    let total = log_sum_exp(row.iter().copied());
    row.iter().map(|score| score - total).collect()
}

/// Of each column the logarithm of the mean probability; rows as they are.
pub(crate) fn log_mean_exp(table: &[Vec<f64>]) -> Vec<f64> {
    let rows = (table.len() as f64).ln();
    (0..width(table))
        .map(|column| log_sum_exp(table.iter().map(|row| row[column])) - rows)
        .collect()
}

/// The place of the largest; the first of equals.
pub(crate) fn argmax(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, place| match row[place] > row[best] {
        true => place,
        false => best,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told() {
        let message = |table: &[Vec<f64>]| check("scores", table, 2).unwrap_err().to_string();
        assert_eq!(message(&[]), "scores: there are none; give at least one");
        assert_eq!(
            message(&[vec![0.0; 2], vec![0.0; 3]]),
            "scores, item 1: 3 are given, 2 are needed"
        );
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            let message = message(&[vec![0.0, bad]]);
            assert!(
                message.starts_with("scores, item 0: number 1 is"),
                "{message}"
            );
        }
        assert!(check("scores", &[vec![]], 0).is_err());
        assert!(check("scores", &[vec![-1e5, 0.0]], 2).is_ok());
    }

    #[test]
    fn sums_of_probabilities_hold_where_probabilities_vanish() {
        let row = log_softmax(&[-5000.0, -5000.0 - 3f64.ln()]);
        assert!((row[0] - 0.75f64.ln()).abs() < 1e-9 && (row[1] - 0.25f64.ln()).abs() < 1e-9);
        let mean = log_mean_exp(&[vec![0.5f64.ln()], vec![0.1f64.ln()]]);
        assert!((mean[0] - 0.3f64.ln()).abs() < 1e-12);
        assert_eq!(argmax(&[0.0, 2.0, 2.0]), 1);
    }
}
