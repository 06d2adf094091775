//! Masked vision modelling: hidden patches as pixels.

use burn::tensor::Tensor;

/// Added to the variance of a patch (MAE).
const EPSILON: f64 = 1e-6;

/// Images as flat patches, row by row, each pixel's channels side by side: `(y, x, channel)` as in MAE.
///
/// # Shapes
/// - `images`: `[batch, channels, height, width]`
/// - output: `[batch, patches, patch * patch * channels]`
///
/// # Panics
/// When `patch` does not divide height and width.
pub fn patchify(images: Tensor<4>, patch: usize) -> Tensor<3> {
    let [batch, channels, height, width] = images.dims();
    assert!(
        height.is_multiple_of(patch) && width.is_multiple_of(patch),
        "patches of {patch} pixels do not divide {height} x {width}"
    );
    let (rows, columns) = (height / patch, width / patch);
    images
        .reshape([batch, channels, rows, patch, columns, patch])
        .permute([0, 2, 4, 3, 5, 1])
        .reshape([batch, rows * columns, patch * patch * channels])
}

/// The images of flat patches: undoes [`patchify`].
///
/// # Shapes
/// - `patches`: `[batch, rows * columns, patch * patch * channels]`
/// - output: `[batch, channels, rows * patch, columns * patch]`
pub fn unpatchify(patches: Tensor<3>, rows: usize, patch: usize) -> Tensor<4> {
    let [batch, count, values] = patches.dims();
    let (columns, channels) = (count / rows, values / (patch * patch));
    patches
        .reshape([batch, rows, columns, patch, patch, channels])
        .permute([0, 5, 1, 3, 2, 4])
        .reshape([batch, channels, rows * patch, columns * patch])
}

/// Each patch less its mean, over its standard deviation (MAE, He et al. 2022, section 4): what a model should guess
/// when contrast within a patch matters more than its brightness.
///
/// # Shapes
/// - input and output: `[batch, patches, values]`
pub fn normalise_patches(patches: Tensor<3>) -> Tensor<3> {
    let [mean, deviation] = moments(patches.clone());
    (patches - mean) / deviation
}

/// Pixels of guessed patches: undoes [`normalise_patches`] with mean and deviation of the patches that were there.
///
/// # Shapes
/// - both and output: `[batch, patches, values]`
pub fn denormalise_patches(guessed: Tensor<3>, there: Tensor<3>) -> Tensor<3> {
    let [mean, deviation] = moments(there);
    guessed * deviation + mean
}

/// Mean and standard deviation of each patch, `[batch, patches, 1]`.
fn moments(patches: Tensor<3>) -> [Tensor<3>; 2] {
    let deviation = (patches.clone().var(2) + EPSILON).sqrt();
    [patches.mean_dim(2), deviation]
}

/// Images whose hidden patches are zero: what an encoder sees that takes whole images, whatever it makes of them before
/// they are tokens (SimMIM, Xie et al. 2022, section 3.2, with zero for the mask).
///
/// # Shapes
/// - `images`: `[batch, channels, height, width]`; `hidden`: `[batch, patches]`, 1 where hidden, else 0
/// - output: as `images`
pub fn hide_patches(images: Tensor<4>, hidden: Tensor<2>, patch: usize) -> Tensor<4> {
    let [batch, _, height, width] = images.dims();
    let (rows, columns) = (height / patch, width / patch);
    let seen = (hidden.neg() + 1.0).reshape([batch, rows, 1, columns, 1]);
    let seen = seen.expand([batch, rows, patch, columns, patch]);
    images * seen.reshape([batch, 1, height, width])
}

/// Mean squared error over the hidden patches.
///
/// # Shapes
/// - `predicted` and `target`: `[batch, patches, values]`; `hidden`: `[batch, patches]`, 1 where hidden, else 0
/// - output: `[1]`
pub fn pixel_loss(predicted: Tensor<3>, target: Tensor<3>, hidden: Tensor<2>) -> Tensor<1> {
    let of_patch = (predicted - target)
        .square()
        .mean_dim(2)
        .squeeze_dim::<2>(2);
    (of_patch * hidden.clone()).sum() / hidden.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, difference, number, values};

    #[test]
    fn normalised_patches_come_back() {
        let patches = values([2, 3, 12], 1) * 3.0 + 1.0;
        let normalised = normalise_patches(patches.clone());
        assert!(difference(denormalise_patches(normalised, patches.clone()), patches) < 1e-5);
    }

    #[test]
    fn hidden_patches_are_zero_and_the_others_untouched() {
        let images = values([2, 3, 8, 12], 1);
        let hidden = [
            [0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ];
        let hidden = Tensor::<2>::from_floats(hidden, &device());
        let seen = patchify(hide_patches(images.clone(), hidden.clone(), 4), 4);
        let kept = (hidden.neg() + 1.0).unsqueeze_dim::<3>(2);
        assert_eq!(difference(seen, patchify(images, 4) * kept), 0.0);
    }

    #[test]
    fn patches_are_put_together_again() {
        let images = values([2, 3, 8, 12], 1);
        let patches = patchify(images.clone(), 4);
        assert_eq!(patches.dims(), [2, 6, 48]);
        // The second patch starts at the fifth pixel of the first row.
        let first = patches.clone().slice([0..1, 1..2, 0..3]).reshape([3]);
        let pixel = images.clone().slice([0..1, 0..3, 0..1, 4..5]).reshape([3]);
        assert_eq!(difference(first, pixel), 0.0);
        assert_eq!(difference(unpatchify(patches, 2, 4), images), 0.0);
    }

    #[test]
    fn what_is_seen_costs_nothing() {
        let target = values([1, 3, 4], 1);
        let wrong = target
            .clone()
            .slice_assign([0..1, 1..2, 0..4], values([1, 1, 4], 2) + 5.0);
        let hidden = |mask: [f32; 3]| Tensor::<2>::from_floats([mask], &device());
        let loss = |mask| number(pixel_loss(wrong.clone(), target.clone(), hidden(mask)));
        assert_eq!(loss([1.0, 0.0, 1.0]), 0.0);
        assert!(loss([0.0, 1.0, 0.0]) > 10.0);
        assert!((loss([1.0, 1.0, 0.0]) - loss([0.0, 1.0, 0.0]) / 2.0).abs() < 1e-4);
    }

    #[test]
    fn normalised_patches_have_mean_zero_and_deviation_one() {
        let patches = normalise_patches(values([2, 3, 48], 1) * 7.0 + 3.0);
        assert!(number(patches.clone().mean_dim(2).abs().max()) < 1e-5);
        assert!(number((patches.var(2) - 1.0).abs().max()) < 1e-5);
    }
}
