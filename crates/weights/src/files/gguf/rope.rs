//! The rotary scaling of Llama 3.1. GGUF does not name it and holds what comes of it: by what each frequency is divided.

use crucible_transformer::{RopeScaling, RotaryConfig};
use serde_json::{Value, json};

use crate::Error;
use crate::files::entry::Entry;
use crate::files::source::Source;

/// The divisors, one for each pair of numbers of a head.
pub(super) const FREQUENCIES: &str = "rope_freqs.weight";

/// What all published models of the family were scaled with; only the factor differs.
const LOW: f64 = 1.0;
const HIGH: f64 = 4.0;
const ORIGINAL_LENGTH: usize = 8192;

/// Divisors are f32.
const TOLERANCE: f64 = 1e-4;

/// What `rope_scaling` in `config.json` would say for a head that is `width` wide.
///
/// # Errors
///
/// [`Error::Tensor`] for divisors that are not Llama's.
pub(super) fn scaling(
    source: &Source,
    entry: &Entry,
    theta: f64,
    width: i64,
) -> Result<Value, Error> {
    let divisors = entry.read()?;
    // The lowest frequency is divided whole.
    let factor = divisors.last().copied().map_or(1.0, f64::from);
    let pairs = usize::try_from(width / 2).ok();
    let found = (pairs == Some(divisors.len())).then(|| llama3(theta, divisors.len(), factor));
    let near = |(found, wanted): (&f32, f64)| (f64::from(*found) / wanted - 1.0).abs() < TOLERANCE;
    match found.is_some_and(|wanted| divisors.iter().zip(wanted).all(near)) {
        true => Ok(json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": LOW,
            "high_freq_factor": HIGH,
            "original_max_position_embeddings": ORIGINAL_LENGTH,
        })),
        false => {
            let reason = "divides the rotary frequencies in a way that is not Llama 3.1's";
            let remedy = "give the model's Hugging Face folder";
            Err(Error::tensor(source.path(), FREQUENCIES, reason, remedy))
        }
    }
}

/// The divisors of a model that was scaled by that factor.
fn llama3(theta: f64, pairs: usize, factor: f64) -> Vec<f64> {
    let frequencies = |scaling| RotaryConfig { theta, scaling }.frequencies(2 * pairs);
    let scaled = frequencies(RopeScaling::Llama3 {
        factor,
        low_frequency: LOW,
        high_frequency: HIGH,
        original_length: ORIGINAL_LENGTH,
    });
    let plain = frequencies(RopeScaling::None).into_iter();
    plain
        .zip(scaled)
        .map(|(plain, scaled)| plain / scaled)
        .collect()
}
