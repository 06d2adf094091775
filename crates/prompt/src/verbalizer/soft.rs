use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use crucible_transformer::embedding_initializer;

use super::LabelWords;
use crate::ScoreError;

/// Configuration of a [`SoftVerbalizer`].
#[derive(Config, Debug)]
pub struct SoftVerbalizerConfig {
    /// Classes.
    pub classes: usize,
    /// Width of the state at the mask.
    pub d_model: usize,
}

/// One trainable vector for each class in the place of words (WARP, Hambardzumyan et al. 2021, section 3).
#[derive(Module, Debug)]
pub struct SoftVerbalizer {
    /// `[classes, d_model]`.
    pub classes: Param<Tensor<2>>,
}

impl SoftVerbalizerConfig {
    /// Vectors that begin at random.
    pub fn init(&self, device: &Device) -> SoftVerbalizer {
        SoftVerbalizer {
            classes: embedding_initializer().init([self.classes, self.d_model], device),
        }
    }
}

impl SoftVerbalizer {
    /// Vectors that begin as the mean of their label words' output embeddings; these themselves are not trained.
    ///
    /// # Shapes
    /// - `embeddings`: `[words, d_model]`, in the order of [`LabelWords::words`]
    ///
    /// # Errors
    /// When there are more or fewer embeddings than words.
    pub fn from_label_words(words: &LabelWords, embeddings: Tensor<2>) -> Result<Self, ScoreError> {
        let [found, _] = embeddings.dims();
        if found != words.word_count() {
            return Err(ScoreError::Count {
                what: "embeddings of label words".into(),
                found,
                expected: words.word_count(),
            });
        }
        let means = words.columns().map(|columns| {
            let own = embeddings.clone().narrow(0, columns.start, columns.len());
            own.mean_dim(0)
        });
        Ok(Self {
            classes: Param::from_tensor(Tensor::cat(means.collect(), 0).detach()),
        })
    }

    /// Logits of classes.
    ///
    /// # Shapes
    /// - `states`: `[items, d_model]`, what the output embeddings of words are multiplied with, at the mask
    /// - output: `[items, classes]`
    pub fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        states.matmul(self.classes.val().transpose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{close, tensor};

    #[test]
    fn classes_begin_where_their_words_are_and_are_trained_alone() {
        let words: LabelWords = toml::from_str("a = ['x', 'y']\nb = ['z']").unwrap();
        let device = Device::flex().autodiff();
        let embeddings = tensor([[1.0, 0.0], [3.0, 2.0], [0.0, -1.0]], &device).require_grad();
        let verbalizer = SoftVerbalizer::from_label_words(&words, embeddings.clone()).unwrap();
        close(verbalizer.classes.val(), [[2.0, 1.0], [0.0, -1.0]]);

        let logits = verbalizer.forward(tensor([[1.0, 3.0]], &device));
        close(logits.clone(), [[5.0, -3.0]]);
        let gradients = logits.sum().backward();
        let gradient = verbalizer.classes.grad(&gradients).unwrap();
        close(gradient, [[1.0, 3.0], [1.0, 3.0]]);
        assert!(embeddings.grad(&gradients).is_none());

        let error = SoftVerbalizer::from_label_words(&words, tensor([[1.0]], &device));
        assert_eq!(
            error.unwrap_err().to_string(),
            "embeddings of label words: 1 are given, 3 are needed"
        );
    }

    #[test]
    fn without_words_it_begins_at_random() {
        let device = Device::flex();
        let verbalizer = SoftVerbalizerConfig::new(3, 4).init(&device);
        assert_eq!(
            verbalizer.forward(Tensor::ones([2, 4], &device)).dims(),
            [2, 3]
        );
    }
}
