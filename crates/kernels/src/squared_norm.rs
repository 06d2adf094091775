use burn::tensor::{DType, Tensor};

#[cfg(feature = "flex")]
use crate::route::is_fused;

/// The sum of the squares of all elements, outside of autodiff; in single precision where the elements have less.
///
/// # Shapes
/// - output: `[1]`
pub fn squared_norm<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if is_fused(&x) && !x.is_autodiff() {
        return crate::flex::squared_norm(x);
    }
    composed(x)
}

/// [`squared_norm`], composed.
pub fn composed<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    // Squares of half-precision numbers overflow.
    x.cast(DType::F32).square().sum()
}
