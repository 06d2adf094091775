use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::*;
use crate::testing::{assert_gradients_reach_everything, device, difference, values};
use crate::{Activation, NormKind};

/// One of each kind, with heads that share keys, biases and an untied head among them.
fn configs() -> [CausalLmConfig; 3] {
    let gpt2 = CausalLmConfig {
        layers: 2,
        ..CausalLmConfig::gpt2(11, 16, 12, 3)
    };
    let llama = CausalLmConfig::new(11, 16, 12, 6, 20, 2).with_kv_heads(2);
    let scaling = RopeScaling::Llama3 {
        factor: 4.0,
        low_frequency: 1.0,
        high_frequency: 4.0,
        original_length: 8,
    };
    let rotary = RotaryConfig {
        scaling,
        ..RotaryConfig::default()
    };
    let qwen2 = CausalLmConfig::new(11, 16, 12, 3, 20, 2)
        .with_d_head(6)
        .with_positions(CausalPositions::Rotary(rotary))
        .with_bias(QkvBias::Inputs)
        .with_tied(false);
    [gpt2, llama, qwen2]
}

fn ids(rows: &[&[i32]], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i32> = rows.iter().flat_map(|row| row.iter().copied()).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), device)
}

fn logits(model: &CausalLm, rows: &[&[i32]]) -> Tensor<3> {
    let x = model.embed(ids(rows, &device()));
    let places = Places::whole(rows.len(), rows[0].len());
    model.logits(model.forward(x, &places))
}

#[test]
fn everything_trains() {
    for config in configs() {
        let model = config.init(&device());
        let words: Vec<i32> = (0..11).chain(0..5).collect();
        assert_gradients_reach_everything(&model, logits(&model, &[&words]));
    }
}

#[test]
fn what_comes_later_changes_nothing_before() {
    for config in configs() {
        let model = config.init(&device());
        let [a, b] = [[1, 2, 3, 4], [1, 2, 9, 8]].map(|row| logits(&model, &[&row]));
        let [a_past, b_past] = [&a, &b].map(|logits| logits.clone().narrow(1, 0, 2));
        assert_eq!(difference(a_past, b_past), 0.0);
        assert!(difference(a.narrow(1, 2, 2), b.narrow(1, 2, 2)) > 1e-4);
    }
}

/// With left padding too: the second sequence stands beside a longer one.
#[test]
fn one_token_at_a_time_gives_what_all_at_once_give() {
    for config in configs() {
        let model = config.init(&device()).valid();
        let device = device().inner();
        let whole = |row: &[i32]| {
            let x = model.embed(ids(&[row], &device));
            let states = model.forward(x, &Places::whole(1, row.len()));
            model.logits(states).squeeze_dim::<2>(0)
        };
        let (long, short) = (whole(&[1, 2, 3, 4, 5, 6]), whole(&[7, 8, 9, 10]));
        let x = model.embed(ids(&[&[1, 2, 3, 4], &[0, 0, 7, 8]], &device));
        let padding = [vec![false; 4], vec![true, true, false, false]];
        let (mut cache, mut next) = model.begin(x, &padding);
        for (step, tokens) in [[5, 9], [6, 10]].iter().enumerate() {
            let expected = Tensor::cat(
                vec![
                    long.clone().narrow(0, 3 + step, 1),
                    short.clone().narrow(0, 1 + step, 1),
                ],
                0,
            );
            assert!(difference(next, expected) < 1e-5, "step {step}");
            next = model.advance(&mut cache, tokens);
        }
        // The second twice, then without the first.
        cache.select(&[1, 0, 1]);
        assert_eq!(cache.sequences(), 3);
        let mut alone = cache.clone();
        alone.select(&[1]);
        let (three, one) = (
            model.advance(&mut cache, &[1, 2, 3]),
            model.advance(&mut alone, &[2]),
        );
        assert!(difference(three.narrow(0, 1, 1), one) < 1e-5);
    }
}

/// Keys and values of two layers, of two numbers of heads.
fn prefix(config: &CausalLmConfig, sequences: usize, device: &Device) -> KeyValueCache {
    let width = config.key_value_heads() * config.head_width();
    let side = |seed| {
        let one = values([1, 3, width], seed, device);
        one.expand([sequences, 3, width])
    };
    KeyValueCache::of((0..2).map(|layer| (side(layer), side(layer + 2))).collect())
}

