//! `--init`: a run that starts with what another has learnt.

use std::fs;

use crate::pretraining::train;
use crate::support::{crucible, read_json};

#[test]
fn a_run_starts_with_the_towers_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let captions = ["--data", "easy-vqa-captions", "--set", "zero_shot.data="];
    train(folder.path(), "contrastive", "towers", &captions);
    // No step moves a weight when the learning rate is 0: what is taken is what is saved.
    let vqa = |out: &str, more: &[&str]| {
        let fixed = [
            "train",
            "vqa",
            "--preset",
            "smoke",
            "--out",
            out,
            "--set",
            "training.steps=1",
            "--set",
            "training.learning_rate=1e-30",
            "--set",
            "training.min_learning_rate=0",
            "--set",
            "training.weight_decay=0",
        ];
        crucible(folder.path(), &[&fixed[..], more].concat())
    };
    let length = ["--set", "tokenizer.max_length=32"];
    let started = vqa("started", &[&["--init", "towers"][..], &length].concat()).expect(0);
    let line = started
        .stderr
        .lines()
        .find(|line| line.starts_with("start from towers"));
    let line = line.unwrap_or_else(|| panic!("{started:#?}"));
    for part in [
        "step 60",
        "tensors taken",
        "fresh: ",
        "hidden.weight",
        "not used: ",
        "encoder.log_scale",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(
        read_json(folder.path().join("started/run.json"))["init"],
        "towers"
    );
    // The tokenizer came along: the ids mean the same words.
    let tokenizer = |run: &str| fs::read(folder.path().join(run).join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer("started"), tokenizer("towers"));

    // The text has 64 positions here and 32 there.
    let refused = vqa("refused", &["--init", "towers"]).expect(2);
    for part in [
        "encoder.text.embeddings.position.Learned",
        "[32, 32] there",
        "[64, 32] here",
        "--interpolate-positions",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused:#?}");
    }
    assert!(!folder.path().join("refused/run.json").exists());
    let stretched = vqa(
        "stretched",
        &["--init", "towers", "--interpolate-positions"],
    )
    .expect(0);
    assert!(stretched.stderr.contains("1 stretched"), "{stretched:#?}");

    let nothing = [
        "train",
        "classification",
        "--preset",
        "smoke",
        "--out",
        "nothing",
        "--set",
        "backbone=resnet",
        "--init",
        "towers",
    ];
    let nothing = crucible(folder.path(), &nothing).expect(2);
    assert!(
        nothing.stderr.contains("no tensor of the model is in it"),
        "{nothing:#?}"
    );
    let missing = vqa("missing", &["--init", "nowhere"]).expect(2);
    assert!(missing.stderr.contains("nowhere"), "{missing:#?}");

    // To go on, it needs nothing of what it was started from.
    fs::rename(folder.path().join("towers"), folder.path().join("gone")).unwrap();
    vqa(
        "started",
        &[&["--init", "towers", "--resume"][..], &length].concat(),
    )
    .expect(0);
}

/// An image tower that learnt without labels is the start of one that learns with them.
#[test]
fn a_classifier_starts_with_the_tower_of_an_autoencoder() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), "mvm", "mvm", &["--set", "training.steps=2"]);
    let mut args = vec![
        "train",
        "classification",
        "--preset",
        "smoke",
        "--out",
        "run",
    ];
    args.extend(["--init", "mvm", "--set", "training.steps=2"]);
    for set in ["image.size=64", "backbone.stem=[]", "backbone.stem_cell=1"] {
        args.extend(["--set", set]);
    }
    let started = crucible(folder.path(), &args).expect(0);
    let line = started
        .stderr
        .lines()
        .find(|line| line.starts_with("start from"));
    let line = line.unwrap_or_else(|| panic!("{started:#?}"));
    assert!(line.contains("fresh: head.bias, head.weight;"), "{line}");
    assert!(line.contains("not used: encoder.bridge.bias"), "{line}");
}
