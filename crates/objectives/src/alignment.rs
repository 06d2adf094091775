//! What means the same shall look the same.

use burn::tensor::{Bool, Tensor};
use crucible_kernels::matmul;

use crate::contrastive::{NEVER, normalise};

/// Mean squared distance of rows that mean the same, on the unit sphere (Wang and Isola 2020, section 4.1, with the
/// exponent 2); 0 where no two do. By itself it is smallest where all rows are equal: see [`uniformity`].
///
/// # Shapes
/// - `x`: `[rows, d]`, of any length
/// - `same`: `[rows, rows]`, `true` where two rows mean the same; the diagonal does not count
/// - output: `[1]`
pub fn pull(x: Tensor<2>, same: Tensor<2, Bool>) -> Tensor<1> {
    let similarity = similarities(x);
    let pairs = same.bool_and(diagonal(&similarity).bool_not()).float();
    let distances = similarity.neg().add_scalar(1.0).mul_scalar(2.0);
    (distances * pairs.clone()).sum() / pairs.sum().clamp_min(1.0)
}

/// How unevenly rows of different meaning lie on the unit sphere: the logarithm of the mean of `exp(-t distance^2)` over
/// their pairs (Wang and Isola 2020, section 4.1). 0 where all are equal or mean the same, and lower the further they are
/// from each other.
///
/// # Shapes
/// - as [`pull`]
pub fn uniformity(x: Tensor<2>, same: Tensor<2, Bool>, t: f64) -> Tensor<1> {
    let similarity = similarities(x);
    let others = same.bool_or(diagonal(&similarity)).bool_not().float();
    let distances = similarity.neg().add_scalar(1.0).mul_scalar(2.0);
    let close = ((distances * -t).exp() * others.clone()).sum();
    let pairs = others.sum();
    // Without pairs it is the logarithm of 1.
    let none = pairs.clone().equal_elem(0.0).float();
    ((close + none) / pairs.clamp_min(1.0)).log()
}

/// Supervised contrastive loss (Khosla et al. 2020, equation 2): of all other rows those that mean the same shall be the
/// most similar. The mean over rows that have such a partner; 0 where none has.
///
/// # Shapes
/// - as [`pull`]; `scale` is the inverse temperature
pub fn attract(x: Tensor<2>, same: Tensor<2, Bool>, scale: f64) -> Tensor<1> {
    let similarity = similarities(x);
    let own = diagonal(&similarity);
    let partners = same.bool_and(own.clone().bool_not()).float();
    let logits = (similarity * scale).mask_fill(own, NEVER);
    let largest = logits.clone().detach().max_dim(1);
    let shifted = logits - largest;
    let log_probabilities = shifted.clone() - shifted.exp().sum_dim(1).log();
    let counts = partners.clone().sum_dim(1);
    let of_row = (log_probabilities * partners).sum_dim(1) / counts.clone().clamp_min(1.0);
    let rows = counts.clamp_max(1.0).sum().clamp_min(1.0);
    of_row.sum().neg() / rows
}

/// Cosines of all pairs of rows, `[rows, rows]`.
fn similarities(x: Tensor<2>) -> Tensor<2> {
    let x = normalise(x);
    matmul(x.clone(), x.transpose())
}

