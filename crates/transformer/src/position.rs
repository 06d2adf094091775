use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
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
        self.forward_from(x, 0)
    }

    /// As [`forward`](Self::forward), where the first token has position `first`.
    ///
    /// # Shapes
    /// - input and output: `[batch, length, d_model]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_from(&self, x: Tensor<3>, first: usize) -> Tensor<3> {
        let [_, length, _] = x.dims();
        let table = self.table();
        let max_length = self.positions().saturating_sub(first);
        assert!(
            length <= max_length,
            "a sequence of {length} tokens is longer than max_length ({max_length})"
        );
        x + table.narrow(0, first, length).unsqueeze()
    }

    /// The embeddings of some positions.
    ///
    /// # Shapes
    /// - from `[batch, length]`, each below `max_length`, to `[batch, length, d_model]`
    pub fn at(&self, positions: Tensor<2, Int>) -> Tensor<3> {
        let [batch, length] = positions.dims();
        let rows = self.table().select(0, positions.flatten(0, 1));
        let [_, d_model] = rows.dims();
        rows.reshape([batch, length, d_model])
    }

    /// How many positions there are.
    pub fn positions(&self) -> usize {
        let [positions, _] = self.table().dims();
        positions
    }

    fn table(&self) -> Tensor<2> {
        match self {
            Self::Learned(table) => table.val(),
            Self::Sinusoidal(table) => table.clone(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_gradients_reach_everything, device, difference, values};

    #[test]
    fn sinusoids_are_those_of_the_paper() {
        let table = sinusoids(3, 4, &device());
        let (slow, fast) = (2.0_f32 / 100.0, 2.0_f32);
        let expected = Tensor::from_floats(
            [[fast.sin(), fast.cos(), slow.sin(), slow.cos()]],
            &device(),
        );
        assert!(difference(table.narrow(0, 2, 1), expected) < 1e-6);
    }

    #[test]
    fn each_token_gets_the_embedding_of_its_position() {
        for kind in [PositionKind::Learned, PositionKind::Sinusoidal] {
            let positions = kind.init(5, 4, &device());
            let x = values([2, 3, 4], 1, &device());
            let added = positions.forward(x.clone()) - x;
            let [first, second] = [0, 1].map(|row| added.clone().narrow(0, row, 1));
            assert!(difference(first.clone(), second) < 1e-6);
            assert!(difference(first.clone().narrow(1, 0, 1), first.narrow(1, 2, 1)) > 1e-3);
        }
    }

    #[test]
    fn learned_positions_train_and_sinusoids_have_no_parameter() {
        let positions = PositionKind::Learned.init(3, 4, &device());
        assert_gradients_reach_everything(
            &positions,
            positions.forward(values([2, 3, 4], 1, &device())),
        );
        assert_eq!(
            PositionKind::Sinusoidal.init(3, 4, &device()).num_params(),
            0
        );
    }

    #[test]
    #[should_panic(expected = "a sequence of 4 tokens is longer than max_length (3)")]
    fn a_sequence_that_is_too_long_says_so() {
        PositionKind::Learned
            .init(3, 4, &device())
            .forward(values([1, 4, 4], 1, &device()));
    }
}
