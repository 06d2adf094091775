//! What tests of tensors need.

use burn::tensor::{Device, Tensor};

/// A table as a tensor.
pub fn tensor<const R: usize, const C: usize>(rows: [[f32; C]; R], device: &Device) -> Tensor<2> {
    Tensor::from_data(rows, device)
}

/// Asserts that a tensor is this table.
pub fn close<const R: usize, const C: usize>(found: Tensor<2>, expected: [[f32; C]; R]) {
    assert_eq!(found.dims(), [R, C]);
    let found: Vec<f32> = found.into_data().iter::<f32>().collect();
    let expected: Vec<f32> = expected.into_iter().flatten().collect();
    let close = found
        .iter()
        .zip(&expected)
        .all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(close, "{found:?} is not {expected:?}");
}
