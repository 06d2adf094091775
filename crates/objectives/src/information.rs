//! Lower bounds of the mutual information between two sides of a pair, from the scores of a critic (Poole et al. 2019).
//!
//! # Shapes
//! - `scores`: `[pairs, pairs]`, the diagonal from the joint distribution, the rest from the product of the margins
//! - bounds: `[1]`, in nats; to train a critic, minimise their negative

use burn::tensor::Tensor;

use crate::contrastive::diagonal;

/// Subtracted from the scores that must not count; their exponential is 0.
const NEVER: f64 = -1e9;

/// InfoNCE (van den Oord et al. 2018): low variance, never above `ln(pairs)`.
pub fn info_nce(scores: Tensor<2>) -> Tensor<1> {
    let [pairs, _] = scores.dims();
    let rows = log_sum_exp(scores.clone());
    (joint(scores) - rows.mean()) + (pairs as f64).ln()
}

/// Nguyen, Wainwright and Jordan 2010: `E[f] - E[exp(f - 1)]`; unbiased, high variance.
pub fn nwj(scores: Tensor<2>) -> Tensor<1> {
    joint(scores.clone()) - (log_mean_exp(scores) - 1.0).exp()
}

/// Donsker and Varadhan 1983: `E[f] - ln E[exp f]`. Its gradient over a batch is biased; see [`mine`].
pub fn donsker_varadhan(scores: Tensor<2>) -> Tensor<1> {
    joint(scores.clone()) - log_mean_exp(scores)
}

/// MINE (Belghazi et al. 2018, section 3.2): what to maximise, whose gradient is that of [`donsker_varadhan`] with the
/// batch's `E[exp f]` replaced by its moving average, and that average. `average` is the one before, none at first.
pub fn mine(scores: Tensor<2>, average: Option<f32>, decay: f32) -> (Tensor<1>, f32) {
    let marginal = log_mean_exp(scores.clone()).exp();
    let now: f32 = marginal.clone().detach().into_scalar();
    let average = average.map_or(now, |before| decay * before + (1.0 - decay) * now);
    (joint(scores) - marginal / average, average)
}

/// Mean of the diagonal.
fn joint(scores: Tensor<2>) -> Tensor<1> {
    let [pairs, _] = scores.dims();
    let others = diagonal(&scores).bool_not();
    scores.mask_fill(others, 0.0).sum() / pairs as f64
}

/// `ln` of the mean of `exp` beside the diagonal.
fn log_mean_exp(scores: Tensor<2>) -> Tensor<1> {
    let [pairs, _] = scores.dims();
    let own = diagonal(&scores);
    let rows = log_sum_exp(scores.mask_fill(own, NEVER));
    let all = log_sum_exp(rows.reshape([1, pairs]));
    all - ((pairs * (pairs - 1)) as f64).ln()
}

/// Of each row.
fn log_sum_exp(x: Tensor<2>) -> Tensor<1> {
    let largest = x.clone().detach().max_dim(1);
    let sum = (x - largest.clone()).exp().sum_dim(1).log();
    (sum + largest).squeeze_dim::<1>(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{number, values};

    /// For a critic that does not look, all bounds are 0 (NWJ where its scores are 1, as it demands).
    #[test]
    fn a_blind_critic_finds_nothing() {
        let scores = values([6, 6], 1) * 0.0 + 1.0;
        for bound in [info_nce, nwj, donsker_varadhan] {
            let found = number(bound(scores.clone()));
            assert!(found.abs() < 1e-5, "{found}");
        }
    }

    /// With the best critic of correlated normals, `ln p(x, y) / p(x) p(y)`, the bounds come near the truth.
    #[test]
    fn the_best_critic_of_correlated_normals_finds_their_information() {
        use rand::{RngExt, SeedableRng};
        const PAIRS: usize = 512;
        const CORRELATION: f64 = 0.8;
        let truth = -0.5 * (1.0 - CORRELATION * CORRELATION).ln();
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        // Box and Muller.
        let mut normal = || {
            let (a, b): (f64, f64) = (random.random_range(1e-12..1.0), random.random());
            (-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
        };
        let x: Vec<f64> = (0..PAIRS).map(|_| normal()).collect();
        let rest = (1.0 - CORRELATION * CORRELATION).sqrt();
        let y: Vec<f64> = x
            .iter()
            .map(|x| CORRELATION * x + rest * normal())
            .collect();
        let ratio = |x: f64, y: f64| {
            let of = (y - CORRELATION * x) / rest;
            (-0.5 * of * of - rest.ln() + 0.5 * y * y) as f32
        };
        let scores: Vec<f32> = x
            .iter()
            .flat_map(|&x| y.iter().map(move |&y| ratio(x, y)))
            .collect();
        let data = burn::tensor::TensorData::new(scores, [PAIRS, PAIRS]);
        let scores = Tensor::<2>::from_data(data, &crate::testing::device());
        let found = [
            number(info_nce(scores.clone())),
            number(nwj(scores.clone() + 1.0)),
            number(donsker_varadhan(scores)),
        ];
        for found in found {
            assert!((f64::from(found) - truth).abs() < 0.1, "{found}, {truth}");
        }
    }

    #[test]
    fn mine_follows_the_moving_average() {
        let scores = values([5, 5], 2).require_grad();
        let (first, average) = mine(scores.clone(), None, 0.9);
        // At first its gradient is that of the Donsker-Varadhan bound.
        let of_mine = scores.grad(&first.backward()).unwrap();
        let of_bound = scores
            .grad(&donsker_varadhan(scores.clone()).backward())
            .unwrap();
        assert!(crate::testing::difference(of_mine, of_bound) < 1e-6);
        let (_, next) = mine(scores.clone() + 1.0, Some(average), 0.9);
        let expected = average * (0.9 + 0.1 * std::f32::consts::E);
        assert!((next - expected).abs() < 1e-4, "{next} {expected}");
    }
}
