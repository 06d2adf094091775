use super::*;
use crate::fixture::{Classifier, alone, config};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

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

/// Burn's own, step by step, with weight decay on all it has.
#[test]
fn later_steps_are_those_of_burns_adamw() {
    let _turn = alone();
    let device = Device::flex();
    let mut config = config(10);
    (config.weight_decay, config.beta_2, config.epsilon) = (0.3, 0.95, 1e-6);
    let burns = burn::optim::AdamWConfig::new()
        .with_beta_1(config.beta_1 as f32)
        .with_beta_2(config.beta_2 as f32)
        .with_epsilon(config.epsilon as f32)
        .with_weight_decay(config.weight_decay as f32);
    let start = linear(&device.clone().autodiff());
    let mut ours = (start.clone(), adamw(&config, &start, &device));
    let mut theirs = (start, burns.init());
    for step in 1..=4 {
        let scale = if step == 2 { -3.0 } else { step as f32 };
        let weight = [[0.1, -0.2], [10.0, 0.01]].map(|row| row.map(|g: f32| g * scale));
        let next = |(model, mut optimizer): (Linear, ModuleOptimizer)| {
            let grads = grads(&model, weight, [0.0; 2]);
            (optimizer.step(0.1, model, grads), optimizer)
        };
        (ours, theirs) = (next(ours), next(theirs));
        let [found, expected] =
            [&ours, &theirs].map(|(model, _)| model.weight.val().inner().into_data());
        let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
        let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "step {step} is off by {off}");
    }
}

/// The first step of AdamW moves by the learning rate, whatever the gradient.
#[test]
fn lower_layers_take_smaller_steps() {
    let _turn = alone();
    #[derive(Module, Debug)]
    struct Stack {
        layers: Vec<Linear>,
    }
    let device = Device::flex().autodiff();
    let model = Stack {
        layers: vec![linear(&device), linear(&device)],
    };
    let weights = |model: &Stack| -> Vec<f32> {
        let first = model
            .layers
            .iter()
            .map(|layer| layer.weight.val().slice([0..1, 0..1]));
        first.map(|weight| weight.into_scalar()).collect()
    };
    let before = weights(&model);
    let mut config = config(10);
    (config.weight_decay, config.layer_decay) = (0.0, 0.5);
    let x = Tensor::<2>::ones([3, 2], &device);
    let y = model.layers.iter().fold(x, |x, layer| layer.forward(x));
    let grads = GradientsParams::from_grads(y.sum().backward(), &model);
    let after = weights(&adamw(&config, &model, &Device::flex()).step(0.1, model, grads));
    let moved = |layer: usize| (after[layer] - before[layer]).abs();
    assert!(
        (moved(0) - 0.025).abs() < 1e-5 && (moved(1) - 0.05).abs() < 1e-5,
        "{before:?} {after:?}"
    );
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
