//! Prompts in front of frozen models: they alone train, are small, and need the model that they were trained for.

use std::fs;
use std::path::Path;

use crate::pretraining::{losses, smoke, train};
use crate::published::with_words;
use crate::support::{COLOURS, crucible, picture, read_json, read_json_lines};

/// Pictures of three colors in folders of their names, and a dual encoder that has seen some of them with captions.
fn tower(folder: &Path) {
    for (number, split) in (0..).zip(["train", "valid", "test"]) {
        let mut captions = String::new();
        for (name, colour) in COLOURS {
            for index in 0..6 {
                let shade = colour.map(|channel: u8| channel.saturating_add(index * 9 + number));
                let file = format!("{split}/{name}/{index}.png");
                picture(&folder.join("images").join(&file), shade);
                picture(&folder.join("captions").join(&file), shade);
                captions += &format!(
                    "{{\"image\": \"{file}\", \"caption\": \"number {index} of {name}\"}}\n"
                );
            }
        }
        fs::write(folder.join(format!("captions/{split}.jsonl")), captions).unwrap();
    }
    let more = [
        "--data=captions",
        "--set=image.size=16",
        "--set=zero_shot.data=",
        "--set=model.text_layers=1",
    ];
    train(folder, "contrastive", "tower", &more);
}

/// The bytes of the newest checkpoint's model.
fn weights(run: &Path, step: usize) -> Vec<u8> {
    fs::read(run.join(format!("checkpoints/step-{step:08}/model.bpk"))).unwrap()
}

#[test]
fn every_kind_of_prompt_learns_alone_and_is_small() {
    let folder = tempfile::tempdir().unwrap();
    tower(folder.path());
    let before = weights(&folder.path().join("tower"), 60);
    let data = ["--data=images", "--set=backbone=tower", "--set=shots=4"];
    let names = train(
        folder.path(),
        "prompting-vision",
        "none",
        &[&data[..], &["--set=prompt=none"]].concat(),
    );
    for (prompt, size) in [("text", 1), ("vision", 1), ("both", 2), ("coupled", 1)] {
        let kind = format!("--set=prompt={prompt}");
        let more = [&kind, "--set=prompt.layers=1", "--set=training.steps=60"];
        let test = train(
            folder.path(),
            "prompting-vision",
            prompt,
            &[&data[..], &more].concat(),
        );
        let run = folder.path().join(prompt);
        let losses = losses(&run);
        let [first, last] = [&losses[..5], &losses[55..]].map(|some| some.iter().sum::<f64>());
        assert!(last < 0.8 * first, "{prompt}: {first} to {last}");
        assert!(test["loss"].as_f64() < names["loss"].as_f64(), "{prompt}");
        // Eight vectors of 32 numbers in one layer, and a matrix with its bias where they are coupled.
        let result = read_json(run.join("result.json"));
        let matrix = if prompt == "coupled" { 33 * 32 } else { 0 };
        assert_eq!(result["parameters"], size * 8 * 32 + matrix, "{prompt}");
        assert!(weights(&run, 60).len() < 16 << 10, "{prompt}");
        // What was trained is what is evaluated again.
        let again = crucible(folder.path(), &["--json", "eval", prompt])
            .expect(0)
            .json();
        assert_eq!(again["metrics"]["loss"], test["loss"]);
    }
    assert!(before == weights(&folder.path().join("tower"), 60));
    // Only so many pictures of each class were seen: three classes of four make a batch and a half of eight.
    let rows = read_json_lines(folder.path().join("text/metrics.jsonl"));
    let last = rows.iter().rfind(|row| row["split"] == "train").unwrap();
    assert_eq!(last["epoch"].as_f64(), Some(40.0));
}

