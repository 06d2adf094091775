use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::relative::bucket;
use super::*;
use crate::testing::{assert_gradients_reach_everything, device, difference, values};
use crate::{Activation, LoraConfig};

/// Flan-T5 with heads of another width than theirs, and T5.
fn configs() -> [Seq2SeqConfig; 2] {
    let flan = Seq2SeqConfig::new(11, 12, 3, 20, 3)
        .with_decoder_layers(2)
        .with_d_head(6)
        .with_buckets(8)
        .with_max_distance(20)
        .with_decoder_start(1);
    let t5 = Seq2SeqConfig::new(11, 12, 3, 20, 2)
        .with_activation(Activation::Relu)
        .with_gated(false)
        .with_tied(true);
    [flan, t5]
}

fn ids(rows: &[&[i32]], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i32> = rows.iter().flat_map(|row| row.iter().copied()).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), device)
}

fn logits(
    model: &Seq2Seq,
    source: &[&[i32]],
    padding: Option<Tensor<2, Bool>>,
    target: &[&[i32]],
) -> Tensor<3> {
    let device = model.word.weight.val().device();
    let [source, target] = [source, target].map(|rows| model.embed(ids(rows, &device)));
    model.logits(model.forward(source, padding, target))
}

#[test]
fn everything_trains() {
    for config in configs() {
        let model = config.init(&device());
        // Longer than the largest distance, so that every bucket occurs.
        let words: Vec<i32> = (0..140).map(|word| word % 11).collect();
        assert_gradients_reach_everything(&model, logits(&model, &[&words], None, &[&words]));
    }
}

#[test]
fn what_is_written_later_changes_nothing_before_and_all_that_is_read_counts() {
    for config in configs() {
        let model = config.init(&device());
        let both =
            |source: [i32; 4], target: [i32; 4]| logits(&model, &[&source], None, &[&target]);
        let a = both([1, 2, 3, 4], [1, 2, 3, 4]);
        let b = both([1, 2, 3, 4], [1, 2, 9, 8]);
        let past = |logits: &Tensor<3>| logits.clone().narrow(1, 0, 2);
        assert_eq!(difference(past(&a), past(&b)), 0.0);
        assert!(difference(a.clone().narrow(1, 2, 2), b.narrow(1, 2, 2)) > 1e-3);
        let c = both([1, 2, 3, 5], [1, 2, 3, 4]);
        assert!(difference(a.narrow(1, 0, 1), c.narrow(1, 0, 1)) > 1e-4);
    }
}

/// The order of words shows in the encoder only through distances.
#[test]
fn words_in_another_order_say_something_else() {
    for config in configs() {
        let model = config.init(&device());
        let [a, b] =
            [[1, 2, 3, 4], [4, 3, 2, 1]].map(|source| logits(&model, &[&source], None, &[&[5]]));
        assert!(difference(a, b) > 1e-4);
    }
}

#[test]
fn padding_changes_nothing_on_either_side() {
    for config in configs() {
        let model = config.init(&device());
        let alone = logits(&model, &[&[7, 8, 9]], None, &[&[1, 2]]);
        for (source, padding) in [
            ([7, 8, 9, 3, 4], [false, false, false, true, true]),
            ([3, 4, 7, 8, 9], [true, true, false, false, false]),
        ] {
            let padding = Tensor::from_data(TensorData::from([[false; 5], padding]), &device());
            let rows: [&[i32]; 2] = [&[1, 2, 3, 4, 5], &source];
            let both = logits(&model, &rows, Some(padding), &[&[1, 2], &[1, 2]]);
            assert!(difference(both.narrow(0, 1, 1), alone.clone()) < 1e-5);
        }
    }
}

#[test]
fn one_token_at_a_time_gives_what_all_at_once_give() {
    for config in configs() {
        let model = config.init(&device()).valid();
        let device = device().inner();
        let start = config.decoder_start as i32;
        let (long, short) = ([1, 2, 3, 4], [7, 8]);
        let targets = [[start, 5, 6, 7], [start, 9, 10, 1]];
        let expected = [
            logits(&model, &[&long], None, &[&targets[0]]),
            logits(&model, &[&short], None, &[&targets[1]]),
        ];
        let x = model.embed(ids(&[&long, &[0, 0, 7, 8]], &device));
        let padding = [vec![false; 4], vec![true, true, false, false]];
        let (mut cache, mut next) = model.begin(x, &padding);
        for step in 0..3 {
            let expected = expected.clone().map(|logits| logits.narrow(1, step, 1));
            let expected = Tensor::cat(expected.into(), 0).squeeze_dim::<2>(1);
            assert!(difference(next, expected) < 1e-5, "step {step}");
            let tokens = targets.map(|row| row[step + 1] as u32);
            next = model.advance(&mut cache, &tokens);
        }
        // The second twice, then without the first.
        cache.select(&[1, 0, 1]);
        assert_eq!(cache.sequences(), 3);
        let mut alone = cache.clone();
        alone.select(&[1]);
        let three = model.advance(&mut cache, &[1, 2, 3]);
        let one = model.advance(&mut alone, &[2]);
        assert!(difference(three.narrow(0, 1, 1), one) < 1e-5);
    }
}

