//! A linear probe: what a straight line can tell apart.

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

use super::Labelled;
use super::whitening::Whitening;

/// Passes over the training items; by then the loss has settled.
const PASSES: usize = 300;
const RATE: f64 = 0.1;
const MOMENTUM: f64 = 0.9;
/// Strengths of the penalty that the validation items choose among.
const PENALTIES: [f32; 4] = [1e-2, 1e-3, 1e-4, 1e-5];

/// Multinomial logistic regression on features that have mean 0, deviation 1 and no correlation in training, by gradient
/// descent with momentum over all items at once; of several penalties the one that is best on `valid`. Returns the
/// accuracy on `test`. The same items give the same number, and so do features that are mixed with one another.
pub fn linear_probe(train: &Labelled, valid: &Labelled, test: &Labelled, classes: usize) -> f64 {
    let whitening = Whitening::of(train.features.clone());
    let [train, valid, test] = [train, valid, test].map(|items| Items::new(items, &whitening));
    let mut lines = Lines::new(&train, classes);
    let mut speed = lines.weights.zeros_like();
    for _ in 0..PASSES {
        speed = speed * MOMENTUM - lines.gradient(&train) * RATE;
        lines.weights = lines.weights + speed.clone();
    }
    let [valid, test] = [valid, test].map(|items| lines.accuracies(&items));
    // Of equals the first, which has the strongest penalty.
    let best = (0..PENALTIES.len())
        .rev()
        .max_by(|&a, &b| valid[a].total_cmp(&valid[b]));
    best.map_or(f64::NAN, |best| test[best])
}

/// Logits that are held at a time: more items are looked at one part after the other.
const LOGITS: usize = 1 << 24;

/// Whitened features and a column of ones, `[items, width + 1]`, and the class of each.
struct Items {
    features: Tensor<2>,
    classes: Vec<usize>,
}

impl Items {
    fn new(items: &Labelled, whitening: &Whitening) -> Self {
        let features = whitening.apply(items.features.clone());
        let ones = Tensor::ones([items.classes.len(), 1], &features.device());
        Self {
            features: Tensor::cat(vec![features, ones], 1),
            classes: items.classes.clone(),
        }
    }
}

/// A regression for each penalty, side by side.
struct Lines {
    /// `[width + 1, penalties * classes]`
    weights: Tensor<2>,
    /// The penalty of each weight, of constants none.
    penalties: Tensor<2>,
    classes: usize,
    /// Items that are looked at together.
    at_once: usize,
}

impl Lines {
    fn new(train: &Items, classes: usize) -> Self {
        let ([_, width], device) = (train.features.dims(), train.features.device());
        let columns = PENALTIES.len() * classes;
        let mut penalties = vec![0.0; width * columns];
        for row in penalties.chunks_mut(columns.max(1)).take(width - 1) {
            for (penalties, strength) in row.chunks_mut(classes).zip(PENALTIES) {
                penalties.fill(strength);
            }
        }
        Self {
            weights: Tensor::zeros([width, columns], &device),
            penalties: Tensor::from_data(TensorData::new(penalties, [width, columns]), &device),
            classes,
            at_once: (LOGITS / columns.max(1)).max(1),
        }
    }

    /// Some items at a time: features, logits `[some, penalties, classes]`, and classes.
    fn parts<'a>(
        &'a self,
        items: &'a Items,
    ) -> impl Iterator<Item = (Tensor<2>, Tensor<3>, &'a [usize])> {
        let parts = items.classes.chunks(self.at_once).enumerate();
        parts.map(move |(number, classes)| {
            let features = items.features.clone();
            let features = features.narrow(0, number * self.at_once, classes.len());
            let logits = features.clone().matmul(self.weights.clone());
            let shape = [classes.len(), PENALTIES.len(), self.classes];
            (features, logits.reshape(shape), classes)
        })
    }

    /// Of the mean loss and the penalty: `penalty / 2 * |weights|^2`.
    fn gradient(&self, train: &Items) -> Tensor<2> {
        let share = 1.0 / train.classes.len() as f64;
        let penalty = self.penalties.clone() * self.weights.clone();
        self.parts(train)
            .fold(penalty, |sum, (features, logits, classes)| {
                let mut named = vec![0.0f32; classes.len() * self.classes];
                for (row, &class) in named.chunks_mut(self.classes).zip(classes) {
                    row[class] = 1.0;
                }
                let named = TensorData::new(named, [classes.len(), 1, self.classes]);
                let off = softmax(logits, 2) - Tensor::from_data(named, &features.device());
                sum + features.transpose().matmul(off.flatten(1, 2) * share)
            })
    }

    /// Share of the items that each regression has right.
    fn accuracies(&self, items: &Items) -> Vec<f64> {
        let mut right = [0usize; PENALTIES.len()];
        for (_, logits, classes) in self.parts(items) {
            let named: Vec<u32> = logits.argmax(2).into_data().iter().collect();
            for (named, &class) in named.chunks(PENALTIES.len()).zip(classes) {
                for (right, &named) in right.iter_mut().zip(named) {
                    *right += usize::from(named as usize == class);
                }
            }
        }
        let count = items.classes.len() as f64;
        right.iter().map(|&right| right as f64 / count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{items, mixed};
    use super::*;
    use burn::tensor::Device;
    use burn::tensor::activation::log_softmax;

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
        let mixed = |from| mixed(from, 1.5, |[x, y]| [x + 30.0 * y, 30.0 * y - 0.1 * x + 7.0]);
        let plain = linear_probe(&items(0, 1.5), &items(60, 1.5), &items(120, 1.5), 3);
        let same = linear_probe(&mixed(0), &mixed(60), &mixed(120), 3);
        assert!((0.6..0.99).contains(&plain), "{plain}");
        assert!((plain - same).abs() < 0.02, "{plain} {same}");
    }

    /// The gradient of items a few at a time, by automatic differentiation of the loss as it is written.
    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let labelled = items(0, 1.0);
        let train = Items::new(&labelled, &Whitening::of(labelled.features.clone()));
        let mut lines = Lines::new(&train, 3);
        let device = Device::flex().autodiff();
        let weights: Vec<f32> = (0..36).map(|i| (i as f32).sin()).collect();
        lines.weights =
            Tensor::from_data(TensorData::new(weights.clone(), [3, 12]), &Device::flex());
        lines.at_once = 7;
        let found = lines.gradient(&train);

        let here = |tensor: &Tensor<2>| Tensor::<2>::from_data(tensor.to_data(), &device);
        let leaf =
            Tensor::<2>::from_data(TensorData::new(weights, [3, 12]), &device).require_grad();
        let logits = here(&train.features)
            .matmul(leaf.clone())
            .reshape([60, 4, 3]);
        let named: Vec<f32> = (0..180)
            .map(|i| f32::from(u8::from(i % 3 == i / 3 % 3)))
            .collect();
        let named = Tensor::<3>::from_data(TensorData::new(named, [60, 1, 3]), &device);
        let loss = (log_softmax(logits, 2) * named).sum() / -60.0;
        let penalty = (here(&lines.penalties) * leaf.clone() * leaf.clone()).sum() / 2.0;
        let gradients = (loss + penalty).backward();
        let expected = leaf.grad(&gradients).unwrap();
        found.into_data().assert_approx_eq::<f32>(
            &expected.into_data(),
            burn::tensor::Tolerance::absolute(1e-6),
        );
    }
}