#[test]
fn what_a_prompt_cannot_stand_before_is_told() {
    let folder = tempfile::tempdir().unwrap();
    tower(folder.path());
    train(
        folder.path(),
        "classification",
        "other",
        &[
            "--data=images",
            "--set=image.size=16",
            "--set=training.steps=1",
        ],
    );
    let told = |more: &[&str]| {
        let data = ["--data=images", "--set=backbone=tower"];
        let args = smoke("prompting-vision", "refused", &data);
        crucible(folder.path(), &[&args[..], more].concat())
            .expect(2)
            .stderr
    };
    for (more, said) in [
        (&["--set=backbone="][..], "crucible train contrastive"),
        (
            &["--set=backbone=other"],
            "other is a run of classification",
        ),
        (&["--set=backbone=nowhere"], "nowhere"),
        (&["--set=prompt.layers=9"], "prompt.layers is 9"),
        (
            &["--set=prompt.tokens=0"],
            "prompt.tokens must be at least 1",
        ),
        (&["--set=templates=[\"a picture\"]"], "{mask}"),
        (&["--set=templates=[]"], "templates is empty"),
        (&["--set=templates=[\"{mask} {soft:2}\"]"], "`prompt`"),
        (
            &["--set=words=[{class=\"rde\", words=[\"scarlet\"]}]"],
            "did you mean `red`",
        ),
        (
            &["--set=words=[{class=\"red\", words=[]}]"],
            "none for the class `red`",
        ),
    ] {
        let stderr = told(more);
        assert!(stderr.contains(said), "{more:?}: {stderr}");
    }
    // Trained for one tower, and that tower has changed.
    let data = ["--data=images", "--set=backbone=tower"];
    train(folder.path(), "prompting-vision", "run", &data);
    fs::remove_dir_all(folder.path().join("tower")).unwrap();
    train(
        folder.path(),
        "contrastive",
        "tower",
        &[
            "--data=captions",
            "--set=image.size=16",
            "--set=zero_shot.data=",
            "--set=model.text_layers=1",
            "--seed=1",
        ],
    );
    let changed = crucible(folder.path(), &["eval", "run"]).expect(2);
    assert!(
        changed.stderr.contains("backbone/tower have changed"),
        "{changed:#?}"
    );
}

/// Texts of two classes that their words tell apart, and a tiny Llama whose words these are.
pub fn texts(folder: &Path) -> String {
    for (split, shift) in [("train", 0), ("valid", 1), ("test", 2)] {
        let lines = (0..12).map(|number| {
            let (label, word) = if number % 2 == 0 {
                ("a", 20)
            } else {
                ("b", 30)
            };
            let (one, other) = (word + number / 2, word + (number + shift) % 6);
            format!("{{\"text\": \"word{one} word{other}\", \"label\": \"{label}\"}}\n")
        });
        let folder = folder.join("texts");
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join(format!("{split}.jsonl")),
            lines.collect::<String>(),
        )
        .unwrap();
    }
    with_words(folder, 45)
}

const WORDS: &str = "--set=words=[{class=\"a\", words=[\"word40\", \"word41\"]}, {class=\"b\", words=[\"word42\"]}]";

#[test]
fn a_language_model_is_asked_for_classes_and_learns_how() {
    let folder = tempfile::tempdir().unwrap();
    let backbone = format!("--set=backbone={}", texts(folder.path()));
    let fixed = [
        "--data=texts",
        "--set=template=user {text} {mask}",
        WORDS,
        &backbone,
    ];
    let run = |out: &str, more: &[&str]| {
        train(
            folder.path(),
            "prompting-text",
            out,
            &[&fixed[..], more].concat(),
        )
    };
    // Calibrations of the same scores: they change predictions, or say that they did not.
    let plain = run("none", &["--set=prefix=none"]);
    assert_eq!(plain["calibration_changed"], 0.0);
    for calibration in ["contextual", "pmi", "batch"] {
        let set = format!("--set=calibration={calibration}");
        let test = run(calibration, &["--set=prefix=none", &set]);
        assert!(test["loss"] != plain["loss"], "{calibration}: {test:#}");
        let rows = read_json_lines(folder.path().join(calibration).join("predictions.jsonl"));
        assert_eq!(rows.len(), 12);
    }
    for prefix in ["prompt-tuning", "p-tuning", "prefix-tuning"] {
        let set = format!("--set=prefix={prefix}");
        let more = [
            &set,
            "--set=shots=6",
            "--set=training.steps=80",
            "--set=training.learning_rate=0.03",
        ];
        let test = run(prefix, &more);
        let losses = losses(&folder.path().join(prefix));
        let [first, last] = [&losses[..5], &losses[75..]].map(|some| some.iter().sum::<f64>());
        assert!(last < 0.7 * first, "{prefix}: {first} to {last}");
        assert!(test["loss"].as_f64() < plain["loss"].as_f64(), "{prefix}");
        assert!(
            weights(&folder.path().join(prefix), 80).len() < 64 << 10,
            "{prefix}"
        );
        let again = crucible(folder.path(), &["--json", "eval", prefix])
            .expect(0)
            .json();
        assert_eq!(again["metrics"]["loss"], test["loss"]);
    }
}

