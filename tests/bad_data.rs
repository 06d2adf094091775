//! Broken data: the error names the file and the line, the exit code is 2, and nothing panics.

use crate::support::{Output, borrowed, crucible, picture, small_training, small_vqa, smoke_run};
use std::fs;
use std::io::Write;
use std::path::Path;

/// A PNG that claims 100,000 x 100,000 pixels and holds none.
fn huge_png() -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = b"IHDR".to_vec();
    header.extend(100_000u32.to_be_bytes());
    header.extend(100_000u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut png, &header);
    chunk(&mut png, b"IDAT");
    chunk(&mut png, b"IEND");
    png
}

fn chunk(png: &mut Vec<u8>, content: &[u8]) {
    png.extend((content.len() as u32 - 4).to_be_bytes());
    png.extend(content);
    png.extend(crc32(content).to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn truncated_png(folder: &Path) -> Vec<u8> {
    let whole = folder.join("whole.png");
    picture(&whole, [1, 2, 3]);
    let bytes = fs::read(&whole).unwrap();
    fs::remove_file(&whole).unwrap();
    bytes[..bytes.len() / 2].to_vec()
}

/// Every broken picture, and what the error says about it.
fn broken_pictures(folder: &Path) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("truncated.png", truncated_png(folder), "truncated"),
        ("empty.png", Vec::new(), "empty"),
        ("huge.png", huge_png(), "100000 x 100000"),
        (
            "text.png",
            b"this is no picture".to_vec(),
            "not a PNG or JPEG",
        ),
    ]
}

fn train(folder: &Path) -> Output {
    crucible(
        folder,
        &borrowed(&small_training("train", 40, &["--out", "run"])),
    )
}

#[test]
fn a_broken_picture_is_named_with_the_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (name, bytes, reason) in broken_pictures(folder.path()) {
        small_vqa(&data);
        fs::write(data.join(name), bytes).unwrap();
        let mut manifest = fs::OpenOptions::new()
            .append(true)
            .open(data.join("train.jsonl"))
            .unwrap();
        writeln!(
            manifest,
            r#"{{"image": "{name}", "question": "what color is it?", "answer": "red"}}"#
        )
        .unwrap();

        let output = train(folder.path()).expect(2);
        for part in [name, "train.jsonl:25", reason] {
            assert!(
                output.stderr.contains(part),
                "{name}: no `{part}` in {output:#?}"
            );
        }
        // Nothing worth resuming: the corrected data may be trained on in the same place.
        assert!(!folder.path().join("run/run.json").exists());

        let output = crucible(folder.path(), &["data", "data"]).expect(2);
        assert!(
            output.stdout.contains("train.jsonl:25") && output.stdout.contains(reason),
            "{output:#?}"
        );

        let path = format!("data/{name}");
        let run = smoke_run().to_str().unwrap();
        let output = crucible(
            folder.path(),
            &["ask", run, "--image", &path, "what is it?"],
        )
        .expect(2);
        assert!(
            output.stderr.contains(&path) && output.stderr.contains(reason),
            "{output:#?}"
        );
    }
}

#[test]
fn a_broken_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (line, reason) in [
        (r#"{"image": "train-0.png", "question": "#, "EOF"),
        (r#"{"image": "train-0.png", "question": "why?"}"#, "answer"),
        (
            r#"{"image": "train-0.png", "question": 3, "answer": "red"}"#,
            "string",
        ),
        (
            r#"{"image": "missing.png", "question": "why?", "answer": "red"}"#,
            "missing.png",
        ),
        (
            r#"{"image": "../secret.png", "question": "why?", "answer": "red"}"#,
            "../secret.png",
        ),
        (
            r#"{"image": "/etc/hostname", "question": "why?", "answer": "red"}"#,
            "/etc/hostname",
        ),
        ("[]", "train.jsonl"),
        ("\u{0}\u{1}", "train.jsonl"),
    ] {
        small_vqa(&data);
        let manifest = data.join("train.jsonl");
        let text = fs::read_to_string(&manifest).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines[6] = line;
        fs::write(&manifest, lines.join("\n")).unwrap();
        let output = train(folder.path()).expect(2);
        for part in ["train.jsonl:7", reason] {
            assert!(
                output.stderr.contains(part),
                "{line}: no `{part}` in {output:#?}"
            );
        }
        let output = crucible(folder.path(), &["data", "data"]).expect(2);
        assert!(output.stdout.contains("train.jsonl:7"), "{output:#?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    small_vqa(&data);
    let manifest = data.join("train.jsonl");
    let mut bytes = fs::read(&manifest).unwrap();
    bytes.extend(b"\xff\xfe\n");
    fs::write(&manifest, bytes).unwrap();
    let output = train(folder.path()).expect(2);
    assert!(
        output.stderr.contains("train.jsonl:25") && output.stderr.contains("UTF-8"),
        "{output:#?}"
    );
}

#[test]
fn a_broken_picture_in_a_folder_of_classes_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, reason) in broken_pictures(folder.path()) {
        let data = folder.path().join("classes");
        for index in 0..6 {
            picture(&data.join(format!("train/red/{index}.png")), [200, 0, 0]);
            picture(&data.join(format!("train/blue/{index}.png")), [0, 0, 200]);
        }
        fs::write(data.join("train/blue").join(name), bytes).unwrap();
        let args = [
            "train",
            "classification",
            "--preset",
            "smoke",
            "--data",
            "classes",
            "--out",
            "run",
        ];
        let output = crucible(folder.path(), &args).expect(2);
        for part in [name, reason] {
            assert!(
                output.stderr.contains(part),
                "{name}: no `{part}` in {output:#?}"
            );
        }
        fs::remove_dir_all(&data).unwrap();
    }
}

#[test]
fn data_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("nothing")).unwrap();
    for (args, part) in [
        (
            ["train", "vqa", "--data", "easy-vqa-objects"],
            "holds images with classes",
        ),
        (
            ["train", "classification", "--data", "easy-vqa"],
            "holds images with questions",
        ),
        (["train", "vqa", "--data", "nothing"], "nothing"),
    ] {
        let output = crucible(folder.path(), &args).expect(2);
        assert!(output.stderr.contains(part), "{output:#?}");
    }
    assert!(
        !folder
            .path()
            .join("runs")
            .join("vqa-quick-late-seed0")
            .exists()
    );
}

#[test]
fn what_is_no_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for args in [
        &["eval", "."][..],
        &["ask", ".", "--image", "x.png", "why?"],
    ] {
        let output = crucible(path, args).expect(2);
        assert!(output.stderr.contains("not a run directory"), "{output:#?}");
    }
    fs::write(path.join("run.json"), "{\"recipe\": ").unwrap();
    let output = crucible(path, &["eval", "."]).expect(2);
    assert!(output.stderr.contains("run.json"), "{output:#?}");
}

#[test]
fn a_run_without_its_weights_fails_and_says_where_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["run.json", "tokenizer.json", "answers.json"] {
        fs::copy(smoke_run().join(name), folder.path().join(name)).unwrap();
    }
    let output = crucible(folder.path(), &["eval", "."]).expect(1);
    assert!(output.stderr.contains("checkpoints"), "{output:#?}");
}
