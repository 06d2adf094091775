//! Pretraining through the binary: what the recipes learn in a few steps, and what another run starts with.

use crate::support::{crucible, read_json, read_json_lines};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Trains the smoke preset with further arguments, in `folder`/`out`.
fn train(folder: &Path, recipe: &str, out: &str, more: &[&str]) -> Value {
    let fixed = ["train", recipe, "--preset", "smoke", "--out", out];
    crucible(folder, &[&fixed[..], more].concat()).expect(0);
    read_json(folder.join(out).join("result.json"))["test"].clone()
}

/// Values of the training loss, first to last.
fn losses(run: &Path) -> Vec<f64> {
    let rows = read_json_lines(run.join("metrics.jsonl"));
    let of_loss = |row: &&Value| row["split"] == "train" && row["name"] == "loss";
    let values = rows.iter().filter(of_loss);
    values.map(|row| row["value"].as_f64().unwrap()).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn every_objective_learns() {
    let folder = tempfile::tempdir().unwrap();
    for (recipe, at_most) in [("contrastive", 0.97), ("mlm", 0.9), ("mvm", 0.6)] {
        train(folder.path(), recipe, recipe, &[]);
        let losses = losses(&folder.path().join(recipe));
        let (first, last) = (mean(&losses[..10]), mean(&losses[losses.len() - 10..]));
        assert!(last < at_most * first, "{recipe}: {first} to {last}");
    }
    let test =
        |recipe: &str| read_json(folder.path().join(recipe).join("result.json"))["test"].clone();
    let number = |value: &Value| value.as_f64().unwrap();
    let mlm = test("mlm");
    assert!((number(&mlm["perplexity"]) - number(&mlm["loss"]).exp()).abs() < 1e-9);
    // Of 386 pictures: the recall is that of the ranks, and a prediction is the name ranked first.
    let contrastive = test("contrastive");
    let predictions = read_json_lines(folder.path().join("contrastive/predictions.jsonl"));
    let right = predictions
        .iter()
        .filter(|row| row["target"] == row["prediction"])
        .count();
    assert_eq!(predictions.len(), 386);
    let recall = right as f64 / 386.0;
    assert!((number(&contrastive["i2t_r1"]) - recall).abs() < 1e-9);
    let order = ["i2t_r1", "i2t_r5", "i2t_r10"].map(|name| number(&contrastive[name]));
    assert!(order.is_sorted(), "{order:?}");
}

/// What would be missed after the training is asked for before it.
#[test]
fn settings_that_cannot_work_are_refused_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    for (recipe, set, said) in [
        ("mvm", "masking.ratio=1", "masking.ratio"),
        ("mvm", "masking.ratio=0", "masking.ratio"),
        ("mvm", "probe=nothere", "unknown dataset `nothere`"),
        ("contrastive", "zero_shot.data=emoji", "emoji-groups"),
        ("mlm", "masking.rate=0", "masking"),
        ("mlm", "passage=0", "passage"),
    ] {
        let args = [
            "train", recipe, "--preset", "smoke", "--set", set, "--out", "run",
        ];
        let output = crucible(folder.path(), &args).expect(2);
        assert!(output.stderr.contains(said), "{set}: {output:#?}");
        assert!(!output.stderr.contains("step 1/"), "{set}: {output:#?}");
    }
}

#[test]
fn chunks_change_memory_and_not_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let short = ["--set", "training.steps=5", "--set", "zero_shot.data="];
    train(folder.path(), "contrastive", "whole", &short);
    train(
        folder.path(),
        "contrastive",
        "chunks",
        &[&short[..], &["--set", "chunk=4"]].concat(),
    );
    let [whole, chunks] = ["whole", "chunks"].map(|run| losses(&folder.path().join(run)));
    let off = whole.iter().zip(&chunks).map(|(a, b)| (a - b).abs() / a);
    assert!(off.fold(0.0, f64::max) < 1e-3, "{whole:?} {chunks:?}");
}

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
}

#[test]
fn text_is_read_from_a_file_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..4000)
        .map(|i| {
            format!(
                "the {} is {} ",
                ["cat", "dog", "sun"][i % 3],
                ["red", "old", "far"][i % 3]
            )
        })
        .collect();
    fs::write(folder.path().join("text.txt"), &text).unwrap();
    let test = train(folder.path(), "mlm", "run", &["--data", "text.txt"]);
    // Seven words, of which "the" and "is" stand in known places, and the others go in pairs.
    assert!(test["perplexity"].as_f64().unwrap() < 3.0, "{test}");
    let wrong = [&text.as_bytes()[..9000], b"\xff"].concat();
    fs::write(folder.path().join("wrong.txt"), wrong).unwrap();
    let wrong = [
        "train",
        "mlm",
        "--preset",
        "smoke",
        "--out",
        "wrong",
        "--data",
        "wrong.txt",
    ];
    let wrong = crucible(folder.path(), &wrong).expect(2);
    assert!(
        wrong.stderr.contains("wrong.txt") && wrong.stderr.contains("UTF-8"),
        "{wrong:#?}"
    );
}
