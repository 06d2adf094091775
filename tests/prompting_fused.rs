//! Prompts in front of a frozen vqa model, which is asked in other words than it was trained on.

use std::fs;
use std::path::Path;

use crate::pretraining::{losses, smoke, train};
use crate::support::{COLOURS, crucible, picture, read_json, read_json_lines};

/// Pictures as easy-VQA has them, whose questions leave one color and one shape, in `folder`/asked.
fn asked(folder: &Path) {
    for split in ["train", "valid", "test"] {
        let mut lines = String::new();
        for index in 0..12 {
            let (name, colour) = COLOURS[index % 3];
            let image = format!("{split}-{index}.png");
            picture(&folder.join("asked").join(&image), colour);
            let red = if name == "red" { "yes" } else { "no" };
            for (question, answer) in [
                ("what color is the circle?", name),
                ("what shape is present?", "circle"),
                ("is there a red shape?", red),
            ] {
                let line =
                    serde_json::json!({"image": image, "question": question, "answer": answer});
                lines += &format!("{line}\n");
            }
        }
        fs::write(folder.join(format!("asked/{split}.jsonl")), lines).unwrap();
    }
}

/// A model of that fusion that answers these questions, in `folder`/answers, and what it was trained on.
pub fn answers(folder: &Path, fusion: &str) {
    asked(folder);
    let fusion = format!("--set=fusion={fusion}");
    let more = [
        "--data=asked",
        &fusion,
        "--set=image.size=16",
        "--set=model.d_model=16",
        "--set=model.d_ff=16",
        "--set=model.stem=[16]",
        "--set=training.steps=40",
    ];
    train(folder, "vqa", "answers", &more);
}

const DATA: [&str; 3] = [
    "--data=asked",
    "--set=backbone=answers",
    "--set=training.steps=60",
];

/// Share of pairs of wordings about one picture that are answered alike, counted anew.
fn alike(run: &Path) -> f64 {
    let rows = read_json_lines(run.join("predictions.jsonl"));
    let pairs = rows
        .iter()
        .enumerate()
        .flat_map(|(at, a)| rows[..at].iter().map(move |b| (a, b)));
    let pairs = pairs.filter(|(a, b)| a["picture"] == b["picture"]);
    let alike = pairs
        .clone()
        .filter(|(a, b)| a["prediction"] == b["prediction"]);
    alike.count() as f64 / pairs.count() as f64
}

#[test]
fn every_prompt_learns_alone_before_every_family() {
    for fusion in ["late", "early", "mid"] {
        let folder = tempfile::tempdir().unwrap();
        answers(folder.path(), fusion);
        let weights = || {
            let newest = folder
                .path()
                .join("answers/checkpoints/step-00000040/model.bpk");
            fs::read(newest).unwrap()
        };
        let before = weights();
        let run = |out: &str, more: &[&str]| {
            let args = [&DATA[..], more].concat();
            train(folder.path(), "prompting-fused", out, &args)
        };
        let none = run("none", &["--set=prompt=none"]);
        assert_eq!(
            none["consistency"].as_f64(),
            Some(alike(&folder.path().join("none")))
        );
        for prompt in ["text", "vision", "both", "instructed"] {
            let kind = format!("--set=prompt={prompt}");
            let test = run(prompt, &[&kind]);
            let losses = losses(&folder.path().join(prompt));
            let [first, last] = [&losses[..5], &losses[55..]].map(|some| some.iter().sum::<f64>());
            assert!(last < 0.95 * first, "{fusion} {prompt}: {first} to {last}");
            assert_eq!(test["between"].is_null(), prompt != "instructed");
            let result = read_json(folder.path().join(prompt).join("result.json"));
            let size = match prompt {
                "text" | "vision" => Some(4 * 16),
                "both" => Some(8 * 16),
                _ => None,
            };
            assert!(
                size.is_none_or(|size| result["parameters"] == size),
                "{prompt}"
            );
            // Each item is asked in four wordings, none of which training had.
            let rows = read_json_lines(folder.path().join(prompt).join("predictions.jsonl"));
            assert_eq!(rows.len(), 12 * 4);
            // What was trained is what is evaluated again, and validation has its own wordings.
            let eval = |split: &str| {
                let split = format!("--split={split}");
                let again = crucible(folder.path(), &["--json", "eval", prompt, &split]).expect(0);
                again.json()["metrics"].clone()
            };
            assert_eq!(eval("test")["consistency"], test["consistency"]);
            assert_eq!(eval("test")["loss"], test["loss"]);
            assert!(eval("valid")["loss"] != test["loss"]);
        }
        assert!(before == weights());
    }
}