fn diagonal(pairs: &Tensor<2>) -> Tensor<2, Bool> {
    let [rows, _] = pairs.dims();
    Tensor::<2>::eye(rows, &pairs.device()).greater_elem(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, number, values};
    use burn::tensor::TensorData;

    const GROUPS: [usize; 5] = [0, 1, 0, 2, 1];

    fn same() -> Tensor<2, Bool> {
        let all = GROUPS
            .iter()
            .flat_map(|a| GROUPS.iter().map(move |b| a == b));
        let all: Vec<bool> = all.collect();
        Tensor::from_data(TensorData::new(all, [5, 5]), &device())
    }

    /// Unit rows of the same values, in f64.
    fn rows(x: &Tensor<2>) -> Vec<Vec<f64>> {
        let [_, d] = x.dims();
        let all: Vec<f64> = x.to_data().iter().collect();
        let unit = |row: &[f64]| {
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.iter().map(|v| v / length).collect()
        };
        all.chunks(d).map(unit).collect()
    }

    fn pairs() -> impl Iterator<Item = (usize, usize)> {
        (0..5)
            .flat_map(|a| (0..5).map(move |b| (a, b)))
            .filter(|(a, b)| a != b)
    }

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
    }

    #[test]
    fn the_losses_are_those_of_the_papers() {
        let x = values([5, 3], 4);
        let z = rows(&x);
        let alike = |&(a, b): &(usize, usize)| GROUPS[a] == GROUPS[b];
        let distances = |(a, b): (usize, usize)| distance(&z[a], &z[b]);
        let similar: Vec<f64> = pairs().filter(alike).map(distances).collect();
        let expected = similar.iter().sum::<f64>() / similar.len() as f64;
        assert!((f64::from(number(pull(x.clone(), same()))) - expected).abs() < 1e-5);

        let others = pairs().filter(|pair| !alike(pair));
        let close: Vec<f64> = others.map(|pair| (-2.0 * distances(pair)).exp()).collect();
        let expected = close.iter().sum::<f64>() / close.len() as f64;
        let found = f64::from(number(uniformity(x.clone(), same(), 2.0)));
        assert!((found - expected.ln()).abs() < 1e-5);

        let cosine = |a: usize, b: usize| 1.0 - distance(&z[a], &z[b]) / 2.0;
        let of_row = |a: usize| {
            let others = || (0..5).filter(move |b| *b != a);
            let all = others().map(|b| (7.0 * cosine(a, b)).exp()).sum::<f64>();
            let partners: Vec<usize> = others().filter(|&b| GROUPS[a] == GROUPS[b]).collect();
            let told = partners.iter().map(|&b| 7.0 * cosine(a, b) - all.ln());
            let count = partners.len();
            (count > 0).then(|| -told.sum::<f64>() / count as f64)
        };
        let told: Vec<f64> = (0..5).filter_map(of_row).collect();
        let expected = told.iter().sum::<f64>() / told.len() as f64;
        assert_eq!(told.len(), 4);
        let found = f64::from(number(attract(x, same(), 7.0)));
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }

    /// Steps down the gradient: the pull alone makes all rows one, and either remedy keeps them apart.
    #[test]
    fn a_pull_alone_collapses_and_the_remedies_do_not() {
        let settled = |loss: &dyn Fn(Tensor<2>) -> Tensor<1>| {
            let mut x = values([5, 3], 4);
            for _ in 0..1000 {
                let leaf = x.detach().require_grad();
                let gradients = loss(leaf.clone()).backward();
                let step = Tensor::from_inner(leaf.grad(&gradients).unwrap());
                x = leaf.detach() - step * 0.1;
            }
            let z = rows(&x);
            let mean = |alike: bool| {
                let chosen = pairs().filter(|&(a, b)| (GROUPS[a] == GROUPS[b]) == alike);
                let all: Vec<f64> = chosen.map(|(a, b)| distance(&z[a], &z[b])).collect();
                all.iter().sum::<f64>() / all.len() as f64
            };
            [mean(true), mean(false)]
        };
        let everything = same().ones_like();
        let [near, far] = settled(&|x| pull(x, everything.clone()));
        assert!(near < 1e-3 && far < 1e-3, "{near} {far}");
        let [near, far] = settled(&|x| pull(x.clone(), same()) + uniformity(x, same(), 2.0));
        assert!(near < 0.2 && far > 1.5, "{near} {far}");
        let [near, far] = settled(&|x| attract(x, same(), 5.0));
        assert!(near < 0.2 && far > 1.5, "{near} {far}");
    }

    #[test]
    fn without_pairs_there_is_nothing_to_pull() {
        let x = values([3, 2], 1);
        let none = Tensor::<2>::eye(3, &device()).greater_elem(0.5);
        assert_eq!(number(pull(x.clone(), none.clone())), 0.0);
        let all = none.clone().bool_or(none.clone().bool_not());
        assert_eq!(number(uniformity(x.clone(), all, 2.0)), 0.0);
        assert_eq!(number(attract(x, none, 1.0)), 0.0);
    }
}