#[test]
fn templates_are_searched_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let backbone = format!("--set=backbone={}", texts(folder.path()));
    let fixed = [
        "--data=texts",
        "--set=shots=6",
        "--set=prefix=none",
        WORDS,
        &backbone,
    ];
    for (kind, tokens, count) in [("gradient", 2, 5), ("generate", 3, 6)] {
        let search = format!("--set=search={kind}");
        let tokens_set = format!("--set=search.tokens={tokens}");
        let kept = match kind {
            "gradient" => "--set=search.kept=5",
            _ => "--set=search.beam=6",
        };
        let more = [&search, &tokens_set, kept];
        let train = |out: &str| {
            let args = smoke("prompting-text", out, &[&fixed[..], &more].concat());
            crucible(folder.path(), &args).expect(0)
        };
        let told = train(kind).stderr;
        assert!(told.contains("search 1/"), "{told}");
        let found = read_json(folder.path().join(kind).join("templates.json"));
        let found = found.as_array().unwrap();
        assert_eq!(found.len(), count, "{kind}");
        for candidate in found {
            let template = candidate["template"].as_str().unwrap();
            let words = template.strip_prefix("{text} ").unwrap();
            let words = words.strip_suffix(" {mask}").unwrap();
            // No special token and no label word.
            for word in words.split(' ') {
                let plain = word.starts_with("word")
                    || ["user", "assistant", "hello", "red"].contains(&word);
                let label = ["word40", "word41", "word42"].contains(&word);
                assert!(plain && !label, "{kind}: {template}");
            }
            let loss = candidate["loss"].as_f64().unwrap();
            assert!(loss.is_finite() && loss > 0.0);
        }
        let accuracy: Vec<f64> = found
            .iter()
            .map(|found| found["accuracy"].as_f64().unwrap())
            .collect();
        assert!(accuracy.is_sorted_by(|a, b| a >= b), "{kind}: {accuracy:?}");
        // The accuracy that was found is that of the recipe, which asks in its own way.
        let first = found[0]["template"].as_str().unwrap();
        assert!(told.contains(&format!("template: \"{first}\"")), "{told}");
        let valid = crucible(folder.path(), &["--json", "eval", kind, "--split=valid"]);
        let valid = valid.expect(0).json();
        assert_eq!(
            valid["metrics"]["accuracy"].as_f64(),
            Some(accuracy[0]),
            "{kind}"
        );
        // And the template written by hand asks the same.
        let template = format!("--set=template={first}");
        let written = [&fixed[..], &[&template]].concat();
        let by_hand = format!("{kind}-written");
        let written = smoke("prompting-text", &by_hand, &written);
        crucible(folder.path(), &written).expect(0);
        let result =
            |out: &str| read_json(folder.path().join(out).join("result.json"))["test"].clone();
        assert_eq!(result(kind), result(&by_hand));
        // The same seed finds the same again.
        train("again");
        let [one, other] = [kind, "again"]
            .map(|out| fs::read_to_string(folder.path().join(out).join("templates.json")).unwrap());
        assert_eq!(one, other);
        fs::remove_dir_all(folder.path().join("again")).unwrap();
        // What was found is read, not searched for again: on a resume, and by `eval`, which needs it.
        let path = folder.path().join(kind);
        fs::remove_file(path.join("result.json")).unwrap();
        let resume = smoke(
            "prompting-text",
            kind,
            &[&fixed[..], &more, &["--resume"]].concat(),
        );
        let told = crucible(folder.path(), &resume).expect(0).stderr;
        assert!(!told.contains("search 1/"), "{told}");
        fs::remove_file(path.join("templates.json")).unwrap();
        let missing = crucible(folder.path(), &["eval", kind]).expect(2);
        assert!(missing.stderr.contains("templates.json"), "{missing:#?}");
    }
}

#[test]
fn questions_that_cannot_be_asked_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let backbone = format!("--set=backbone={}", texts(folder.path()));
    for (more, said) in [
        (&["--set=backbone="][..], "crucible export"),
        (&["--set=backbone=nowhere"], "nowhere"),
        (&["--set=template={mask} is {text}"], "goes on after {mask}"),
        (&["--set=template={text} {soft:2} {mask}"], "`prefix`"),
        (&["--set=template={text}"], "template"),
        (&["--set=words=[{class=\"c\", words=[\"word1\"]}]"], "`c`"),
        (&["--set=prefix.tokens=0"], "prefix.tokens"),
        (&["--set=prefix.tokens=1000"], "prefix.tokens"),
        (
            &["--set=search=gradient", "--set=search.kept=0"],
            "search.kept",
        ),
        (
            &["--set=search=generate", "--set=search.beam=0"],
            "search.beam",
        ),
        (
            &["--set=search=generate", "--set=search.tokens=1000"],
            "search: text 0 takes",
        ),
        (&["--set=search=generate", "--set=search.beem=1"], "beam"),
    ] {
        let args = smoke("prompting-text", "refused", &["--data=texts", &backbone]);
        let output = crucible(folder.path(), &[&args[..], more].concat()).expect(2);
        assert!(output.stderr.contains(said), "{more:?}: {output:#?}");
    }
}
