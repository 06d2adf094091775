//! Every command through the binary: what it prints, what it writes, what it leaves with.

use crate::support::{
    COLOURS, borrowed, command, crucible, picture, read_json, read_json_lines, small_training,
    small_vqa, smoke_run,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn the_files_of_a_run_are_true_to_each_other() {
    let run = smoke_run();
    let record = read_json(run.join("run.json"));
    let result = read_json(run.join("result.json"));
    let predictions = read_json_lines(run.join("predictions.jsonl"));
    let metrics = read_json_lines(run.join("metrics.jsonl"));

    let right = predictions
        .iter()
        .filter(|row| row["target"] == row["prediction"])
        .count();
    let accuracy = result["test"]["accuracy"].as_f64().unwrap();
    assert!((accuracy - right as f64 / predictions.len() as f64).abs() < 1e-9);
    assert_eq!(result["predictions"], predictions.len());
    let ids: BTreeSet<&str> = predictions
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), predictions.len());
    // The published test split.
    assert_eq!(predictions.len(), 9673);

    for key in ["recipe", "preset", "seed", "backend", "data_digest"] {
        assert_eq!(record[key], result[key], "{key}");
    }
    assert_eq!(record["config"]["training"]["steps"], result["steps"]);

    let of = |split: &str, name: &str| -> Vec<(u64, f64)> {
        let rows = metrics
            .iter()
            .filter(|row| row["split"] == split && row["name"] == name);
        rows.map(|row| {
            (
                row["step"].as_u64().unwrap(),
                row["value"].as_f64().unwrap(),
            )
        })
        .collect()
    };
    let loss = of("train", "loss");
    assert_eq!(loss.last().unwrap().0, result["steps"].as_u64().unwrap());
    assert!(loss.last().unwrap().1 < 0.7 * loss[0].1, "{loss:?}");
    assert!(!of("valid", "accuracy").is_empty() && !of("train", "grad_norm").is_empty());
    // Better than the most frequent answer, which a third of the questions have.
    assert!(accuracy > 0.5, "{accuracy}");

    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        report.contains(&format!("{:.2}%", 100.0 * accuracy)),
        "the report has another accuracy"
    );
    for part in ["yes/no", "data:image/png;base64,", "<svg", "Seed"] {
        assert!(report.contains(part), "no {part} in the report");
    }
    assert!(
        !report.contains("http://") && !report.contains("<script"),
        "the report is self-contained"
    );
    assert!(
        fs::read_to_string(run.join("run.log"))
            .unwrap()
            .contains("done: step 60")
    );
}

#[test]
fn eval_comes_to_the_result_of_the_run_and_leaves_it_alone() {
    let run = smoke_run();
    let path = run.to_str().unwrap();
    let before = fs::read(run.join("result.json")).unwrap();
    let evaluated = crucible(run, &["eval", path, "--json"]).expect(0).json();
    let result = read_json(run.join("result.json"));
    assert_eq!(evaluated["metrics"], result["test"]);
    assert_eq!(evaluated["data_digest"], result["data_digest"]);

    let valid = crucible(run, &["eval", path, "--split", "valid", "--json"])
        .expect(0)
        .json();
    let metrics = read_json_lines(run.join("metrics.jsonl"));
    let last = |name: &str| {
        let mut rows = metrics.iter().rev();
        rows.find(|row| row["split"] == "valid" && row["name"] == name)
            .unwrap()["value"]
            .clone()
    };
    assert_eq!(valid["metrics"]["accuracy"], last("accuracy"));
    assert_eq!(valid["items"], 2008);
    assert_eq!(fs::read(run.join("result.json")).unwrap(), before);

    let output = crucible(run, &["eval", path, "--split", "tset"]).expect(2);
    assert!(
        output.stderr.contains("did you mean `test`?"),
        "{output:#?}"
    );
}

