//! What the unit tests share.

use burn::tensor::{Device, Tensor, TensorData};

/// The CPU, with gradients.
pub fn device() -> Device {
    Device::flex().autodiff()
}

/// The same well spread values between -1 and 1 each time; another `seed`, other values.
pub fn values<const D: usize>(shape: [usize; D], seed: usize) -> Tensor<D> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count)
        .map(|i| ((i + 7919 * seed) as f32 * 12.9898).sin())
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

pub fn number(tensor: Tensor<1>) -> f32 {
    tensor.into_scalar()
}

/// Largest difference of two tensors.
pub fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar()
}