/// Of two prompts, one of them padded, and of each alone.
#[test]
fn keys_and_values_of_no_tokens_are_seen_by_all_and_take_the_first_positions() {
    for config in configs() {
        let model = config.init(&device()).valid();
        let device = device().inner();
        let after = |rows: &[&[i32]], padding: &[Vec<bool>]| {
            let mut cache = prefix(&config, rows.len(), &device);
            let x = model.embed(ids(rows, &device));
            (model.extend(&mut cache, x, padding), cache)
        };
        let whole = |row: &[i32]| after(&[row], &[vec![false; row.len()]]).0;
        let (long, short) = (whole(&[1, 2, 3, 4, 5]), whole(&[7, 8, 9]));
        assert_eq!(long.dims(), [1, 5, 12]);
        // It changes what is said, and no word's position is the prefix's.
        let x = model.embed(ids(&[&[7, 8, 9]], &device));
        let plain = model.forward(x.clone(), &Places::whole(1, 3));
        assert!(difference(plain, short.clone()) > 1e-3);
        let mut cache = prefix(&config, 1, &device);
        let places = cache.places(&[vec![false; 3]], &device);
        assert_eq!(places.positions, [[3, 4, 5]]);
        for (from, words) in [(2, [0, 0, 7, 8]), (0, [7, 8, 0, 0])] {
            let padding: Vec<bool> = words.iter().map(|&word| word == 0).collect();
            let rows: [&[i32]; 2] = [&[1, 2, 3, 4], &words];
            let (states, mut cache) = after(&rows, &[vec![false; 4], padding]);
            let first = states.clone().narrow(0, 0, 1);
            assert!(difference(first, long.clone().narrow(1, 0, 4)) < 1e-5);
            let second = states.narrow(0, 1, 1).narrow(1, from, 2);
            assert!(difference(second, short.clone().narrow(1, 0, 2)) < 1e-5);
            // One token more of each.
            let next = model.advance(&mut cache, &[5, 9]);
            let expected = [long.clone().narrow(1, 4, 1), short.clone().narrow(1, 2, 1)];
            let expected = model
                .logits(Tensor::cat(expected.to_vec(), 0))
                .squeeze_dim(1);
            assert!(difference(next, expected) < 1e-5);
        }
    }
}

#[test]
fn rotated_products_know_distances_alone() {
    let rotary = RotaryConfig::default();
    let device = device();
    let (query, key) = (values([1, 1, 8], 1, &device), values([1, 1, 8], 2, &device));
    let product = |of_query: u32, of_key: u32| {
        let turn = |x: &Tensor<3>, position| {
            let rotation = rotary.rotation(&[vec![position]], 4, &device);
            rotation.turn(x.clone(), 2)
        };
        (turn(&query, of_query) * turn(&key, of_key))
            .sum()
            .into_scalar::<f32>()
    };
    assert!((product(5, 3) - product(12, 10)).abs() < 1e-5);
    assert!((product(5, 3) - product(5, 4)).abs() > 1e-3);
    let unmoved = rotary
        .rotation(&[vec![0]], 4, &device)
        .turn(query.clone(), 2);
    assert_eq!(difference(unmoved, query), 0.0);
}

/// Which parameters have gradients.
#[derive(Default)]
struct Trained {
    path: Vec<String>,
    adapters: usize,
}

impl ModuleVisitor for Trained {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let adapter = self.path.contains(&"lora".into());
        assert_eq!(param.is_require_grad(), adapter, "{:?}", self.path);
        self.adapters += usize::from(adapter);
    }
}

#[test]
fn adapters_begin_as_nothing_train_alone_and_merge() {
    let config = &configs()[1];
    let model = config.init(&device());
    let before = logits(&model, &[&[1, 2, 3]]);
    let mut model = model.with_lora(&LoraConfig::new().with_rank(2));
    assert_eq!(
        difference(logits(&model, &[&[1, 2, 3]]), before.clone()),
        0.0
    );
    let mut trained = Trained::default();
    model.visit(&mut trained);
    // Seven projections of two blocks, two factors each.
    assert_eq!(trained.adapters, 28);
    for block in &mut model.blocks {
        for projection in [&mut block.attention.query, &mut block.feed_forward.outer] {
            let lora = projection.lora.as_mut().unwrap();
            lora.up = lora.up.clone().map(|up| values(up.dims(), 5, &device()));
        }
    }
    let tuned = logits(&model, &[&[1, 2, 3]]);
    assert!(difference(tuned.clone(), before) > 1e-3);
    let merged = model.merged();
    assert!(merged.blocks[0].attention.query.lora.is_none());
    assert!(difference(logits(&merged, &[&[1, 2, 3]]), tuned) < 1e-4);
}

#[test]
fn sizes_that_do_not_fit_name_the_field() {
    let good = || CausalLmConfig::new(11, 16, 12, 3, 20, 2);
    assert_eq!(good().check(), Ok(()));
    let theta = RotaryConfig {
        theta: 0.0,
        ..RotaryConfig::default()
    };
    for (config, field) in [
        (CausalLmConfig::new(0, 16, 12, 3, 20, 2), "vocabulary"),
        (CausalLmConfig::new(11, 16, 12, 5, 20, 2), "heads"),
        (good().with_kv_heads(2), "kv_heads"),
        (good().with_d_head(5), "d_head"),
        (
            good().with_positions(CausalPositions::Rotary(theta)),
            "theta",
        ),
        (good().with_dropout(1.0), "dropout"),
    ] {
        assert_eq!(config.check().unwrap_err().field, field);
    }
}

#[test]
fn smollm2_has_the_published_number_of_parameters() {
    let config = CausalLmConfig::smollm2_135m();
    assert_eq!(config.init(&device()).num_params(), 134_515_008);
    let gpt2 = CausalLmConfig::gpt2(50_257, 1024, 768, 12);
    assert_eq!(
        (gpt2.norm, gpt2.activation),
        (NormKind::Layer, Activation::GeluTanh)
    );
    assert_eq!(gpt2.init(&device()).num_params(), 124_439_808);
}
