//! Which text belongs to which image.

use std::ops::Range;

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Bool, Int, Tensor};
use crucible_kernels::cross_entropy;

/// A loss, and how often the right partner was the most similar one.
#[derive(Clone, Debug)]
pub struct Contrastive {
    /// Mean over the pairs, `[1]`.
    pub loss: Tensor<1>,
    /// Images whose text is the most similar of all, and texts whose image is: `[1]`, at most twice the pairs.
    pub hits: Tensor<1, Int>,
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
    let [pairs, _] = image.dims();
    info_nce_of(image, text, scale, 0..pairs)
}

/// What the pairs of `rows` add to [`info_nce`]: the parts of all rows add up to it, and each takes memory for its own
/// rows alone.
///
/// # Shapes
/// - as [`info_nce`]
pub fn info_nce_of(
    image: Tensor<2>,
    text: Tensor<2>,
    scale: Tensor<1>,
    rows: Range<usize>,
) -> Contrastive {
    let [pairs, _] = image.dims();
    let (image, text) = (normalise(image), normalise(text));
    let [to_texts, to_images] = similarities(image, text, &rows);
    let own = own(&to_texts, &rows);
    let share = rows.len() as f64 / pairs as f64 / 2.0;
    let logits = [to_texts, to_images].map(|logits| logits * scale.clone().reshape([1, 1]));
    let hits = hits(&logits, &own);
    let [of_images, of_texts] = logits.map(|logits| cross_entropy(logits, own.clone(), 0.0));
    Contrastive {
        loss: (of_images + of_texts) * share,
        hits,
    }
}

/// SigLIP's loss (Zhai et al. 2023, algorithm 1): each of the `pairs` x `pairs` combinations is a yes or no of its
/// own, summed and divided by `pairs`.
///
/// # Shapes
/// - as [`info_nce`]; `bias`: `[1]`, added to every logit
pub fn siglip(image: Tensor<2>, text: Tensor<2>, scale: Tensor<1>, bias: Tensor<1>) -> Contrastive {
    let [pairs, _] = image.dims();
    siglip_of(image, text, scale, bias, 0..pairs)
}

/// What the images of `rows` add to [`siglip`]; see [`info_nce_of`].
///
/// # Shapes
/// - as [`siglip`]
pub fn siglip_of(
    image: Tensor<2>,
    text: Tensor<2>,
    scale: Tensor<1>,
    bias: Tensor<1>,
    rows: Range<usize>,
) -> Contrastive {
    let [pairs, _] = image.dims();
    let (image, text) = (normalise(image), normalise(text));
    let similarities = similarities(image, text, &rows);
    let own = own(&similarities[0], &rows);
    let hits = hits(&similarities, &own);
    let [to_texts, _] = similarities;
    let logits = to_texts * scale.reshape([1, 1]) + bias.reshape([1, 1]);
    let columns = Tensor::<1, Int>::arange(0..pairs as i64, &logits.device());
    let shape = [rows.len(), pairs];
    let columns = columns.reshape([1, pairs]).expand(shape);
    let right = own.reshape([rows.len(), 1]).expand(shape).equal(columns);
    let signed = logits.clone().neg().mask_where(right, logits);
    Contrastive {
        loss: log_sigmoid(signed).sum().neg() / pairs as f64,
        hits,
    }
}

/// Similarity of the images of `rows` to all texts and of their texts to all images, each `[rows, pairs]`.
fn similarities(image: Tensor<2>, text: Tensor<2>, rows: &Range<usize>) -> [Tensor<2>; 2] {
    let [pairs, _] = image.dims();
    let some = |all: &Tensor<2>| all.clone().narrow(0, rows.start, rows.len());
    let to_texts = some(&image).matmul(text.clone().transpose());
    let to_images = match rows.len() == pairs {
        true => to_texts.clone().transpose(),
        false => some(&text).matmul(image.transpose()),
    };
    [to_texts, to_images]
}

/// The column of each row's partner.
fn own(logits: &Tensor<2>, rows: &Range<usize>) -> Tensor<1, Int> {
    Tensor::arange(rows.start as i64..rows.end as i64, &logits.device())
}

fn hits(logits: &[Tensor<2>; 2], own: &Tensor<1, Int>) -> Tensor<1, Int> {
    let [images, texts] = logits.clone().map(|logits| {
        let found = logits.without_autodiff().argmax(1).squeeze_dim::<1>(1);
        let own = own.clone().without_autodiff();
        found.equal(own).int().sum()
    });
    images + texts
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
    fn parts_add_up_to_the_whole() {
        let (image, text) = (values([7, 8], 1), values([7, 8], 2));
        let (scale, bias) = (
            Tensor::<1>::from_floats([6.0], &device()),
            Tensor::<1>::from_floats([-2.0], &device()),
        );
        let parts = |of: &dyn Fn(Range<usize>) -> Contrastive| {
            let parts = [0..3, 3..6, 6..7].map(of);
            let loss: f32 = parts.iter().map(|part| number(part.loss.clone())).sum();
            let hits: i64 = parts
                .iter()
                .map(|part| part.hits.clone().into_scalar::<i64>())
                .sum();
            (loss, hits)
        };
        let check = |whole: Contrastive, (loss, hits): (f32, i64)| {
            assert!((number(whole.loss) - loss).abs() < 1e-5);
            assert_eq!(whole.hits.into_scalar::<i64>(), hits);
        };
        let (image, text) = (&image, &text);
        let nce = |rows| info_nce_of(image.clone(), text.clone(), scale.clone(), rows);
        check(nce(0..7), parts(&nce));
        let sigmoid = |rows| {
            siglip_of(
                image.clone(),
                text.clone(),
                scale.clone(),
                bias.clone(),
                rows,
            )
        };
        check(sigmoid(0..7), parts(&sigmoid));
    }

    #[test]
    fn hits_are_counted_in_both_directions() {
        let image = values([6, 8], 1);
        let scale = || Tensor::from_floats([10.0], &device());
        let right = info_nce(image.clone(), image.clone(), scale()).hits;
        assert_eq!(right.into_scalar::<i64>(), 12);
        let wrong = info_nce(image.clone(), image.flip([0]), scale()).hits;
        assert_eq!(wrong.into_scalar::<i64>(), 0);
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
