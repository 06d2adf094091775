//! A prompt in front of a frozen dual encoder that classifies images by the names of the classes.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use crucible_datasets::{ImageBatch, TokensHost};
use crucible_fusion::DualEncoder;
use crucible_kernels::{cross_entropy, matmul};
use crucible_objectives::{chunked, normalise};
use crucible_prompt::dual::DualPrompt;
use crucible_shared::Frozen;
use crucible_training::ClassificationOutput;

use crate::words::class_means;

/// Texts whose activations are held at a time where each image has its own: those of one image at least.
const SEQUENCES: usize = 128;

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

/// What is said of the classes.
#[derive(Clone, Debug)]
pub struct Names {
    /// As tokens.
    pub texts: TokensHost,
    /// The class of each text; the mean over its own stands for a class, as where several templates make an ensemble
    /// (Radford et al. 2021, section 3.1.4).
    pub class: Vec<usize>,
    /// How many classes there are.
    pub classes: usize,
}

impl PromptedClassifier {
    /// Images whose activations are held at a time.
    pub fn at_once(&self) -> usize {
        match self.prompt.is_conditional() {
            true => (SEQUENCES / self.names.class.len().max(1)).max(1),
            false => usize::MAX,
        }
    }

    /// # Shapes
    /// - `images`: `[images, 3, height, width]`; output: `[images, d_embedding]`, of length one
    fn embed(&self, images: Tensor<4>) -> Tensor<2> {
        let backbone = self.backbone.beside(images.device().is_autodiff());
        normalise(self.prompt.embed_images(backbone, images))
    }

    /// # Shapes
    /// - `seen`, of [`embed`](Self::embed): `[images, d_embedding]`; output: logits `[images, classes]`
    fn compare(&self, seen: Tensor<2>) -> Tensor<2> {
        let device = seen.device();
        let backbone = self.backbone.beside(device.is_autodiff());
        let Names {
            texts,
            class,
            classes,
        } = &self.names;
        let texts = texts.clone().upload(&device);
        let means = class_means(class, *classes, &device).transpose();
        let similarities = match self.prompt.is_conditional() {
            false => {
                let read = self.prompt.embed_texts(backbone, texts.ids, texts.padding);
                let of_classes = normalise(matmul(means, normalise(read)));
                matmul(seen, of_classes.transpose())
            }
            true => {
                let [images, d] = seen.dims();
                let read =
                    (self.prompt).embed_texts_for(backbone, seen.clone(), texts.ids, texts.padding);
                let read = normalise(read).reshape([images, class.len(), d]);
                let means = means
                    .unsqueeze::<3>()
                    .expand([images, *classes, class.len()]);
                let of_classes = normalise(matmul(means, read).reshape([images * classes, d]));
                let of_classes = of_classes.reshape([images, *classes, d]);
                matmul(of_classes, seen.unsqueeze_dim(2)).squeeze_dim(2)
            }
        };
        similarities * backbone.scale().unsqueeze::<2>()
    }

    /// The images of a chunk.
    fn chunk(&self, seen: &Tensor<2>, number: usize) -> Tensor<2> {
        let ([images, _], start) = (seen.dims(), number * self.at_once());
        let count = self.at_once().min(images - start);
        seen.clone().narrow(0, start, count)
    }

    fn train_in_chunks(
        &self,
        seen: &Tensor<2>,
        targets: Tensor<1, Int>,
        ids: Vec<String>,
    ) -> TrainOutput<ClassificationOutput> {
        let images = ids.len();
        let part = |model: &Self, number| [model.compare(self.chunk(seen, number))];
        let loss = |[logits]: [Tensor<2>; 1], rows: Range<usize>| {
            let logits = logits.narrow(0, rows.start, rows.len());
            let targets = targets.clone().narrow(0, rows.start, rows.len());
            let share = rows.len() as f64 / images as f64;
            (
                cross_entropy(logits.clone(), targets, 0.0) * share,
                logits.inner(),
            )
        };
        let (grads, loss, logits) = chunked(self, images.div_ceil(self.at_once()), part, loss);
        let item = ClassificationOutput {
            loss,
            logits: Tensor::cat(logits, 0),
            targets,
            ids,
        };
        TrainOutput { grads, item }
    }
}

