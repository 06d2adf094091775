//! Prompts in front of frozen dual encoders: they alone train, are small, and need the model that they were trained for.

use std::fs;
use std::path::Path;

use crate::pretraining::{losses, smoke, train};
use crate::support::{COLOURS, crucible, picture, read_json, read_json_lines};
use serde_json::json;

/// Pictures of three colors in folders of their names, and some of them with captions.
fn pictures(folder: &Path) {
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
}

/// A dual encoder that has seen such pictures with captions.
fn tower(folder: &Path) {
    pictures(folder);
    let more = [
        "--data=captions",
        "--set=image.size=16",
        "--set=zero_shot.data=",
        "--set=model.text_layers=1",
    ];
    train(folder, "contrastive", "tower", &more);
}

/// The bytes of the newest checkpoint's model.
pub fn weights(run: &Path, step: usize) -> Vec<u8> {
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
    for (prompt, size) in [
        ("text", 1),
        ("conditional", 1),
        ("vision", 1),
        ("both", 2),
        ("coupled", 1),
    ] {
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
        // Eight vectors of 32 numbers in one layer; a matrix with its bias where they are coupled, or two layers with two
        // units between them where they depend on the image.
        let result = read_json(run.join("result.json"));
        let more = match prompt {
            "coupled" => 33 * 32,
            "conditional" => 33 * 2 + 3 * 32,
            _ => 0,
        };
        assert_eq!(result["parameters"], size * 8 * 32 + more, "{prompt}");
        told(&run, prompt);
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

/// What was learnt is told by the words that it lies near, and by how much the images attend to it.
fn told(run: &Path, prompt: &str) {
    let seen = read_json(run.join("prompt.json"));
    for side in ["text", "vision"] {
        let there = match prompt {
            "both" | "coupled" => true,
            "vision" => side == "vision",
            _ => side == "text",
        };
        assert_eq!(seen.get(side).is_some(), there, "{prompt}: {seen:#}");
        if !there {
            continue;
        }
        let vectors = seen[side]["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 8);
        for vector in vectors {
            let [norm, moved] = ["norm", "movement"].map(|name| vector[name].as_f64().unwrap());
            // They began with a norm of about 0.02 * sqrt(32), and those of patches that are coupled with less.
            assert!(
                norm > 0.0 && moved > 0.01 && moved < norm + 0.3,
                "{prompt}: {vector:#}"
            );
        }
        if side == "text" {
            let mean = seen[side]["mean_word_norm"].as_f64().unwrap();
            assert!(mean > 0.0);
            let nearest = vectors[0]["nearest"].as_array().unwrap();
            let [first, last] = [0, 4].map(|at| nearest[at]["cosine"].as_f64().unwrap());
            assert!(1.0 >= first && first >= last, "{nearest:#?}");
        } else {
            // Max pooling, eight vectors and four patches.
            let attention = &seen[side]["attention"];
            let layers = attention["layers"].as_array().unwrap();
            let share = |layer: &serde_json::Value| layer.as_f64().unwrap();
            assert!(
                layers
                    .iter()
                    .all(|layer| (0.0..1.0).contains(&share(layer)))
            );
            assert!(
                (share(&attention["even"]) - 8.0 / 12.0).abs() < 1e-9,
                "{attention:#}"
            );
        }
    }
}

/// A tiny CLIP as it is published, whose tokenizer knows whole words.
fn clip(folder: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights/clip");
    let to = folder.join("clip");
    fs::create_dir_all(&to).unwrap();
    for name in [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let words = ["a", "photo", "of", "red", "green", "blue"];
    let mut vocabulary: serde_json::Map<String, serde_json::Value> = words
        .iter()
        .zip(10..)
        .map(|(word, id): (_, u32)| ((*word).to_owned(), json!(id)))
        .collect();
    let special = [("<unk>", 0), ("<|startoftext|>", 95), ("<|endoftext|>", 96)];
    vocabulary.extend(special.map(|(token, id)| (token.to_owned(), json!(id))));
    let added = special.map(|(token, id)| {
        json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    });
    let part = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let [start, end] = ["<|startoftext|>", "<|endoftext|>"];
    let named = |token: &str, id: u32| json!({"id": token, "ids": [id], "tokens": [token]});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [part(start), text("A"), part(end)],
            "pair": [part(start), text("A"), text("B"), part(end)],
            "special_tokens": {start: named(start, 95), end: named(end, 96)},
        },
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    });
    fs::write(to.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

#[test]
fn published_weights_of_clip_are_asked_for_classes() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    clip(folder.path());
    let fixed = ["--data=images", "--set=backbone=clip", "--set=shots=4"];
    let run = |out: &str, more: &[&str]| {
        let args = [&fixed[..], more].concat();
        train(folder.path(), "prompting-vision", out, &args)
    };
    let names = run("none", &["--set=prompt=none"]);
    for prompt in ["text", "conditional", "coupled"] {
        let kind = format!("--set=prompt={prompt}");
        let test = run(
            prompt,
            &[&kind, "--set=prompt.layers=1", "--set=training.steps=60"],
        );
        let losses = losses(&folder.path().join(prompt));
        let [first, last] = [&losses[..5], &losses[55..]].map(|some| some.iter().sum::<f64>());
        assert!(last < 0.8 * first, "{prompt}: {first} to {last}");
        assert!(test["loss"].as_f64() < names["loss"].as_f64(), "{prompt}");
        let again = crucible(folder.path(), &["--json", "eval", prompt])
            .expect(0)
            .json();
        assert_eq!(again["metrics"]["loss"], test["loss"]);
    }
    // It begins as words where it is told to, and hardly moves in one step of nearly nothing.
    let still = [
        "--set=init_words=a photo of a",
        "--set=prompt.tokens=5",
        "--set=training.steps=1",
        "--set=training.learning_rate=1e-9",
        "--set=training.min_learning_rate=1e-9",
    ];
    run("words", &still);
    let seen = read_json(folder.path().join("words/prompt.json"));
    let vectors = seen["text"]["vectors"].as_array().unwrap();
    for (vector, word) in vectors.iter().zip(["a", "photo", "of", "a", "a"]) {
        assert_eq!(vector["nearest"][0]["token"], word, "{seen:#}");
        assert!(vector["nearest"][0]["cosine"].as_f64().unwrap() > 0.9999);
        assert!(vector["movement"].as_f64().unwrap() < 1e-4);
    }
    // Images are prepared as the folder says, and the weights must stay the same.
    let file = folder.path().join("clip/preprocessor_config.json");
    let prepared = fs::read_to_string(&file).unwrap();
    fs::write(&file, prepared.replace("0.48145466", "0.1")).unwrap();
    let other = run("other", &["--set=prompt=none"]);
    assert_ne!(other["loss"], names["loss"]);
    fs::write(&file, prepared).unwrap();
    let weights = folder.path().join("clip/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let changed = crucible(folder.path(), &["eval", "text"]).expect(2);
    assert!(changed.stderr.contains("have changed"), "{changed:#?}");
}

#[test]
fn published_weights_that_are_no_backbone_are_told() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    clip(folder.path());
    let told = |more: &[&str]| {
        let args = smoke("prompting-vision", "refused", &["--data=images"]);
        crucible(folder.path(), &[&args[..], more].concat())
            .expect(2)
            .stderr
    };
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    let fixture = |name: &str| format!("--set=backbone={}", weights.join(name).display());
    let ours = "--set=backbone=clip";
    for (more, said) in [
        (&[fixture("siglip").as_str()][..], "SigLIP"),
        (&[fixture("bert").as_str()], "bert"),
        (&[fixture("clip").as_str()], "tokenizer.json"),
        (&["--set=backbone=images"], "config.json"),
        (
            &[ours, "--set=init_words=a picture"],
            "does not know all of \"a picture\"",
        ),
        (&[ours, "--set=init_words=\" \""], "no word in"),
        (
            &[ours, "--set=prompt=vision", "--set=init_words=a photo"],
            "init_words is for vectors before a text",
        ),
    ] {
        let stderr = told(more);
        assert!(stderr.contains(said), "{more:?}: {stderr}");
    }
    let remove = |name: &str| fs::remove_file(folder.path().join("clip").join(name)).unwrap();
    remove("preprocessor_config.json");
    let stderr = told(&[ours]);
    assert!(stderr.contains("preprocessor_config.json"), "{stderr}");
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
