//! SIGKILL at any moment, and the run that goes on afterwards ends as one that was never killed: the loss of
//! every step, the weights and the predictions are the same, bit for bit.

use crate::prompting_fused::answers;
use crate::prompting_text::texts;
use crate::support::{COLOURS, borrowed, command, crucible, picture, read_json, read_json_lines};
use crate::support::{small_training, small_vqa};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What is trained: a name and what makes it that.
const TRAININGS: [(&str, &[&str]); 16] = [
    ("late", &["vqa"]),
    ("early", &["vqa", "--set", "fusion=early"]),
    ("mid", &["vqa", "--set", "fusion=mid"]),
    ("vit", &["classification"]),
    ("resnet", &["classification", "--set", "backbone=resnet"]),
    ("chunks", &["contrastive", "--set", "chunk=2"]),
    ("words", &["mlm"]),
    ("patches", &["mvm"]),
    ("tasks", &["vlp", "--set", "tasks.itm.share=0.5"]),
    (
        "adapters",
        &["instruction-visual", "--set", "language.tune=lora"],
    ),
    (
        "answers",
        &["instruction-text", "--set", "chat.packing=true"],
    ),
    ("captions", &["captioning"]),
    ("prompts", &["prompting-vision", "--set", "prompt=coupled"]),
    (
        "conditions",
        &["prompting-vision", "--set", "prompt=conditional"],
    ),
    (
        "prefixes",
        &["prompting-text", "--set", "prefix=prefix-tuning"],
    ),
    ("wordings", &["prompting-fused"]),
];
/// Recipes without pictures.
const WORDS: [&str; 3] = ["mlm", "instruction-text", "prompting-text"];
/// All that could make a resumed run differ, beside dropout, hidden words and drawn negatives: augmentation,
/// accumulation, an average of the weights.
const AUGMENTS: [&str; 3] = [
    "augment.flip=true",
    "augment.crop_padding=2",
    "augment.colour=0.2",
];
const SETTINGS: [&str; 5] = [
    "training.accumulate=2",
    "training.ema_decay=0.95",
    "training.keep_best=1",
    "training.evaluate_every=40",
    "training.checkpoint_every=15",
];
const STEPS: usize = 120;
/// Loader workers and prefetch sizes, which must not matter.
const LOADERS: [[&str; 2]; 4] = [["0", "1"], ["1", "3"], ["2", "1"], ["4", "2"]];

fn args(training: &[&str], out: &str, loader: [&str; 2]) -> Vec<String> {
    let mut args = match training[0] {
        "vqa" => small_training("train", STEPS, &["--set", "model.dropout=0.1"]),
        recipe => {
            let sets: &[&str] = match recipe {
                "classification" => &["--data=images", "--set=image.size=16"],
                "mlm" => &[
                    "--data=words.txt",
                    "--set=passage=60",
                    "--set=model.dropout=0.1",
                ],
                "mvm" => &["--data=captions", "--set=image.size=16"],
                "contrastive" => &[
                    "--data=captions",
                    "--set=image.size=16",
                    "--set=model.dropout=0.1",
                    "--set=zero_shot.data=",
                ],
                "vlp" => &[
                    "--data=captions",
                    "--set=image.size=16",
                    "--set=model.dropout=0.1",
                    "--set=words=",
                ],
                "instruction-text" => &["--data=talk", "--set=language.dropout=0.1"],
                "prompting-text" => &[
                    "--data=texts",
                    "--set=backbone=llama",
                    "--set=templates=[\"user {text} {mask}\"]",
                ],
                "prompting-fused" => &["--data=asked", "--set=backbone=answers"],
                "prompting-vision" => &[
                    "--data=images",
                    "--set=backbone=tower",
                    "--set=prompt.layers=1",
                ],
                _ => &[
                    "--data=captions",
                    "--set=image.size=16",
                    "--set=language.dropout=0.1",
                ],
            };
            let steps = format!("--set=training.steps={STEPS}");
            let fixed = [
                "train",
                recipe,
                "--preset=smoke",
                "--set=loader.batch_size=4",
                &steps,
            ];
            let args = fixed.iter().chain(sets);
            args.map(|arg| arg.to_string()).collect()
        }
    };
    if training == TRAININGS[3].1 {
        args.extend(["--set", "backbone.dropout=0.1"].map(String::from));
    }
    args.extend(training[1..].iter().map(|arg| arg.to_string()));
    if !WORDS.contains(&training[0]) {
        args.extend(AUGMENTS.map(|set| format!("--set={set}")));
    }
    let loader = [
        format!("loader.workers={}", loader[0]),
        format!("loader.prefetch={}", loader[1]),
    ];
    let sets = SETTINGS
        .iter()
        .copied()
        .chain(loader.iter().map(String::as_str));
    args.extend(sets.flat_map(|set| ["--set".to_owned(), set.to_owned()]));
    args.extend(["--resume", "--out", out].map(String::from));
    args
}

