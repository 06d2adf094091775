//! `crucible compare`: arms and seeds, what is kept, what is refused.

use crate::support::{borrowed, crucible, read_json, small_training, small_vqa};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn modified(path: &Path) -> std::time::SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn a_comparison_trains_no_finished_run_again() {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    let vary = [
        "--vary",
        "fusion=early,late",
        "--seeds",
        "2",
        "--out",
        "out",
    ];
    let args = small_training("compare", 3, &vary);
    let output = crucible(folder.path(), &borrowed(&args)).expect(0);
    for part in ["early", "late", "Group", "out/report.html"] {
        assert!(output.stdout.contains(part), "no `{part}` in {output:#?}");
    }
    let out = folder.path().join("out");
    let result = out.join("late/seed-1/result.json");
    let trained = modified(&result);

    let second = crucible(folder.path(), &[&borrowed(&args)[..], &["--json"]].concat()).expect(0);
    assert_eq!(
        second.stderr.matches("already finished").count(),
        4,
        "{second:#?}"
    );
    assert_eq!(modified(&result), trained);
    let summary = second.json();
    assert_eq!(summary, read_json(out.join("compare.json")));
    assert_eq!(
        (&summary["unfinished"], &summary["failed"]),
        (&0.into(), &Value::Array(Vec::new()))
    );
    for (arm, label) in ["early", "late"].into_iter().enumerate() {
        assert_eq!(summary["arms"][arm]["label"], label);
        for seed in 0..2 {
            let run = read_json(out.join(label).join(format!("seed-{seed}/result.json")));
            let values = &summary["arms"][arm]["test"]["accuracy"]["values"];
            assert_eq!(
                values[seed], run["test"]["accuracy"],
                "{label}, seed {seed}"
            );
        }
    }
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    for part in ["Validation accuracy", "Training loss", "<svg"] {
        assert!(report.contains(part), "no {part} in the report");
    }

    // More seeds are only the new ones; another configuration is refused before anything is trained.
    let more = small_training(
        "compare",
        3,
        &[
            "--vary",
            "fusion=early,late",
            "--seeds",
            "3",
            "--out",
            "out",
        ],
    );
    let output = crucible(folder.path(), &borrowed(&more)).expect(0);
    assert_eq!(
        output.stderr.matches("already finished").count(),
        4,
        "{output:#?}"
    );
    let changed = small_training("compare", 4, &vary);
    let output = crucible(folder.path(), &borrowed(&changed)).expect(2);
    assert!(
        output.stderr.contains("training.steps was 3, now 4"),
        "{output:#?}"
    );
}

#[test]
fn a_failing_arm_does_not_lose_the_others() {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    small_vqa(&folder.path().join("broken"));
    let manifest = folder.path().join("broken/train.jsonl");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text + "{").unwrap();
    let mut args = small_training(
        "compare",
        2,
        &["--vary", "data=broken,data", "--seeds", "1", "--out", "out"],
    );
    // The data is what is compared.
    args.drain(4..6);
    let output = crucible(folder.path(), &borrowed(&args)).expect(1);
    assert!(
        output
            .stderr
            .contains("failed: broken, seed 0: broken/train.jsonl:25"),
        "{output:#?}"
    );
    let summary = read_json(folder.path().join("out/compare.json"));
    assert_eq!(summary["failed"][0]["arm"], "broken");
    assert_eq!(summary["arms"][0]["label"], "data");
    assert_eq!(summary["unfinished"], 1);
}

#[test]
fn a_comparison_of_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (vary, part) in [
        ("fusion=mid", "nothing to compare"),
        ("fusion", "key=a,b,c"),
        ("fusion=mid,mid", "twice"),
    ] {
        let output = crucible(folder.path(), &["compare", "vqa", "--vary", vary]).expect(2);
        assert!(output.stderr.contains(part), "{output:#?}");
    }
}

/// The commands of a plan, run by a shell one by one and elsewhere, make the comparison that `compare` makes.
#[test]
#[cfg(unix)]
fn a_plan_that_a_shell_ran_is_collected() {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    let args = |more: &[&str]| {
        let vary = ["--vary", "fusion=late,mid", "--seeds", "2", "--out"];
        small_training("compare", 3, &[&vary[..], more].concat())
    };
    crucible(folder.path(), &borrowed(&args(&["here"]))).expect(0);
    let script = crucible(
        folder.path(),
        &borrowed(&args(&["there", "--plan", "slurm"])),
    )
    .expect(0);
    assert!(!folder.path().join("there").exists());
    assert!(
        script.stdout.contains("#SBATCH --array=0-3\n"),
        "{script:#?}"
    );
    let plan = crucible(folder.path(), &borrowed(&args(&["there", "--plan"]))).expect(0);
    let commands: Vec<&str> = plan.stdout.lines().collect();
    assert_eq!(commands.len(), 4);
    let binary = Path::new(env!("CARGO_BIN_EXE_crucible")).parent().unwrap();
    for task in (0..4).rev() {
        let mut shell = std::process::Command::new("bash");
        shell
            .current_dir(folder.path())
            .env("SLURM_ARRAY_TASK_ID", task.to_string());
        shell.env(
            "PATH",
            format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()),
        );
        let output = shell.args(["-c", &script.stdout]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(script.stdout.contains(commands[task]));
    }
    crucible(folder.path(), &["compare", "vqa", "--collect", "there"]).expect(0);
    let [here, there] =
        ["here", "there"].map(|out| read_json(folder.path().join(out).join("compare.json")));
    assert_eq!(here["arms"].as_array().unwrap().len(), 2);
    for (a, b) in here["arms"]
        .as_array()
        .unwrap()
        .iter()
        .zip(there["arms"].as_array().unwrap())
    {
        assert_eq!((&a["label"], &a["test"]), (&b["label"], &b["test"]));
    }
    assert!(folder.path().join("there/report.html").exists());
    let output = crucible(folder.path(), &["compare", "vqa", "--collect", "data"]).expect(2);
    assert!(output.stderr.contains("no runs of `vqa`"), "{output:#?}");
}