#[test]
fn ask_gives_every_answer_its_probability() {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("my.png"), [250, 10, 10]);
    let args = [
        "ask",
        smoke_run().to_str().unwrap(),
        "--image",
        "my.png",
        "what color is the shape?",
    ];
    let answers = crucible(folder.path(), &[&args[..], &["--json"]].concat())
        .expect(0)
        .json();
    let answers = answers.as_array().unwrap();
    let probabilities: Vec<f64> = answers
        .iter()
        .map(|answer| answer["probability"].as_f64().unwrap())
        .collect();
    assert_eq!(answers.len(), 13);
    assert!(
        (probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5,
        "{probabilities:?}"
    );
    assert!(
        probabilities.is_sorted_by(|a, b| a >= b),
        "{probabilities:?}"
    );

    let text = crucible(folder.path(), &args).expect(0).stdout;
    let first = text.lines().nth(2).unwrap();
    assert!(
        first.starts_with(answers[0]["answer"].as_str().unwrap()),
        "{text}"
    );
    assert!(
        first.ends_with(&format!("{:.2}%", 100.0 * probabilities[0])),
        "{text}"
    );
}

#[test]
fn a_classifier_answers_no_questions() {
    let folder = tempfile::tempdir().unwrap();
    for (name, colour) in COLOURS {
        for split in ["train", "valid", "test"] {
            picture(
                &folder.path().join(format!("classes/{split}/{name}/0.png")),
                colour,
            );
        }
    }
    let args = [
        "train",
        "classification",
        "--preset",
        "smoke",
        "--data",
        "classes",
        "--set",
        "training.steps=3",
    ];
    let trained = crucible(folder.path(), &[&args[..], &["--json"]].concat())
        .expect(0)
        .json();
    let run = trained["run"].as_str().unwrap();
    assert!(run.starts_with("runs/classification-smoke-"), "{run}");
    let report = fs::read_to_string(folder.path().join(run).join("report.html")).unwrap();
    assert!(report.contains("green") && report.contains("data:image/png;base64,"));
    let output = crucible(
        folder.path(),
        &[
            "ask",
            run,
            "--image",
            "classes/test/red/0.png",
            "what is it?",
        ],
    )
    .expect(2);
    assert!(
        output.stderr.contains("cannot answer questions"),
        "{output:#?}"
    );
}

#[test]
fn every_listing_is_one_json_document() {
    let folder = tempfile::tempdir().unwrap();
    let json = |args: &[&str]| {
        crucible(folder.path(), &[args, &["--json"]].concat())
            .expect(0)
            .json()
    };

    let recipes = json(&["recipes"]);
    assert_eq!(recipes[0]["name"], "vqa");
    for recipe in recipes.as_array().unwrap() {
        let presets = recipe["presets"].as_array().unwrap().iter();
        let names: Vec<&str> = presets
            .map(|preset| preset["name"].as_str().unwrap())
            .collect();
        for name in ["smoke", "quick", "full"] {
            assert!(names.contains(&name), "{recipe}");
        }
    }
    assert_eq!(
        json(&["config", "vqa", "--set", "fusion=mid"])["fusion"]["strategy"],
        "mid"
    );
    assert_eq!(json(&["data"])[0]["name"], "easy-vqa");
    let description = json(&["data", "easy-vqa"]);
    assert_eq!(description["splits"][2]["items"], 9673);
    assert_eq!(description["problem_count"], 0);

    let backends = json(&["backends"]);
    assert_eq!(backends.as_array().unwrap().len(), 9);
    let compiled = backends
        .as_array()
        .unwrap()
        .iter()
        .filter(|backend| backend["compiled"] == true);
    for backend in compiled.filter(|backend| backend["name"] == "flex") {
        assert_eq!(backend["devices"][0]["error"], Value::Null, "{backend}");
    }
}

