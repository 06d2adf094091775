//! Memory is foreseen: what a training takes is what it was expected to, and what cannot fit does not start.

use crate::support::{crucible, read_json};
use std::fs;
use std::path::Path;

const MEBIBYTE: f64 = (1 << 20) as f64;
/// Short enough to wait for, long enough to fill the queues of the loader.
const STEPS: usize = 6;

const CONFIGS: [&str; 24] = [
    "vqa",
    "vqa --set loader.batch_size=8",
    "vqa --set loader.batch_size=64",
    "vqa --set fusion=early",
    "vqa --set fusion=mid",
    "vqa --set fusion=mid-bottleneck",
    "vqa --set fusion=mid-gated",
    "vqa --set fusion=early-additive",
    "vqa --set fusion=late-tensor",
    "vqa --set fusion=late-gated --set loader.batch_size=32",
    "vqa --set fusion=early --set loader.batch_size=64",
    "vqa --set fusion=early --set training.gradient_checkpointing=true",
    "vqa --set fusion=mid --set tokenizer.max_length=64",
    "vqa --set model.d_model=512 --set model.d_ff=2048",
    "vqa --set model.d_model=512 --set model.d_ff=2048 --set loader.batch_size=4 --set training.ema_decay=0.99",
    "vqa --set training.ema_decay=0.99",
    "vqa --set training.accumulate=4",
    "vqa --set model.activation=gelu --set model.dropout=0.1",
    "vqa --set image.size=128 --set loader.batch_size=8",
    "vqa --set model.stem=[] --set model.stem_cell=1",
    "classification",
    "classification --set loader.batch_size=128",
    "classification --set loader.batch_size=128 --set loader.workers=2 --set loader.prefetch=1",
    "classification --set backbone=resnet --set loader.batch_size=16",
];

/// Bytes expected and bytes taken.
fn train(folder: &Path, config: &str) -> (f64, f64) {
    let steps = format!("training.steps={STEPS}");
    let mut args = vec!["train", "--out", "run", "--set", &steps];
    for key in ["training.evaluate_every=0", "training.checkpoint_every=0"] {
        args.extend(["--set", key]);
    }
    args.extend(config.split(' '));
    crucible(folder, &args).expect(0);
    let log = fs::read_to_string(folder.join("run/run.log")).unwrap();
    let expected = log.lines().find_map(|line| line.strip_prefix("memory: "));
    let expected = expected.and_then(|line| line.split(' ').next()).unwrap();
    let taken = read_json(folder.join("run/result.json"))["peak_rss_bytes"].as_f64();
    (expected.parse().unwrap(), taken.unwrap() / MEBIBYTE)
}

/// `cargo test --workspace --test integration memory -- --ignored --nocapture`
#[test]
#[ignore = "a quarter of an hour"]
fn a_training_takes_what_was_expected() {
    let mut wrong = Vec::new();
    for config in CONFIGS {
        let folder = tempfile::tempdir().unwrap();
        let (expected, taken) = train(folder.path(), config);
        let line = format!(
            "{:.2}: {expected} of {taken:.0} MiB, {config}",
            expected / taken
        );
        println!("{line}");
        if (expected / taken - 1.0).abs() > 0.15 {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_that_cannot_fit_is_refused_and_leaves_the_directory_free() {
    let folder = tempfile::tempdir().unwrap();
    let huge = "loader.batch_size=100000000";
    let output = crucible(folder.path(), &["train", "vqa", "--set", huge]).expect(2);
    for part in [
        "would take about",
        "GiB with batches of 100000000",
        "lower `loader.batch_size`",
    ] {
        assert!(output.stderr.contains(part), "{output:#?}");
    }
    assert!(
        !folder
            .path()
            .join("runs/vqa-quick-late-seed0/run.json")
            .exists()
    );
}
