//! What makes a comparison fair: equal starts, equal budgets, equal tuning, and rows that can be had again.

use crate::support::{
    Output, borrowed, crucible, read_json, read_json_lines, small_training, small_vqa,
};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Runs `compare` on small data.
fn compare(folder: &Path, steps: usize, more: &[&str]) -> Output {
    let args = small_training("compare", steps, more);
    crucible(folder, &borrowed(&args))
}

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    folder
}

fn result(folder: &Path, run: &str) -> Value {
    read_json(folder.join("out").join(run).join("result.json"))
}

#[test]
fn parameters_are_matched_within_two_per_cent() {
    let folder = prepared();
    let arms = "fusion=late,early,mid,mid-bottleneck,late-average,late-low-rank";
    let args = [
        "--vary",
        arms,
        "--seeds",
        "1",
        "--no-probes",
        "--out",
        "out",
        "--match",
        "parameters",
    ];
    let output = compare(folder.path(), 1, &args).expect(0);
    let of = |arm: &str| {
        result(folder.path(), &format!("{arm}/seed-0"))["parameters"]
            .as_f64()
            .unwrap()
    };
    let late = of("late");
    for arm in arms.trim_start_matches("fusion=").split(',') {
        let off = of(arm) / late - 1.0;
        assert!(off.abs() <= 0.02, "{arm}: {off:+.4}");
    }
    let report = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(
        report.contains("Every arm has the parameters of late"),
        "{output:#?}"
    );
    // It goes on with what it found.
    let matched = fs::read(folder.path().join("out/match.json")).unwrap();
    compare(folder.path(), 1, &args).expect(0);
    assert_eq!(
        fs::read(folder.path().join("out/match.json")).unwrap(),
        matched
    );
}

#[test]
fn operations_are_matched_by_steps() {
    let folder = prepared();
    let args = [
        "--vary",
        "fusion=early,late",
        "--seeds",
        "1",
        "--no-probes",
        "--out",
        "out",
        "--match",
        "flops",
    ];
    compare(folder.path(), 4, &args).expect(0);
    let of = |arm: &str| {
        let result = result(folder.path(), &format!("{arm}/seed-0"));
        (
            result["steps"].as_f64().unwrap(),
            result["flops"].as_f64().unwrap(),
        )
    };
    let ((early, much), (late, little)) = (of("early"), of("late"));
    assert!(
        early == 4.0 && late > 6.0 && much > little,
        "{early} {late} {much} {little}"
    );
    let off = late * little / (early * much) - 1.0;
    assert!(off.abs() < 0.1, "{off}");
}

#[test]
fn every_arm_is_tuned_alike_and_no_test_item_is_read_for_it() {
    let folder = prepared();
    let args = [
        "--vary",
        "fusion=late,late-gated",
        "--seeds",
        "1",
        "--out",
        "out",
        "--no-probes",
        "--tune",
        "training.learning_rate=1e-12,2e-2",
        "--set",
        "training.min_learning_rate=0",
    ];
    compare(folder.path(), 12, &args).expect(0);
    for arm in ["late", "late-gated"] {
        let run = read_json(folder.path().join("out").join(arm).join("seed-0/run.json"));
        assert_eq!(run["config"]["training"]["learning_rate"], 2e-2, "{arm}");
        for candidate in ["learning_rate=1e-12", "learning_rate=2e-2"] {
            let tuning = folder.path().join("out/tuning").join(arm).join(candidate);
            assert_eq!(read_json(tuning.join("run.json"))["scored_on"], "valid");
            let items = read_json_lines(tuning.join("predictions.jsonl"));
            let of_valid = |item: &Value| item["id"].as_str().unwrap().contains("valid");
            assert!(items.len() == 24 && items.iter().all(of_valid), "{items:?}");
        }
    }
    let report = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(report.contains("2 candidates for every arm"));
}

#[test]
fn arms_are_trained_again_under_other_conditions_and_probed() {
    let folder = prepared();
    let args = [
        "--vary",
        "fusion=late,mid",
        "--seeds",
        "2",
        "--out",
        "out",
        "--also",
        "loader.share=0.5",
    ];
    compare(folder.path(), 2, &args).expect(0);
    let half = folder.path().join("out/mid/loader.share=0.5/seed-1");
    assert_eq!(
        read_json(half.join("run.json"))["config"]["loader"]["share"],
        0.5
    );
    assert!(!half.join("probes.json").exists());
    let probes = folder.path().join("out/mid/seed-1/probes.json");
    let names: Vec<Value> = read_json(&probes)
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| probe["name"].clone())
        .collect();
    for name in [
        "without image",
        "without question",
        "without both",
        "image noise",
        "word dropout",
    ] {
        assert!(names.contains(&name.into()), "{names:?}");
    }
    let report = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    for part in [
        "loader.share",
        "image noise",
        "Shapley",
        "crucible train vqa",
    ] {
        assert!(report.contains(part), "no {part} in the report");
    }
    for (file, part) in [
        ("runs.csv", "late,0,"),
        ("pairs.csv", "late,mid"),
        ("table.tex", "toprule"),
    ] {
        let text = fs::read_to_string(folder.path().join("out").join(file)).unwrap();
        assert!(text.contains(part), "{file}: {text}");
    }
    // What was collected is what was compared.
    let before = read_json(folder.path().join("out/compare.json"));
    crucible(folder.path(), &["compare", "vqa", "--collect", "out"]).expect(0);
    assert_eq!(
        read_json(folder.path().join("out/compare.json"))["study"],
        before["study"]
    );
    let report = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(report.contains("loader.share"));
}