#[test]
fn every_listing_reads_well_without_json() {
    let folder = tempfile::tempdir().unwrap();
    for (args, parts) in [
        (&["recipes"][..], &["vqa:", "smoke", "classification:"][..]),
        (&["data"], &["easy-vqa-compositions", "MIT"]),
        (
            &["backends"],
            &["cuda", "`cargo run --features cuda -- ...`"],
        ),
        (&["--help"], &["First steps:", "compare", "Exit codes"]),
        (
            &["train", "--help"],
            &["Examples:", "--resume", "[default: quick]"],
        ),
    ] {
        let output = crucible(folder.path(), args).expect(0);
        for part in parts {
            assert!(
                output.stdout.contains(part),
                "{args:?}: no `{part}` in {output:#?}"
            );
        }
    }
    crucible(folder.path(), &["trian"]).expect(2);
}

#[test]
fn a_printed_configuration_is_a_file_to_train_from() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "config",
        "vqa",
        "--preset",
        "smoke",
        "--set",
        "fusion=mid",
        "--set",
        "training.steps=7",
    ];
    let printed = crucible(folder.path(), &args).expect(0).stdout;
    assert!(
        printed.contains("# Updates of the weights.\nsteps = 7\n"),
        "{printed}"
    );
    fs::write(folder.path().join("my.toml"), &printed).unwrap();
    let again = crucible(
        folder.path(),
        &["config", "vqa", "--preset", "full", "--config", "my.toml"],
    )
    .expect(0);
    assert_eq!(again.stdout, printed);
}

#[test]
fn a_finished_run_is_never_overwritten() {
    let run = smoke_run();
    let train = [
        "train",
        "vqa",
        "--preset",
        "smoke",
        "--out",
        run.to_str().unwrap(),
    ];
    let before = fs::read(run.join("result.json")).unwrap();
    let output = crucible(run, &train).expect(2);
    assert!(
        output.stderr.contains("a finished run is here"),
        "{output:#?}"
    );

    let output = crucible(run, &[&train[..], &["--resume"]].concat()).expect(0);
    assert!(output.stderr.contains("already finished"), "{output:#?}");
    let output = crucible(
        run,
        &[&train[..], &["--resume", "--set", "training.steps=61"]].concat(),
    )
    .expect(2);
    assert!(
        output.stderr.contains("training.steps was 60, now 61"),
        "{output:#?}"
    );
    assert_eq!(fs::read(run.join("result.json")).unwrap(), before);
}

#[test]
fn a_run_keeps_to_the_kernels_it_started_with() {
    let run = smoke_run();
    let record = read_json(run.join("run.json"));
    let used = record["kernels"].as_str().unwrap();
    let others = ["fused", "composed"].map(|kernels| (kernels, kernels == used));
    assert_eq!(others.iter().filter(|(_, same)| *same).count(), 1, "{used}");
    assert!(record["threads"].as_u64().unwrap() > 0);
    let resume = |kernels| {
        let train = ["train", "vqa", "--preset", "smoke", "--resume", "--out"];
        let mut command = command(run, &[&train[..], &[run.to_str().unwrap()]].concat());
        command.env("CRUCIBLE_KERNELS", kernels).output().unwrap()
    };
    for (kernels, same) in others {
        let output = resume(kernels);
        let said = String::from_utf8(output.stderr).unwrap();
        let code = if same { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{said}");
        let difference = format!("kernels was {used:?}, now {kernels:?}");
        assert_eq!(said.contains(&difference), !same, "{said}");
    }
    let output = resume("Composed");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("CRUCIBLE_KERNELS is `Composed`"), "{said}");
}

#[test]
fn the_default_directory_tells_what_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    let args = small_training(
        "train",
        2,
        &["--set", "fusion=mid", "--seed", "7", "--json"],
    );
    let trained = crucible(folder.path(), &borrowed(&args)).expect(0).json();
    assert_eq!(trained["run"], "runs/vqa-smoke-mid-seed7");
    assert_eq!(
        trained["test"],
        read_json(folder.path().join("runs/vqa-smoke-mid-seed7/result.json"))["test"]
    );
}
