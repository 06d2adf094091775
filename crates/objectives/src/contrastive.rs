//! Which text belongs to which image.

use std::ops::Range;

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Bool, Int, Tensor};
use crucible_kernels::{cross_entropy, matmul};

/// In place of the logit of what is no negative.
pub(crate) const NEVER: f64 = -1e9;

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
    info_nce_of(image, text, scale, None, 0..pairs)
}

/// What the pairs of `rows` add to [`info_nce`]: the parts of all rows add up to it, and each takes memory for its own
/// rows alone.
///
/// # Shapes
/// - as [`info_nce`]
/// - `fits`: `[pairs, pairs]`, image by text, `true` where they belong together too: no negatives of one another
pub fn info_nce_of(
    image: Tensor<2>,
    text: Tensor<2>,
    scale: Tensor<1>,
    fits: Option<&Tensor<2, Bool>>,
    rows: Range<usize>,
) -> Contrastive {
    let [pairs, _] = image.dims();
    let (image, text) = (normalise(image), normalise(text));
    let [to_texts, to_images] = similarities(image, text, &rows);
    let own = own(&to_texts, &rows);
    let share = rows.len() as f64 / pairs as f64 / 2.0;
    let mut logits = [to_texts, to_images].map(|logits| logits * scale.clone().reshape([1, 1]));
    if let Some(fits) = fits {
        let ours = is_own(&own, pairs);
        let fits = [fits.clone(), fits.clone().transpose()];
        let others = fits.map(|fits| rows_of(fits, &rows).bool_and(ours.clone().bool_not()));
        let [a, b] = logits;
        let [of_a, of_b] = others;
        logits = [a.mask_fill(of_a, NEVER), b.mask_fill(of_b, NEVER)];
    }
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
    siglip_of(image, text, scale, bias, None, 0..pairs)
}

/// What the images of `rows` add to [`siglip`]; see [`info_nce_of`].
///
/// # Shapes
/// - as [`siglip`]
/// - `fits`: `[pairs, pairs]`, image by text, `true` where the answer is yes beside the diagonal
pub fn siglip_of(
    image: Tensor<2>,
    text: Tensor<2>,
    scale: Tensor<1>,
    bias: Tensor<1>,
    fits: Option<&Tensor<2, Bool>>,
    rows: Range<usize>,
) -> Contrastive {
    let [pairs, _] = image.dims();
    let (image, text) = (normalise(image), normalise(text));
    let similarities = similarities(image, text, &rows);
    let own = own(&similarities[0], &rows);
    let hits = hits(&similarities, &own);
    let [to_texts, _] = similarities;
    let logits = to_texts * scale.reshape([1, 1]) + bias.reshape([1, 1]);
    let ours = is_own(&own, pairs);
    let right = match fits {
        Some(fits) => ours.bool_or(rows_of(fits.clone(), &rows)),
        None => ours,
    };
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
    let to_texts = matmul(some(&image), text.clone().transpose());
    let to_images = match rows.len() == pairs {
        true => to_texts.clone().transpose(),
        false => matmul(some(&text), image.transpose()),
    };
    [to_texts, to_images]
}

/// The column of each row's partner.
fn own(logits: &Tensor<2>, rows: &Range<usize>) -> Tensor<1, Int> {
    Tensor::arange(rows.start as i64..rows.end as i64, &logits.device())
}

/// True in the column of each row's partner, `[rows, pairs]`.
fn is_own(own: &Tensor<1, Int>, pairs: usize) -> Tensor<2, Bool> {
    let [rows] = own.dims();
    let columns = Tensor::<1, Int>::arange(0..pairs as i64, &own.device());
    let columns = columns.reshape([1, pairs]).expand([rows, pairs]);
    own.clone()
        .reshape([rows, 1])
        .expand([rows, pairs])
        .equal(columns)
}

fn rows_of(all: Tensor<2, Bool>, rows: &Range<usize>) -> Tensor<2, Bool> {
    all.narrow(0, rows.start, rows.len())
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
    use burn::tensor::TensorData;

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
        let some = fits(7, &[(0, 1), (5, 2), (3, 3)]);
        for fits in [None, Some(&some)] {
            let nce = |rows| info_nce_of(image.clone(), text.clone(), scale.clone(), fits, rows);
            check(nce(0..7), parts(&nce));
            let sigmoid = |rows| {
                let (scale, bias) = (scale.clone(), bias.clone());
                siglip_of(image.clone(), text.clone(), scale, bias, fits, rows)
            };
            check(sigmoid(0..7), parts(&sigmoid));
        }
    }

    fn fits(pairs: usize, places: &[(usize, usize)]) -> Tensor<2, Bool> {
        let mut fits = vec![false; pairs * pairs];
        for (image, text) in places {
            fits[image * pairs + text] = true;
        }
        Tensor::from_data(TensorData::new(fits, [pairs, pairs]), &device())
    }

    /// Of unit vectors at right angles: image 0 is as close to text 1 as to its own.
    #[test]
    fn a_text_that_fits_an_image_is_no_negative_of_it() {
        let image = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device());
        let text = Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 0.0]], &device());
        let one = || Tensor::<1>::from_floats([1.0], &device());
        let fits = fits(2, &[(0, 1)]);
        let (image, text) = (&image, &text);
        let nce = |fits| number(info_nce_of(image.clone(), text.clone(), one(), fits, 0..2).loss);
        // Of images: ln 2 both, then 0 and ln 2. Of texts: ln(1 + 1/e) and ln(1 + e), then the first and 0.
        let (two, less, more) = (
            2f32.ln(),
            (1.0 + (-1f32).exp()).ln(),
            (1.0 + 1f32.exp()).ln(),
        );
        assert!((nce(None) - (two + two + less + more) / 4.0).abs() < 1e-6);
        assert!((nce(Some(&fits)) - (two + less) / 4.0).abs() < 1e-6);
        let sigmoid = |fits| {
            let bias = Tensor::<1>::from_floats([0.0], &device());
            number(siglip_of(image.clone(), text.clone(), one(), bias, fits, 0..2).loss)
        };
        // -ln sigmoid(1) = less and -ln sigmoid(-1) = more; a similarity of 0 costs ln 2 whatever is right.
        assert!((sigmoid(None) - (less + more + two + two) / 2.0).abs() < 1e-6);
        assert!((sigmoid(Some(&fits)) - (less + less + two + two) / 2.0).abs() < 1e-6);
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
