//! A linear probe: what a straight line can read off the features of a frozen encoder.

/// Features of some items, one row after the other, with the class of each.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    /// `items * width` numbers.
    pub features: Vec<f32>,
    /// One for each item.
    pub classes: Vec<usize>,
}

/// Passes over the training items; by then the loss has settled.
const PASSES: usize = 300;
const RATE: f32 = 0.1;
/// Strengths of the penalty that the validation items choose among.
const PENALTIES: [f32; 4] = [1e-5, 1e-4, 1e-3, 1e-2];

/// Multinomial logistic regression on features that have mean 0, deviation 1 and no correlation in training, by gradient
/// descent with momentum over all items at once; of several penalties the one that is best on `valid`. Returns the
/// accuracy on `test`. The same items give the same number, and so do features that are mixed with one another.
///
/// # Panics
///
/// When features and classes do not come out even.
pub fn linear_probe(train: &Labelled, valid: &Labelled, test: &Labelled, classes: usize) -> f64 {
    let width = train.features.len() / train.classes.len().max(1);
    let whitening = Whitening::of(&train.features, width);
    let [train, valid, test] = [train, valid, test].map(|items| Labelled {
        features: whitening.apply(&items.features),
        classes: items.classes.clone(),
    });
    let fit = |&penalty: &f32| {
        let model = Logistic::fit(&train, width, classes, penalty);
        (model.accuracy(&valid), model)
    };
    // Of equals the strongest penalty.
    let best = PENALTIES.iter().map(fit).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(f64::NAN, |(_, model)| model.accuracy(&test))
}

/// What gives features the mean 0, the deviation 1 and no correlation, so that gradient descent finds a line as easily
/// in one basis as in any other.
struct Whitening {
    mean: Vec<f64>,
    /// Lower triangle of the Cholesky factor of their covariance, row by row.
    factor: Vec<Vec<f64>>,
}

/// Added to each variance, as a share of their mean: directions in which nothing varies stay small.
const RIDGE: f64 = 1e-4;

impl Whitening {
    fn of(features: &[f32], width: usize) -> Self {
        let rows = || features.chunks(width.max(1));
        let items = rows().len().max(1) as f64;
        let mut mean = vec![0.0; width];
        for row in rows() {
            let sums = mean.iter_mut().zip(row);
            sums.for_each(|(sum, value)| *sum += f64::from(*value) / items);
        }
        let mut factor: Vec<Vec<f64>> = (1..=width).map(|length| vec![0.0; length]).collect();
        for row in rows() {
            let centred: Vec<f64> = row
                .iter()
                .zip(&mean)
                .map(|(value, mean)| f64::from(*value) - mean)
                .collect();
            for (sums, value) in factor.iter_mut().zip(&centred) {
                let products = sums.iter_mut().zip(&centred);
                products.for_each(|(sum, other)| *sum += value * other / items);
            }
        }
        let variances = factor.iter().filter_map(|row| row.last()).sum::<f64>();
        let ridge = (RIDGE * variances / width.max(1) as f64).max(f64::MIN_POSITIVE);
        for row in 0..width {
            factor[row][row] += ridge;
            for column in 0..=row {
                let (above, below) = factor.split_at(row);
                let (left, own) = (above.get(column), &below[0]);
                let shared = left.unwrap_or(own)[..column].iter().zip(own);
                let rest = own[column] - shared.map(|(a, b)| a * b).sum::<f64>();
                let entry = match left {
                    Some(left) => rest / left[column],
                    None => rest.max(ridge).sqrt(),
                };
                factor[row][column] = entry;
            }
        }
        Self { mean, factor }
    }

    fn apply(&self, features: &[f32]) -> Vec<f32> {
        let mut whitened = Vec::with_capacity(features.len());
        for row in features.chunks(self.mean.len().max(1)) {
            let mut solved: Vec<f64> = Vec::with_capacity(row.len());
            for ((value, mean), factor) in row.iter().zip(&self.mean).zip(&self.factor) {
                let known = solved.iter().zip(factor).map(|(a, b)| a * b).sum::<f64>();
                solved.push((f64::from(*value) - mean - known) / factor[solved.len()]);
            }
            whitened.extend(solved.into_iter().map(|value| value as f32));
        }
        whitened
    }
}

/// Weights of `width` features and a constant for each class.
struct Logistic {
    weights: Vec<f32>,
    width: usize,
    classes: usize,
}

