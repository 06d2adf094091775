//! What one step tells the log and the progress bar.

use crate::profile;
use burn::module::Module;
use burn::tensor::{ExecutionError, Int, Tensor};
use burn::train::{ItemLazy, TrainOutput};
use crucible_kernels::cross_entropy;

/// A value measured on one batch, as the sum over what it was measured on, so that batches of any
/// size add up to an exact mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scalar {
    /// `loss`, `accuracy`, ...
    pub name: &'static str,
    /// Sum over the samples.
    pub sum: f64,
    /// Number of samples. The weight of `loss` is the batch's sample count in the progress bar.
    pub weight: f64,
}

impl Scalar {
    /// A value that is already the mean over `weight` samples.
    pub fn mean(name: &'static str, mean: f64, weight: f64) -> Self {
        Self {
            name,
            sum: mean * weight,
            weight,
        }
    }

    /// The mean.
    pub fn value(&self) -> f64 {
        self.sum / self.weight
    }
}

/// The output of a training or validation step that can be logged.
pub trait Observe {
    /// The values of this batch; `loss` should be among them.
    ///
    /// It reads from the device, and is called once a step: reading two scalars costs far less than the
    /// step, and lets a loss that is no longer a number be caught before it reaches the weights.
    fn observe(&self) -> Vec<Scalar>;

    /// What names the samples of this batch in messages and predictions; none where nothing does.
    fn ids(&self) -> &[String] {
        &[]
    }
}

/// The output of any model that classifies: loss and accuracy.
#[derive(Clone, Debug)]
pub struct ClassificationOutput {
    /// Mean loss over the samples, `[1]`.
    pub loss: Tensor<1>,
    /// `[samples, classes]`.
    pub logits: Tensor<2>,
    /// Index of the right class, `[samples]`.
    pub targets: Tensor<1, Int>,
    /// What names the samples, in their order.
    pub ids: Vec<String>,
}

impl ClassificationOutput {
    /// With the mean cross-entropy for its loss.
    ///
    /// # Shapes
    /// - `logits`: `[samples, classes]`; `targets`: `[samples]`
    pub fn new(logits: Tensor<2>, targets: Tensor<1, Int>, ids: Vec<String>) -> Self {
        Self {
            loss: cross_entropy(logits.clone(), targets.clone(), 0.0),
            logits,
            targets,
            ids,
        }
    }

    /// Adds the gradients of the loss: what a training step returns.
    pub fn backward<M: Module>(self, model: &M) -> TrainOutput<Self> {
        TrainOutput::new(model, profile::backward(&self.loss), self)
    }
}

impl ItemLazy for ClassificationOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(Self {
            loss: self.loss.without_autodiff(),
            logits: self.logits.without_autodiff(),
            targets: self.targets.without_autodiff(),
            ids: self.ids,
        })
    }
}

impl Observe for ClassificationOutput {
    fn observe(&self) -> Vec<Scalar> {
        let [samples] = self.targets.dims();
        let predicted = self
            .logits
            .clone()
            .without_autodiff()
            .argmax(1)
            .squeeze_dim::<1>(1);
        let right = predicted
            .equal(self.targets.clone().without_autodiff())
            .int()
            .sum();
        let loss: f64 = self.loss.clone().without_autodiff().into_scalar();
        let right: i64 = right.into_scalar();
        vec![
            Scalar::mean("loss", loss, samples as f64),
            Scalar {
                name: "accuracy",
                sum: right as f64,
                weight: samples as f64,
            },
        ]
    }

    fn ids(&self) -> &[String] {
        &self.ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Means;
    use burn::tensor::Device;

    fn output(loss: f32, logits: Vec<[f32; 2]>, targets: Vec<i64>) -> ClassificationOutput {
        let device = Device::flex();
        let samples = targets.len();
        let logits: Vec<f32> = logits.into_iter().flatten().collect();
        ClassificationOutput {
            loss: Tensor::from_data([loss], &device),
            logits: Tensor::from_data(burn::tensor::TensorData::new(logits, [samples, 2]), &device),
            targets: Tensor::from_data(burn::tensor::TensorData::new(targets, [samples]), &device),
            ids: Vec::new(),
        }
    }

    #[test]
    fn batches_of_any_size_add_up_to_the_mean_over_samples() {
        let first = output(1.0, vec![[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]], vec![0, 0, 0]);
        let second = output(5.0, vec![[0.0, 1.0]], vec![1]);
        let scalars = first.observe();
        assert_eq!(
            scalars[0],
            Scalar {
                name: "loss",
                sum: 3.0,
                weight: 3.0
            }
        );
        assert_eq!(
            scalars[1],
            Scalar {
                name: "accuracy",
                sum: 2.0,
                weight: 3.0
            }
        );
        let mut means = Means::default();
        means.add(&first.observe());
        means.add(&second.observe());
        assert_eq!(means.means()["loss"], 2.0);
        assert_eq!(means.means()["accuracy"], 0.75);
    }
}