#[test]
fn a_row_comes_out_again_to_the_last_bit_and_another_is_seen() {
    let folder = prepared();
    let args = [
        "--vary",
        "fusion=late,mid",
        "--seeds",
        "2",
        "--out",
        "out",
        "--no-probes",
        "--set",
        "training.learning_rate=2e-2",
    ];
    compare(folder.path(), 16, &args).expect(0);
    let repro = |args: &[&str]| crucible(folder.path(), &[&["repro"], args].concat());
    let output = repro(&["out/mid", "--json"]).expect(0);
    let found = output.json();
    assert_eq!(found.as_array().unwrap().len(), 2);
    for run in found.as_array().unwrap() {
        assert_eq!(run["verdict"], "identical", "{run}");
    }

    // A log that says otherwise, and predictions that are all wrong.
    let run = folder.path().join("out/late/seed-0");
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    fs::write(
        run.join("metrics.jsonl"),
        log.replacen("\"value\":", "\"value\":1", 1),
    )
    .unwrap();
    let items = read_json_lines(run.join("predictions.jsonl"));
    let wrong = items.into_iter().map(|mut item| {
        item["prediction"] = "nothing".into();
        item.to_string() + "\n"
    });
    fs::write(run.join("predictions.jsonl"), wrong.collect::<String>()).unwrap();
    let output = repro(&["out/late/seed-0", "--out", "again"]).expect(1);
    for part in [
        "different",
        "step 1 is the first that differs",
        "the predictions differ",
        "McNemar",
    ] {
        assert!(output.stdout.contains(part), "no {part} in {output:#?}");
    }
    assert!(!output.stdout.contains("weights differ"));
    assert!(folder.path().join("again/result.json").exists());
    let twice = repro(&["out/late/seed-1", "--out", "again"]).expect(2);
    assert!(twice.stderr.contains("not empty"), "{twice:#?}");
    repro(&["out/late/seed-1", "--out", "out"]).expect(2);
    let nothing = repro(&["data"]).expect(2);
    assert!(nothing.stderr.contains("no finished run"), "{nothing:#?}");
}

#[test]
fn options_that_undo_each_other_are_refused() {
    let folder = prepared();
    for (more, part) in [
        (
            &["--tune", "fusion.product=true,false"][..],
            "--vary fusion compares",
        ),
        (&["--also", "fusion=mid"], "--vary fusion compares"),
        (
            &["--match", "parameters", "--tune", "model.d_ff=16,32"],
            "--match adapts",
        ),
        (
            &["--match", "flops", "--tune", "training.steps=1,2"],
            "--match adapts",
        ),
        (
            &[
                "--tune",
                "augment.flip=true,false",
                "--also",
                "augment.flip=true",
            ],
            "--tune chooses it",
        ),
        (&["--also", "loader.share=0.5,0.5"], "twice"),
        (&["--also", "no.such.key=1"], "no.such"),
    ] {
        let args = [&["--vary", "fusion=late,mid", "--out", "out"], more].concat();
        let output = compare(folder.path(), 2, &args).expect(2);
        assert!(output.stderr.contains(part), "no `{part}` in {output:#?}");
        assert!(!folder.path().join("out").exists());
    }
}

/// Trials and candidates lie where arms lie, and are none.
#[test]
fn what_was_tried_is_not_collected() {
    let folder = prepared();
    let args = [
        "--vary",
        "fusion=late,mid",
        "--seeds",
        "2",
        "--out",
        "out",
        "--no-probes",
        "--match",
        "time",
        "--tune",
        "augment.flip=true,false",
    ];
    compare(folder.path(), 3, &args).expect(0);
    assert!(folder.path().join("out/trial/mid/run.json").exists());
    crucible(folder.path(), &["compare", "vqa", "--collect", "out"]).expect(0);
    let summary = read_json(folder.path().join("out/compare.json"));
    let labels: Vec<&Value> = summary["arms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arm| &arm["label"])
        .collect();
    assert_eq!(labels, ["late", "mid"]);
    assert_eq!(summary["study"]["drawn"], "pictures");
    assert!(
        summary["budget"]
            .as_str()
            .unwrap()
            .contains("as many steps")
    );
    let report = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(report.contains("crucible repro out/mid/seed-1"));
}
