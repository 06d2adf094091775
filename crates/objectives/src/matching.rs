//! Image-text matching: does this text belong to this image?

use burn::tensor::{Bool, Distribution, Int, Tensor};
use crucible_kernels::cross_entropy;

use crate::contrastive::{NEVER, diagonal};

/// For each row another column, the likelier the more similar (ALBEF, Li et al. 2021, section 3.2): drawn from the
/// softmax of the row without its own column, or with `draw` false the most similar one. Give the transpose for the
/// other direction.
///
/// # Shapes
/// - `similarity`: `[pairs, pairs]`, scaled, its diagonal the true pairs; output: `[pairs]`
/// - `fits`: the same shape, `true` where row and column belong together beside the diagonal; with a row that fits every
///   column there is no negative, and one that fits is returned
pub fn hard_negatives(
    similarity: Tensor<2>,
    fits: Option<Tensor<2, Bool>>,
    draw: bool,
) -> Tensor<1, Int> {
    let similarity = similarity.detach();
    let own = diagonal(&similarity);
    let never = fits.map_or(own.clone(), |fits| fits.bool_or(own));
    let mut scores = similarity.mask_fill(never, NEVER);
    if draw {
        // The largest of logits with Gumbel noise is a draw from their softmax.
        let uniform = Distribution::Uniform(1e-9, 1.0);
        let uniform = Tensor::<2>::random(scores.dims(), uniform, &scores.device());
        scores = scores - uniform.log().neg().clamp_min(1e-9).log();
    }
    scores.argmax(1).squeeze_dim::<1>(1)
}

/// Cross-entropy of "belongs" (class 1) for the first `pairs` rows and "does not" (class 0) for the others (ITM: UNITER,
/// Chen et al. 2020; ALBEF).
///
/// # Shapes
/// - `logits`: `[pairs + negatives, 2]`; output: `[1]`
pub fn matching(logits: Tensor<2>, pairs: usize) -> Tensor<1> {
    let targets = matching_targets(&logits, pairs);
    cross_entropy(logits, targets, 0.0)
}

/// What [`matching`] compares with.
///
/// # Shapes
/// - `logits`: `[pairs + negatives, 2]`; output: `[pairs + negatives]`
pub fn matching_targets(logits: &Tensor<2>, pairs: usize) -> Tensor<1, Int> {
    let [rows, _] = logits.dims();
    let number = Tensor::<1, Int>::arange(0..rows as i64, &logits.device());
    number.lower_elem(pairs as i64).int()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, number, values};
    use burn::tensor::TensorData;

    #[test]
    fn the_hardest_negative_is_the_most_similar_other() {
        let similarity = Tensor::<2>::from_floats(
            [[9.0, 1.0, 2.0], [5.0, 0.0, 4.0], [1.0, 3.0, 2.0]],
            &device(),
        );
        let chosen: Vec<i64> = hard_negatives(similarity.clone(), None, false)
            .into_data()
            .iter()
            .collect();
        assert_eq!(chosen, [2, 0, 1]);
        let fits = [[false, false, true], [false; 3], [false, true, false]];
        let fits = Tensor::<2, Bool>::from_data(TensorData::from(fits), &device());
        let chosen = hard_negatives(similarity, Some(fits), false).into_data();
        assert_eq!(chosen.iter::<i64>().collect::<Vec<_>>(), [1, 0, 0]);
    }

    /// In 3,000 draws of e^2 : 1 the share of the likelier is 0.881; 0.03 are five standard deviations.
    #[test]
    fn negatives_are_drawn_by_their_similarity_and_never_the_pair_itself() {
        let device = device();
        device.seed(3);
        let row = Tensor::<2>::from_floats(
            [[50.0, 2.0, 0.0], [0.0, 50.0, 0.0], [0.0, 0.0, 50.0]],
            &device,
        );
        let mut counts = [0; 3];
        for _ in 0..3000 {
            let chosen: Vec<i64> = hard_negatives(row.clone(), None, true)
                .into_data()
                .iter()
                .collect();
            assert!(chosen.iter().zip(0..).all(|(chosen, own)| *chosen != own));
            counts[chosen[0] as usize] += 1;
        }
        let share = f64::from(counts[1]) / 3000.0;
        assert!((share - 0.881).abs() < 0.03, "{share}");
    }

    #[test]
    fn a_matcher_that_knows_costs_nothing() {
        let sure =
            Tensor::<2>::from_floats([[-20.0, 20.0], [20.0, -20.0], [20.0, -20.0]], &device());
        assert!(number(matching(sure.clone(), 1)) < 1e-6);
        assert!(number(matching(sure, 2)) > 10.0);
        let even = values([4, 2], 1) * 0.0;
        assert!((number(matching(even, 2)) - 2f32.ln()).abs() < 1e-6);
    }
}
