//! One modality alone.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};
use crucible_kernels::cross_entropy;
use crucible_transformer::{
    Activation, EncoderConfig, LayerNorm, NormPlacement, TextEncoder, TextEncoderConfig, linear,
    project, project_and_activate,
};
use crucible_vision::{Vit, VitConfig};
use serde_json::json;

use crate::peers::Failure;
use crate::workloads::{Workload, numbers, pixels};

/// A ViT with a linear classifier.
#[derive(Module, Debug)]
struct VitModel {
    vit: Vit,
    output: Linear,
}

/// ViT-Ti/16 on images of 224 pixels and 1000 classes.
pub fn vit(name: &'static str, batch: usize, device: &Device) -> Result<Workload, Failure> {
    const CLASSES: usize = 1000;
    let config = VitConfig::tiny();
    let width = config.encoder.d_model;
    let model = VitModel {
        vit: config.init(device),
        output: linear(width, CLASSES, device),
    };
    let images = pixels([batch, 3, config.image_size, config.image_size], device);
    let targets = numbers([batch], CLASSES, device);
    let tensors = vec![("images", images.to_data()), ("targets", targets.to_data())];
    Workload::new(
        name,
        json!({ "vit": config }),
        model,
        tensors,
        move |model| {
            let encoded = model.vit.forward(images.clone());
            cross_entropy(project(&model.output, encoded.pooled), targets.clone(), 0.0)
        },
    )
}

/// BERT with the head that predicts masked words, whose weight is that of the word embeddings.
#[derive(Module, Debug)]
struct MaskedLanguageModel {
    text: TextEncoder,
    hidden: Linear,
    norm: LayerNorm,
    bias: Param<Tensor<1>>,
}

/// BERT-base (Devlin et al. 2019) on 8 sequences of 128 tokens, of which every seventh is to be predicted.
pub fn bert(name: &'static str, device: &Device) -> Result<Workload, Failure> {
    const VOCABULARY: usize = 30_522;
    const SHAPE: [usize; 2] = [8, 128];
    let encoder = EncoderConfig::new(768, 12, 3072, 12)
        .with_norm(NormPlacement::Post)
        .with_norm_epsilon(1e-12);
    let config = TextEncoderConfig::new(VOCABULARY, 512, encoder);
    let (width, epsilon) = (config.encoder.d_model, config.encoder.norm_epsilon);
    let model = MaskedLanguageModel {
        text: config.init(device),
        hidden: linear(width, width, device),
        norm: LayerNorm::new(width, epsilon, device),
        bias: Initializer::Zeros.init([VOCABULARY], device),
    };
    let rows = SHAPE[0] * SHAPE[1];
    let masked = rows.div_ceil(7);
    let tokens = numbers(SHAPE, VOCABULARY, device);
    let positions = Tensor::<1, Int>::arange_step(0..rows as i64, 7, device);
    let targets = numbers([masked], VOCABULARY, device);
    let tensors = vec![
        ("tokens", tokens.to_data()),
        ("positions", positions.to_data()),
        ("targets", targets.to_data()),
    ];
    Workload::new(
        name,
        json!({ "bert": config }),
        model,
        tensors,
        move |model| {
            let encoded = model.text.forward(tokens.clone(), None, None);
            let rows = encoded
                .tokens
                .reshape([rows, width])
                .select(0, positions.clone());
            let hidden = project_and_activate(&model.hidden, rows, Activation::Gelu);
            let words = model.text.embeddings.word.weight.val().transpose();
            let bias = Some(model.bias.val());
            let logits = crucible_kernels::linear(model.norm.forward(hidden), words, bias, None);
            cross_entropy(logits, targets.clone(), 0.0)
        },
    )
}
