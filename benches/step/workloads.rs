//! The models of the benchmark, each with its batch.

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_store::{ModuleSnapshot, bridge};
use crucible_datasets::{
    Blank, ImageProcessor, Tokenizer, TrainLoader, VqaBatch, VqaCollate, open_vqa,
};
use crucible_downstream::{Vqa, VqaConfig};
use crucible_fusion::FusionConfig;
use crucible_kernels::among_threads;
use crucible_kernels::flops::counted;
use crucible_training::optimizer::{adamw, parameters};
use crucible_training::{Recipe, TrainingConfig};
use crucible_transformer::{EncoderConfig, Pooling};
use serde_json::json;

use crate::peers::{Failure, Start};
use crate::towers::{bert, vit};
use crate::{LEARNING_RATE, SEED, THREADS};

/// A model and its batch, ready to be trained here, and described for the peer.
pub struct Workload {
    pub name: &'static str,
    pub parameters: usize,
    /// Floating-point operations of a forward pass.
    pub forward_flops: f64,
    pub start: Start,
    /// One training step; its loss.
    pub step: Box<dyn FnMut() -> f64>,
}

/// A workload that can be made.
pub struct Known {
    pub name: String,
    /// In words.
    pub about: String,
    make: Box<Make>,
}

type Make = dyn Fn(&'static str, &Device) -> Result<Workload, Failure>;

impl Known {
    fn new(
        name: &str,
        about: &str,
        make: impl Fn(&'static str, &Device) -> Result<Workload, Failure> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            about: about.into(),
            make: Box::new(make),
        }
    }

    pub fn make(&self, device: &Device) -> Result<Workload, Failure> {
        (self.make)(self.name.clone().leak(), device)
    }
}

/// All of them: those that are measured when none is named, and those of how time and memory grow.
pub fn workloads() -> [Vec<Known>; 2] {
    let models = vec![
        Known::new(
            "vit",
            "ViT-Ti/16, 8 images of 224 pixels",
            |name, device| vit(name, 8, device),
        ),
        Known::new("vit-32", "ViT-Ti/16, 32 images", |name, device| {
            vit(name, 32, device)
        }),
        Known::new("bert", "BERT-base, masked words, 8 x 128 tokens", bert),
        Known::new(
            "fusion-early",
            "early fusion, d 256, 8 layers, 16 pairs of 197 + 64 tokens",
            |name, device| fusion(name, "early", [0, 0, 8], device),
        ),
        Known::new("fusion-mid", "mid fusion, the same", |name, device| {
            fusion(name, "mid", [3, 3, 1], device)
        }),
        Known::new("fusion-late", "late fusion, the same", |name, device| {
            fusion(name, "late", [4, 4, 0], device)
        }),
        Known::new("early", "vqa's quick preset, early fusion", quick),
        Known::new("mid", "vqa's quick preset, mid fusion", quick),
        Known::new("late", "vqa's quick preset, late fusion", quick),
    ];
    let doubled = |from: usize, to| {
        std::iter::successors(Some(from), |n| Some(2 * n)).take_while(move |n| *n <= to)
    };
    let lengths = doubled(128, 4096).map(|length| {
        let about = format!("2 layers of width 256 on one sequence of {length} tokens");
        Known::new(&format!("tokens-{length}"), &about, move |name, device| {
            tokens(name, 1, length, device)
        })
    });
    let batches = doubled(1, 512).map(|batch| {
        let about = format!("2 layers of width 256 on {batch} sequences of 64 tokens");
        Known::new(&format!("batch-{batch}"), &about, move |name, device| {
            tokens(name, batch, 64, device)
        })
    });
    [models, lengths.chain(batches).collect()]
}

/// A stack of blocks whose output is compared with nothing.
fn tokens(
    name: &'static str,
    batch: usize,
    length: usize,
    device: &Device,
) -> Result<Workload, Failure> {
    let config = EncoderConfig::new(256, 4, 1024, 2);
    let model = config.init(device);
    let pixels = pixels([1, batch, length, config.d_model], device).squeeze_dim::<3>(0);
    let tensors = vec![("tokens", pixels.to_data())];
    Workload::new(
        name,
        json!({ "tokens": config }),
        model,
        tensors,
        move |model| {
            let x = model.forward(pixels.clone(), None);
            (x.clone().narrow(2, 0, 1) - x.narrow(2, 1, 1))
                .square()
                .mean()
        },
    )
}

impl Workload {
    /// `batch` are the tensors that `loss` reads, for the peer.
    pub fn new<M: Module + 'static>(
        name: &'static str,
        config: serde_json::Value,
        model: M,
        batch: Vec<(&str, TensorData)>,
        loss: impl Fn(&M) -> Tensor<1> + Send + Sync + 'static,
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
        let (_, flops) = counted(|| loss(&model));
        let mut optimizer = adamw(&training, &model, &Device::flex());
        let mut model = Some(model);
        let step = move || {
            let before = model.take().expect("every step puts the model back");
            let (before, loss, gradients) = among_threads(&Device::flex(), || {
                let loss = loss(&before);
                let gradients = GradientsParams::from_grads(loss.backward(), &before);
                (before, loss, gradients)
            });
            model = Some(optimizer.step(LEARNING_RATE, before, gradients));
            loss.into_scalar::<f64>()
        };
        Ok(Self {
            name,
            parameters,
            forward_flops: flops as f64,
            start: Start {
                description,
                tensors,
            },
            step: Box::new(step),
        })
    }
}

