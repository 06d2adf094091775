//! Which way is up?

use burn::tensor::{Int, Tensor};

/// Images turned by 0 to 3 quarters, and by how many (RotNet, Gidaris et al. 2018, section 2.1).
///
/// # Shapes
/// - `[batch, channels, side, side]` to `[4 * batch, channels, side, side]` and `[4 * batch]`
pub fn rotations(images: Tensor<4>) -> (Tensor<4>, Tensor<1, Int>) {
    let ([batch, ..], device) = (images.dims(), images.device());
    let turn = |images: &Tensor<4>| Some(images.clone().swap_dims(2, 3).flip([2]));
    let turned = std::iter::successors(Some(images), turn).take(4).collect();
    let quarters = Tensor::<1, Int>::arange(0..4 * batch as i64, &device) / batch as i64;
    (Tensor::cat(turned, 0), quarters)
}

#[test]
fn a_quarter_turns_columns_into_rows() {
    let image = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0], &burn::tensor::Device::flex());
    let (turned, quarters) = rotations(image.reshape([1, 1, 2, 2]));
    let pixels: Vec<f32> = turned.into_data().iter().collect();
    assert_eq!(pixels[4..12], [2.0, 4.0, 1.0, 3.0, 4.0, 3.0, 2.0, 1.0]);
    let turns: Vec<i64> = quarters.into_data().iter().collect();
    assert_eq!(turns, [0, 1, 2, 3]);
}
