//! T5 and Flan-T5 compute what transformers computes, and are written as they were read.

use burn::tensor::Device;
use crucible_transformer::Seq2Seq;
use crucible_weights::{Error, Seq2SeqCheckpoint};
use golden::*;
use serde_json::{Value, json};

mod golden;

const NAMES: [&str; 2] = ["t5", "flan-t5"];
const BUCKETS: &str = "relative_attention_num_buckets";
const MAX_DISTANCE: &str = "relative_attention_max_distance";

fn open(name: &str) -> (Seq2SeqCheckpoint, Seq2Seq) {
    let checkpoint = Seq2SeqCheckpoint::open(&folder(name)).unwrap();
    let (model, loaded) = checkpoint.load(&folder(name), &Device::default()).unwrap();
    assert!(loaded.unused.is_empty(), "{:?}", loaded.unused);
    (checkpoint, model)
}

#[test]
fn both_stacks_give_what_transformers_gives() {
    for name in NAMES {
        let (_, model) = open(name);
        let golden = Golden::of(name);
        let padding = golden.padding("input.attention_mask");
        let source = model.embed(golden.ids("input.ids"));
        let target = model.embed(golden.ids("input.decoder_ids"));
        let states = model.hidden_states(source, Some(bools(&padding)), target);
        for (states, stack, hidden) in [
            (&states[0], "encoder", Some(padding.as_slice())),
            (&states[1], "decoder", None),
        ] {
            let (last, each) = states.split_last().unwrap();
            for (layer, state) in each.iter().enumerate() {
                let expected = golden.floats(&format!("{stack}.hidden.{layer}"));
                assert_close(
                    &format!("{name} {stack} {layer}"),
                    state.clone(),
                    expected,
                    hidden,
                );
            }
            let expected = golden.floats(&format!("{stack}.last"));
            assert_close(
                &format!("{name} {stack} last"),
                last.clone(),
                expected,
                hidden,
            );
        }
        let logits = model.logits(states[1].last().unwrap().clone());
        assert_close(
            &format!("{name} logits"),
            logits,
            golden.floats("logits"),
            None,
        );
    }
}

/// The second row moved to the right, its padding before it.
#[test]
fn padding_on_the_left_is_as_good() {
    for name in NAMES {
        let (_, model) = open(name);
        let golden = Golden::of(name);
        let length = 11;
        let (mut ids, mut padding) = (
            golden.tokens("input.ids"),
            golden.padding("input.attention_mask"),
        );
        let padded = padding[1].iter().filter(|&&padding| padding).count();
        assert!(padded > 0);
        ids[length..].rotate_right(padded);
        padding[1].rotate_right(padded);
        let source = model.embed(golden::ids(&ids, [2, length]));
        let target = model.embed(golden.ids("input.decoder_ids"));
        let states = model.forward(source, Some(bools(&padding)), target);
        assert_close(name, model.logits(states), golden.floats("logits"), None);
    }
}

#[test]
fn greedy_answers_are_those_of_transformers() {
    for name in NAMES {
        let (_, model) = open(name);
        let golden = Golden::of(name);
        // One by one, and both at once.
        let prompts = [0, 1].map(|i| golden.tokens(&format!("prompt.{i}")));
        let expected = [0, 1].map(|i| golden.tokens(&format!("greedy.{i}")));
        for which in [&[0][..], &[1], &[0, 1]] {
            let longest = which.iter().map(|&i| prompts[i].len()).max().unwrap();
            let (mut ids, mut padding) = (Vec::new(), Vec::new());
            for &i in which {
                let before = longest - prompts[i].len();
                ids.extend(std::iter::repeat_n(0, before).chain(prompts[i].iter().copied()));
                padding.push((0..longest).map(|place| place < before).collect());
            }
            let x = model.embed(golden::ids(&ids, [which.len(), longest]));
            let (mut cache, mut scores) = model.begin(x, &padding);
            for step in 0..12 {
                let tokens = likeliest(scores);
                let wanted = which.iter().filter_map(|&i| expected[i].get(step));
                let wanted: Vec<u32> = wanted.copied().collect();
                assert_eq!(tokens, wanted, "{name}, step {step}");
                scores = model.advance(&mut cache, &tokens);
            }
        }
    }
}

#[test]
fn what_is_written_is_what_was_read() {
    for name in NAMES {
        let (checkpoint, model) = open(name);
        assert_exports(name, &model, &checkpoint.rules);
        assert_saves(name, &model, &checkpoint.rules, &checkpoint.json);
    }
}

#[test]
fn the_configuration_is_read() {
    let (t5, flan) = (open("t5").0.config, open("flan-t5").0.config);
    assert_eq!((t5.d_head, t5.layers, t5.decoder_layers), (12, 3, 2));
    assert_eq!((t5.buckets, t5.max_distance), (8, 20));
    assert!(t5.tied && !t5.gated && !flan.tied && flan.gated);
    assert_eq!((t5.norm_epsilon, flan.norm_epsilon), (1e-6, 1e-3));
}

#[test]
fn what_is_not_supported_is_named() {
    for (key, value) in [
        ("is_encoder_decoder", json!(false)),
        ("feed_forward_proj", json!("gated-gelu")),
        ("is_gated_act", json!(true)),
        ("dense_act_fn", json!("tanh")),
        (BUCKETS, json!(6)),
        (MAX_DISTANCE, json!(4)),
        ("decoder_start_token_id", json!(97)),
        ("decoder_start_token_id", json!(0.5)),
        ("d_kv", json!(0)),
        ("num_decoder_layers", json!(1_000_000)),
        ("vocab_size", Value::Null),
    ] {
        let copy = changed("t5", |config| config[key] = value.clone());
        let error = Seq2SeqCheckpoint::open(copy.path()).unwrap_err();
        let named = match key {
            // It contradicts `is_gated_act`.
            "feed_forward_proj" => "is_gated_act",
            key => key,
        };
        assert!(
            error.to_string().contains(&format!("`{named}`")),
            "{key}: {error}"
        );
    }
    let copy = changed("t5", |config| config["model_type"] = json!("umt5"));
    let error = Seq2SeqCheckpoint::open(copy.path()).unwrap_err();
    assert!(
        matches!(error, Error::Architecture { nearest: "t5", .. }),
        "{error}"
    );
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let copy = changed("t5", |config| config["num_decoder_layers"] = json!(3));
    let checkpoint = Seq2SeqCheckpoint::open(copy.path()).unwrap();
    let error = checkpoint
        .load(copy.path(), &Device::default())
        .unwrap_err();
    let Error::Missing { missing, .. } = &error else {
        panic!("{error}");
    };
    assert!(missing.contains("decoder.blocks.2.cross"), "{error}");
    let copy = changed("t5", |config| config["num_decoder_layers"] = json!(1));
    let checkpoint = Seq2SeqCheckpoint::open(copy.path()).unwrap();
    let (_, loaded) = checkpoint.load(copy.path(), &Device::default()).unwrap();
    assert!(
        loaded
            .unused
            .iter()
            .any(|name| name.contains("decoder.block.1.layer.1"))
    );
    let copy = changed("t5", |config| config["d_ff"] = json!(55));
    let checkpoint = Seq2SeqCheckpoint::open(copy.path()).unwrap();
    let error = checkpoint
        .load(copy.path(), &Device::default())
        .unwrap_err();
    assert!(matches!(error, Error::Shapes { .. }), "{error}");
    assert!(error.to_string().contains("DenseReluDense.wi"), "{error}");
}