#[test]
fn wordings_are_held_together_and_collapse_where_nothing_holds_them_apart() {
    let folder = tempfile::tempdir().unwrap();
    answers(folder.path(), "late");
    let run = |form: &str, more: &[&str]| {
        let form_set = format!("--set=align.form={form}");
        let fixed = [&form_set[..], "--set=align.weight=20"];
        let args = [&DATA[..], &fixed, more].concat();
        let out = format!("{form}{}", more.len());
        train(folder.path(), "prompting-fused", &out, &args)
    };
    let of = |test: &serde_json::Value, name: &str| test[name].as_f64().unwrap();
    let [pull, uniform, contrastive] =
        ["pull", "uniform", "contrastive"].map(|form| run(form, &[]));
    for apart in [&uniform, &contrastive] {
        assert!(
            of(&pull, "between") > 0.2 + of(apart, "between"),
            "{pull:#} {apart:#}"
        );
    }
    for pairs in ["kmeans", "agglomerative"] {
        let pairs = format!("--set=align.pairs={pairs}");
        let test = run("contrastive", &[&pairs]);
        let purity = of(&test, "purity");
        assert!(purity > 0.2 && purity <= 1.0, "{test:#}");
        fs::remove_dir_all(folder.path().join("contrastive1")).unwrap();
    }
    for encoder in ["embedding", "lstm", "transformer"] {
        let encoder = format!("--set=prompt.encoder={encoder}");
        run("uniform", &[&encoder, "--set=prompt.width=16"]);
        assert!(folder.path().join("uniform2/tokenizer.json").exists());
        fs::remove_dir_all(folder.path().join("uniform2")).unwrap();
    }
}

#[test]
fn what_cannot_be_asked_in_other_words_is_told() {
    let folder = tempfile::tempdir().unwrap();
    answers(folder.path(), "late");
    fs::create_dir(folder.path().join("vague")).unwrap();
    picture(&folder.path().join("vague/a.png"), [255, 0, 0]);
    let line = r#"{"image": "a.png", "question": "is it big?", "answer": "yes"}"#;
    for split in ["train", "valid", "test"] {
        let file = folder.path().join(format!("vague/{split}.jsonl"));
        fs::write(file, format!("{line}\n")).unwrap();
    }
    let backbone = ["--data=asked", "--set=backbone=answers"];
    train(folder.path(), "prompting-fused", "run", &backbone);
    for (more, said) in [
        (&["--set=backbone="][..], "crucible train vqa"),
        (&["--set=backbone=run"], "run is a run of prompting-fused"),
        (&["--set=backbone=nowhere"], "nowhere"),
        (&["--set=prompt=txt"], "text"),
        (&["--set=align.form=push"], "pull"),
        (&["--set=prompt.encoder=gru"], "lstm"),
        (
            &["--set=prompt.tokens=0"],
            "prompt.tokens must be at least 1",
        ),
        (
            &["--set=prompt.encoder=transformer", "--set=prompt.width=6"],
            "prompt.width is 6",
        ),
        (
            &["--set=prompt=text", "--set=align.form=pull"],
            "align.form",
        ),
        (&["--set=align.weight=-1"], "align.weight is -1"),
        (&["--set=align.scale=0"], "align.scale is 0"),
        (&["--set=align.clusters=0"], "align.clusters is 0"),
        (&["--set=hidden_words=1"], "hidden_words is 1"),
        (&["--data=vague"], "vague"),
    ] {
        let args = smoke("prompting-fused", "refused", &backbone[..]);
        let args: Vec<&str> = match more[0].starts_with("--data") {
            true => args
                .into_iter()
                .filter(|arg| !arg.starts_with("--data"))
                .collect(),
            false => args,
        };
        let stderr = crucible(folder.path(), &[&args[..], more].concat())
            .expect(2)
            .stderr;
        assert!(stderr.contains(said), "{more:?}: {stderr}");
    }
    // Trained for one model, and that model has changed.
    fs::remove_dir_all(folder.path().join("answers")).unwrap();
    answers(folder.path(), "early");
    let changed = crucible(folder.path(), &["eval", "run"]).expect(2);
    assert!(
        changed.stderr.contains("backbone/answers have changed"),
        "{changed:#?}"
    );
}
