use super::*;
use crate::fixture::{Classifier, alone, config};
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::tensor::TensorData;

fn linear(device: &Device) -> Linear {
    LinearConfig::new(2, 2).init(device)
}

/// Gradients of a linear layer: four for the weight, two for the bias.
fn grads(model: &Linear, weight: [[f32; 2]; 2], bias: [f32; 2]) -> GradientsParams {
    let device = Device::flex();
    let mut grads = GradientsParams::new();
    grads.register(model.weight.id, Tensor::<2>::from_data(weight, &device));
    grads.register(
        model.bias.as_ref().unwrap().id,
        Tensor::<1>::from_data(bias, &device),
    );
    grads
}

fn read(model: &Linear, grads: &GradientsParams) -> Vec<f32> {
    let mut values = grads
        .get::<2>(model.weight.id)
        .unwrap()
        .into_data()
        .try_to_vec::<f32>()
        .unwrap();
    values.extend(
        grads
            .get::<1>(model.bias.as_ref().unwrap().id)
            .unwrap()
            .into_data()
            .try_to_vec::<f32>()
            .unwrap(),
    );
    values
}

#[test]
fn the_norm_is_of_all_gradients_together() {
    let _turn = alone();
    let model = linear(&Device::flex());
    let grads = grads(&model, [[1.0, -2.0], [2.0, 4.0]], [0.0, 12.0]);
    // 1 + 4 + 4 + 16 + 144 = 169.
    assert_eq!(global_norm(&model, &grads), 13.0);
    assert_eq!(global_norm(&model, &GradientsParams::new()), 0.0);
}

#[test]
fn clipping_scales_every_gradient_by_one_factor() {
    let _turn = alone();
    let model = linear(&Device::flex());
    let weight = [[1.0, -2.0], [2.0, 4.0]];
    let bias = [0.0, 12.0];
    let clipped = clip(&model, grads(&model, weight, bias), 13.0, 6.5);
    assert_eq!(read(&model, &clipped), [0.5, -1.0, 1.0, 2.0, 0.0, 6.0]);
    assert!((global_norm(&model, &clipped) - 6.5).abs() < 1e-6);
    for (norm, max_norm) in [(13.0, 13.0), (13.0, 20.0), (13.0, 0.0)] {
        let kept = clip(&model, grads(&model, weight, bias), norm, max_norm);
        assert_eq!(
            read(&model, &kept),
            [1.0, -2.0, 2.0, 4.0, 0.0, 12.0],
            "{max_norm}"
        );
    }
}

/// The real models are in the integration tests: this crate knows none.
#[test]
fn what_is_multiplied_with_decays_and_the_rest_does_not() {
    #[derive(Module, Debug)]
    struct Mixed {
        words: Embedding,
        token: Option<Param<Tensor<3>>>,
        blocks: Vec<Classifier>,
    }
    let device = Device::flex();
    let model = Mixed {
        words: EmbeddingConfig::new(3, 2).init(&device),
        token: Some(Initializer::Zeros.init([1, 1, 2], &device)),
        blocks: vec![Classifier::new(&device)],
    };
    assert_eq!(
        undecayed(&model),
        [
            "words.weight",
            "token",
            "blocks.0.hidden.bias",
            "blocks.0.norm.gamma",
            "blocks.0.norm.beta",
            "blocks.0.head.bias"
        ]
    );
}

/// One step by hand: with a first gradient g, AdamW moves by lr * g / (|g| + epsilon) whatever g is,
/// and a weight that decays shrinks by lr * decay first.
#[test]
fn one_step_matches_a_hand_computation() {
    let _turn = alone();
    let device = Device::flex().autodiff();
    let mut model = linear(&device);
    model.weight = model
        .weight
        .map(|weight| Tensor::from_data([[1.0, 2.0], [3.0, 4.0]], &weight.device()).require_grad());
    model.bias = model
        .bias
        .map(|bias| bias.map(|bias| Tensor::from_data([5.0, 6.0], &bias.device()).require_grad()));
    let mut config = config(10);
    config.weight_decay = 0.5;
    config.epsilon = 1e-8;
    let grads = grads(&model, [[0.1, -0.1], [10.0, 0.01]], [1.0, -1.0]);
    let model = adamw(&config, &model, &Device::flex()).step(0.1, model, grads);
    let weight = model.weight.val().into_data();
    let bias = model.bias.unwrap().val().into_data();
    let near = |data: TensorData, expected: &[f32]| {
        let found = data.try_to_vec::<f32>().unwrap();
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-5),
            "{found:?} {expected:?}"
        );
    };
    near(weight, &[0.95 - 0.1, 1.9 + 0.1, 2.85 - 0.1, 3.8 - 0.1]);
    near(bias, &[5.0 - 0.1, 6.0 + 0.1]);
}

#[test]
fn a_restored_optimizer_takes_the_same_next_step() {
    let _turn = alone();
    let device = Device::flex().autodiff();
    let config = config(10);
    let model = Classifier::new(&device);
    let batch = |step| {
        use burn::data::dataloader::DataLoader;
        let loader = crate::fixture::Steps::new(10).to_device(&device);
        loader.iter().nth(step).unwrap().unwrap()
    };
    let step = |optimizer: &mut ModuleOptimizer, model: Classifier, index: usize| {
        let grads =
            GradientsParams::from_grads(model.classify(batch(index)).loss.backward(), &model);
        optimizer.step(0.01, model, grads)
    };
    let mut optimizer = adamw(&config, &model, &Device::flex());
    let model = step(&mut optimizer, model, 0);
    let mut restored = adamw(&config, &model, &Device::flex()).load_record(optimizer.to_record());
    assert_eq!(restored.to_record().len(), optimizer.to_record().len());
    device.seed(1);
    let expected = step(&mut optimizer, model.clone(), 1).weights();
    device.seed(1);
    assert_eq!(step(&mut restored, model.clone(), 1).weights(), expected);
    device.seed(1);
    assert_ne!(
        step(&mut adamw(&config, &model, &Device::flex()), model, 1).weights(),
        expected,
        "the state matters"
    );
}
