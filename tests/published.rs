//! Published weights: what they answer, how they are tuned, and what a run keeps of them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::pretraining::smoke;
use crate::support::{crucible, read_json};

/// A tiny Llama of random weights, with a tokenizer beside it.
fn published(folder: &Path) -> String {
    with_words(folder, 7)
}

/// The same with so many words.
pub fn with_words(folder: &Path, count: u32) -> String {
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
        "--data",
        "data",
        "--set",
        &set,
        "--set",
        "chat.max_length=24",
        "--set",
        "training.steps=100",
        "--set",
        "training.learning_rate=3e-3",
    ];
    let args = smoke("instruction-text", "run", &args);
    let trained = crucible(folder.path(), &args).expect(0);
    assert!(trained.stderr.contains("alpaca is used"), "{trained:#?}");
    let run = folder.path().join("run");
    assert_eq!(read_json(run.join("chat.json"))["built_in"], "alpaca");
    let result = read_json(run.join("result.json"));
    assert_eq!(result["test"]["accuracy"], 1.0, "{result:#}");
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
    let set = format!("language.weights={larger}");
    for args in [
        vec!["generate", &larger, "--prompt", "hello"],
        vec!["eval", &larger, "--data", "word-instructions"],
        smoke(
            "instruction-text",
            "larger",
            &["--set", &set, "--set", "chat.max_length=64"],
        ),
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
    let args = smoke("instruction-text", "same", &tune);
    let same = crucible(folder.path(), &args).expect(2);
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
    let run = |resume: &[&str]| {
        let args = [
            "--set",
            &set,
            "--set",
            "language.tune=lora",
            "--set",
            "chat.max_length=60",
            "--set",
            "training.checkpoint_every=2",
            "--set",
            "training.steps=4",
            "--set",
            "score.most=2",
            "--data",
            "word-instructions",
        ];
        let args = [&args[..], resume].concat();
        crucible(folder.path(), &smoke("instruction-text", "tuned", &args))
    };
    run(&[]).expect(0);
    let record = read_json(folder.path().join("tuned/run.json"));
    let digest = "23c6f16164c2edf55dae774c04eef95cfcd78e5b4422464866d0d723b8d94d5c";
    assert_eq!(
        record["weights"],
        json!({"language/model.safetensors": digest})
    );
    // As if it had been killed before its end.
    fs::remove_file(folder.path().join("tuned/result.json")).unwrap();
    fs::rename(&weights, folder.path().join("elsewhere")).unwrap();
    run(&["--resume"]).expect(0);
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
