//! Whether representations still tell different things apart.

use serde::{Deserialize, Serialize};

/// How representations lie, each a row, with the group of each: rows of a group mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean cosine of two rows of one group; none where each row is alone.
    pub within: Option<f64>,
    /// Mean cosine of two rows of different groups: near 1 where all has collapsed to one point.
    pub between: Option<f64>,
    /// How many directions the rows vary in, from 1 to their width: the participation ratio of their covariance, the
    /// square of its trace over the trace of its square; 0 where they do not vary.
    pub directions: f64,
}

/// Of rows of one width. Rows of zeros are similar to nothing.
///
/// # Panics
///
/// When rows and groups are not equally many.
pub fn spread(rows: &[Vec<f32>], groups: &[usize]) -> Spread {
    assert_eq!(rows.len(), groups.len(), "each row has a group");
    let unit: Vec<Vec<f64>> = rows.iter().map(|row| normalised(row)).collect();
    let (mut within, mut between) = (Mean::default(), Mean::default());
    for (a, row) in unit.iter().enumerate() {
        for (b, other) in unit.iter().enumerate().take(a) {
            let mean = match groups[a] == groups[b] {
                true => &mut within,
                false => &mut between,
            };
            mean.add(dot(row, other));
        }
    }
    Spread {
        within: within.value(),
        between: between.value(),
        directions: directions(&unit),
    }
}

/// By the products of centred rows, which have the same traces as the covariance whatever the width.
fn directions(rows: &[Vec<f64>]) -> f64 {
    let Some(width) = rows.first().map(Vec::len) else {
        return 0.0;
    };
    let mut mean = vec![0.0; width];
    for row in rows {
        mean.iter_mut()
            .zip(row)
            .for_each(|(mean, value)| *mean += value / rows.len() as f64);
    }
    let centred = |row: &Vec<f64>| {
        row.iter()
            .zip(&mean)
            .map(|(value, mean)| value - mean)
            .collect()
    };
    let centred: Vec<Vec<f64>> = rows.iter().map(centred).collect();
    let (mut trace, mut of_square) = (0.0, 0.0);
    for row in &centred {
        trace += dot(row, row);
        of_square += centred
            .iter()
            .map(|other| dot(row, other).powi(2))
            .sum::<f64>();
    }
    // What is left of equal rows is rounding.
    match trace / rows.len() as f64 > 1e-12 {
        true => trace * trace / of_square,
        false => 0.0,
    }
}

fn normalised(row: &[f32]) -> Vec<f64> {
    let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
    let length = dot(&row, &row).sqrt().max(f64::MIN_POSITIVE);
    row.into_iter().map(|value| value / length).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_are_apart_are_told_from_one_point() {
        let apart = [
            [2.0, 0.0, 0.0],
            [1.0, 0.0, 0.0],
            [0.0, 3.0, 0.0],
            [0.0, 1.0, 0.0],
        ];
        let found = spread(&apart.map(|row| row.to_vec()), &[0, 0, 1, 1]);
        assert_eq!((found.within, found.between), (Some(1.0), Some(0.0)));
        // Two points vary along one line.
        assert!((found.directions - 1.0).abs() < 1e-9, "{found:?}");

        let point = vec![vec![0.3, 0.4]; 3];
        let found = spread(&point, &[0, 0, 1]);
        assert!((found.between.unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(found.directions, 0.0);
    }

    #[test]
    fn even_directions_are_counted() {
        let corners = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let signs = [1.0_f32, -1.0];
        let rows: Vec<Vec<f32>> = corners
            .iter()
            .flat_map(|row| signs.map(|sign| row.iter().map(|v: &f32| v * sign).collect()))
            .collect();
        let found = spread(&rows, &[0, 1, 2, 3, 4, 5]);
        assert!((found.directions - 3.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found.within, None);
    }
}