impl TrainStep for PromptedClassifier {
    type Input = ImageBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ImageBatch) -> TrainOutput<ClassificationOutput> {
        let seen = self.embed(batch.images);
        if self.at_once() < batch.ids.len() {
            return self.train_in_chunks(&seen, batch.labels, batch.ids);
        }
        ClassificationOutput::new(self.compare(seen), batch.labels, batch.ids).backward(self)
    }
}

impl InferenceStep for PromptedClassifier {
    type Input = ImageBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ImageBatch) -> ClassificationOutput {
        let seen = self.embed(batch.images);
        let chunks = 0..batch.ids.len().div_ceil(self.at_once());
        let logits = chunks.map(|number| self.compare(self.chunk(&seen, number)));
        let logits = Tensor::cat(logits.collect(), 0);
        ClassificationOutput::new(logits, batch.labels, batch.ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Distribution};
    use crucible_fusion::DualEncoderConfig;
    use crucible_prompt::dual::DualPromptConfig;
    use crucible_prompt::prefix::{DeepPromptConfig, SoftPromptInit};
    use crucible_shared::{Layers, TowersConfig};

    /// With so many texts of three classes that a chunk holds two images.
    fn model(config: &DualPromptConfig, device: &Device) -> PromptedClassifier {
        device.seed(1);
        let layers = Layers {
            image: 1,
            text: 1,
            fusion: 0,
        };
        let sizes = TowersConfig::small(8, layers);
        let towers = DualEncoderConfig::new(sizes.vision(16), sizes.text(70, 3), 32);
        let towers = towers.init(device);
        let prompt = config.init(&towers, &SoftPromptInit::Normal, device);
        let texts: Vec<Vec<u32>> = (1..=60).map(|word| vec![word, 1 + word % 7]).collect();
        PromptedClassifier {
            prompt: prompt.unwrap(),
            backbone: Frozen::new(towers),
            names: Names {
                texts: TokensHost::pad(&texts, 0),
                class: (0..60).map(|text| text % 3).collect(),
                classes: 3,
            },
        }
    }

    fn batch(device: &Device) -> ImageBatch {
        let shape = [5, 3, 16, 16];
        ImageBatch {
            images: Tensor::random(shape, Distribution::Normal(0.0, 1.0), device),
            labels: Tensor::from_data([0, 1, 2, 1, 0], device),
            ids: (0..5).map(|id| id.to_string()).collect(),
        }
    }

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    fn close(found: &[f32], expected: &[f32]) -> bool {
        let apart = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5 + 1e-4 * b.abs();
        found.len() == expected.len() && found.iter().zip(expected).all(apart)
    }

    /// In chunks with the gradients of a whole batch, and with no image among others.
    #[test]
    fn images_with_texts_of_their_own_are_compared_in_chunks() {
        let device = Device::flex().autodiff();
        let config = DualPromptConfig::Conditional(DeepPromptConfig::new(3, 1));
        let model = model(&config, &device);
        assert_eq!(model.at_once(), 2);
        let batch = batch(&device);
        let seen = model.embed(batch.images.clone());
        let logits = model.compare(seen);
        let loss = cross_entropy(logits.clone(), batch.labels.clone(), 0.0);
        let whole = GradientsParams::from_grads(loss.backward(), &model);
        let parts = TrainStep::step(&model, batch.clone());
        assert!(close(&numbers(parts.item.loss), &numbers(loss.inner())));
        assert!(close(
            &numbers(parts.item.logits),
            &numbers(logits.clone().inner())
        ));
        let prompt = &model.prompt;
        let vectors = prompt.text.as_ref().unwrap();
        let meta = prompt.meta.as_ref().unwrap();
        let gradients = [&parts.grads, &whole].map(|of| {
            let of_vectors = of.get::<3>(vectors.id).unwrap();
            let matrix = |matrix: &Param<Tensor<2>>| numbers(of.get::<2>(matrix.id).unwrap());
            [
                numbers(of_vectors),
                matrix(&meta.inner.weight),
                matrix(&meta.outer.weight),
            ]
        });
        for (found, expected) in gradients[0].iter().zip(&gradients[1]) {
            assert!(close(found, expected), "{found:?} {expected:?}");
            assert!(expected.iter().any(|gradient| gradient.abs() > 1e-6));
        }
        let told = InferenceStep::step(&model, batch.clone()).logits;
        assert!(close(&numbers(told), &numbers(logits.clone())));
        let last = model.compare(model.embed(batch.images.narrow(0, 4, 1)));
        assert!(close(&numbers(last), &numbers(logits.narrow(0, 4, 1))));
    }
}
