//! Which text belongs to which image.

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Bool, Int, Tensor};
use crucible_kernels::cross_entropy;

/// A loss with the logits that it compares.
#[derive(Clone, Debug)]
pub struct Contrastive {
    /// Mean over the pairs, `[1]`.
    pub loss: Tensor<1>,
    /// Scaled similarity of each image (row) to each text (column), `[pairs, pairs]`.
    pub logits: Tensor<2>,
}

/// Rows of length one; a row of zeros stays one.
///
/// # Shapes
/// - input and output: `[rows, d]`
pub fn normalise(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    x / length
}

/// Image-text contrastive loss, the symmetric InfoNCE of CLIP (Radford et al. 2021, figure 3; van den Oord et al.
/// 2018): the mean of two cross-entropies, of each image over all texts and of each text over all images.
///
/// # Shapes
/// - `image` and `text`: `[pairs, d]`, row i of one belongs to row i of the other; they are normalised here
/// - `scale`: `[1]`, the inverse temperature
pub fn info_nce(image: Tensor<2>, text: Tensor<2>, scale: Tensor<1>) -> Contrastive {
    let logits = similarity(image, text) * scale.reshape([1, 1]);
    let [pairs, _] = logits.dims();
    let targets = Tensor::<1, Int>::arange(0..pairs as i64, &logits.device());
    let of_images = cross_entropy(logits.clone(), targets.clone(), 0.0);
    let of_texts = cross_entropy(logits.clone().transpose(), targets, 0.0);
    Contrastive {
        loss: (of_images + of_texts) / 2.0,
        logits,
    }
}

/// SigLIP's loss (Zhai et al. 2023, algorithm 1): each of the `pairs` x `pairs` combinations is a yes or no of its
/// own, summed and divided by `pairs`.
///
/// # Shapes
/// - as [`info_nce`]; `bias`: `[1]`, added to every logit
pub fn siglip(image: Tensor<2>, text: Tensor<2>, scale: Tensor<1>, bias: Tensor<1>) -> Contrastive {
    let logits = similarity(image, text) * scale.reshape([1, 1]) + bias.reshape([1, 1]);
    let [pairs, _] = logits.dims();
    let signed = logits
        .clone()
        .neg()
        .mask_where(diagonal(&logits), logits.clone());
    Contrastive {
        loss: log_sigmoid(signed).sum().neg() / pairs as f64,
        logits,
    }
}

fn similarity(image: Tensor<2>, text: Tensor<2>) -> Tensor<2> {
    normalise(image).matmul(normalise(text).transpose())
}

/// True on the diagonal of a square matrix.
pub(crate) fn diagonal(like: &Tensor<2>) -> Tensor<2, Bool> {
    let [rows, _] = like.dims();
    let number = Tensor::<1, Int>::arange(0..rows as i64, &like.device());
    let row = number.clone().reshape([rows, 1]).expand([rows, rows]);
    row.equal(number.reshape([1, rows]).expand([rows, rows]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, number, values};

    #[test]
    fn pairs_that_match_cost_less_than_pairs_that_do_not() {
        let (image, scale) = (values([6, 8], 1), Tensor::from_floats([10.0], &device()));
        let bias = Tensor::from_floats([-5.0], &device());
        let right = image.clone();
        let wrong = image.clone().flip([0]);
        let nce = |text| number(info_nce(image.clone(), text, scale.clone()).loss);
        assert!(nce(right.clone()) < nce(wrong.clone()) - 1.0);
        let sigmoid = |text| number(siglip(image.clone(), text, scale.clone(), bias.clone()).loss);
        assert!(sigmoid(right) < sigmoid(wrong) - 1.0);
    }

    #[test]
    fn one_pair_alone_costs_nothing_and_the_length_of_a_vector_does_not_matter() {
        let scale = Tensor::from_floats([7.0], &device());
        let loss = info_nce(values([1, 4], 1), values([1, 4], 2), scale.clone()).loss;
        assert_eq!(number(loss), 0.0);
        let (image, text) = (values([6, 4], 1), values([6, 4], 2));
        let plain = number(info_nce(image.clone(), text.clone(), scale.clone()).loss);
        let longer = number(info_nce(image * 3.0, text * 0.1, scale).loss);
        assert!((plain - longer).abs() < 1e-5, "{plain} {longer}");
    }
}