/// A step of the recipe `vqa` on a batch.
fn answering(
    name: &'static str,
    config: &VqaConfig,
    vocabulary: usize,
    answers: usize,
    batch: VqaBatch,
    device: &Device,
) -> Result<Workload, Failure> {
    let model = config.init(vocabulary, answers, device);
    let encoder = config.encoder(vocabulary);
    let tensors = vec![
        ("images", batch.images.to_data()),
        ("image_of", batch.image_of.to_data()),
        ("tokens", batch.tokens.to_data()),
        ("padding", batch.padding.clone().int().to_data()),
        ("text_of", batch.text_of.to_data()),
        ("targets", batch.answers.to_data()),
    ];
    let description = json!({ "fusion": encoder });
    Workload::new(name, description, model, tensors, move |model| {
        model.answer(batch.clone()).loss
    })
}

/// The quick preset of the recipe `vqa` on the first batch of its own data: 16 images, some ten questions
/// about each, equal questions stored once.
fn quick(strategy: &'static str, device: &Device) -> Result<Workload, Failure> {
    let choices = toml::Table::from_iter([("fusion".into(), toml::Value::from(strategy))]);
    let config = Vqa::preset("quick", &choices);
    let data = open_vqa(&config.data)?;
    let tokenizer = Tokenizer::new(&config.tokenizer, &data.training_texts()?)?;
    let (vocabulary, answers) = (tokenizer.vocabulary_size(), data.labels.len());
    let images = ImageProcessor::new(&config.image)?.into();
    let collate = VqaCollate::new(
        images,
        config.augment.clone(),
        tokenizer.into(),
        &data.labels,
        config.blank,
    )?;
    let devices = std::slice::from_ref(device);
    let loader = TrainLoader::new(data.train, collate.into(), &config.loader, SEED, 1, devices)?;
    let batch: VqaBatch = loader.iter().next().ok_or("the loader has no batch")??;
    answering(strategy, &config, vocabulary, answers, batch, device)
}

/// The recipe `vqa` at the size of a small ViT: 16 pairs of an image of 197 tokens and a text of 64.
fn fusion(
    name: &'static str,
    strategy: &str,
    [image_layers, text_layers, fusion_layers]: [usize; 3],
    device: &Device,
) -> Result<Workload, Failure> {
    const PAIRS: usize = 16;
    const WORDS: usize = 64;
    const VOCABULARY: usize = 10_000;
    const ANSWERS: usize = 1000;
    let mut config = Vqa::preset("full", &toml::Table::new());
    config.tokenizer.max_length = WORDS;
    config.fusion = FusionConfig::named(strategy, fusion_layers).ok_or("no such strategy")?;
    let model = &mut config.model;
    (model.d_model, model.heads, model.d_ff) = (256, 4, 1024);
    (model.image_layers, model.text_layers) = (image_layers, text_layers);
    (model.pooling, model.dropout) = (Pooling::Cls, 0.0);
    let each = || Tensor::arange(0..PAIRS as i64, device);
    let batch = VqaBatch {
        images: pixels([PAIRS, 3, config.image.size, config.image.size], device),
        image_of: each(),
        tokens: numbers([PAIRS, WORDS], VOCABULARY, device),
        padding: Tensor::<2, Int>::zeros([PAIRS, WORDS], device).bool(),
        text_of: each(),
        answers: numbers([PAIRS], ANSWERS, device),
        ids: Vec::new(),
        blank: Blank::None,
    };
    answering(name, &config, VOCABULARY, ANSWERS, batch, device)
}

/// Noise, the same each time: images that look alike have gradients that cancel but for rounding, and AdamW
/// makes whole steps of those.
pub fn pixels(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let pixel = |i: u64| {
        let hash = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = (hash ^ (hash >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (hash >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let pixels: Vec<f32> = (0..shape.iter().product::<usize>() as u64)
        .map(pixel)
        .collect();
    Tensor::from_data(TensorData::new(pixels, shape), device)
}

/// Numbers below `limit` without an order.
pub fn numbers<const D: usize>(shape: [usize; D], limit: usize, device: &Device) -> Tensor<D, Int> {
    let numbers = (0..shape.iter().product()).map(|i: usize| (i * 7919 % limit) as i32);
    Tensor::from_data(
        TensorData::new(numbers.collect::<Vec<i32>>(), shape),
        device,
    )
}
