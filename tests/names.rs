//! A misspelt name costs nothing: exit code 2, the nearest valid name, and nothing is read or written.

use crate::support::crucible;
use std::fs;

/// A command line, and the name that was meant.
const CASES: &[(&str, &str)] = &[
    // recipes
    ("train vqaa", "vqa"),
    ("train VQA", "vqa"),
    ("train clasification", "classification"),
    ("config clasifcation", "classification"),
    ("compare vaq --vary fusion=early,mid", "vqa"),
    // presets
    ("train vqa --preset smok", "smoke"),
    ("train vqa --preset qiuck", "quick"),
    ("config vqa --preset ful", "full"),
    ("compare vqa --preset quik --vary fusion=early,mid", "quick"),
    // keys
    ("train vqa --set fusoin=mid", "fusion"),
    ("train vqa --set fusion.stratgy=mid", "fusion.strategy"),
    ("train vqa --set training.step=10", "training.steps"),
    (
        "train vqa --set training.learningrate=1",
        "training.learning_rate",
    ),
    (
        "train vqa --set training.learning-rate=1",
        "training.learning_rate",
    ),
    (
        "train vqa --set training.lerning_rate=1",
        "training.learning_rate",
    ),
    (
        "train vqa --set training.weigth_decay=0",
        "training.weight_decay",
    ),
    ("train vqa --set training.warmup=5", "training.warmup_steps"),
    (
        "train vqa --set learning_rate=0.1",
        "training.learning_rate",
    ),
    ("train vqa --set steps=10", "training.steps"),
    ("train vqa --set traning.steps=10", "training"),
    ("train vqa --set model.dmodel=64", "model.d_model"),
    ("train vqa --set model.head=4", "model.heads"),
    ("train vqa --set loader.batchsize=4", "loader.batch_size"),
    ("train vqa --set image.sise=32", "image.size"),
    ("train vqa --set augment.flop=true", "augment.flip"),
    ("train vqa --set tokeniser.max_length=8", "tokenizer"),
    ("config classification --set backbon=vit", "backbone"),
    (
        "config classification --set labelsmoothing=0.1",
        "label_smoothing",
    ),
    ("compare vqa --vary fuson=early,mid", "fusion"),
    ("compare vqa --vary training.stpes=10,20", "training.steps"),
    // strategies and other words
    ("train vqa --set fusion=erly", "early"),
    ("train vqa --set fusion=middle", "mid"),
    ("train vqa --set fusion=lat", "late"),
    ("train vqa --set fusion=late-wieghted", "late-weighted"),
    ("train vqa --set fusion.strategy=late_gated", "late-gated"),
    ("train vqa --set blank=imgae", "image"),
    ("train vqa --set model.pooling=maen", "mean"),
    ("train vqa --set model.activation=gleu", "gelu"),
    ("config classification --set backbone=resnt", "resnet"),
    ("compare vqa --vary fusion=early,mdi", "mid"),
    // datasets
    ("train vqa --data easy-vqaa", "easy-vqa"),
    ("train vqa --data easyvqa", "easy-vqa"),
    ("train vqa --set data=esay-vqa", "easy-vqa"),
    (
        "train vqa --data easy-vqa-composition",
        "easy-vqa-compositions",
    ),
    ("data easy-vqa-object", "easy-vqa-objects"),
    (
        "compare vqa --preset smoke --vary fusion=early,mid --data easy_vqa",
        "easy-vqa",
    ),
    (
        "compare vqa --preset smoke --vary data=easy-vqa,easy-vqaa",
        "easy-vqa",
    ),
    // backends
    ("train vqa --backend flx", "flex"),
    ("train vqa --backend CUDA", "cuda"),
    ("train vqa --backend wgpuu", "wgpu"),
    ("train vqa --backend vulcan", "vulkan"),
    ("train vqa --backend torch", "tch"),
    (
        "compare vqa --vary fusion=early,mid --backend metall",
        "metal",
    ),
];

const _: () = assert!(CASES.len() >= 30);

#[test]
fn the_nearest_name_is_suggested() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (line, meant) in CASES {
        let args: Vec<&str> = line.split(' ').collect();
        let output = crucible(folder.path(), &args);
        let suggested = output.stderr.contains(&format!("did you mean `{meant}`?"));
        if output.code != Some(2) || !suggested || !output.stdout.is_empty() {
            wrong.push(format!("crucible {line}: {output:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // No run directory was begun for any of them.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "data = \"easy-vqa\"\n\n[training]\nsteps = 10\nlerning_rate = 0.1\n";
    fs::write(folder.path().join("my.toml"), text).unwrap();
    let output = crucible(folder.path(), &["train", "vqa", "--config", "my.toml"]).expect(2);
    assert!(
        output.stderr.contains(
            "my.toml:5: unknown key `training.lerning_rate`; did you mean `training.learning_rate`?"
        ),
        "{output:#?}"
    );
}

#[test]
fn a_backend_that_is_not_compiled_in_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    // No build of these tests has the CUDA and the Metal backend.
    let name = if cfg!(feature = "metal") {
        "cuda"
    } else {
        "metal"
    };
    let output = crucible(folder.path(), &["train", "vqa", "--backend", name]).expect(2);
    let command = format!("cargo run --features {name} -- ");
    assert!(output.stderr.contains(&command), "{output:#?}");
}

#[test]
fn a_value_of_the_wrong_kind_says_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    for (set, part) in [
        (
            "training.steps=ten",
            "must be an integer of at least 1, not the string `ten`",
        ),
        (
            "training.steps=0",
            "must be an integer of at least 1, not the integer `0`",
        ),
        ("augment.flip=1", "must be true or false"),
        ("training", "key.path=value"),
    ] {
        let output = crucible(folder.path(), &["train", "vqa", "--set", set]).expect(2);
        assert!(output.stderr.contains(part), "{output:#?}");
    }
}
