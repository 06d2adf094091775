//! The models of the benchmark, each with its batch.

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::nn::Linear;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_store::{ModuleSnapshot, bridge};
use crucible_datasets::{ImageProcessor, Tokenizer, TrainLoader, VqaBatch, VqaCollate, open_vqa};
use crucible_downstream::Vqa;
use crucible_training::optimizer::{adamw, parameters};
use crucible_training::{Recipe, TrainingConfig};
use crucible_transformer::linear;
use crucible_vision::{Vit, VitConfig};
use serde_json::json;

use crate::peers::{Failure, Start};
use crate::{LEARNING_RATE, SEED, THREADS};

/// A model and its batch, ready to be trained here, and described for the peer.
pub struct Workload {
    pub name: &'static str,
    pub parameters: usize,
    pub start: Start,
    /// One training step; its loss.
    pub step: Box<dyn FnMut() -> f64>,
}

/// Makes a workload on a device.
type Make = fn(&Device) -> Result<Workload, Failure>;

/// All of them, by name.
pub const WORKLOADS: [(&str, Make); 4] = [
    ("early", |device| fusion("early", device)),
    ("mid", |device| fusion("mid", device)),
    ("late", |device| fusion("late", device)),
    ("vit", vit),
];

impl Workload {
    /// `batch` are the tensors that `loss` reads, for the peer.
    fn new<M: Module + 'static>(
        name: &'static str,
        config: serde_json::Value,
        model: M,
        batch: Vec<(&str, TensorData)>,
        loss: impl Fn(&M) -> Tensor<1> + 'static,
    ) -> Result<Self, Failure> {
        let training = TrainingConfig::new(1, LEARNING_RATE);
        // With the names of enum variants, as the optimizer sees the paths.
        let mut tensors = Vec::new();
        for tensor in model.collect(None, None, false) {
            tensors.push((format!("model.{}", tensor.name), bridge::to_data(&tensor)?));
        }
        let undecayed = parameters(&model, 1.0)
            .into_iter()
            .filter(|parameter| !parameter.decays)
            .map(|parameter| parameter.path);
        let description = json!({
            "config": config,
            "optimizer": training,
            "no_decay": undecayed.collect::<Vec<_>>(),
            "threads": THREADS,
        });
        tensors.extend(
            batch
                .into_iter()
                .map(|(name, data)| (format!("batch.{name}"), data)),
        );

        let parameters = model.num_params();
        let mut optimizer = adamw(&training, &model, &Device::flex());
        let mut model = Some(model);
        let step = move || {
            let before = model.take().expect("every step puts the model back");
            let loss = loss(&before);
            let gradients = GradientsParams::from_grads(loss.backward(), &before);
            model = Some(optimizer.step(LEARNING_RATE, before, gradients));
            loss.into_scalar::<f64>()
        };
        Ok(Self {
            name,
            parameters,
            start: Start {
                description,
                tensors,
            },
            step: Box::new(step),
        })
    }
}

/// The quick preset of the recipe `vqa` on the first batch of its own data: 16 images, some ten questions
/// about each, equal questions stored once.
fn fusion(strategy: &'static str, device: &Device) -> Result<Workload, Failure> {
    let choices = toml::Table::from_iter([("fusion".into(), toml::Value::from(strategy))]);
    let config = Vqa::preset("quick", &choices);
    let data = open_vqa(&config.data)?;
    let tokenizer = Tokenizer::new(&config.tokenizer, &data.training_texts()?)?;
    let vocabulary = tokenizer.vocabulary_size();
    let description = json!({ "fusion": config.encoder(vocabulary) });
    let model = config.init(vocabulary, data.labels.len(), device);

    let images = ImageProcessor::new(&config.image)?.into();
    let collate = VqaCollate::new(
        images,
        config.augment,
        tokenizer.into(),
        &data.labels,
        config.blank,
    )?;
    let devices = std::slice::from_ref(device);
    let loader = TrainLoader::new(data.train, collate.into(), &config.loader, SEED, 1, devices)?;
    let batch: VqaBatch = loader.iter().next().ok_or("the loader has no batch")??;

    let tensors = vec![
        ("images", batch.images.to_data()),
        ("image_of", batch.image_of.to_data()),
        ("tokens", batch.tokens.to_data()),
        ("padding", batch.padding.clone().int().to_data()),
        ("text_of", batch.text_of.to_data()),
        ("targets", batch.answers.to_data()),
    ];
    Workload::new(strategy, description, model, tensors, move |model| {
        model.answer(batch.clone()).loss
    })
}

/// A ViT with a linear classifier.
#[derive(Module, Debug)]
struct VitModel {
    vit: Vit,
    output: Linear,
}

/// ViT-Ti/16 on eight images of 224 pixels and 1000 classes.
fn vit(device: &Device) -> Result<Workload, Failure> {
    const IMAGES: usize = 8;
    const CLASSES: usize = 1000;
    let config = VitConfig::tiny();
    let model = VitModel {
        vit: config.init(device),
        output: linear(config.encoder.d_model, CLASSES, device),
    };
    let shape = [IMAGES, 3, config.image_size, config.image_size];
    // Not random, yet different in each pixel and image.
    let pixels = (0..shape.iter().product()).map(|i: usize| (i as f64 * 1.618).sin() as f32);
    let images = TensorData::new(pixels.collect::<Vec<f32>>(), shape);
    let targets: Vec<i32> = (0..IMAGES).map(|i| (i * 137 % CLASSES) as i32).collect();
    let targets = TensorData::new(targets, [IMAGES]);
    let batch = vec![("images", images.clone()), ("targets", targets.clone())];

    let (images, targets) = (
        Tensor::<4>::from_data(images, device),
        Tensor::<1, Int>::from_data(targets, device),
    );
    Workload::new(
        "vit",
        json!({ "vit": config }),
        model,
        batch,
        move |model| {
            let encoded = model.vit.forward(images.clone());
            cross_entropy(model.output.forward(encoded.pooled), targets.clone())
        },
    )
}

fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let loss = CrossEntropyLossConfig::new().init(&logits.device());
    loss.forward(logits, targets)
}
