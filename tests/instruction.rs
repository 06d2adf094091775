//! Models that answer: trained, talked with, scored; and data that would spoil a training stops it before its first step.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::pretraining::train;
use crate::support::{COLOURS, command, crucible, picture, read_json, read_json_lines};

/// A tiny Llama of random weights, with a tokenizer beside it.
fn published(folder: &Path) -> String {
    with_words(folder, 7)
}

/// The same with so many words.
fn with_words(folder: &Path, count: u32) -> String {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights/llama");
    let to = folder.join("llama");
    fs::create_dir_all(&to).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let words = [
        "<unk>",
        "<|im_start|>",
        "<|im_end|>",
        "user",
        "assistant",
        "hello",
        "red",
    ];
    let others = (words.len() as u32..count).map(|id| format!("word{id}"));
    let words = words.map(String::from).into_iter().chain(others);
    let words: Vec<String> = words.collect();
    write_tokenizer(
        &to,
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
        3,
    );
    to.to_str().unwrap().to_owned()
}

/// Writes a tokenizer of whole words, the first few of which are special.
fn write_tokenizer(folder: &Path, words: &[&str], special: usize) {
    let vocabulary: serde_json::Map<String, Value> = words
        .iter()
        .zip(0..)
        .map(|(word, id): (_, u32)| ((*word).to_owned(), json!(id)))
        .collect();
    let added: Vec<Value> = (0..special)
        .map(|id: usize| {
            json!({"id": id, "content": words[id], "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

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
    let fixed = [
        "train",
        "instruction-visual",
        "--preset",
        "smoke",
        "--data",
        "data",
        "--out",
        out,
        "--set",
        "image.size=32",
        "--set",
        steps,
    ];
    [&fixed[..], more].concat()
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
    let option = ["generate", "run", "--prompt", "what?", "--top-p", "2"];
    let option = crucible(folder.path(), &option).expect(2);
    assert!(option.stderr.contains("--top-p"), "{option:#?}");
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

/// GPT-2's tokenizer has no tokens of chatml: another template ends its answers with a token, which it learns to say.
#[test]
fn gpt2_learns_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("gpt2");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights/gpt2");
    fs::create_dir_all(&weights).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(from.join(name), weights.join(name)).unwrap();
    }
    let end = "<|endoftext|>";
    let words = [
        "<unk>",
        end,
        "hello",
        "red",
        "green",
        "go",
        "now",
        "then",
        "Instruction",
        "Response",
        "###",
    ];
    write_tokenizer(&weights, &words, 2);
    let config = json!({"bos_token": end, "eos_token": end}).to_string();
    fs::write(weights.join("tokenizer_config.json"), config).unwrap();
    let data = folder.path().join("data");
    fs::create_dir_all(&data).unwrap();
    for (split, system) in [("train", "go"), ("valid", "now"), ("test", "then")] {
        let lines = (1..5).map(|count| {
            let question = vec!["hello"; count].join(" ");
            json!({"messages": [
                {"role": "system", "content": system}, {"role": "user", "content": question},
                {"role": "assistant", "content": "red green"},
            ]})
            .to_string()
        });
        let lines: Vec<String> = lines.collect();
        fs::write(data.join(format!("{split}.jsonl")), lines.join("\n")).unwrap();
    }
    let set = format!("language.weights={}", weights.display());
    let args = [
        "train",
        "instruction-text",
        "--preset",
        "smoke",
        "--data",
        "data",
        "--out",
        "run",
        "--set",
        &set,
        "--set",
        "chat.max_length=24",
        "--set",
        "training.steps=100",
        "--set",
        "training.learning_rate=3e-3",
    ];
    let trained = crucible(folder.path(), &args).expect(0);
    assert!(trained.stderr.contains("alpaca is used"), "{trained:#?}");
    let run = folder.path().join("run");
    assert_eq!(read_json(run.join("chat.json"))["built_in"], "alpaca");
    let result = read_json(run.join("result.json"));
    assert_eq!(result["test"]["accuracy"], 1.0, "{result:#}");
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
    let args = [
        "train",
        "instruction-text",
        "--preset",
        "smoke",
        "--out",
        "shots",
        "--set",
        "score.shots=40",
    ];
    let shots = crucible(folder.path(), &args).expect(2);
    assert!(shots.stderr.contains("score.shots is 40"), "{shots:#?}");
    assert!(!folder.path().join("shots/metrics.jsonl").exists());
}

/// Conversations can be learnt by a captioner, but there are no captions to score it with.
#[test]
fn a_captioner_refuses_conversations_before_it_learns() {
    let folder = tempfile::tempdir().unwrap();
    conversations(&folder.path().join("data"));
    let args = [
        "train",
        "captioning",
        "--preset",
        "smoke",
        "--data",
        "data",
        "--out",
        "run",
        "--set",
        "image.size=32",
    ];
    let refused = crucible(folder.path(), &args).expect(2);
    assert!(refused.stderr.contains("captions"), "{refused:#?}");
    assert!(!folder.path().join("run/metrics.jsonl").exists());
}

#[test]
fn published_weights_answer_are_tuned_and_scored() {
    let folder = tempfile::tempdir().unwrap();
    let weights = published(folder.path());
    let ask = [
        "--json",
        "generate",
        &weights,
        "--prompt",
        "hello",
        "--max-new-tokens",
        "5",
    ];
    let chat = crucible(folder.path(), &ask).expect(0).json();
    assert!(chat[0]["tokens"].as_u64().unwrap() <= 5, "{chat:#}");
    // Two together say what each says alone.
    let raw = |prompts: &[&str]| {
        let prompts = prompts.iter().flat_map(|prompt| ["--prompt", prompt]);
        let args = [
            "--json",
            "generate",
            &weights,
            "--raw",
            "--max-new-tokens",
            "6",
        ];
        let args: Vec<&str> = args.into_iter().chain(prompts).collect();
        crucible(folder.path(), &args).expect(0).json()
    };
    let both = raw(&["hello", "hello red user red"]);
    assert_eq!(both[0]["text"], raw(&["hello"])[0]["text"]);
    assert_eq!(both[1]["text"], raw(&["hello red user red"])[0]["text"]);

    // A GGUF's folder would do as well; a tokenizer of another model does not.
    let larger = tempfile::tempdir().unwrap();
    let larger = with_words(larger.path(), 1000);
    for args in [
        vec!["generate", &larger, "--prompt", "hello"],
        vec!["eval", &larger, "--data", "word-instructions"],
        vec![
            "train",
            "instruction-text",
            "--preset",
            "smoke",
            "--set",
            &format!("language.weights={larger}"),
            "--set",
            "chat.max_length=64",
        ],
    ] {
        let refused = crucible(folder.path(), &args).expect(2);
        for part in [
            "tokenizer has 1000 tokens",
            "97 rows",
            "resize_token_embeddings",
        ] {
            assert!(refused.stderr.contains(part), "{refused:#?}");
        }
    }

    let set = format!("language.weights={weights}");
    let tune = [
        "--set",
        &set,
        "--set",
        "language.tune=lora",
        "--set",
        "chat.max_length=60",
        "--set",
        "training.steps=4",
        "--set",
        "score.most=4",
        "--data",
        "words.jsonl",
    ];
    let words = json!({"instruction": "hello", "output": "red"}).to_string();
    let lines: Vec<String> = (0..40).map(|_| words.clone()).collect();
    fs::write(folder.path().join("words.jsonl"), lines.join("\n")).unwrap();
    // The same item in every split is no honest test.
    let args = [
        "train",
        "instruction-text",
        "--preset",
        "smoke",
        "--out",
        "same",
    ];
    let same = crucible(folder.path(), &[&args[..], &tune].concat()).expect(2);
    assert!(same.stderr.contains("duplicate"), "{same:#?}");
    assert!(same.stderr.contains("nothing is left"), "{same:#?}");
    let args = [
        "eval",
        &weights,
        "--data",
        "word-instructions",
        "--most",
        "3",
        "--shots",
        "1",
    ];
    let scored = crucible(folder.path(), &args).expect(0);
    assert!(scored.stdout.contains("accuracy"), "{scored:#?}");
}

/// A run knows the weights that it started from, and needs them no more once it has a checkpoint.
#[test]
fn a_run_goes_on_without_the_published_weights() {
    let folder = tempfile::tempdir().unwrap();
    let weights = published(folder.path());
    let set = format!("language.weights={weights}");
    let args = |steps, resume: &'static [&'static str]| {
        let args = [
            "train",
            "instruction-text",
            "--preset",
            "smoke",
            "--out",
            "tuned",
            "--set",
            &set,
            "--set",
            "language.tune=lora",
            "--set",
            "chat.max_length=60",
            "--set",
            "training.checkpoint_every=2",
            "--set",
            steps,
            "--set",
            "score.most=2",
            "--data",
            "word-instructions",
        ];
        args.iter()
            .chain(resume)
            .map(|arg| (*arg).to_owned())
            .collect::<Vec<_>>()
    };
    let run = |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        crucible(folder.path(), &args)
    };
    run(args("training.steps=4", &[])).expect(0);
    let record = read_json(folder.path().join("tuned/run.json"));
    let digest = "23c6f16164c2edf55dae774c04eef95cfcd78e5b4422464866d0d723b8d94d5c";
    assert_eq!(
        record["weights"],
        json!({"language/model.safetensors": digest})
    );
    // As if it had been killed before its end.
    fs::remove_file(folder.path().join("tuned/result.json")).unwrap();
    fs::rename(&weights, folder.path().join("elsewhere")).unwrap();
    run(args("training.steps=4", &["--resume"])).expect(0);
    let answered = crucible(
        folder.path(),
        &[
            "--json",
            "generate",
            "tuned",
            "--prompt",
            "hello",
            "--max-new-tokens",
            "3",
        ],
    );
    assert_eq!(answered.expect(0).json()[0]["prompt"], "hello");
}

#[test]
fn a_text_model_learns_and_a_captioner_says_what_it_sees() {
    let folder = tempfile::tempdir().unwrap();
    for (recipe, metric) in [("instruction-text", "accuracy"), ("captioning", "cider")] {
        train(folder.path(), recipe, recipe, &[]);
        let run = folder.path().join(recipe);
        let loss = |split: &str| -> Vec<f64> {
            let lines = read_json_lines(run.join("metrics.jsonl"));
            let of = |line: &&Value| line["name"] == "loss" && line["split"] == split;
            lines
                .iter()
                .filter(of)
                .map(|line| line["value"].as_f64().unwrap())
                .collect()
        };
        let losses = loss("train");
        assert!(
            losses[losses.len() - 1] < 0.7 * losses[0],
            "{recipe}: {losses:?}"
        );
        let test = read_json(run.join("result.json"))["test"].clone();
        assert!(test[metric].is_number(), "{recipe}: {test:#}");
    }
}
