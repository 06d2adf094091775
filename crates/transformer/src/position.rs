use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::embedding_initializer;

/// Which kind of [`Positions`] a model has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PositionKind {
    /// One trained vector per position (BERT, ViT).
    #[default]
    Learned,
    /// Fixed sines and cosines (Vaswani et al. 2017, section 3.5).
    Sinusoidal,
}

/// Absolute position embeddings, added to the tokens.
#[derive(Module, Debug)]
pub enum Positions {
    /// `[max_length, d_model]`, trained.
    Learned(Param<Tensor<2>>),
    /// `[max_length, d_model]`, fixed.
    Sinusoidal(Tensor<2>),
}

impl PositionKind {
    /// Positions `0..max_length` of width `d_model`.
    pub fn init(self, max_length: usize, d_model: usize, device: &Device) -> Positions {
        match self {
            Self::Learned => {
                Positions::Learned(embedding_initializer().init([max_length, d_model], device))
            }
            Self::Sinusoidal => Positions::Sinusoidal(sinusoids(max_length, d_model, device)),
        }
    }
}

impl Positions {
    /// Adds to each token the embedding of its position.
    ///
    /// # Shapes
    /// - input and output: `[batch, length, d_model]`
    ///
    /// # Panics
    /// When `length` exceeds the `max_length` it was made for: tokenizers truncate to it.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, length, _] = x.dims();
        let table = match self {
            Self::Learned(table) => table.val(),
            Self::Sinusoidal(table) => table.clone(),
        };
        let [max_length, _] = table.dims();
        assert!(
            length <= max_length,
            "a sequence of {length} tokens is longer than max_length ({max_length})"
        );
        x + table.narrow(0, 0, length).unsqueeze()
    }
}

/// `sin` in the even columns, `cos` in the odd ones, wavelengths from 2 pi to 10000 * 2 pi.
fn sinusoids(max_length: usize, d_model: usize, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..max_length * d_model)
        .map(|i| {
            let (position, column) = (i / d_model, i % d_model);
            let exponent = (column - column % 2) as f64 / d_model as f64;
            let angle = position as f64 / 10_000_f64.powf(exponent);
            (if column % 2 == 0 {
                angle.sin()
            } else {
                angle.cos()
            }) as f32
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [max_length, d_model]), device)
}
