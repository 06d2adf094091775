//! Models that answer: trained, talked with, scored; and data that would spoil a training stops it before its first step.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::pretraining::{losses, smoke, train};
use crate::support::{COLOURS, command, crucible, picture, read_json, read_json_lines};

/// Conversations about coloured pictures, of LLaVA's form, in all three splits.
fn conversations(folder: &Path) {
    for (number, split) in ["train", "valid", "test"].into_iter().enumerate() {
        let mut lines = String::new();
        for index in 0..12 {
            let (name, colour) = COLOURS[index % 3];
            let image = format!("{split}-{index}.png");
            // No two pictures are the same.
            let shade = (12 * number + index) as u8;
            picture(&folder.join(&image), colour.map(|channel| channel + shade));
            lines += &json!({"id": format!("{split}-{index}"), "image": image, "conversations": [
                {"from": "human", "value": "<image>\nwhat color is it?"}, {"from": "gpt", "value": name},
            ]})
            .to_string();
            lines.push('\n');
        }
        fs::write(folder.join(format!("{split}.jsonl")), lines).unwrap();
    }
}

/// Arguments of a training on `data` with so few weights that a step takes no time.
fn small<'a>(out: &'a str, steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["--data", "data", "--set", "image.size=32", "--set", steps];
    smoke("instruction-visual", out, &[&fixed[..], more].concat())
}

