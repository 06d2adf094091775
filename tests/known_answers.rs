//! Strategies on tasks whose best score is known: who sees what only both modalities tell, and who cannot.

use crate::support::{crucible, read_json};
use crucible_datasets::known::Task;
use std::path::Path;

/// Test accuracy after a training of seconds.
fn accuracy(folder: &Path, task: &str, strategy: &str) -> f64 {
    let (fusion, out) = (format!("fusion={strategy}"), format!("{task}-{strategy}"));
    let args = [
        "train", "vqa", "--preset", "smoke", "--data", task, "--out", &out,
    ];
    let sets = ["--set", "training.steps=400", "--set", &fusion];
    crucible(folder, &[&args[..], &sets].concat()).expect(0);
    let result = read_json(folder.join(out).join("result.json"));
    result["test"]["accuracy"].as_f64().unwrap()
}

#[test]
fn a_sum_of_decisions_is_blind_to_what_only_both_tell() {
    let folder = tempfile::tempdir().unwrap();
    let xor = Task::named("known-xor").unwrap();
    let best = accuracy(folder.path(), xor.name, "late");
    assert!(best >= 0.95 * xor.best(), "{best}");
    for strategy in ["decision-average", "decision-product"] {
        let sum = accuracy(folder.path(), xor.name, strategy);
        assert!(sum <= xor.best_additive(), "{strategy}: {sum}");
    }
    // It is blind to nothing else: what either tells it has.
    let and = Task::named("known-and").unwrap();
    let sum = accuracy(folder.path(), and.name, "decision-average");
    assert!(sum >= 0.95 * and.best(), "{sum}");
}

/// `cargo test --workspace --test integration every_task -- --ignored --nocapture`
#[test]
#[ignore = "eight minutes"]
fn on_every_task_the_best_strategy_comes_near_the_best_possible() {
    let folder = tempfile::tempdir().unwrap();
    for task in crucible_datasets::known::TASKS {
        let strategies = [
            "late",
            "mid",
            "late-low-rank",
            "late-average",
            "decision-average",
        ];
        let scores = strategies.map(|strategy| accuracy(folder.path(), task.name, strategy));
        let (best, additive) = (task.best(), task.best_additive());
        println!(
            "{}: {strategies:?} {scores:.3?}; {best:.3} possible, {additive:.3} as a sum",
            task.name
        );
        let found = scores.into_iter().fold(0.0, f64::max);
        assert!(found >= 0.95 * best, "{}: {found} of {best}", task.name);
        // One test item in a hundred of tolerance: labels of the mixture are drawn.
        assert!(
            scores[4] <= additive + 0.01,
            "{}: {} of {additive}",
            task.name,
            scores[4]
        );
    }
}
