//! A prompt in front of a frozen dual encoder that classifies images by the names of the classes.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use crucible_datasets::{ImageBatch, TokensHost};
use crucible_fusion::DualEncoder;
use crucible_kernels::matmul;
use crucible_objectives::normalise;
use crucible_prompt::dual::DualPrompt;
use crucible_shared::Frozen;
use crucible_training::ClassificationOutput;

/// Classifies by the most similar name; its prompt alone trains.
#[derive(Module, Debug)]
pub struct PromptedClassifier {
    /// What trains.
    pub prompt: DualPrompt,
    /// What does not.
    #[module(skip)]
    pub backbone: Frozen<DualEncoder>,
    /// How the classes are called.
    #[module(skip)]
    pub names: Names,
}

/// What is said of the classes, as tokens, and how many texts each class has.
#[derive(Clone, Debug)]
pub struct Names {
    /// Class by class.
    pub texts: TokensHost,
    /// Of each class, its share in each text, `[texts][classes]` row by row: the mean over its own.
    pub shares: Vec<f32>,
    /// How many classes there are.
    pub classes: usize,
}

impl PromptedClassifier {
    /// # Shapes
    /// - `images`: `[images, 3, height, width]`; output: logits `[images, classes]`
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let backbone = self.backbone.beside(images.device().is_autodiff());
        let device = images.device();
        let seen = normalise(self.prompt.embed_images(backbone, images));
        let texts = self.names.texts.clone().upload(&device);
        let read = self.prompt.embed_texts(backbone, texts.ids, texts.padding);
        // The mean of the texts of a class, as where several templates make an ensemble (Radford et al. 2021, section 3.1.4).
        let shares = Tensor::<1>::from_data(&self.names.shares[..], &device);
        let shares = shares.reshape([-1, self.names.classes as i32]);
        let classes = normalise(matmul(shares.transpose(), normalise(read)));
        matmul(seen, classes.transpose()) * backbone.scale().unsqueeze::<2>()
    }

    fn classify(&self, batch: ImageBatch) -> ClassificationOutput {
        ClassificationOutput::new(self.logits(batch.images), batch.labels, batch.ids)
    }
}

impl TrainStep for PromptedClassifier {
    type Input = ImageBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ImageBatch) -> TrainOutput<ClassificationOutput> {
        self.classify(batch).backward(self)
    }
}

impl InferenceStep for PromptedClassifier {
    type Input = ImageBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ImageBatch) -> ClassificationOutput {
        self.classify(batch)
    }
}