#[test]
fn a_model_learns_to_answer_about_pictures_and_is_talked_with() {
    let folder = tempfile::tempdir().unwrap();
    conversations(&folder.path().join("data"));
    crucible(folder.path(), &small("run", "training.steps=120", &[])).expect(0);
    let run = folder.path().join("run");
    let result = read_json(run.join("result.json"));
    assert_eq!(result["test"]["accuracy"], 1.0, "{result:#}");
    assert_eq!(read_json_lines(run.join("predictions.jsonl")).len(), 12);
    // What was looked at before the first step is kept.
    assert_eq!(
        read_json(run.join("audit.json"))["splits"][0]["pictures"],
        12
    );

    let image = "data/test-1.png";
    let ask = [
        "--json",
        "generate",
        "run",
        "--image",
        image,
        "--prompt",
        "what color is it?",
    ];
    let answers = crucible(folder.path(), &ask).expect(0).json();
    assert_eq!(answers[0]["text"], "green");
    assert_eq!(answers[0]["finish"], "stop");

    // In conversation, with a picture each.
    let mut child = command(
        folder.path(),
        &["chat", "run", "--image", "data/test-0.png"],
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let said = "what color is it?\n/again\n/image data/test-2.png\nwhat color is it?\n";
    child
        .stdin
        .take()
        .unwrap()
        .write_all(said.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "red\nblue\n");

    // A picture that is not there is named, and so is a question to a model that says nothing.
    let missing = [
        "generate", "run", "--image", "none.png", "--prompt", "what?",
    ];
    let missing = crucible(folder.path(), &missing).expect(2);
    assert!(missing.stderr.contains("none.png"), "{missing:#?}");
    let nowhere = crucible(folder.path(), &["generate", "nowhere", "--prompt", "hello"]).expect(2);
    assert!(nowhere.stderr.contains("config.json"), "{nowhere:#?}");
    for (options, told) in [
        (&["--top-p", "2"][..], "--top-p is 2"),
        (&["--top-k", "3"], "--top-k limits what is drawn"),
        (&["--temperature", "-1"], "--temperature is -1"),
        (&["--stop", ""], "--stop must not"),
    ] {
        let options = [&["generate", "run", "--prompt", "what?"], options].concat();
        let refused = crucible(folder.path(), &options).expect(2);
        assert!(refused.stderr.contains(told), "{refused:#?}");
    }
    let json = crucible(folder.path(), &["--json", "chat", "run"]).expect(2);
    assert!(json.stderr.contains("--json generate"), "{json:#?}");
    let file = crucible(folder.path(), &["data", "nothing.json"]).expect(2);
    assert!(
        file.stderr.contains("nothing.json: No such file"),
        "{file:#?}"
    );
}

/// The first stage moves the connector alone, between towers that know something; the second starts from it.
#[test]
fn the_connector_is_aligned_first() {
    let folder = tempfile::tempdir().unwrap();
    conversations(&folder.path().join("data"));
    let align = ["--set", "stage=align", "--set", "connector=linear"];
    let refused = crucible(folder.path(), &small("align", "training.steps=4", &align)).expect(2);
    assert!(refused.stderr.contains("vision.weights"), "{refused:#?}");
    let base = ["--set", "connector=linear"];
    crucible(folder.path(), &small("base", "training.steps=4", &base)).expect(0);
    let align = [&align[..], &["--init", "base"]].concat();
    let aligned = crucible(folder.path(), &small("align", "training.steps=4", &align)).expect(0);
    assert!(aligned.stderr.contains("start from base"), "{aligned:#?}");
    let tune = [
        "--init",
        "align",
        "--set",
        "connector=linear",
        "--set",
        "language.tune=lora",
    ];
    let tuned = crucible(folder.path(), &small("tune", "training.steps=4", &tune)).expect(0);
    assert!(tuned.stderr.contains("start from align"), "{tuned:#?}");
    // Seven adapters of two factors in each of two blocks.
    let fresh = "fresh: encoder.language.blocks (28)";
    assert!(tuned.stderr.contains(fresh), "{tuned:#?}");
}

/// Every planted failure stops the training before a step, by its name, and leaves no run behind.
#[test]
fn what_would_spoil_a_training_stops_it_before_its_first_step() {
    let said = |answer: &str, image: &str| {
        json!({"id": "planted", "image": image, "conversations": [
            {"from": "human", "value": "<image>\nwhat color is it?"}, {"from": "gpt", "value": answer},
        ]})
    };
    let long = "red ".repeat(600);
    let no_mark = json!({"id": "planted", "image": "train-0.png", "conversations": [
        {"from": "human", "value": "what color is it?"}, {"from": "gpt", "value": "red"},
    ]});
    let planted: [(Value, &str); 5] = [
        (said(&long, "train-0.png"), "tokens and would be cut"),
        (said("red", "absent.png"), "absent.png"),
        (said("red", "corrupt.png"), "corrupt.png"),
        (no_mark, "<image>"),
        // The same picture and words as a test item's, where nothing is thrown away.
        (said("red", "test-0.png"), "test-0"),
    ];
    for (record, part) in planted {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        conversations(&data);
        fs::write(data.join("corrupt.png"), b"\x89PNG\r\n\x1a\nnothing").unwrap();
        let train = data.join("train.jsonl");
        let lines = fs::read_to_string(&train).unwrap();
        fs::write(&train, format!("{lines}{record}\n")).unwrap();
        let keep = ["--set", "clean.duplicates.exact=false"];
        let refused = crucible(folder.path(), &small("run", "training.steps=4", &keep));
        let refused = refused.expect(2);
        assert!(refused.stderr.contains(part), "{part}: {refused:#?}");
        assert!(!folder.path().join("run/metrics.jsonl").exists(), "{part}");
    }
}

/// A copy of a test item leaves the training split, and the run says so; the training goes on.
#[test]
fn copies_of_test_items_are_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    conversations(&data);
    let train = data.join("train.jsonl");
    let lines = fs::read_to_string(&train).unwrap();
    let copy = json!({"id": "planted", "image": "test-0.png", "conversations": [
        {"from": "human", "value": "<image>\nWhat color  is it?"}, {"from": "gpt", "value": "red"},
    ]});
    fs::write(&train, format!("{lines}{copy}\n")).unwrap();
    let told = "thrown away: 1 of 13 of train: 1 duplicate";
    let shown = crucible(folder.path(), &["data", "data", "--chat"]).expect(0);
    assert!(shown.stderr.contains(told), "{shown:#?}");
    let trained = crucible(folder.path(), &small("run", "training.steps=4", &[])).expect(0);
    assert!(trained.stderr.contains(told), "{trained:#?}");
    let run = folder.path().join("run");
    let cleaned = read_json(run.join("cleaned.json"));
    assert_eq!(cleaned[0]["dropped"]["duplicate"], 1);
    let dropped = &cleaned[0]["conversations"][0];
    assert_eq!(dropped["id"], "planted");
    assert_eq!(dropped["of"], "test-0");
    assert_eq!(dropped["place"], "data/train.jsonl:13");
    let audit = read_json(run.join("audit.json"));
    assert_eq!(audit["splits"][0]["conversations"], 12);
    assert_eq!(audit["passed"], true);
}

