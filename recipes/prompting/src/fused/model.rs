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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::align::{AlignForm, Pairs};
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::{Device, Distribution, Gradients, TensorData};
    use crucible_datasets::{Blank, indices};
    use crucible_fusion::{ConcatenationConfig, FusionConfig, FusionEncoderConfig};
    use crucible_prompt::fused::{FusedPromptConfig, TokensConfig};
    use crucible_prompt::instruction::InstructionConfig;
    use crucible_transformer::{EncoderConfig, TextEncoderConfig};
    use crucible_vision::VitConfig;

    fn model(prompt: &FusedPromptConfig, form: AlignForm, device: &Device) -> PromptedVqa {
        let stack = EncoderConfig::new(8, 2, 12, 1);
        let vision = VitConfig::new(16, 8, stack.clone());
        let text = TextEncoderConfig::new(11, 6, stack);
        let fusion = FusionConfig::Late(ConcatenationConfig::new());
        let config = FusionEncoderConfig::new(vision, text, fusion);
        PromptedVqa {
            prompt: prompt.init(&config, [9, 6], device).unwrap(),
            backbone: Frozen::new(VqaModel::new(&config, 3, device)),
            align: AlignConfig {
                form,
                weight: 1.0,
                scale: 5.0,
                pairs: Pairs::Meanings,
                clusters: 1,
                paraphrases: 1,
            },
        }
    }

    /// Two questions about one picture; four instructions, of which the first two are theirs.
    fn batch(device: &Device) -> RewordedBatch {
        let ids = |rows: Vec<i32>, shape: [usize; 2]| {
            Tensor::<2, Int>::from_data(TensorData::new(rows, shape), device)
        };
        let seen = |shape| Tensor::<2>::zeros(shape, device).greater_elem(1.0);
        let groups = [0, 1, 0, 1];
        let same = groups.map(|a| groups.map(|b| a == b));
        RewordedBatch {
            vqa: VqaBatch {
                images: Tensor::random([1, 3, 16, 16], Distribution::Normal(0.0, 1.0), device),
                image_of: indices(vec![0, 0], device),
                tokens: ids(vec![1, 2, 3, 4, 5, 6], [2, 3]),
                padding: seen([2, 3]),
                text_of: indices(vec![0, 1], device),
                answers: indices(vec![0, 2], device),
                ids: vec!["a".into(), "b".into()],
                blank: Blank::None,
            },
            instructions: Some(Tokens {
                ids: ids((0..8).collect(), [4, 2]),
                padding: seen([4, 2]),
            }),
            same: Some(Tensor::from_data(TensorData::from(same), device)),
        }
    }

    struct Reached<'a> {
        gradients: &'a Gradients,
        with: usize,
        without: usize,
    }

    impl ModuleVisitor for Reached<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match param.val().grad(self.gradients) {
                Some(_) => self.with += 1,
                None => self.without += 1,
            }
        }
    }

    fn reached<M: Module>(module: &M, gradients: &Gradients) -> [usize; 2] {
        let mut reached = Reached {
            gradients,
            with: 0,
            without: 0,
        };
        module.visit(&mut reached);
        [reached.with, reached.without]
    }

    #[test]
    fn gradients_reach_the_prompt_and_nothing_of_the_backbone() {
        let device = Device::flex().autodiff();
        let tokens = || TokensConfig::new(2);
        let instructed = InstructionConfig::new(2).with_width(8);
        for prompt in [
            FusedPromptConfig::Text(tokens()),
            FusedPromptConfig::Vision(tokens()),
            FusedPromptConfig::Both(tokens()),
            FusedPromptConfig::Instructed(instructed),
        ] {
            let model = model(&prompt, AlignForm::None, &device);
            let mut batch = batch(&device);
            if !prompt.instructed() {
                (batch.instructions, batch.same) = (None, None);
            }
            let gradients = model.answer(batch).loss.backward();
            // All that is saved and trained is the prompt.
            assert_eq!(model.num_params(), model.prompt.num_params());
            let [with, without] = reached(&model.prompt, &gradients);
            assert!(with > 0 && without == 0, "{prompt:?}: {with} {without}");
            let [with, without] = reached(model.backbone.beside(true), &gradients);
            assert!(with == 0 && without > 20, "{prompt:?}: {with} {without}");
        }
    }

    #[test]
    fn alignment_adds_to_the_loss_of_training_alone_and_the_words_are_not_read() {
        let device = Device::flex();
        let instructed = FusedPromptConfig::Instructed(InstructionConfig::new(2).with_width(8));
        let loss = |model: &PromptedVqa, batch| -> f64 { model.answer(batch).loss.into_scalar() };
        let mut model = model(&instructed, AlignForm::None, &device);
        let batch = batch(&device);
        let plain = loss(&model, batch.clone());
        for form in [AlignForm::Pull, AlignForm::Uniform, AlignForm::Contrastive] {
            model.align.form = form;
            let aligned = loss(&model, batch.clone());
            assert!(
                (aligned - plain).abs() > 1e-3,
                "{form:?}: {aligned} {plain}"
            );
            let mut evaluated = batch.clone();
            evaluated.same = None;
            assert_eq!(loss(&model, evaluated), plain, "{form:?}");
        }
        model.align.form = AlignForm::None;
        let mut other = batch.clone();
        other.vqa.tokens = other.vqa.tokens.zeros_like();
        assert_eq!(loss(&model, other), plain);
    }
}
