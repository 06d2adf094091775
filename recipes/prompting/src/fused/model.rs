//! A prompt in front of a frozen fused model that answers questions.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use crucible_datasets::{Tokens, VqaBatch};
use crucible_fusion::Strategy;
use crucible_prompt::fused::FusedPrompt;
use crucible_shared::classifier::Beside;
use crucible_shared::{Frozen, VqaModel, fusion_input};
use crucible_training::{ClassificationOutput, steps};

use super::align::AlignConfig;
use super::batch::RewordedBatch;

/// Answers questions; its prompt alone trains.
#[derive(Module, Debug)]
pub struct PromptedVqa {
    /// What trains.
    pub prompt: FusedPrompt,
    /// What does not.
    #[module(skip)]
    pub backbone: Frozen<VqaModel>,
    /// How representations of instructions are held together.
    #[module(skip)]
    pub align: AlignConfig,
}

impl PromptedVqa {
    /// One vector for each instruction, where the prompt reads any.
    ///
    /// # Shapes
    /// - output: `[instructions, width]`
    pub fn represent(&self, instructions: Tokens) -> Option<Tensor<2>> {
        let encoder = self.prompt.instruction.as_ref()?;
        Some(encoder.represent(instructions.ids, instructions.padding))
    }

    /// Logits `[questions, answers]`, given the vectors of instructions, of which the first are those of the questions.
    fn logits(&self, batch: VqaBatch, represented: Option<Tensor<2>>) -> Tensor<2> {
        let backbone = self.backbone.beside(batch.images.device().is_autodiff());
        backbone.decide(self.encode(backbone, batch, represented))
    }

    fn encode(
        &self,
        backbone: &VqaModel,
        batch: VqaBatch,
        represented: Option<Tensor<2>>,
    ) -> crucible_fusion::Modalities {
        let [questions] = batch.image_of.dims();
        let mut input = fusion_input(batch);
        let instructions = represented.map(|vectors| vectors.narrow(0, 0, questions));
        if instructions.is_some() {
            let device = input.text_of.device();
            input.text_of = Tensor::<1, Int>::arange(0..questions as i64, &device);
        }
        self.prompt.encode(&backbone.encoder, input, instructions)
    }

    /// The loss of the answers and, in training, that of alignment beside it.
    pub fn answer(&self, batch: RewordedBatch) -> ClassificationOutput {
        let RewordedBatch {
            vqa,
            instructions,
            same,
        } = batch;
        let represented = instructions.and_then(|instructions| self.represent(instructions));
        let (targets, ids) = (vqa.answers.clone(), vqa.ids.clone());
        let logits = self.logits(vqa, represented.clone());
        let mut output = ClassificationOutput::new(logits, targets, ids);
        let AlignConfig {
            form,
            weight,
            scale,
            ..
        } = self.align;
        if let (Some(vectors), Some(same)) = (represented, same)
            && let Some(loss) = form.loss(vectors, same, scale)
        {
            output.loss = output.loss + loss * weight;
        }
        output
    }

    /// Which item each question is of and, where the fusion weighs the two, how much it weighs the image.
    pub fn beside(&self, batch: RewordedBatch) -> Beside {
        let image_of = Some(batch.vqa.image_of.clone());
        let backbone = self
            .backbone
            .beside(batch.vqa.images.device().is_autodiff());
        let fusion = &backbone.encoder.fusion;
        let weights = || {
            let represented = batch.instructions.and_then(|texts| self.represent(texts));
            fusion.image_weight(self.encode(backbone, batch.vqa, represented))
        };
        Beside {
            image_of,
            image_weights: fusion.weighs().then(weights).flatten(),
        }
    }
}

steps!(PromptedVqa, RewordedBatch, ClassificationOutput, answer);
