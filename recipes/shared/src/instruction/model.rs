//! Models that converse.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use crucible_fusion::VisionLanguage;
use crucible_objectives::language::{at_positions, masked_language};
use crucible_training::{ClassificationOutput, steps};
use crucible_transformer::CausalLm;

use super::batch::InstructionBatch;

/// A model that reads conversations and tells what the assistant says next.
pub trait Converses: Module + Sync {
    /// The language model.
    fn language(&self) -> &CausalLm;

    /// Pictures as its tokens, `[images, tokens, d_model]`; none for a model of text.
    fn see(&self, images: Tensor<4>) -> Option<Tensor<3>>;

    /// What the assistant says, token by token, with its cross-entropy. Only these tokens are scored, which spares most
    /// of the product with the vocabulary.
    fn say(&self, batch: InstructionBatch) -> ClassificationOutput {
        let seen = batch.images.clone().and_then(|images| self.see(images));
        self.say_of(seen, batch)
    }

    /// The same of pictures that have been seen.
    fn say_of(&self, seen: Option<Tensor<3>>, batch: InstructionBatch) -> ClassificationOutput {
        let words = self.language().embed(batch.ids);
        let x = match seen {
            Some(seen) => crucible_fusion::splice(words, seen, batch.sources),
            None => words,
        };
        let states = self.language().forward(x, &batch.places);
        let states = at_positions(states, batch.telling);
        let logits = self.language().logits(states);
        ClassificationOutput {
            loss: masked_language(logits.clone(), batch.targets.clone()),
            logits,
            targets: batch.targets,
            ids: batch.names,
        }
    }
}

/// A language model by itself, at the path that it has beside an image tower.
#[derive(Module, Debug)]
pub struct TextModel {
    /// The parts.
    pub encoder: TextEncoderParts,
}

/// The parts of a [`TextModel`].
#[derive(Module, Debug)]
pub struct TextEncoderParts {
    /// The language model.
    pub language: CausalLm,
}

/// A language model that sees.
#[derive(Module, Debug)]
pub struct VisualModel {
    /// Tower, connector and language model.
    pub encoder: VisionLanguage,
    /// How much the words count that are told from a picture alone, beside those that are said.
    #[module(skip)]
    pub naming: f64,
}

impl VisualModel {
    /// What is learnt in a step: to say what the assistant says, and by `naming` to tell the words of it from the picture
    /// alone.
    fn learn(&self, batch: InstructionBatch) -> ClassificationOutput {
        let seen = batch.images.clone().map(|images| self.encoder.see(images));
        let named = seen.clone().filter(|_| self.naming > 0.0);
        let named = named.map(|seen| self.name(seen, &batch));
        let mut output = self.say_of(seen, batch);
        if let Some(named) = named {
            output.loss = output.loss + named * self.naming;
        }
        output
    }

    /// Cross-entropy of each word that is said of a picture, told from that picture alone, whatever is asked (Joulin et
    /// al. 2016). It leads from the words to the image tower without a detour, and from a picture to the words for it.
    pub(super) fn name(&self, seen: Tensor<3>, batch: &InstructionBatch) -> Tensor<1> {
        let [told, pictures] = batch.named.clone();
        let [images, _, d_model] = seen.dims();
        let language = &self.encoder.language;
        let whole = seen.mean_dim(1).reshape([images, d_model]);
        let logits = language.logits(language.norm.forward(whole));
        let targets = batch.targets.clone().select(0, told);
        masked_language(logits.select(0, pictures), targets)
    }
}

impl TextModel {
    /// Of a language model.
    pub fn new(language: CausalLm) -> Self {
        let encoder = TextEncoderParts { language };
        Self { encoder }
    }
}

impl Converses for TextModel {
    fn language(&self) -> &CausalLm {
        &self.encoder.language
    }

    fn see(&self, _: Tensor<4>) -> Option<Tensor<3>> {
        None
    }
}

impl Converses for VisualModel {
    fn language(&self) -> &CausalLm {
        &self.encoder.language
    }

    fn see(&self, images: Tensor<4>) -> Option<Tensor<3>> {
        Some(self.encoder.see(images))
    }
}

steps!(TextModel, InstructionBatch, ClassificationOutput, say);

impl TrainStep for VisualModel {
    type Input = InstructionBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: InstructionBatch) -> TrainOutput<ClassificationOutput> {
        self.learn(batch).backward(self)
    }
}

impl InferenceStep for VisualModel {
    type Input = InstructionBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: InstructionBatch) -> ClassificationOutput {
        self.say(batch)
    }
}
