use burn::module::Param;
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Tensor};
use crucible_kernels::{Activation, Layer};

/// A linear layer as ViT initialises it (Dosovitskiy et al. 2021, as Vaswani et al. 2017 before): Xavier
/// uniform weights, zero bias. Its scale follows the width, so that a narrow model starts as well as a
/// wide one; a fixed 0.02 is made for a width near 768 and starves one of 128.
///
/// # Shapes
/// - weight: `[d_input, d_output]`
pub fn linear(d_input: usize, d_output: usize, device: &Device) -> Linear {
    let xavier = Initializer::XavierUniform { gain: 1.0 };
    let weight: Param<Tensor<2>> =
        xavier.init_with([d_input, d_output], Some(d_input), Some(d_output), device);
    let bias = Initializer::Zeros.init([d_output], device);
    Linear {
        weight,
        bias: Some(bias),
    }
}

/// The tensors of a linear layer.
pub(crate) fn layer(linear: &Linear) -> Layer {
    Layer {
        weight: linear.weight.val(),
        bias: linear.bias.as_ref().map(Param::val),
    }
}

/// Applies a linear layer to the last axis.
///
/// # Shapes
/// - from `[..., d_input]` to `[..., d_output]`
pub fn project<const D: usize>(linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    let Layer { weight, bias } = layer(linear);
    crucible_kernels::linear(x, weight, bias, None)
}

/// Applies a linear layer to the last axis, and an activation to what it gives.
///
/// # Shapes
/// - from `[..., d_input]` to `[..., d_output]`
pub fn project_and_activate<const D: usize>(
    linear: &Linear,
    x: Tensor<D>,
    activation: Activation,
) -> Tensor<D> {
    let Layer { weight, bias } = layer(linear);
    crucible_kernels::linear(x, weight, bias, Some(activation))
}

/// How embeddings, learned positions and `[CLS]` tokens start: normal with deviation 0.02 (BERT, ViT).
pub fn embedding_initializer() -> Initializer {
    Initializer::Normal {
        mean: 0.0,
        std: 0.02,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, difference, values};

    #[test]
    fn one_product_gives_what_many_give() {
        let layer = linear(5, 7, &device());
        let x = values([2, 3, 4, 5], 1, &device());
        let (found, expected) = (project(&layer, x.clone()), layer.forward(x));
        assert_eq!(found.dims(), [2, 3, 4, 7]);
        assert!(difference(found, expected) < 1e-5);
    }

    #[test]
    fn weights_start_within_the_bound_of_xavier() {
        let weight = linear(30, 20, &device()).weight.val();
        let bound = (6.0_f32 / 50.0).sqrt();
        let largest = weight.abs().max().into_scalar::<f32>();
        assert!(
            largest <= bound && largest > 0.9 * bound,
            "{largest} of {bound}"
        );
    }
}
