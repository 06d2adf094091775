use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::LabelWords;

/// Configuration of [`WordWeights`].
#[derive(Config, Debug)]
pub struct WordWeightsConfig {
    /// The words that are weighed.
    pub words: LabelWords,
}

/// How much each label word counts for its class, learned from labelled examples (KPT, Hu et al. 2022, section 3): the
/// score of a class is `sum(a_v log p(v))` with `a = softmax(w)` over its words. They begin as equals.
#[derive(Module, Debug)]
pub struct WordWeights {
    /// `w` of each class: `[words of the class]`.
    pub weights: Vec<Param<Tensor<1>>>,
}

impl WordWeightsConfig {
    /// Equal weights.
    pub fn init(&self, device: &Device) -> WordWeights {
        let columns = self.words.columns();
        let weights = columns.map(|columns| Initializer::Zeros.init([columns.len()], device));
        WordWeights {
            weights: weights.collect(),
        }
    }
}

impl WordWeights {
    /// # Shapes
    /// - `scores`: `[items, words]`, log-probabilities in the order of [`LabelWords::words`]
    /// - output: `[items, classes]`
    pub fn forward(&self, scores: Tensor<2>) -> Tensor<2> {
        let mut start = 0;
        let classes = self.weights.iter().map(|weights| {
            let weights = softmax(weights.val(), 0);
            let [words] = weights.dims();
            let own = scores.clone().narrow(1, start, words);
            start += words;
            (own * weights.unsqueeze()).sum_dim(1)
        });
        Tensor::cat(classes.collect(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{close, tensor};

    #[test]
    fn words_begin_as_equals_and_learn() {
        let words = toml::from_str("a = ['x', 'y']\nb = ['z']").unwrap();
        let device = Device::flex().autodiff();
        let mut weights = WordWeightsConfig::new(words).init(&device);
        let scores = tensor([[-1.0, -3.0, -4.0], [-2.0, -2.0, -1.0]], &device);
        close(
            weights.forward(scores.clone()),
            [[-2.0, -4.0], [-2.0, -1.0]],
        );

        weights.weights[0] = Param::from_data([3f32.ln(), 0.0], &device);
        let classes = weights.forward(scores);
        close(classes.clone(), [[-1.5, -4.0], [-2.0, -1.0]]);
        let gradients = classes.sum().backward();
        let gradient = weights.weights[0].grad(&gradients).unwrap();
        // a_x (s_x - mean) summed over items: 0.75 * (-1 + 1.5).
        close(gradient.unsqueeze(), [[0.375, -0.375]]);
    }
}
