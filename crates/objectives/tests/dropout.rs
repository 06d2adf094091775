//! Dropout in chunks. In a process of its own: the numbers that a device draws are those of the whole process.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use std::ops::Range;

use crucible_objectives::{chunked, info_nce_of};

const PAIRS: usize = 48;
const CHUNK: usize = 8;
const WIDTH: usize = 16;

#[derive(Module, Debug)]
struct Tower {
    first: Linear,
    dropout: Dropout,
    second: Linear,
}

impl Tower {
    /// Two views of the rows of a chunk.
    fn embed(&self, chunk: usize, device: &Device) -> [Tensor<2>; 2] {
        [0, 1].map(|view| {
            let start = (view * PAIRS + chunk * CHUNK) * WIDTH;
            let values = (start..start + CHUNK * WIDTH).map(|i| (i as f32 * 12.9898).sin());
            let data = TensorData::new(values.collect::<Vec<f32>>(), [CHUNK, WIDTH]);
            let hidden = self
                .first
                .forward(Tensor::<2>::from_data(data, device))
                .tanh();
            self.second.forward(self.dropout.forward(hidden))
        })
    }
}

/// The two passes must drop the same units: then a step along the gradient lowers the loss that was measured by as much as
/// the gradient says.
#[test]
fn dropout_falls_the_same_way_in_both_passes() {
    const RATE: f32 = 1e-3;
    let device = Device::flex().autodiff();
    device.seed(2);
    let tower = Tower {
        first: LinearConfig::new(WIDTH, 32).init(&device),
        dropout: DropoutConfig::new(0.5).init(),
        second: LinearConfig::new(32, WIDTH).init(&device),
    };
    let step = |tower: &Tower| {
        device.seed(3);
        let scale = Tensor::from_floats([5.0], &device);
        let embed = |tower: &Tower, chunk| tower.embed(chunk, &device);
        let compare = |[a, b]: [Tensor<2>; 2], rows: Range<usize>| {
            (info_nce_of(a, b, scale.clone(), None, rows).loss, ())
        };
        let (gradients, loss, _) = chunked(tower, PAIRS / CHUNK, embed, compare);
        (gradients, loss.into_scalar::<f32>())
    };
    let (gradients, loss) = step(&tower);
    let mut moved = tower.clone();
    let mut square = 0.0;
    for linear in [&mut moved.first, &mut moved.second] {
        let gradient = gradients.get::<2>(linear.weight.id).unwrap();
        square += gradient.clone().square().sum().into_scalar::<f32>();
        let step = |weight: Tensor<2>| (weight.inner() - gradient * RATE).autodiff().require_grad();
        linear.weight = linear.weight.clone().map(step);
    }
    let (_, after) = step(&moved);
    let (found, expected) = (loss - after, RATE * square);
    assert!((found / expected - 1.0).abs() < 0.05, "{found} {expected}");
}