fn data(folder: &Path) {
    small_vqa(&folder.join("data"));
    let words: Vec<String> = (0..900).map(|i| format!("word{}", i * i % 37)).collect();
    fs::write(folder.join("words.txt"), words.join(" ")).unwrap();
    for (number, split) in (0..).zip(["train", "valid", "test"]) {
        let mut captions = String::new();
        let mut talk = String::new();
        for (name, colour) in COLOURS {
            for index in 0..4 {
                // No picture of one split is in another.
                let shade = colour.map(|channel: u8| channel.saturating_add(index * 9 + number));
                let file = format!("{split}/{name}/{index}.png");
                picture(&folder.join("images").join(&file), shade);
                picture(&folder.join("captions").join(&file), shade);
                captions += &format!(
                    "{{\"image\": \"{file}\", \"caption\": \"shade {index} of {name}\"}}\n"
                );
                talk += &format!(
                    "{{\"instruction\": \"{split} {index} {name}\", \"output\": \"{name} {index}\"}}\n"
                );
            }
        }
        fs::write(folder.join(format!("captions/{split}.jsonl")), captions).unwrap();
        fs::create_dir_all(folder.join("talk")).unwrap();
        fs::write(folder.join(format!("talk/{split}.jsonl")), talk).unwrap();
    }
    // What prompts stand before.
    texts(folder);
    answers(folder, "late");
    let tower = [
        "train",
        "contrastive",
        "--preset=smoke",
        "--data=captions",
        "--set=image.size=16",
        "--set=zero_shot.data=",
        "--set=model.text_layers=1",
        "--set=training.steps=10",
        "--out=tower",
    ];
    crucible(folder, &tower).expect(0);
}

/// What must not depend on kills: everything in the log but the clock, the weights, the predictions.
fn outcome(run: &Path) -> [Value; 3] {
    let mut rows = read_json_lines(run.join("metrics.jsonl"));
    rows.retain(|row| row["name"] != "seconds");
    let last = run.join(format!("checkpoints/step-{STEPS:08}/state.json"));
    let state = read_json(last);
    let weights = ["model.bpk", "average.bpk"].map(|file| state["files"][file]["tensors"].clone());
    assert!(
        weights
            .iter()
            .all(|tensors| !tensors.as_object().unwrap().is_empty())
    );
    let predictions = read_json_lines(run.join("predictions.jsonl"));
    [rows.into(), weights.to_vec().into(), predictions.into()]
}

/// A fraction in [0, 1) that depends on what is given.
fn draw(trial: usize, kill: usize, purpose: u64) -> f64 {
    let word = crucible_training::seeds::derive(trial as u64, kill as u64, purpose);
    word as f64 / (u64::MAX as f64 + 1.0)
}

/// Waits until a save has begun, or the process has ended, or it takes too long.
fn await_save(run: &Path, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
        let entries = fs::read_dir(run.join("checkpoints"))
            .into_iter()
            .flatten()
            .flatten();
        let mut names = entries.map(|entry| entry.file_name());
        if names.any(|name| name.to_string_lossy().starts_with(".step-")) {
            return;
        }
    }
}

/// Kills and resumes until `wanted` processes were killed at work; how many of them within a save.
fn kill(wanted: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path());
    let expected = TRAININGS.map(|(name, training)| {
        let out = format!("{name}-whole");
        let started = Instant::now();
        crucible(folder.path(), &borrowed(&args(training, &out, LOADERS[1]))).expect(0);
        (outcome(&folder.path().join(out)), started.elapsed())
    });
    let (mut killed, mut in_saves) = (0, 0);
    for trial in 0.. {
        if killed >= wanted {
            break;
        }
        let which = trial % TRAININGS.len();
        let (name, training) = TRAININGS[which];
        let (expected, length) = &expected[which];
        let out = format!("{name}-{trial}");
        let run = folder.path().join(&out);
        let args = args(training, &out, LOADERS[trial % LOADERS.len()]);
        let kills = 1 + (draw(trial, 0, 0) * 5.0) as usize;
        for kill in 0..kills {
            let mut child = command(folder.path(), &borrowed(&args))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let aimed = draw(trial, kill, 1) < 0.4;
            sleep(length.mul_f64(0.8 * draw(trial, kill, 2)));
            if aimed {
                await_save(&run, &mut child);
            }
            let saving = || {
                let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten();
                let names = entries.flatten().map(|entry| entry.file_name());
                names
                    .into_iter()
                    .any(|name| name.to_string_lossy().starts_with(".step-"))
            };
            let was_at_work = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            killed += usize::from(was_at_work);
            in_saves += usize::from(was_at_work && saving());
            if !was_at_work {
                break;
            }
        }
        crucible(folder.path(), &borrowed(&args)).expect(0);
        assert!(
            &outcome(&run) == expected,
            "{name}, trial {trial}: not the run that was never killed"
        );
        fs::remove_dir_all(run).unwrap();
    }
    println!("{killed} processes killed, {in_saves} of them within a save");
    in_saves
}