impl Logistic {
    fn fit(items: &Labelled, width: usize, classes: usize, penalty: f32) -> Self {
        const MOMENTUM: f32 = 0.9;
        let mut model = Self {
            weights: vec![0.0; classes * (width + 1)],
            width,
            classes,
        };
        let mut speed = vec![0.0; model.weights.len()];
        for _ in 0..PASSES {
            let gradient = model.gradient(items);
            let parts = model.weights.iter_mut().zip(&mut speed).zip(&gradient);
            for ((weight, speed), gradient) in parts {
                *speed = MOMENTUM * *speed - RATE * (gradient + penalty * *weight);
                *weight += *speed;
            }
        }
        model
    }

    fn gradient(&self, items: &Labelled) -> Vec<f32> {
        let mut gradient = vec![0.0; self.weights.len()];
        let share = 1.0 / items.classes.len() as f32;
        for (row, &class) in items.features.chunks(self.width).zip(&items.classes) {
            let mut shares = self.logits(row);
            softmax(&mut shares);
            shares[class] -= 1.0;
            let of_class = gradient.chunks_mut(self.width + 1).zip(shares);
            for (gradient, off) in of_class {
                let off = off * share;
                gradient
                    .iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += off * value);
                gradient[self.width] += off;
            }
        }
        gradient
    }

    fn logits(&self, row: &[f32]) -> Vec<f32> {
        let of_class = self.weights.chunks(self.width + 1);
        let logit = |weights: &[f32]| {
            let products = weights
                .iter()
                .zip(row)
                .map(|(weight, value)| weight * value);
            products.sum::<f32>() + weights[self.width]
        };
        of_class.map(logit).collect()
    }

    fn accuracy(&self, items: &Labelled) -> f64 {
        let rows = items.features.chunks(self.width).zip(&items.classes);
        let right = rows.filter(|(row, class)| {
            let logits = self.logits(row);
            let best = (0..self.classes).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            best == Some(**class)
        });
        right.count() as f64 / items.classes.len() as f64
    }
}

fn softmax(logits: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    logits
        .iter_mut()
        .for_each(|logit| *logit = (*logit - largest).exp());
    let sum: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|share| *share /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three clouds around corners, or one cloud for all.
    fn items(from: usize, apart: f32) -> Labelled {
        let corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let mut items = Labelled::default();
        for i in from..from + 60 {
            let class = i % 3;
            let noise = |seed: f32| (i as f32 * seed).sin();
            items
                .features
                .push(apart * corners[class][0] + noise(12.9898));
            items
                .features
                .push(apart * corners[class][1] + noise(78.233));
            items.classes.push(class);
        }
        items
    }

    #[test]
    fn what_lies_apart_is_told_apart_and_what_does_not_is_not() {
        let probe =
            |apart| linear_probe(&items(0, apart), &items(60, apart), &items(120, apart), 3);
        assert_eq!(probe(6.0), 1.0);
        assert!(probe(0.0) < 0.55, "{}", probe(0.0));
    }

    /// A line is a line in any basis, however badly conditioned.
    #[test]
    fn features_that_are_mixed_say_the_same() {
        let mixed = |from: usize| {
            let mut items = items(from, 1.5);
            for row in items.features.chunks_mut(2) {
                let [x, y] = [row[0], row[1]];
                row.copy_from_slice(&[x + 30.0 * y, 30.0 * y - 0.1 * x + 7.0]);
            }
            items
        };
        let plain = linear_probe(&items(0, 1.5), &items(60, 1.5), &items(120, 1.5), 3);
        let same = linear_probe(&mixed(0), &mixed(60), &mixed(120), 3);
        assert!((0.6..0.99).contains(&plain), "{plain}");
        assert!((plain - same).abs() < 0.02, "{plain} {same}");
    }

    /// The gradient, taken numerically.
    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let items = items(0, 1.0);
        let mut model = Logistic {
            weights: (0..9).map(|i| (i as f32).sin()).collect(),
            width: 2,
            classes: 3,
        };
        let loss = |model: &Logistic| {
            let rows = items.features.chunks(2).zip(&items.classes);
            let each = rows.map(|(row, &class)| {
                let mut shares = model.logits(row);
                softmax(&mut shares);
                -f64::from(shares[class]).ln()
            });
            each.sum::<f64>() / 60.0
        };
        let gradient = model.gradient(&items);
        for (at, gradient) in gradient.into_iter().enumerate() {
            let before = model.weights[at];
            model.weights[at] = before + 1e-2;
            let up = loss(&model);
            model.weights[at] = before - 1e-2;
            let slope = (up - loss(&model)) / 2e-2;
            model.weights[at] = before;
            assert!((slope - f64::from(gradient)).abs() < 1e-3, "{at}");
        }
    }
}
