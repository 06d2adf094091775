//! Groups of texts that may mean the same, found by what their words are to a model that has not been trained on them.

use kodama::{Method, linkage};

/// Rounds of k-means at most.
const ROUNDS: usize = 100;

/// k-means (Lloyd 1982) of rows of length one, begun from rows that are far apart (Gonzalez 1985), so that nothing is left to
/// chance. The group of each row, below `clusters`.
pub fn kmeans(rows: &[Vec<f64>], clusters: usize) -> Vec<usize> {
    let mut centres = far_apart(rows, clusters);
    let mut groups = Vec::new();
    for _ in 0..ROUNDS {
        let nearest = |row: &Vec<f64>| {
            let distances = centres
                .iter()
                .map(|centre| distance(row, centre))
                .enumerate();
            let least = distances.min_by(|a, b| a.1.total_cmp(&b.1));
            least.map_or(0, |(centre, _)| centre)
        };
        let found: Vec<usize> = rows.iter().map(nearest).collect();
        if found == groups {
            break;
        }
        groups = found;
        for (at, centre) in centres.iter_mut().enumerate() {
            let own = rows.iter().zip(&groups).filter(|(_, group)| **group == at);
            // A centre that has lost all of its rows stays where it is.
            if let Some(mean) = mean(own.map(|(row, _)| row)) {
                *centre = mean;
            }
        }
    }
    groups
}

/// The first row, then again and again the one that is furthest from all that were taken.
fn far_apart(rows: &[Vec<f64>], count: usize) -> Vec<Vec<f64>> {
    let mut taken: Vec<Vec<f64>> = rows.first().cloned().into_iter().collect();
    let mut nearest: Vec<f64> = vec![f64::INFINITY; rows.len()];
    while taken.len() < count.min(rows.len()) {
        let Some(last) = taken.last() else {
            break;
        };
        for (nearest, row) in nearest.iter_mut().zip(rows) {
            *nearest = nearest.min(distance(row, last));
        }
        let furthest = nearest.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        taken.extend(furthest.map(|(at, _)| rows[at].clone()));
    }
    taken
}

/// Agglomerative clustering: the two groups whose merging adds the least to the variance are merged until so many are left
/// (Ward 1963). The group of each row, below `clusters`.
pub fn agglomerative(rows: &[Vec<f64>], clusters: usize) -> Vec<usize> {
    let pairs = rows.iter().enumerate().flat_map(|(at, row)| {
        let later = rows[at + 1..].iter();
        later.map(move |other| distance(row, other).sqrt())
    });
    let mut pairs: Vec<f64> = pairs.collect();
    let merges = linkage(&mut pairs, rows.len(), Method::Ward);
    // Rows are the first clusters; each merging makes another.
    let mut of: Vec<usize> = (0..2 * rows.len()).collect();
    let merged = rows.len().saturating_sub(clusters.max(1));
    for (number, step) in merges.steps().iter().take(merged).enumerate() {
        of[step.cluster1] = rows.len() + number;
        of[step.cluster2] = rows.len() + number;
    }
    let root = |mut cluster: usize| {
        while of[cluster] != cluster {
            cluster = of[cluster];
        }
        cluster
    };
    let roots: Vec<usize> = (0..rows.len()).map(root).collect();
    let mut known: Vec<usize> = Vec::new();
    let number = |root: &usize| match known.iter().position(|known| known == root) {
        Some(number) => number,
        None => {
            known.push(*root);
            known.len() - 1
        }
    };
    roots.iter().map(number).collect()
}

/// Share of items whose meaning is the most frequent one of their group; 1 where no group mixes meanings.
pub fn purity(groups: &[usize], meanings: &[usize]) -> f64 {
    let most = |of: &[usize]| of.iter().max().map_or(0, |most| most + 1);
    let (groups_count, meanings_count) = (most(groups), most(meanings));
    let mut counts = vec![vec![0_usize; meanings_count]; groups_count];
    for (&group, &meaning) in groups.iter().zip(meanings) {
        counts[group][meaning] += 1;
    }
    let right: usize = counts.iter().filter_map(|of| of.iter().max()).sum();
    right as f64 / groups.len().max(1) as f64
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

fn mean<'a>(rows: impl Iterator<Item = &'a Vec<f64>>) -> Option<Vec<f64>> {
    let (mut sum, mut count) = (Vec::new(), 0.0);
    for row in rows {
        sum.resize(row.len(), 0.0);
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    (count > 0.0).then(|| sum.into_iter().map(|sum: f64| sum / count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEANINGS: [usize; 6] = [0, 1, 0, 2, 1, 2];

    fn rows() -> Vec<Vec<f64>> {
        let centres = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let near = |(at, meaning): (usize, &usize)| {
            let mut row = centres[*meaning].to_vec();
            row[(meaning + 1) % 3] = 0.05 * at as f64;
            row
        };
        MEANINGS.iter().enumerate().map(near).collect()
    }

    #[test]
    fn both_find_groups_that_are_apart() {
        for found in [kmeans(&rows(), 3), agglomerative(&rows(), 3)] {
            assert_eq!(purity(&found, &MEANINGS), 1.0, "{found:?}");
            assert_eq!(purity(&MEANINGS, &found), 1.0, "{found:?}");
            assert!(found.iter().all(|group| *group < 3));
        }
        for found in [kmeans(&rows(), 1), agglomerative(&rows(), 1)] {
            assert_eq!(found, [0; 6]);
        }
        // No more groups than rows.
        assert_eq!(purity(&kmeans(&rows(), 99), &MEANINGS), 1.0);
        assert_eq!(agglomerative(&rows(), 99), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn purity_counts_the_most_frequent_meaning_of_each_group() {
        assert_eq!(purity(&[0, 0, 0, 1], &[2, 2, 1, 1]), 0.75);
        assert_eq!(purity(&[], &[]), 0.0);
    }
}