#[test]
fn a_few_kills_change_nothing() {
    kill(8);
}

#[test]
#[ignore = "minutes: cargo test --test integration kills -- --ignored --nocapture"]
fn a_hundred_kills_change_nothing() {
    assert!(kill(120) >= 20);
}

/// Of two processes in one directory, one trains, and the other leaves at once naming the first.
fn rivals(times: usize, patience: Duration) {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    let args = small_training("train", 100_000, &["--resume", "--out", "run"]);
    let mut first = command(folder.path(), &borrowed(&args))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lock = folder.path().join("run/lock");
    while fs::read(&lock).map_or(true, |number| number.is_empty()) {
        assert!(first.try_wait().unwrap().is_none(), "it died at its start");
        sleep(Duration::from_millis(1));
    }
    for time in 0..times {
        let started = Instant::now();
        let output = crucible(folder.path(), &borrowed(&args)).expect(2);
        let took = started.elapsed();
        let says = format!("process {} is training here", first.id());
        assert!(output.stderr.contains(&says), "{time}: {output:#?}");
        assert!(took < patience, "{time}: {took:?}");
    }
    assert!(
        first.try_wait().unwrap().is_none(),
        "the first one has ended"
    );
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock died with its holder: the refusal is now for another reason.
    let args = small_training("train", 3, &["--resume", "--out", "run"]);
    let output = crucible(folder.path(), &borrowed(&args)).expect(2);
    assert!(
        output.stderr.contains("cannot resume a different run"),
        "{output:#?}"
    );
}

#[test]
fn a_directory_is_trained_in_by_one_process() {
    rivals(3, Duration::from_secs(10));
}

#[test]
#[ignore = "a minute: cargo test --test integration kills -- --ignored --nocapture"]
fn a_directory_is_trained_in_by_one_process_two_hundred_times() {
    rivals(200, Duration::from_secs(1));
}

/// A disk with room for one checkpoint and not for two: the first stays whole, and the message names the path
/// and the bytes that were needed.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs the right to mount: cargo test --test integration kills -- --ignored"]
fn a_full_disk_leaves_the_last_checkpoint_whole() {
    let folder = tempfile::tempdir().unwrap();
    small_vqa(&folder.path().join("data"));
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let whole = small_training("train", 10, &["--out", "whole"]);
    crucible(folder.path(), &borrowed(&whole)).expect(0);
    let set = folder.path().join("whole/checkpoints/step-00000010");
    let files = fs::read_dir(set).unwrap().flatten();
    let size: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    let mount = |args: &[&str]| {
        let status = std::process::Command::new(args[0])
            .args(&args[1..])
            .status();
        assert!(status.unwrap().success(), "{args:?}");
    };
    let room = format!("size={}", size * 17 / 10);
    mount(&[
        "mount",
        "-t",
        "tmpfs",
        "-o",
        &room,
        "none",
        disk.to_str().unwrap(),
    ]);
    let sets = ["--set", "training.checkpoint_every=5", "--out", "disk/run"];
    let output = crucible(
        folder.path(),
        &borrowed(&small_training("train", 20, &sets)),
    );
    let checkpoints = disk.join("run/checkpoints");
    let entries = fs::read_dir(&checkpoints).unwrap().flatten();
    let names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    // It goes on from the whole one as soon as there is room.
    let more = format!("remount,size={}", size * 10);
    mount(&["mount", "-o", &more, disk.to_str().unwrap()]);
    let resumed = [&sets[..], &["--resume"]].concat();
    let resumed = crucible(
        folder.path(),
        &borrowed(&small_training("train", 20, &resumed)),
    );
    mount(&["umount", disk.to_str().unwrap()]);

    assert_eq!(output.code, Some(1), "{output:#?}");
    assert_eq!(names, ["step-00000005"], "{output:#?}");
    for part in [
        "disk/run/checkpoints/step-00000010",
        "it needs",
        "bytes",
        "No space left",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output:#?}");
    }
    resumed.expect(0);
}
