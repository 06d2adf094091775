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

#[cfg(test)]
mod tests {
    #[test]
    fn a_quarter_turns_columns_into_rows() {
        let image = crate::testing::values([1, 1, 2, 2], 1);
        let (turned, quarters) = super::rotations(image);
        let pixels: Vec<f32> = turned.into_data().iter().collect();
        assert_eq!(pixels[4..8], [1, 3, 0, 2].map(|place| pixels[place]));
        quarters.into_data().assert_eq(&[0, 1, 2, 3].into(), false);
    }
}
