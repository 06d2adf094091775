//! Spoilt input, to see what a model stands: a function of the sample's name alone, so that all models and all seeds
//! meet the same.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::DataError;
use crate::augment::Purpose;

/// How samples of every split are spoilt. All zero: not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorruptConfig {
    /// Standard deviation of the normal noise added to each value of a pixel once it is normalised.
    #[schemars(range(min = 0.0))]
    pub image_noise: f64,
    /// Chance that a word of a text is left out.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub word_dropout: f64,
}

impl CorruptConfig {
    /// Whether the values make sense.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] for noise below 0 and a chance that is none.
    pub fn check(&self) -> Result<(), DataError> {
        let (setting, value, reason) = match self {
            Self { image_noise, .. } if !(0.0..=1e3).contains(image_noise) => (
                "image_noise",
                image_noise,
                "expected at least 0 and at most 1000",
            ),
            Self { word_dropout, .. } if !(0.0..=1.0).contains(word_dropout) => (
                "word_dropout",
                word_dropout,
                "expected at least 0 and at most 1",
            ),
            _ => return Ok(()),
        };
        Err(DataError::Setting {
            setting,
            value: value.to_string(),
            reason: reason.into(),
        })
    }

    /// Adds noise to the values of an image.
    pub(crate) fn image(&self, values: &mut [f32], name: &str) {
        if self.image_noise > 0.0 {
            let mut random = named(Purpose::Noise, name);
            // Two normal numbers of two uniform ones (Box and Muller 1958).
            for pair in values.chunks_mut(2) {
                let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt() * self.image_noise;
                let (sine, cosine) = (std::f64::consts::TAU * random.random::<f64>()).sin_cos();
                for (value, part) in pair.iter_mut().zip([sine, cosine]) {
                    *value += (radius * part) as f32;
                }
            }
        }
    }

    /// The text without some of its words.
    pub(crate) fn text(&self, text: String, name: &str) -> String {
        if self.word_dropout <= 0.0 {
            return text;
        }
        let mut random = named(Purpose::Words, name);
        let words = text.split_whitespace();
        let kept: Vec<&str> = words
            .filter(|_| random.random::<f64>() >= self.word_dropout)
            .collect();
        kept.join(" ")
    }
}

/// A generator for the sample of that name.
fn named(purpose: Purpose, name: &str) -> ChaCha8Rng {
    let digest = Sha256::new()
        .chain_update([purpose as u8])
        .chain_update(name);
    ChaCha8Rng::from_seed(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrupt(image_noise: f64, word_dropout: f64) -> CorruptConfig {
        CorruptConfig {
            image_noise,
            word_dropout,
        }
    }

    #[test]
    fn noise_has_the_deviation_it_should_and_depends_on_the_name() {
        let noise = |name: &str| {
            let mut values = vec![0.0f32; 20_001];
            corrupt(0.5, 0.0).image(&mut values, name);
            values
        };
        let values = noise("a");
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let square = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!(
            mean.abs() < 0.02 && (square.sqrt() - 0.5).abs() < 0.01,
            "{mean} {square}"
        );
        assert_eq!(values, noise("a"));
        assert_ne!(values, noise("b"));
        let mut untouched = vec![1.0; 4];
        corrupt(0.0, 0.0).image(&mut untouched, "a");
        assert_eq!(untouched, [1.0; 4]);
    }

    #[test]
    fn words_are_lost_at_that_rate() {
        let text = vec!["word"; 2000].join(" ");
        let left = |share| {
            corrupt(0.0, share)
                .text(text.clone(), "q")
                .split_whitespace()
                .count()
        };
        assert_eq!((left(0.0), left(1.0)), (2000, 0));
        assert!((1330..1470).contains(&left(0.3)), "{}", left(0.3));
        assert_eq!(corrupt(0.0, 0.0).text(" a  b".into(), "q"), " a  b");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (bad, name) in [
            (corrupt(-1.0, 0.0), "image_noise"),
            (corrupt(f64::NAN, 0.0), "image_noise"),
            (corrupt(0.0, 1.5), "word_dropout"),
        ] {
            assert!(bad.check().unwrap_err().to_string().contains(name));
        }
        assert!(corrupt(1.0, 1.0).check().is_ok());
    }
}
