use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::fused::{Floats, Fused};
use crate::route::is_fused;
use crate::{Activation, activation, flops};

/// `activation(x weight + bias)` on the last axis, as one product over all rows of the input.
///
/// # Shapes
/// - `x`: `[..., d_input]`
/// - `weight`: `[d_input, d_output]`; `bias`: `[d_output]`
/// - output: `[..., d_output]`
///
/// # Panics
/// When the shapes do not fit.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Option<Activation>,
) -> Tensor<D> {
    check(&x, &weight, bias.as_ref());
    flops::record(flops::dense(rows(&x), weight.dims()[0], weight.dims()[1]));
    if !is_fused(&x) {
        return composed(x, weight, bias, activation);
    }
    let bias = Floats::new(bias.map(Tensor::into_dispatch));
    let output = Dispatch::linear(x.into_dispatch(), weight.into_dispatch(), bias, activation);
    Tensor::from_dispatch(output)
}

/// All axes of `x` but the last, together.
pub fn rows<const D: usize>(x: &Tensor<D>) -> usize {
    x.dims()[..D - 1].iter().product()
}

/// Panics when the shapes do not fit.
pub fn check<const D: usize>(x: &Tensor<D>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) {
    let ([d_input, d_output], width) = (weight.dims(), x.dims()[D - 1]);
    assert_eq!(
        width, d_input,
        "rows of {width} times a weight of {d_input} rows"
    );
    if let Some(bias) = bias {
        assert_eq!(bias.dims(), [d_output], "the bias of {d_output} outputs");
    }
}

/// [`linear`], composed.
pub fn composed<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Option<Activation>,
) -> Tensor<D> {
    let mut shape = x.dims();
    let [d_input, d_output] = weight.dims();
    let rows = rows(&x);
    shape[D - 1] = d_output;
    let product = x.reshape([rows, d_input]).matmul(weight);
    let z = match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    };
    let z = z.reshape(shape);
    match activation {
        Some(function) => activation::composed(z, function),
        None => z,
    }
}
