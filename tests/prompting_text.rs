//! Prompts in front of frozen language models: what is asked, how an answer is told, and what can be taken elsewhere.

use std::fs;
use std::path::Path;

use crate::pretraining::{losses, smoke, train};
use crate::prompting::weights;
use crate::published::with_words;
use crate::support::{crucible, read_json, read_json_lines};

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
        "--set=templates=[\"user {text} {mask}\"]",
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
fn answers_are_told_in_every_way_and_say_what_they_changed() {
    let folder = tempfile::tempdir().unwrap();
    let backbone = format!("--set=backbone={}", texts(folder.path()));
    let fixed = [
        "--data=texts",
        "--set=templates=[\"user {text} {mask}\"]",
        "--set=prefix=none",
        "--set=shots=6",
        WORDS,
        &backbone,
    ];
    let run = |out: &str, more: &[&str]| {
        let args = [&fixed[..], more].concat();
        train(folder.path(), "prompting-text", out, &args)
    };
    let kept = |out: &str, file: &str| read_json(folder.path().join(out).join(file));
    let plain = run("manual", &[]);
    let words = kept("manual", "prompt.json")["words"].clone();
    assert_eq!(words.as_array().unwrap().len(), 3);
    assert!(words[0]["log_probability"].as_f64().unwrap() < 0.0);

    // What trains beats what does not, and is asked again as it was.
    for (out, more, size) in [
        ("soft", &["--set=verbalizer=soft"][..], 2 * 48),
        (
            "prototypical",
            &[
                "--set=verbalizer=prototypical",
                "--set=verbalizer.d_projection=8",
            ],
            2 * 8 + 49 * 8,
        ),
        (
            "mixed",
            &["--set=templates=[\"user {soft:2} {text}{soft:'word13 word14'} {mask}\"]"],
            4 * 48,
        ),
    ] {
        let more = [
            more,
            &[
                "--set=training.steps=80",
                "--set=training.learning_rate=0.05",
            ],
        ]
        .concat();
        let test = run(out, &more);
        let losses = losses(&folder.path().join(out));
        let [first, last] = [&losses[..5], &losses[75..]].map(|some| some.iter().sum::<f64>());
        assert!(last < 0.95 * first, "{out}: {first} to {last}");
        assert_eq!(kept(out, "result.json")["parameters"], size, "{out}");
        let again = crucible(folder.path(), &["--json", "eval", out])
            .expect(0)
            .json();
        assert_eq!(again["metrics"]["loss"], test["loss"], "{out}");
    }
    // Two vectors began as words, lie near them yet and have moved.
    let vectors = kept("mixed", "prompt.json")["template"].clone();
    let vectors = vectors.as_array().unwrap();
    assert_eq!(vectors.len(), 4);
    for (vector, word) in vectors[2..].iter().zip(["word13", "word14"]) {
        assert_eq!(vector["nearest"][0]["token"].as_str().unwrap().trim(), word);
        assert!(vector["movement"].as_f64().unwrap() > 0.0);
    }

    // Solved examples and a second template change what is answered.
    let more = "--set=templates=[\"user {text} {mask}\", \"{text} user word11 {mask} word12\"]";
    for (out, more) in [("shown", "--set=demonstrations=2"), ("several", more)] {
        let test = run(out, &[more]);
        assert!(test["loss"] != plain["loss"], "{out}");
        let again = crucible(folder.path(), &["--json", "eval", out])
            .expect(0)
            .json();
        assert_eq!(again["metrics"]["loss"], test["loss"], "{out}");
    }
    let shown = kept("shown", "question.json")["demonstrations"].clone();
    // One more of each class takes the place of one that is asked about itself.
    assert_eq!(shown.as_array().unwrap().len(), 6);
    assert_eq!(shown[0]["label_word"], "word40");

    let refined = run(
        "refined",
        &["--set=verbalizer=knowledge", "--set=verbalizer.rare=1"],
    );
    assert!(refined["loss"] != plain["loss"]);
    let dropped = kept("refined", "question.json")["dropped"].clone();
    assert_eq!(dropped[0]["word"], "word41");
    // Trained weights of words count for something, and there are three.
    let weigh = ["--set=verbalizer=knowledge", "--set=verbalizer.rare=0"];
    let equal = run("equal", &weigh);
    let weighed = run(
        "weighed",
        &[&weigh[..], &["--set=verbalizer.weigh=true"]].concat(),
    );
    assert!(weighed["loss"] != equal["loss"]);
    assert_eq!(kept("weighed", "result.json")["parameters"], 3);
    run(
        "searched",
        &[
            "--set=verbalizer=automatic",
            "--set=verbalizer.words_per_class=2",
            "--set=demonstrations=1",
        ],
    );
    let searched = kept("searched", "question.json");
    let found = searched["found"].as_array().unwrap();
    assert_eq!(found.len(), 4);
    assert_eq!(
        searched["demonstrations"][0]["label_word"],
        found[0]["word"]
    );
    for (found, class) in found.iter().zip(["a", "a", "b", "b"]) {
        assert_eq!(found["class"], class);
        let word = searched["verbalizer"]["words"][class].as_array().unwrap();
        assert!(word.contains(&found["word"]));
    }
    // Other classes than the words stand for are not scored.
    let others = folder.path().join("others");
    fs::create_dir_all(&others).unwrap();
    for split in ["train", "valid", "test"] {
        let lines =
            "{\"text\": \"word20\", \"label\": \"b\"}\n{\"text\": \"word30\", \"label\": \"c\"}\n";
        fs::write(others.join(format!("{split}.jsonl")), lines).unwrap();
    }
    let others = crucible(folder.path(), &["eval", "manual", "--data=others"]).expect(2);
    assert!(
        others.stderr.contains("the prompt asks for a, b"),
        "{others:#?}"
    );
    let batch = run("batch", &["--set=calibration=batch"]);
    assert_eq!(batch["accuracy_uncalibrated"], plain["accuracy"]);
    let change = kept("batch", "prompt.json")["calibration"][0]["change"].clone();
    assert!(change["before"] != change["after"]);
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
        let template = format!("--set=templates=[\"{first}\"]");
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
        fs::remove_file(path.join("question.json")).unwrap();
        let missing = crucible(folder.path(), &["eval", kind]).expect(2);
        assert!(missing.stderr.contains("question.json"), "{missing:#?}");
    }
}

