//! A prompt in front of a frozen language model that classifies texts by how likely label words are after them.

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Tensor, TensorData};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use crucible_kernels::matmul;
use crucible_prompt::prefix::Prefix;
use crucible_shared::Frozen;
use crucible_training::ClassificationOutput;
use crucible_transformer::CausalLm;

use super::batch::WordBatch;

/// Classifies by the likeliest label words; its prompt alone trains.
#[derive(Module, Debug)]
pub struct PromptedLanguageModel {
    /// What trains; none goes by the template alone.
    pub prefix: Option<Prefix>,
    /// What does not.
    #[module(skip)]
    pub backbone: Frozen<CausalLm>,
    /// The class of each label word.
    #[module(skip)]
    pub class: Vec<usize>,
}

impl PromptedLanguageModel {
    /// Log-probabilities of the label words after each text.
    ///
    /// # Shapes
    /// - output: `[items, words]`
    fn words(&self, batch: &WordBatch) -> Tensor<2> {
        let [rows, _] = batch.ids.dims();
        let model = self.backbone.beside(batch.of_row.device().is_autodiff());
        let x = model.embed(batch.ids.clone());
        let (mut cache, x, padding, places) = match &self.prefix {
            Some(prefix) => {
                let (cache, x, padding) = prefix.before(model, x, &batch.padding);
                (cache, x, padding, prefix.places())
            }
            None => (model.cache(rows), x, batch.padding.clone(), 0),
        };
        let states = model.extend(&mut cache, x, &padding);
        let [rows, length, d_model] = states.dims();
        // The vectors of the prompt stand before the words of each row.
        let telling = batch.telling.clone() + (batch.row.clone() + 1) * places as i64;
        let told = states.reshape([rows * length, d_model]).select(0, telling);
        let scores = log_softmax(model.logits(told), 1);
        let scores = scores.gather(1, batch.targets.clone().unsqueeze_dim(1));
        let of_rows = matmul(batch.of_row.clone(), scores);
        of_rows.reshape([-1, self.class.len() as i32])
    }

    /// The mean over the words of a class.
    ///
    /// # Shapes
    /// - output: `[items, classes]`
    pub fn classes(&self, batch: &WordBatch) -> Tensor<2> {
        let words = self.words(batch);
        let classes = self.class.iter().max().map_or(0, |last| last + 1);
        let count = |class| self.class.iter().filter(|of| **of == class).count();
        let share = |&of: &usize, class| match of == class {
            true => 1.0 / count(class) as f32,
            false => 0.0,
        };
        let shares = self.class.iter();
        let shares = shares.flat_map(|of| (0..classes).map(move |class| share(of, class)));
        let shares = TensorData::new(shares.collect::<Vec<f32>>(), [self.class.len(), classes]);
        let shares = Tensor::from_data(shares, &words.device());
        matmul(words, shares)
    }

    fn classify(&self, batch: WordBatch) -> ClassificationOutput {
        ClassificationOutput::new(self.classes(&batch), batch.labels, batch.names)
    }
}

impl TrainStep for PromptedLanguageModel {
    type Input = WordBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: WordBatch) -> TrainOutput<ClassificationOutput> {
        self.classify(batch).backward(self)
    }
}

impl InferenceStep for PromptedLanguageModel {
    type Input = WordBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: WordBatch) -> ClassificationOutput {
        self.classify(batch)
    }
}
