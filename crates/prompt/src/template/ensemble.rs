//! Several templates for one task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Template;
use crate::ScoreError;
use crate::scores::{check, log_mean_exp, log_softmax, width};

/// Several templates whose scores of classes are averaged, so that no one wording decides (PET, Schick and Schütze
/// 2021, section 3.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ensemble {
    /// At least one.
    pub templates: Vec<Template>,
    /// What is averaged.
    #[serde(default)]
    pub mean: Mean,
}

/// What an [`Ensemble`] averages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mean {
    /// Probabilities: one sure template can carry a class.
    Probabilities,
    /// Their logarithms, as PET does: one template that rules a class out can stop it.
    #[default]
    LogProbabilities,
}

impl Ensemble {
    /// The mean over templates, as logarithms of probabilities that sum to one.
    ///
    /// # Shapes
    /// - `scores`: `[templates][items][classes]`
    /// - output: `[items][classes]`
    ///
    /// # Errors
    /// When there are no templates or classes, numbers do not fit, or a score is not finite.
    pub fn average(&self, scores: &[Vec<Vec<f64>>]) -> Result<Vec<Vec<f64>>, ScoreError> {
        let first = scores.first().ok_or(ScoreError::Empty {
            what: "templates of the ensemble",
        })?;
        let count = |what: &str, found, expected| match found == expected {
            true => Ok(()),
            false => Err(ScoreError::Count {
                what: what.into(),
                found,
                expected,
            }),
        };
        count("scores of templates", scores.len(), self.templates.len())?;
        for table in scores {
            check("scores of classes", table, width(first))?;
            count("items of a template", table.len(), first.len())?;
        }
        Ok((0..first.len())
            .map(|item| {
                let rows: Vec<Vec<f64>> = scores
                    .iter()
                    .map(|table| log_softmax(&table[item]))
                    .collect();
                match self.mean {
                    Mean::Probabilities => log_mean_exp(&rows),
                    Mean::LogProbabilities => log_softmax(&mean(&rows)),
                }
            })
            .collect())
    }
}

/// Of each column.
fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    (0..width(rows))
        .map(|column| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ensemble(mean: Mean) -> Ensemble {
        Ensemble {
            templates: vec![
                "{text} {mask}".parse().unwrap(),
                "{mask}: {text}".parse().unwrap(),
            ],
            mean,
        }
    }

    fn logs(rows: &[[f64; 2]]) -> Vec<Vec<f64>> {
        rows.iter().map(|row| row.map(f64::ln).to_vec()).collect()
    }

    #[test]
    fn templates_are_averaged_either_way() {
        // The second comes unnormalised: only ratios count.
        let scores = [logs(&[[0.9, 0.1]]), logs(&[[0.02, 0.08]])];
        let average = |mean| ensemble(mean).average(&scores).unwrap()[0][0].exp();
        assert!((average(Mean::Probabilities) - 0.55).abs() < 1e-12);
        // sqrt(0.9 * 0.2) against sqrt(0.1 * 0.8)
        assert!((average(Mean::LogProbabilities) - 0.6).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let message = |scores: &[Vec<Vec<f64>>]| {
            let average = ensemble(Mean::default()).average(scores);
            average.unwrap_err().to_string()
        };
        let (one, two) = (logs(&[[0.5, 0.5]]), logs(&[[0.5, 0.5]; 2]));
        assert_eq!(
            message(std::slice::from_ref(&one)),
            "scores of templates: 1 are given, 2 are needed"
        );
        assert_eq!(
            message(&[one.clone(), two]),
            "items of a template: 2 are given, 1 are needed"
        );
        assert!(message(&[]).starts_with("templates of the ensemble: there are none"));
        assert!(message(&[one, vec![vec![0.0, f64::NAN]]]).contains("number 1 is NaN"));
    }

    #[test]
    fn a_misspelt_key_is_no_ensemble() {
        let read = |text| toml::from_str::<Ensemble>(text);
        assert_eq!(
            read("templates = ['{text} {mask}', '{mask}: {text}']").unwrap(),
            ensemble(Mean::LogProbabilities)
        );
        assert!(read("templates = ['{text} {mask}']\nmeen = 'probabilities'").is_err());
        let error = read("templates = ['{text}']").unwrap_err().to_string();
        assert!(error.contains("column 7: no {mask}"), "{error}");
    }
}
