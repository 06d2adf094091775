//! A prompt in front of a frozen language model that classifies texts by how likely label words are after them, or by its
//! state there.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{IndexingUpdateOp, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use crucible_prompt::prefix::{Prefix, SoftPrompt};
use crucible_prompt::verbalizer::{
    PrototypicalVerbalizer, SoftVerbalizer, Verbalizer, WordWeights,
};
use crucible_shared::Frozen;
use crucible_training::ClassificationOutput;
use crucible_transformer::CausalLm;

use super::batch::{Told, WordBatch};

/// Classifies texts; its prompt and its verbalizer alone train.
#[derive(Module, Debug)]
pub struct PromptedLanguageModel {
    /// Before all words.
    pub prefix: Option<Prefix>,
    /// Among the words, where the templates say.
    pub soft: Option<SoftPrompt>,
    /// What tells classes, where that trains.
    pub head: Option<Head>,
    /// What does not train.
    #[module(skip)]
    pub backbone: Frozen<CausalLm>,
    /// The label words, where there are some.
    #[module(skip)]
    pub verbalizer: Option<Verbalizer>,
}

/// A verbalizer that trains.
#[derive(Module, Debug)]
pub enum Head {
    /// How much each label word counts.
    Weighted(WordWeights),
    /// A vector for each class.
    Soft(SoftVerbalizer),
    /// A prototype of each class.
    Prototypical(PrototypicalVerbalizer),
}

/// Whether any number does.
struct Trained(bool);

impl ModuleVisitor for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 |= param.is_require_grad();
    }
}

impl PromptedLanguageModel {
    /// Whether anything trains.
    pub fn trains(&self) -> bool {
        let mut trained = Trained(false);
        self.visit(&mut trained);
        trained.0
    }

    fn model(&self, batch: &WordBatch) -> &CausalLm {
        self.backbone.beside(batch.ids.device().is_autodiff())
    }

    /// What tells the next token in each of the places.
    ///
    /// # Shapes
    /// - output: `[places, d_model]`
    fn states(&self, batch: &WordBatch) -> Tensor<2> {
        let [rows, _] = batch.ids.dims();
        let model = self.model(batch);
        let x = self.embedded(batch);
        let (mut cache, x, padding, before) = match &self.prefix {
            Some(prefix) => {
                let (cache, x, padding) = prefix.before(model, x, &batch.padding);
                (cache, x, padding, prefix.places())
            }
            None => (model.cache(rows), x, batch.padding.clone(), 0),
        };
        let states = model.extend(&mut cache, x, &padding);
        let [rows, length, d_model] = states.dims();
        // The vectors of the prefix stand before the words of each row.
        let places = batch.places.clone() + (batch.rows.clone() + 1) * before as i64;
        states.reshape([rows * length, d_model]).select(0, places)
    }

    /// Words, with the templates' own vectors in their places.
    ///
    /// # Shapes
    /// - output: `[rows, length, d_model]`
    fn embedded(&self, batch: &WordBatch) -> Tensor<3> {
        let x = self.model(batch).embed(batch.ids.clone());
        let (Some(soft), Some([places, vectors])) = (&self.soft, &batch.softs) else {
            return x;
        };
        let (device, [rows, length, d_model]) = (x.device(), x.dims());
        let [count] = places.dims();
        let add = IndexingUpdateOp::Add;
        let words = Tensor::<2>::ones([rows * length, 1], &device);
        let taken = Tensor::ones([count, 1], &device).neg();
        let words = words.select_assign(0, places.clone(), taken, add);
        let vectors = soft.vectors.val().select(0, vectors.clone());
        let own = Tensor::<2>::zeros([rows * length, d_model], &device);
        let own = own.select_assign(0, places.clone(), vectors, IndexingUpdateOp::Add);
        let x = x.reshape([rows * length, d_model]) * words + own;
        x.reshape([rows, length, d_model])
    }

    /// Log-probabilities of the label words after each prompt.
    ///
    /// # Shapes
    /// - output: `[prompts, words]`
    pub fn words(&self, batch: &WordBatch, told: &Told) -> Tensor<2> {
        let scores = log_softmax(self.model(batch).logits(self.states(batch)), 1);
        let [places, vocabulary] = scores.dims();
        let [words, tokens] = told.place.dims();
        let at = told.place.clone() * vocabulary as i64 + told.token.clone();
        let scores = scores.reshape([places * vocabulary]);
        let scores = scores.select(0, at.reshape([words * tokens]));
        let scores = scores.reshape([words, tokens]) * told.there.clone();
        let [prompts] = batch.answers.dims();
        scores.sum_dim(1).reshape([prompts, words / prompts.max(1)])
    }

    /// Log-probabilities of all tokens after each prompt.
    ///
    /// # Shapes
    /// - output: `[prompts, vocabulary]`
    pub fn vocabulary(&self, batch: &WordBatch) -> Tensor<2> {
        log_softmax(self.model(batch).logits(self.state(batch)), 1)
    }

    /// What tells the answer, `[prompts, d_model]`.
    fn state(&self, batch: &WordBatch) -> Tensor<2> {
        self.states(batch).select(0, batch.answers.clone())
    }

    /// Scores of the classes, not normalised.
    ///
    /// # Shapes
    /// - output: `[prompts, classes]`
    pub fn classes(&self, batch: &WordBatch) -> Tensor<2> {
        match (&self.head, &self.verbalizer, &batch.words) {
            (Some(Head::Weighted(weights)), Some(verbalizer), Some(told)) => {
                weights.forward(verbalizer.calibrated(self.words(batch, told)))
            }
            (None, Some(verbalizer), Some(told)) => verbalizer.forward(self.words(batch, told)),
            (Some(Head::Soft(head)), ..) => head.forward(self.state(batch)),
            (Some(Head::Prototypical(head)), ..) => head.forward(self.state(batch)),
            _ => unreachable!("a model has label words or a head that does without"),
        }
    }

    fn classify(&self, batch: WordBatch) -> ClassificationOutput {
        let logits = self.classes(&batch);
        ClassificationOutput::new(logits, batch.labels, batch.names)
    }
}

impl TrainStep for PromptedLanguageModel {
    type Input = WordBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: WordBatch) -> TrainOutput<ClassificationOutput> {
        let output = match &self.head {
            Some(Head::Prototypical(head)) => {
                let state = self.state(&batch);
                ClassificationOutput {
                    loss: head.loss(state.clone(), batch.labels.clone()),
                    logits: head.forward(state),
                    targets: batch.labels,
                    ids: batch.names,
                }
            }
            _ => self.classify(batch),
        };
        output.backward(self)
    }
}

impl InferenceStep for PromptedLanguageModel {
    type Input = WordBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: WordBatch) -> ClassificationOutput {
        self.classify(batch)
    }
}
