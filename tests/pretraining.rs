//! Pretraining through the binary: what the recipes learn in a few steps, and what they refuse.

use crate::support::{crucible, read_json, read_json_lines};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Arguments of a training of the smoke preset, with further ones.
pub fn smoke<'a>(recipe: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["train", recipe, "--preset", "smoke", "--out", out];
    [&fixed[..], more].concat()
}

/// Trains the smoke preset with further arguments, in `folder`/`out`.
pub fn train(folder: &Path, recipe: &str, out: &str, more: &[&str]) -> Value {
    crucible(folder, &smoke(recipe, out, more)).expect(0);
    read_json(folder.join(out).join("result.json"))["test"].clone()
}

/// Values of the training loss, first to last.
pub fn losses(run: &Path) -> Vec<f64> {
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
    let recipes = [
        ("contrastive", 0.97),
        ("mlm", 0.9),
        ("mvm", 0.6),
        ("rotation", 0.97),
        ("vlp", 0.75),
    ];
    for (recipe, at_most) in recipes {
        train(folder.path(), recipe, recipe, &[]);
        let losses = losses(&folder.path().join(recipe));
        let some = losses.len().div_ceil(6).min(10);
        let (first, last) = (mean(&losses[..some]), mean(&losses[losses.len() - some..]));
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
    // Of each task its loss, and where there is right and wrong how often it is right.
    let vlp = test("vlp");
    let parts = ["itc_loss", "itm_loss", "mlm_loss", "mvm_loss"].map(|name| number(&vlp[name]));
    assert!((number(&vlp["loss"]) - parts.iter().sum::<f64>()).abs() < 0.02 * number(&vlp["loss"]));
    // No bound says more than its pairs can.
    let bound = number(&contrastive["information_info_nce"]);
    assert!(
        bound <= 386f64.ln() && contrastive["information_dv"].is_number(),
        "{contrastive}"
    );
    for name in ["itc_accuracy", "itm_accuracy", "mlm_accuracy", "t2i_r5"] {
        assert!((0.0..=1.0).contains(&number(&vlp[name])), "{name}: {vlp}");
    }

    // What there is to see stands in the reports: 8 images thrice, 8 images with their captions.
    for (recipe, title, pictures) in [
        ("mvm", "Reconstructions", 24),
        ("contrastive", "Similarities", 8),
        ("vlp", "Similarities", 8),
    ] {
        let figures = read_json(folder.path().join(recipe).join("figures.json"));
        let text = figures.to_string();
        assert!(text.contains(title), "{recipe}");
        assert_eq!(text.matches("iVBORw0KGgo").count(), pictures, "{recipe}");
        let report = fs::read_to_string(folder.path().join(recipe).join("report.html")).unwrap();
        assert!(report.contains(&format!("<h2>{title}</h2>")), "{recipe}");
        assert!(report.matches("data:image/png;base64,iVBORw0KGgo").count() >= pictures);
    }
    search(folder.path());
}

/// With a model that is hardly better than chance: what is returned, not how good it is.
fn search(folder: &Path) {
    let json = |args: &[&str]| -> Value {
        let output = crucible(folder, &[args, &["--json"]].concat()).expect(0);
        serde_json::from_str(&output.stdout).unwrap()
    };
    let found = json(&["search", "contrastive", "smiling face", "--top", "3"]);
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 3);
    let similarity = |index: usize| found[index]["similarity"].as_f64().unwrap();
    assert!(similarity(0) >= similarity(1) && similarity(1) >= similarity(2));

    // The similarities are the cosines of what `embed` prints.
    let embedded = json(&[
        "embed",
        "contrastive",
        "--text",
        "smiling face",
        "--text",
        "a dog",
    ]);
    let vector = |index: usize| -> Vec<f64> {
        let values = embedded[index]["embedding"].as_array().unwrap().iter();
        values.map(|value| value.as_f64().unwrap()).collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    assert_eq!(embedded[0]["text"], "smiling face");
    assert!((dot(&vector(0), &vector(0)) - 1.0).abs() < 1e-5);
    assert!(dot(&vector(0), &vector(1)) < 0.9999);
    let args = [
        "search",
        "contrastive",
        "smiling face",
        "--among",
        "texts",
        "--top",
        "5000",
    ];
    let texts = json(&args);
    let texts = texts.as_array().unwrap();
    let dog = texts.iter().find(|text| text["caption"] == "dog").unwrap();
    let dog_alone = json(&["embed", "contrastive", "--text", "dog"]);
    let dog_alone: Vec<f64> = serde_json::from_value(dog_alone[0]["embedding"].clone()).unwrap();
    let cosine = dot(&vector(0), &dog_alone);
    assert!((dog["similarity"].as_f64().unwrap() - cosine).abs() < 1e-5);

    // An image finds itself among images, and else captions.
    let picture = folder.join("picture.png");
    image::RgbImage::from_pixel(40, 40, image::Rgb([200, 30, 30]))
        .save(&picture)
        .unwrap();
    let captions = json(&["search", "vlp", "--image", "picture.png"]);
    assert!(
        captions[0]["caption"].as_str().unwrap().split(' ').count() >= 3,
        "{captions}"
    );
    for (args, said) in [
        (&["search", "mlm", "words"][..], "`mlm` has no vectors"),
        (&["search", "vlp", "--image", "nothere.png"], "nothere.png"),
        (
            &[
                "search",
                "vlp",
                "a",
                "--data",
                "easy-vqa-objects",
                "--among",
                "texts",
            ],
            "no captions",
        ),
        (&["embed", "vlp"], "--text"),
    ] {
        let output = crucible(folder, args).expect(2);
        assert!(output.stderr.contains(said), "{args:?}: {output:#?}");
    }
}

/// A task's loss stands in the log of the steps that were trained on it.
#[test]
fn tasks_come_by_their_shares_and_losses_are_weighed() {
    let folder = tempfile::tempdir().unwrap();
    let set = |key: &'static str| ["--set", key];
    let more = [
        set("tasks.itm.share=0.5"),
        set("tasks.mvm.weight=0"),
        set("tasks.mlm.weight=0.5"),
        set("fusion=late"),
    ];
    train(folder.path(), "vlp", "shares", &more.concat());
    let rows = read_json_lines(folder.path().join("shares/metrics.jsonl"));
    let of = |name: &str| -> Vec<(u64, f64)> {
        let rows = rows
            .iter()
            .filter(|row| row["split"] == "train" && row["name"] == name);
        rows.map(|row| {
            (
                row["step"].as_u64().unwrap(),
                row["value"].as_f64().unwrap(),
            )
        })
        .collect()
    };
    let count = of("itm_loss").len();
    assert!((15..=45).contains(&count), "{count} of 60 steps");
    assert_eq!((of("itc_loss").len(), of("mvm_loss").len()), (60, 0));
    let (loss, itc, itm, mlm) = (of("loss"), of("itc_loss"), of("itm_loss"), of("mlm_loss"));
    for (((step, loss), (_, itc)), (_, mlm)) in loss.iter().zip(&itc).zip(&mlm) {
        let matching = itm
            .iter()
            .find(|(of, _)| of == step)
            .map_or(0.0, |(_, itm)| *itm);
        assert!(
            (loss - (itc + 0.5 * mlm + matching)).abs() < 1e-4,
            "step {step}"
        );
    }

    let learnt = [set("tasks.weighting=uncertainty"), set("training.steps=20")];
    train(folder.path(), "vlp", "uncertainty", &learnt.concat());
    let vqa = [
        "--set",
        "fusion=mid",
        "--init",
        "uncertainty",
        "--set",
        "training.steps=1",
    ];
    let fixed = ["train", "vqa", "--preset", "smoke", "--out", "vqa"];
    let started = crucible(folder.path(), &[&fixed[..], &vqa].concat()).expect(0);
    let line = started
        .stderr
        .lines()
        .find(|line| line.starts_with("start from"));
    let line = line.unwrap_or_else(|| panic!("{started:#?}"));
    // Towers and fusion come along, down to the last tensor.
    let fresh = line
        .split("fresh: ")
        .nth(1)
        .unwrap()
        .split("; ")
        .next()
        .unwrap();
    assert!(!fresh.contains("encoder"), "{line}");
    assert!(line.contains("log_variances"), "{line}");
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
        ("vlp", "patch_masking.ratio=1", "patch_masking.ratio"),
        ("vlp", "tasks.itc.weight=-1", "tasks.itc"),
        ("vlp", "words=nothere", "unknown dataset `nothere`"),
        ("vlp", "d_embedding=0", "d_embedding"),
        ("vlp", "loader.batch_size=1", "loader.batch_size"),
        ("mvm", "model.patch_size=64", "smaller patches"),
        ("contrastive", "loader.batch_size=1", "loader.batch_size"),
        ("contrastive", "zero_shot.templates=[\"a photo\"]", "{}"),
        ("contrastive", "zero_shot.templates=[]", "templates"),
        ("rotation", "vision.patch_size=7", "patch_size"),
        ("rotation", "vision.encoder.heads=3", "heads"),
        ("rotation", "vision.channels=1", "channels"),
        ("rotation", "image.size=32", "image.size"),
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
    // The sums are the same in another order.
    assert_ne!(whole, chunks);
    let off = whole.iter().zip(&chunks).map(|(a, b)| (a - b).abs() / a);
    assert!(off.fold(0.0, f64::max) < 1e-3, "{whole:?} {chunks:?}");
}

/// Passages in which nothing can be hidden are passed over.
#[test]
fn blank_passages_are_no_numbers_that_break() {
    let folder = tempfile::tempdir().unwrap();
    let words = "some words that can be hidden ".repeat(200);
    let text = format!("{words}{}{words}", "\n".repeat(20_000));
    fs::write(folder.path().join("text.txt"), text).unwrap();
    let set = [
        "--data",
        "text.txt",
        "--set",
        "loader.batch_size=1",
        "--set",
        "training.steps=40",
    ];
    train(folder.path(), "mlm", "run", &set);
    let log = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    assert!(!log.contains("null"), "{log}");
    fs::write(folder.path().join("blank.txt"), "\n".repeat(5000)).unwrap();
    let blank = crucible(folder.path(), &["eval", "run", "--data", "blank.txt"]).expect(2);
    assert!(blank.stderr.contains("holds nothing"), "{blank:#?}");
    let args = [
        "train",
        "mlm",
        "--preset",
        "smoke",
        "--data",
        "blank.txt",
        "--out",
        "none",
    ];
    let refused = crucible(folder.path(), &args).expect(2);
    assert!(refused.stderr.contains("no words"), "{refused:#?}");
    let split = folder.path().join("split");
    fs::create_dir(&split).unwrap();
    for (name, text) in [("train", &words[..]), ("valid", &words), ("test", "\n \n")] {
        fs::write(split.join(name).with_extension("txt"), text).unwrap();
    }
    let args = [
        "train", "mlm", "--preset", "smoke", "--data", "split", "--out", "none",
    ];
    let refused = crucible(folder.path(), &args).expect(2);
    assert!(refused.stderr.contains("test split"), "{refused:#?}");
}

/// A test split of one pair is measured as far as it goes.
#[test]
fn one_pair_is_a_test_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    image::RgbImage::new(8, 8).save(data.join("a.png")).unwrap();
    let line = |name: &str| format!("{{\"image\": \"a.png\", \"caption\": \"{name}\"}}\n");
    let many = ["one", "two", "three"].map(line).concat();
    for (split, lines) in [("train", &many), ("valid", &many), ("test", &line("one"))] {
        fs::write(data.join(split).with_extension("jsonl"), lines).unwrap();
    }
    for recipe in ["contrastive", "vlp"] {
        let mut set = vec!["--data", "data", "--set", "training.steps=2"];
        if recipe == "contrastive" {
            set.extend(["--set", "zero_shot.data="]);
        }
        let test = train(folder.path(), recipe, recipe, &set);
        assert_eq!(test["i2t_r1"], 1.0, "{test}");
    }
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
    let more = ["--data", "text.txt", "--set", "training.steps=200"];
    let test = train(folder.path(), "mlm", "run", &more);
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
