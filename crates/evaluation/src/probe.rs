//! What can be read off the features of a frozen encoder.

use burn::tensor::{Device, Tensor, TensorData};

mod linear;
mod neighbours;
mod whitening;

pub use linear::linear_probe;
pub use neighbours::nearest_neighbours;

/// Features of some items with the class of each.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// `[items, width]`
    pub features: Tensor<2>,
    /// One for each item.
    pub classes: Vec<usize>,
}

impl Labelled {
    /// Takes `features`, those of one item after the other.
    ///
    /// # Panics
    ///
    /// When features and classes do not come out even.
    pub fn new(features: Vec<f32>, classes: Vec<usize>, device: &Device) -> Self {
        let width = features.len() / classes.len().max(1);
        let features = TensorData::new(features, [classes.len(), width]);
        Self {
            features: Tensor::from_data(features, device),
            classes,
        }
    }

    fn width(&self) -> usize {
        self.features.dims()[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three clouds around corners, or one cloud for all.
    pub fn items(from: usize, apart: f32) -> Labelled {
        mixed(from, apart, |point| point)
    }

    /// The same in another basis.
    pub fn mixed(from: usize, apart: f32, mix: impl Fn([f32; 2]) -> [f32; 2]) -> Labelled {
        let corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let point = |i: usize| {
            let noise = |seed: f32| (i as f32 * seed).sin();
            let [x, y] = corners[i % 3];
            mix([apart * x + noise(12.9898), apart * y + noise(78.233)])
        };
        let numbers = from..from + 60;
        let features = numbers.clone().flat_map(point).collect();
        let classes = numbers.map(|i| i % 3).collect();
        Labelled::new(features, classes, &Device::flex())
    }
}