/// The first distance of each bucket, as `T5Attention._relative_position_bucket` of transformers 4.57 has them.
#[test]
fn buckets_are_those_of_transformers() {
    type Runs = &'static [(i64, usize)];
    let backwards: Runs = &[
        (-140, 15),
        (-90, 14),
        (-63, 13),
        (-45, 12),
        (-31, 11),
        (-22, 10),
        (-15, 9),
        (-11, 8),
        (-7, 7),
        (-6, 6),
        (-5, 5),
        (-4, 4),
        (-3, 3),
        (-2, 2),
        (-1, 1),
        (0, 0),
        (1, 17),
        (2, 18),
        (3, 19),
        (4, 20),
        (5, 21),
        (6, 22),
        (7, 23),
        (8, 24),
        (12, 25),
        (16, 26),
        (23, 27),
        (32, 28),
        (46, 29),
        (64, 30),
        (91, 31),
    ];
    let causal: Runs = &[
        (-140, 31),
        (-112, 30),
        (-98, 29),
        (-86, 28),
        (-76, 27),
        (-66, 26),
        (-58, 25),
        (-51, 24),
        (-45, 23),
        (-39, 22),
        (-34, 21),
        (-30, 20),
        (-26, 19),
        (-23, 18),
        (-20, 17),
        (-18, 16),
        (-15, 15),
        (-14, 14),
        (-13, 13),
        (-12, 12),
        (-11, 11),
        (-10, 10),
        (-9, 9),
        (-8, 8),
        (-7, 7),
        (-6, 6),
        (-5, 5),
        (-4, 4),
        (-3, 3),
        (-2, 2),
        (-1, 1),
        (0, 0),
    ];
    let few: Runs = &[(-140, 3), (-6, 2), (-1, 1), (0, 0), (1, 5), (2, 6), (7, 7)];
    let few_causal: Runs = &[
        (-140, 7),
        (-13, 6),
        (-8, 5),
        (-5, 4),
        (-3, 3),
        (-2, 2),
        (-1, 1),
        (0, 0),
    ];
    for (runs, bidirectional, buckets, max_distance) in [
        (backwards, true, 32, 128),
        (causal, false, 32, 128),
        (few, true, 8, 20),
        (few_causal, false, 8, 20),
    ] {
        for distance in -140..=140 {
            let run = runs.iter().rev().find(|(first, _)| *first <= distance);
            let found = bucket(distance, bidirectional, buckets, max_distance);
            assert_eq!(found, run.unwrap().1, "{distance} of {buckets}");
        }
    }
}

#[test]
fn adapters_begin_as_nothing_and_merge() {
    let model = configs()[0].init(&device());
    let told = |model: &Seq2Seq| logits(model, &[&[1, 2, 3]], None, &[&[1, 4]]);
    let before = told(&model);
    let mut model = model.with_lora(&LoraConfig::new().with_rank(2));
    assert_eq!(difference(told(&model), before.clone()), 0.0);
    for stack in [&mut model.encoder, &mut model.decoder] {
        for block in &mut stack.blocks {
            let lora = block.feed_forward.outer.lora.as_mut().unwrap();
            lora.up = lora.up.clone().map(|up| values(up.dims(), 5, &device()));
            if let Some(cross) = &mut block.cross {
                let lora = cross.key.lora.as_mut().unwrap();
                lora.up = lora.up.clone().map(|up| values(up.dims(), 6, &device()));
            }
        }
    }
    let tuned = told(&model);
    assert!(difference(tuned.clone(), before) > 1e-3);
    let merged = model.merged();
    assert!(
        merged.decoder.blocks[1]
            .cross
            .as_ref()
            .unwrap()
            .key
            .lora
            .is_none()
    );
    assert!(difference(told(&merged), tuned) < 1e-4);
}

#[test]
fn dropout_acts_in_training_alone() {
    let config = configs()[0].clone().with_dropout(0.5);
    let model = config.init(&device());
    let told = |model: &Seq2Seq| logits(model, &[&[1, 2, 3]], None, &[&[1, 4]]);
    assert!(difference(told(&model), told(&model)) > 1e-3);
    let model = model.valid();
    assert_eq!(difference(told(&model), told(&model)), 0.0);
}

#[test]
fn sizes_that_do_not_fit_name_the_field() {
    let good = || Seq2SeqConfig::new(11, 12, 3, 20, 2);
    assert_eq!(good().check(), Ok(()));
    for (config, field) in [
        (Seq2SeqConfig::new(0, 12, 3, 20, 2), "vocabulary"),
        (Seq2SeqConfig::new(11, 12, 5, 20, 2), "heads"),
        (good().with_buckets(6), "buckets"),
        (good().with_buckets(0), "buckets"),
        (good().with_max_distance(16), "max_distance"),
        (good().with_decoder_start(11), "decoder_start"),
        (good().with_dropout(1.0), "dropout"),
    ] {
        assert_eq!(config.check().unwrap_err().field, field);
    }
}

#[test]
fn flan_t5_has_the_published_number_of_parameters() {
    let device = device();
    let count = |config: Seq2SeqConfig| config.init(&device).num_params();
    assert_eq!(count(Seq2SeqConfig::flan_t5_small()), 76_961_152);
    assert_eq!(count(Seq2SeqConfig::flan_t5_base()), 247_577_856);
}
