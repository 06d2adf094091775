use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::fused::{Floats, Fused, Norm};
use crate::route::is_fused;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis (Ba et al. 2016), with the
/// biased variance.
///
/// # Shapes
/// - `x` and output: `[..., width]`
/// - `gamma`, `beta`: `[width]`
///
/// # Panics
/// When the shapes do not fit.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<D> {
    check(&x, &gamma, beta.as_ref());
    match is_fused(&x) {
        true => fused(x, gamma, beta, Norm::Layer, epsilon),
        false => composed_layer_norm(x, gamma, beta, epsilon),
    }
}

/// `x / sqrt(mean(x^2) + epsilon) * gamma` over the last axis (Zhang and Sennrich 2019).
///
/// # Shapes
/// - `x` and output: `[..., width]`
/// - `gamma`: `[width]`
///
/// # Panics
/// When the shapes do not fit.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    check(&x, &gamma, None);
    match is_fused(&x) {
        true => fused(x, gamma, None, Norm::RootMeanSquare, epsilon),
        false => composed_rms_norm(x, gamma, epsilon),
    }
}

fn check<const D: usize>(x: &Tensor<D>, gamma: &Tensor<1>, beta: Option<&Tensor<1>>) {
    let width = x.dims()[D - 1];
    assert_eq!(gamma.dims(), [width], "a scale for rows of {width}");
    if let Some(beta) = beta {
        assert_eq!(beta.dims(), [width], "a shift for rows of {width}");
    }
}

fn fused<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    norm: Norm,
    epsilon: f64,
) -> Tensor<D> {
    let beta = Floats::new(beta.map(Tensor::into_dispatch));
    let gamma = gamma.into_dispatch();
    let output = Dispatch::normalize(x.into_dispatch(), gamma, beta, norm, epsilon as f32);
    Tensor::from_dispatch(output)
}

/// [`layer_norm`], composed.
pub fn composed_layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<D> {
    burn::tensor::module::layer_norm(x, gamma, beta, epsilon)
}

/// [`rms_norm`], composed.
pub fn composed_rms_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let mean_square = x.clone().square().mean_dim(D - 1);
    x / (mean_square + epsilon).sqrt() * gamma.unsqueeze()
}
