use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::route::is_fused;

/// AdamW (Loshchilov and Hutter 2019) for one tensor and one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    pub learning_rate: f64,
    pub beta_1: f32,
    pub beta_2: f32,
    pub epsilon: f32,
    pub weight_decay: f32,
}

/// Running means of a tensor's gradients and of their squares, and how many steps they have seen.
#[derive(Clone, Debug)]
pub struct Moments<const D: usize> {
    pub first: Tensor<D>,
    pub second: Tensor<D>,
    pub steps: usize,
}

/// The tensor and its moments after a step, outside of autodiff.
///
/// Where it is fused, moments that nobody else holds are updated in place and the new tensor takes the place
/// of the gradient.
///
/// # Shapes
/// - tensor, gradient and moments: all the same
///
/// # Panics
/// When they are not.
pub fn adamw<const D: usize>(
    options: AdamW,
    tensor: Tensor<D>,
    grad: Tensor<D>,
    moments: Option<Moments<D>>,
) -> (Tensor<D>, Moments<D>) {
    assert_eq!(grad.dims(), tensor.dims(), "the gradient of a tensor");
    if let Some(Moments { first, second, .. }) = &moments {
        let dims = [first.dims(), second.dims()];
        assert_eq!(dims, [tensor.dims(); 2], "the moments of a tensor");
    }
    #[cfg(feature = "flex")]
    if is_fused(&tensor) && is_fused(&grad) && !tensor.is_autodiff() {
        return crate::flex::adamw(options, tensor, grad, moments);
    }
    composed(options, tensor, grad, moments)
}

/// [`adamw`], composed.
pub fn composed<const D: usize>(
    options: AdamW,
    tensor: Tensor<D>,
    grad: Tensor<D>,
    moments: Option<Moments<D>>,
) -> (Tensor<D>, Moments<D>) {
    let AdamW {
        learning_rate,
        beta_1,
        beta_2,
        epsilon,
        weight_decay,
    } = options;
    let first = grad.clone() * (1.0 - beta_1);
    let second = grad.square() * (1.0 - beta_2);
    let moments = match moments {
        Some(moments) => Moments {
            first: moments.first * beta_1 + first,
            second: moments.second * beta_2 + second,
            steps: moments.steps + 1,
        },
        None => Moments {
            first,
            second,
            steps: 1,
        },
    };
    let correct = |beta: f32| 1.0 - f64::from(beta).powi(moments.steps as i32);
    let mean = moments.first.clone() / correct(beta_1);
    let deviation = (moments.second.clone() / correct(beta_2)).sqrt() + epsilon;
    let decayed = tensor * (1.0 - learning_rate * f64::from(weight_decay));
    (decayed - mean / deviation * learning_rate, moments)
}