#[test]
fn a_prompt_is_exported_and_stands_before_the_same_model_again() {
    let folder = tempfile::tempdir().unwrap();
    let backbone = texts(folder.path());
    let set = format!("--set=backbone={backbone}");
    let fixed = [
        "--data=texts",
        "--set=templates=[\"user {text} {mask}\"]",
        WORDS,
        &set,
    ];
    let run = |out: &str, more: &[&str]| {
        let args = [&fixed[..], more].concat();
        train(folder.path(), "prompting-text", out, &args)
    };
    for kind in ["prompt-tuning", "p-tuning", "prefix-tuning"] {
        let trained = run(kind, &[&format!("--set=prefix={kind}")]);
        let (out, path) = (
            format!("{kind}-file"),
            format!("--set=prefix.path={kind}-file"),
        );
        crucible(folder.path(), &["export", kind, &out]).expect(0);
        let bytes = |file: &str| {
            fs::metadata(folder.path().join(&out).join(file))
                .unwrap()
                .len()
        };
        assert!(bytes("adapter_model.safetensors") < 4 << 10);
        let adapter = ["--set=prefix=adapter", &path];
        let again = run(&format!("{kind}-again"), &adapter);
        let [one, other] = [&trained, &again].map(|test| test["loss"].as_f64().unwrap());
        assert!((one - other).abs() < 1e-6, "{kind}: {one} and {other}");
        let more = [&adapter[..], &["--set=prefix.train=true"]].concat();
        let further = run(&format!("{kind}-further"), &more);
        assert!(further["loss"] != again["loss"]);
        // None is overwritten.
        let taken = crucible(folder.path(), &["export", kind, &out]).expect(2);
        assert!(taken.stderr.contains("there already"), "{taken:#?}");
    }
    run("plain", &["--set=prefix=none"]);
    let none = crucible(folder.path(), &["export", "plain", "nothing"]).expect(2);
    assert!(none.stderr.contains("trained no prefix"), "{none:#?}");
    // Another model of the same sizes is told by its weights.
    let weights = Path::new(&backbone).join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let adapter = ["--set=prefix=adapter", "--set=prefix.path=p-tuning-file"];
    let args = smoke("prompting-text", "other", &[&fixed[..], &adapter].concat());
    let other = crucible(folder.path(), &args).expect(2);
    assert!(other.stderr.contains("other weights"), "{other:#?}");
}

#[test]
fn questions_that_cannot_be_asked_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let backbone = format!("--set=backbone={}", texts(folder.path()));
    for (more, said) in [
        (&["--set=backbone="][..], "crucible export"),
        (&["--set=backbone=nowhere"], "nowhere"),
        (
            &["--set=templates=[\"{mask} is {text}\"]"],
            "more than words after {mask}",
        ),
        (
            &[
                "--set=templates=[\"{text} {mask} user\"]",
                "--set=verbalizer=soft",
            ],
            "goes on after {mask}",
        ),
        (&["--set=templates=[\"{text}\"]"], "templates"),
        (&["--set=templates=[]"], "templates is empty"),
        (&["--set=templates=[\"{image} {text} {mask}\"]"], "may hold"),
        (
            &["--set=words=[{class=\"a\", words=[\"word1\"]}, {class=\"b\", words=[\"word1\"]}]"],
            "`word1` stands for `a` and for `b`",
        ),
        (
            &[
                "--set=verbalizer=automatic",
                "--set=verbalizer.words_per_class=40",
            ],
            "words are left for class",
        ),
        (
            &["--set=verbalizer=knowledge", "--set=verbalizer.rare=2"],
            "fraction of rare words",
        ),
        (&["--set=verbalizer=magic"], "magic"),
        (&["--set=words=[{class=\"c\", words=[\"word1\"]}]"], "`c`"),
        (
            &["--set=words=[{class=\"a\", words=[\"word8\"]}, {class=\"a\", words=[\"word9\"]}]"],
            "`a` twice",
        ),
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
        (&["--set=prefix=adapter"], "prefix.path is empty"),
        (
            &["--set=prefix=adapter", "--set=prefix.path=nowhere"],
            "nowhere",
        ),
    ] {
        let args = smoke("prompting-text", "refused", &["--data=texts", &backbone]);
        let output = crucible(folder.path(), &[&args[..], more].concat()).expect(2);
        assert!(output.stderr.contains(said), "{more:?}: {output:#?}");
    }
}
