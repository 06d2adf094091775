//! GPT-2 and the Llama family compute what transformers computes, and are written as they were read.

use burn::tensor::Device;
use crucible_transformer::{CausalLm, Places};
use crucible_weights::{CausalCheckpoint, Error, Loaded};
use golden::*;
use serde_json::{Value, json};

mod golden;

const NAMES: [&str; 6] = ["gpt2", "gpt2-untied", "llama", "smollm2", "llama3", "qwen2"];

fn open(name: &str) -> (CausalCheckpoint, CausalLm) {
    let checkpoint = CausalCheckpoint::open(&folder(name)).unwrap();
    let (model, loaded) = checkpoint.load(&folder(name), &Device::default()).unwrap();
    assert!(loaded.unused.is_empty(), "{:?}", loaded.unused);
    (checkpoint, model)
}

/// A checkpoint, the folder of what is expected of it, and the model.
fn each(check: impl Fn(&str, &Golden, &CausalLm)) {
    for name in NAMES {
        check(name, &Golden::of(name), &open(name).1);
    }
    check(
        "llama-sharded",
        &Golden::of("llama"),
        &open("llama-sharded").1,
    );
}

#[test]
fn every_layer_gives_what_transformers_gives_with_padding_on_either_side() {
    each(|name, golden, model| {
        for side in ["", "left."] {
            let padding = golden.padding(&format!("{side}input.attention_mask"));
            let x = model.embed(golden.ids(&format!("{side}input.ids")));
            let states = model.hidden_states(x, &Places::padded(&padding, &Device::default()));
            let (last, each) = states.split_last().unwrap();
            let check = |what: String, found, key: &str| {
                let expected = golden.floats(&format!("{side}{key}"));
                assert_close(
                    &format!("{name} {side}{what}"),
                    found,
                    expected,
                    Some(&padding),
                );
            };
            for (layer, state) in each.iter().enumerate() {
                let key = format!("hidden.{layer}");
                check(format!("{layer}"), state.clone(), &key);
            }
            check("last".into(), last.clone(), "last");
            check("logits".into(), model.logits(last.clone()), "logits");
        }
    });
}

#[test]
fn greedy_texts_are_those_of_transformers() {
    each(|name, golden, model| {
        let prompts = [0, 1].map(|i| golden.tokens(&format!("prompt.{i}")));
        let expected = [0, 1].map(|i| golden.tokens(&format!("greedy.{i}")));
        // One by one, and both at once.
        for which in [&[0][..], &[1], &[0, 1]] {
            let longest = which.iter().map(|&i| prompts[i].len()).max().unwrap();
            let (mut tokens, mut padding) = (Vec::new(), Vec::new());
            for &i in which {
                let before = longest - prompts[i].len();
                tokens.extend(std::iter::repeat_n(0, before).chain(prompts[i].iter().copied()));
                padding.push((0..longest).map(|place| place < before).collect());
            }
            let x = model.embed(ids(&tokens, [which.len(), longest]));
            let (mut cache, mut scores) = model.begin(x, &padding);
            for step in 0..12 {
                let tokens = likeliest(scores);
                let wanted = which.iter().filter_map(|&i| expected[i].get(step));
                let wanted: Vec<u32> = wanted.copied().collect();
                assert_eq!(tokens, wanted, "{name}, step {step}");
                scores = model.advance(&mut cache, &tokens);
            }
        }
    });
}

#[test]
fn what_is_written_is_what_was_read() {
    for name in NAMES.into_iter().chain(["llama-sharded"]) {
        let (checkpoint, model) = open(name);
        assert_exports(name, &model, &checkpoint.rules);
        assert_saves(name, &model, &checkpoint.rules, &checkpoint.json);
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    for (name, key, layer) in [
        ("gpt2", "n_layer", "h.1.attn.c_attn.weight"),
        ("llama", "num_hidden_layers", "layers.1.mlp.up_proj.weight"),
    ] {
        let load = |layers: usize| {
            let copy = changed(name, |config| config[key] = json!(layers));
            let checkpoint = CausalCheckpoint::open(copy.path()).unwrap();
            checkpoint.load(copy.path(), &Device::default())
        };
        let (_, loaded) = load(1).unwrap();
        assert!(
            loaded.unused.iter().any(|name| name.ends_with(layer)),
            "{loaded:?}"
        );
        // By name, but not all of a long list.
        let told = loaded.to_string();
        let start = format!("{} tensors; not used: ", loaded.taken);
        assert!(told.starts_with(&start) && told.contains(layer), "{told}");
        let many = Loaded {
            taken: 2,
            unused: (0..20).map(|name| name.to_string()).collect(),
            ..Loaded::default()
        };
        assert!(many.to_string().ends_with("10, 11 and 8 more"), "{many}");
        let error = load(3).unwrap_err();
        let Error::Missing { missing, .. } = &error else {
            panic!("{error}");
        };
        assert!(missing.contains("blocks.2."), "{error}");
    }
    for (name, key, value, tensor) in [
        ("gpt2", "n_inner", 81, "mlp.c_fc.weight` is [48, 52]"),
        (
            "llama",
            "intermediate_size",
            81,
            "mlp.up_proj.weight` is [52, 48]",
        ),
        (
            "qwen2",
            "vocab_size",
            98,
            "embed_tokens.weight` is [97, 48]",
        ),
    ] {
        let copy = changed(name, |config| config[key] = json!(value));
        let checkpoint = CausalCheckpoint::open(copy.path()).unwrap();
        let error = checkpoint
            .load(copy.path(), &Device::default())
            .unwrap_err();
        assert!(matches!(error, Error::Shapes { .. }), "{error}");
        assert!(error.to_string().contains(tensor), "{error}");
    }
}

/// transformers takes token 2 of a Llama for the end where nothing is said, and fails on an empty list.
#[test]
fn a_model_that_nothing_ends_says_so() {
    for name in ["gpt2", "llama"] {
        let checkpoint = CausalCheckpoint::open(changed(name, |_| ()).path()).unwrap();
        let json = |ends: &[u32]| {
            let published = CausalCheckpoint::of(checkpoint.config.clone(), ends).unwrap();
            published.json["eos_token_id"].clone()
        };
        assert_eq!(json(&[]), Value::Null);
        assert_eq!(json(&[3, 5]), json!([3, 5]));
    }
}
