//! The exponential moving average of the weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use std::any::Any;
use std::collections::VecDeque;

/// A model whose weights follow those of another (Polyak and Juditsky 1992).
pub(crate) struct Average<M> {
    decay: f64,
    /// On the plain device.
    pub model: M,
}

impl<M: Module> Average<M> {
    /// An average that starts at `model`, which is on the plain device.
    pub fn new(decay: f64, model: M) -> Self {
        Self { decay, model }
    }

    /// Takes in the weights after `step`, from 1. The first steps count more, or the average would long
    /// be that of the untrained model: the decay is at most (1 + step) / (10 + step).
    pub fn update(&mut self, step: usize, model: &M) {
        let mut weights = Weights::default();
        model.valid().visit(&mut weights);
        let step = step as f64;
        let mut blend = Blend {
            weights: weights.0,
            decay: self.decay.min((1.0 + step) / (10.0 + step)),
        };
        self.model = self.model.clone().map(&mut blend);
    }
}

/// All weights in the order of the model; their ranks differ.
#[derive(Default)]
struct Weights(VecDeque<Box<dyn Any>>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push_back(Box::new(param.val()));
    }
}

struct Blend {
    weights: VecDeque<Box<dyn Any>>,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let weight = self.weights.pop_front();
        let weight = weight.and_then(|weight| weight.downcast::<Tensor<D>>().ok());
        match weight {
            Some(weight) => {
                let decay = self.decay;
                param.map(|mean| mean * decay + weight.mul_scalar(1.0 - decay))
            }
            // The two are of one type, so that their parameters pair up.
            None => param,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::alone;
    use burn::nn::{BatchNormConfig, LinearConfig};
    use burn::tensor::Device;

    #[test]
    fn it_follows_the_weights() {
        let _turn = alone();
        let device = Device::flex().autodiff();
        let mut model = LinearConfig::new(1, 1).init(&device);
        let set = |value: f64| move |tensor: Tensor<2>| tensor * 0.0 + value;
        model.weight = model.weight.map(set(0.0));
        let mut average = Average::new(0.5, model.valid());
        let mut expected = 0.0;
        for (step, value) in [(1, 11.0), (2, 4.0), (3, 4.0), (100, 8.0)] {
            model.weight = model.weight.map(set(value));
            average.update(step, &model);
            let decay = f64::min(0.5, (1.0 + step as f64) / (10.0 + step as f64));
            expected = decay * expected + (1.0 - decay) * value;
            let found: f64 = average.model.weight.val().into_scalar();
            assert!(
                (found - expected).abs() < 1e-5,
                "{step}: {found} {expected}"
            );
        }
    }

    /// An average with the statistics of the untrained model would be useless.
    #[test]
    fn it_follows_running_statistics_too() {
        let _turn = alone();
        let device = Device::flex().autodiff();
        let norm = BatchNormConfig::new(2).init(&device);
        let mut average = Average::new(0.0, norm.valid());
        let input = Tensor::<2>::from_data([[1.0, 10.0], [3.0, 30.0]], &device);
        norm.forward(input);
        average.update(1, &norm);
        let mean = |values: Tensor<1>| -> Vec<f32> { values.into_data().try_to_vec().unwrap() };
        let expected = mean(norm.valid().running_mean.value());
        assert_ne!(expected, [0.0, 0.0]);
        assert_eq!(mean(average.model.running_mean.value()), expected);
    }
}