/// What cannot be done in the end is refused in the beginning, before data that would be refused as well.
#[test]
fn impossible_settings_are_found_before_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    conversations(&data);
    let whole = fs::read_to_string(data.join("train.jsonl")).unwrap();
    fs::write(data.join("train.jsonl"), whole + "{\n").unwrap();
    let cases: [(&[&str], &str); 7] = [
        (
            &[
                "score.generation.beams=4",
                "score.generation.temperature=0.7",
            ],
            "score.generation.beams is 4",
        ),
        (
            &["score.generation.top_p=0.0"],
            "score.generation.top_p is 0",
        ),
        (
            &["language.tune=lora", "language.lora.dropout=1.0"],
            "language.lora.dropout is 1",
        ),
        (
            &["language.tune=lora", "language.lora.rank=0"],
            "language.lora.rank must be",
        ),
        (&["language.heads=3"], "language.heads is 3"),
        (&["vision.heads=3"], "vision.heads is 3"),
        (
            &["connector=q-former", "connector.queries=0"],
            "connector.queries must be",
        ),
    ];
    for (number, (settings, part)) in cases.into_iter().enumerate() {
        let out = format!("run-{number}");
        let set: Vec<&str> = settings.iter().flat_map(|set| ["--set", *set]).collect();
        let refused = crucible(folder.path(), &small(&out, "training.steps=4", &set)).expect(2);
        assert!(refused.stderr.contains(part), "{part}: {refused:#?}");
    }
    // Examples that leave no room are found before the first step.
    let args = smoke("instruction-text", "shots", &["--set", "score.shots=40"]);
    let shots = crucible(folder.path(), &args).expect(2);
    assert!(shots.stderr.contains("score.shots is 40"), "{shots:#?}");
    assert!(!folder.path().join("shots/metrics.jsonl").exists());
}

/// Conversations can be learnt by a captioner, but there are no captions to score it with.
#[test]
fn a_captioner_refuses_conversations_before_it_learns() {
    let folder = tempfile::tempdir().unwrap();
    conversations(&folder.path().join("data"));
    let args = ["--data", "data", "--set", "image.size=32"];
    let refused = crucible(folder.path(), &smoke("captioning", "run", &args)).expect(2);
    assert!(refused.stderr.contains("captions"), "{refused:#?}");
    assert!(!folder.path().join("run/metrics.jsonl").exists());
}

#[test]
fn a_text_model_learns_and_a_captioner_says_what_it_sees() {
    let folder = tempfile::tempdir().unwrap();
    for (recipe, metric) in [("instruction-text", "accuracy"), ("captioning", "cider")] {
        let test = train(folder.path(), recipe, recipe, &[]);
        let run = folder.path().join(recipe);
        let losses = losses(&run);
        assert!(
            losses[losses.len() - 1] < 0.7 * losses[0],
            "{recipe}: {losses:?}"
        );
        assert!(test[metric].is_number(), "{recipe}: {test:#}");
    }
}
