use burn::tensor::{Device, Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// How rotary positions are stretched beyond the length a model was trained on first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum RopeScaling {
    /// Not at all.
    #[default]
    None,
    /// All positions are divided by `factor` (Chen et al. 2023).
    Linear {
        /// How many times longer.
        factor: f64,
    },
    /// Low frequencies are divided by `factor`, high ones kept, those between mixed (Llama 3.1).
    Llama3 {
        /// How many times longer.
        factor: f64,
        /// Wavelengths above `original_length / low_frequency` are stretched whole.
        low_frequency: f64,
        /// Wavelengths below `original_length / high_frequency` are kept.
        high_frequency: f64,
        /// The length that the model was trained on first.
        original_length: usize,
    },
}

/// Rotary position embedding (Su et al. 2021), in the order of Hugging Face: the first half of a head is turned with the
/// second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotaryConfig {
    /// Base of the wavelengths, from `2 pi` to `2 pi theta`.
    pub theta: f64,
    /// How they are stretched.
    pub scaling: RopeScaling,
}

impl Default for RotaryConfig {
    fn default() -> Self {
        Self {
            theta: 10_000.0,
            scaling: RopeScaling::None,
        }
    }
}

impl RotaryConfig {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let positive = |field, value: f64| {
            ConfigError::unless(value > 0.0 && value.is_finite(), field, || {
                format!("is {value}, but must be a number above 0")
            })
        };
        positive("theta", self.theta)?;
        match self.scaling {
            RopeScaling::None => Ok(()),
            RopeScaling::Linear { factor } => positive("factor", factor),
            RopeScaling::Llama3 {
                factor,
                low_frequency,
                high_frequency,
                original_length,
            } => {
                positive("factor", factor)?;
                positive("low_frequency", low_frequency)?;
                ConfigError::unless(high_frequency > low_frequency, "high_frequency", || {
                    format!(
                        "is {high_frequency}, but must be above low_frequency ({low_frequency})"
                    )
                })?;
                positive("original_length", original_length as f64)
            }
        }
    }

    /// Radians a position, one for each pair of numbers of a head that is `width` wide.
    pub fn frequencies(&self, width: usize) -> Vec<f64> {
        let pairs = (0..width / 2).map(|pair| self.theta.powf(-2.0 * pair as f64 / width as f64));
        pairs.map(|frequency| self.stretched(frequency)).collect()
    }

    fn stretched(&self, frequency: f64) -> f64 {
        match self.scaling {
            RopeScaling::None => frequency,
            RopeScaling::Linear { factor } => frequency / factor,
            RopeScaling::Llama3 {
                factor,
                low_frequency,
                high_frequency,
                original_length,
            } => {
                // How often it turns within the original length.
                let turns = original_length as f64 * frequency / std::f64::consts::TAU;
                let kept = (turns - low_frequency) / (high_frequency - low_frequency);
                let kept = kept.clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
        }
    }

    /// The rotation of each position of some sequences.
    ///
    /// # Shapes
    /// - `positions`: one row of positions for each sequence, all of one length
    pub fn rotation(&self, positions: &[Vec<u32>], width: usize, device: &Device) -> Rotation {
        let frequencies = self.frequencies(width);
        let (sequences, length) = (positions.len(), positions.first().map_or(0, Vec::len));
        let table = |function: fn(f64) -> f64| {
            let each = positions.iter().flatten();
            let angles = each.flat_map(|&position| {
                // In f32, as transformers has them: the model was trained with what rounding makes of long positions.
                let angle = move |frequency: &f64| position as f32 * *frequency as f32;
                frequencies.iter().map(angle)
            });
            let values: Vec<f32> = angles.map(|angle| function(angle.into()) as f32).collect();
            let shape = [sequences, length, 1, width / 2];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Rotation {
            cosine: table(f64::cos),
            sine: table(f64::sin),
        }
    }
}

/// Cosines and sines of some positions, `[sequences, length, 1, width / 2]`: made once for all layers.
#[derive(Clone, Debug)]
pub struct Rotation {
    cosine: Tensor<4>,
    sine: Tensor<4>,
}

impl Rotation {
    /// Turns each head by its position.
    ///
    /// # Shapes
    /// - `x` and output: `[sequences, length, heads * width]`
    pub fn turn(&self, x: Tensor<3>, heads: usize) -> Tensor<3> {
        let [sequences, length, total] = x.dims();
        let half = total / heads / 2;
        let x = x.reshape([sequences, length, heads, 2 * half]);
        let (first, second) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let (cosine, sine) = (self.cosine.clone(), self.sine.clone());
        let turned = [
            first.clone() * cosine.clone() - second.clone() * sine.clone(),
            second * cosine + first * sine,
        ];
        Tensor::cat(turned.into(), 3).reshape([sequences, length, total])
    }
}

/// Positions as a table of ids.
pub(super) fn ids(positions: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let shape = [positions.len(), positions.first().map_or(0, Vec::len)];
    let values: Vec<i32> = positions.iter().flatten().map(|&id| id as i32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
