//! Models that converse.

use burn::module::Module;
use burn::tensor::Tensor;
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

    /// Words and pictures as one sequence of vectors, `[rows, length, d_model]`.
    fn read(&self, batch: &InstructionBatch) -> Tensor<3> {
        let words = self.language().embed(batch.ids.clone());
        let seen = batch.images.clone().and_then(|images| self.see(images));
        match seen {
            Some(seen) => crucible_fusion::splice(words, seen, batch.sources.clone()),
            None => words,
        }
    }

    /// What the assistant says, token by token, with its cross-entropy. Only these tokens are scored, which spares most
    /// of the product with the vocabulary.
    fn say(&self, batch: InstructionBatch) -> ClassificationOutput {
        let x = self.read(&batch);
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
steps!(VisualModel, InstructionBatch, ClassificationOutput, say);
