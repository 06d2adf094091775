//! The nearest neighbours: what lies together.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::Labelled;

/// Asked at a time, so that what is held grows with what is known alone.
const AT_A_TIME: usize = 256;

/// Of cosines among the votes.
const TEMPERATURE: f64 = 0.07;

/// Share of `asked` whose class is the one that the `k` nearest among `known` vote for, each weighted by
/// `exp(cosine / 0.07)` (Wu et al. 2018, section 3.4).
pub fn nearest_neighbours(known: &Labelled, k: usize, asked: &Labelled) -> f64 {
    let (count, width) = (asked.classes.len(), asked.width());
    let rays = unit(known.features.clone()).transpose();
    let mut right = 0;
    for start in (0..count).step_by(AT_A_TIME) {
        let end = count.min(start + AT_A_TIME);
        let some = asked.features.clone().slice([start..end, 0..width]);
        let cosines = unit(some).matmul(rays.clone());
        let cosines: Vec<f32> = cosines.into_data().iter().collect();
        let rows = cosines.chunks(known.classes.len().max(1));
        right += rows
            .zip(&asked.classes[start..end])
            .filter(|(row, class)| vote(row, &known.classes, k) == Some(**class))
            .count();
    }
    right as f64 / count as f64
}

/// Rows of length one; a row of zeros stays one.
fn unit(features: Tensor<2>) -> Tensor<2> {
    let lengths = features.clone().square().sum_dim(1).sqrt();
    features / lengths.clamp_min(f32::MIN_POSITIVE)
}

fn vote(cosines: &[f32], classes: &[usize], k: usize) -> Option<usize> {
    let mut found: Vec<usize> = (0..cosines.len()).collect();
    if k < found.len() {
        // Of equals the first.
        let nearer = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
        found.select_nth_unstable_by(k, nearer);
        found.truncate(k);
        found.sort_unstable();
    }
    let mut votes: BTreeMap<usize, f64> = BTreeMap::new();
    for item in found {
        let weight = (f64::from(cosines[item]) / TEMPERATURE).exp();
        *votes.entry(classes[item]).or_default() += weight;
    }
    let most = votes
        .into_iter()
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    most.map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::super::tests::items;
    use super::*;
    use burn::tensor::Device;

    fn labelled(features: &[f32], classes: &[usize]) -> Labelled {
        Labelled::new(features.to_vec(), classes.to_vec(), &Device::flex())
    }

    #[test]
    fn neighbours_vote() {
        let known = labelled(&[1.0, 0.0, 5.0, 1.0, 0.0, 1.0], &[4, 4, 7]);
        let asked = labelled(&[1.0, 0.1, 0.01, 0.1], &[4, 7]);
        assert_eq!(nearest_neighbours(&known, 2, &asked), 1.0);
        let asked = labelled(&[1.0, 0.1, 0.01, 0.1], &[7, 7]);
        assert_eq!(nearest_neighbours(&known, 2, &asked), 0.5);
    }

    /// With all of them the nearest still weigh the most; with one it is the nearest alone.
    #[test]
    fn the_nearer_the_heavier() {
        let cosines = [0.99, 0.1, 0.1, 0.1];
        assert_eq!(vote(&cosines, &[1, 2, 2, 2], 4), Some(1));
        assert_eq!(vote(&[0.1, 0.2, 0.3, 0.3], &[1, 2, 3, 4], 1), Some(3));
        assert_eq!(vote(&[], &[], 4), None);
    }

    #[test]
    fn more_are_asked_than_fit_at_a_time() {
        let many = |from: usize| {
            let parts = (0..10).map(|part| items(from + 60 * part, 9.0));
            let parts: Vec<Labelled> = parts.collect();
            let classes = parts.iter().flat_map(|part| part.classes.clone()).collect();
            let features = parts.into_iter().map(|part| part.features + 9.0);
            let features = Tensor::cat(features.collect(), 0);
            Labelled { features, classes }
        };
        let found = nearest_neighbours(&many(0), 20, &many(600));
        assert!(found > 0.95, "{found}");
    }
}
