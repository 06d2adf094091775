//! Manifests with broken lines and with paths that lead astray.

use std::process::Command;

use burn::data::dataset::Dataset;
use image::ImageFormat;

use super::{encoded, folder, text};
use crate::{describe, open_captions, open_images, open_vqa};

const GOOD: &str = r#"{"image": "a.png", "question": "what?", "answer": "this"}"#;

/// Opens a manifest whose third line is `line`, and returns the error, which names file and line.
fn refusal_of(line: &[u8]) -> String {
    let manifest = [
        GOOD.as_bytes(),
        b"\n\n",
        line,
        b"\n",
        GOOD.as_bytes(),
        b"\n",
    ]
    .concat();
    let folder = folder(&[
        ("a.png", &encoded(4, 4, ImageFormat::Png)),
        ("train.jsonl", &manifest),
    ]);
    let error = open_vqa(text(folder.path()))
        .err()
        .expect("the line was accepted")
        .to_string();
    let place = format!("{}:3: ", folder.path().join("train.jsonl").display());
    assert!(error.starts_with(&place), "{error}");
    assert!(error.contains("; "), "no remedy: {error}");

    // Describing tells the same, and goes on: both good lines are counted.
    let description = describe(text(folder.path())).unwrap();
    assert!(
        description.problems.contains(&error),
        "{error}: {:?}",
        description.problems
    );
    let items: usize = description.splits.iter().map(|split| split.items).sum();
    assert_eq!(items, 2, "{error}");
    error
}

#[test]
fn broken_lines_are_refused_with_file_line_reason_and_remedy() {
    let long = format!(
        r#"{{"image": "a.png", "question": "{}", "answer": "b"}}"#,
        "x".repeat(2 << 20)
    );
    let deep = format!(
        r#"{{"image": "a.png", "question": "q", "answer": "b", "id": {}"#,
        "[".repeat(100_000)
    );
    let cases: &[(&[u8], &str)] = &[
        (b"{", "EOF"),
        (b"}", "not a JSON object"),
        (b"nonsense", "not a JSON object"),
        (b"null", "not a JSON object"),
        (br#"["a.png", "q", "b"]"#, "not a JSON object"),
        (b"\"text\"", "not a JSON object"),
        (b"3", "not a JSON object"),
        (b"{}", "missing field `image`"),
        (br#"{"image": "a.png"}"#, "missing field `question`"),
        (
            br#"{"image": "a.png", "question": "q"}"#,
            "missing field `answer`",
        ),
        (
            br#"{"image": "a.png", "question": "q", "anwser": "b"}"#,
            "missing field `answer`",
        ),
        (
            br#"{"question": "q", "answer": "b"}"#,
            "missing field `image`",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": 3}"#,
            "expected a string",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": null}"#,
            "expected a string",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": ["b"]}"#,
            "expected a string",
        ),
        (
            br#"{"image": 7, "question": "q", "answer": "b"}"#,
            "expected a string",
        ),
        (
            br#"{"image": "a.png", "question": {}, "answer": "b"}"#,
            "expected a string",
        ),
        (
            br#"{"image": "a.png", "question": "", "answer": "b"}"#,
            "`question` is empty",
        ),
        (
            br#"{"image": "a.png", "question": " \t", "answer": "b"}"#,
            "`question` is empty",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": ""}"#,
            "`answer` is empty",
        ),
        (
            br#"{"image": "", "question": "q", "answer": "b"}"#,
            "the path is empty",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": "b"} extra"#,
            "trailing characters",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": "b"}{"#,
            "trailing characters",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": "b",}"#,
            "trailing comma",
        ),
        (
            br#"{"image": "a.png", "question": "q" "answer": "b"}"#,
            "expected `,`",
        ),
        (
            br#"{'image': 'a.png', 'question': 'q', 'answer': 'b'}"#,
            "key must be a string",
        ),
        (
            br#"{"image": "a.png", "image": "a.png", "question": "q", "answer": "b"}"#,
            "duplicate field",
        ),
        (
            br#"{"image": "a.png", "question": "\ud800", "answer": "b"}"#,
            "hex escape",
        ),
        (
            b"{\"image\": \"a.png\", \"question\": \"q\tq\", \"answer\": \"b\"}",
            "control character",
        ),
        (
            b"{\"image\": \"a.png\", \"question\": \"\xff\xfe\", \"answer\": \"b\"}",
            "not valid UTF-8 at byte 33",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": "b", "id": ""}"#,
            "`id` is empty",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": "b", "id": [1]}"#,
            "`id` is [1]",
        ),
        (
            br#"{"image": "a.png", "question": "q", "answer": "b", "id": "train.jsonl:1"}"#,
            "was given before",
        ),
        (b"\0\0\0", "not a JSON object"),
        (long.as_bytes(), "more than 1048576 bytes"),
        (deep.as_bytes(), "recursion limit"),
    ];
    for (line, reason) in cases {
        let error = refusal_of(line);
        assert!(error.contains(reason), "wanted `{reason}`: {error}");
    }
}

#[test]
fn paths_that_lead_astray_are_refused() {
    let outside = folder(&[("secret.png", &encoded(4, 4, ImageFormat::Png))]);
    let secret = outside.path().join("secret.png");
    let image = encoded(4, 4, ImageFormat::Png);
    let folder = folder(&[("a.png", &image), ("sub/b.png", &image)]);
    let here = folder.path();
    std::os::unix::fs::symlink(&secret, here.join("link.png")).unwrap();
    std::os::unix::fs::symlink(outside.path(), here.join("linked")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", here.join("zero.png")).unwrap();
    std::os::unix::fs::symlink("loop.png", here.join("loop.png")).unwrap();
    std::os::unix::fs::symlink("gone.png", here.join("dangling.png")).unwrap();
    std::os::unix::fs::symlink("sub/b.png", here.join("inside.png")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(here.join("fifo.png"))
            .status()
            .unwrap()
            .success()
    );
    let _socket = std::os::unix::net::UnixListener::bind(here.join("socket.png")).unwrap();

    let open = |image: &str| {
        let line = serde_json::json!({"image": image, "question": "q", "answer": "b"}).to_string();
        std::fs::write(here.join("train.jsonl"), line).unwrap();
        open_vqa(text(here)).map(|_| ())
    };
    let absolute = secret.to_str().unwrap();
    let cases = [
        ("../secret.png", "contains `..`"),
        ("sub/../../secret.png", "contains `..`"),
        ("sub/../a.png", "contains `..`"),
        ("..", "contains `..`"),
        (absolute, "is absolute"),
        ("/dev/zero", "is absolute"),
        ("/etc/passwd", "is absolute"),
        ("//etc/passwd", "is absolute"),
        ("link.png", "out of the dataset's folder"),
        ("linked/secret.png", "out of the dataset's folder"),
        ("zero.png", "out of the dataset's folder"),
        ("loop.png", "symbolic links"),
        ("dangling.png", "No such file"),
        ("missing.png", "No such file"),
        ("a.png/b.png", "Not a directory"),
        ("fifo.png", "not a regular file"),
        ("socket.png", "not a regular file"),
        ("sub", "not a regular file"),
        (".", "not a regular file"),
        ("", "is empty"),
        ("a\0.png", "NUL"),
    ];
    for (image, reason) in cases {
        let error = open(image).expect_err(image).to_string();
        assert!(error.contains("train.jsonl:1: image "), "{error}");
        assert!(error.contains(reason), "wanted `{reason}`: {error}");
    }
    for image in ["a.png", "./a.png", "sub/b.png", "inside.png"] {
        open(image).unwrap();
    }
}

/// What is checked on opening is checked again on decoding: the file may have been replaced in between.
#[test]
fn a_file_that_became_a_link_out_is_refused_when_decoded() {
    let outside = folder(&[("secret.png", &encoded(4, 4, ImageFormat::Png))]);
    let manifest = GOOD.replace("a.png", "x/a.png");
    let folder = folder(&[
        ("x/a.png", &encoded(4, 4, ImageFormat::Png)),
        ("train.jsonl", manifest.as_bytes()),
    ]);
    let data = open_vqa(text(folder.path())).unwrap();
    let sample = [&data.train, &data.valid, &data.test]
        .into_iter()
        .find(|split| !split.is_empty())
        .map(|split| split.get(0).unwrap())
        .unwrap();
    sample.image.decode().unwrap();
    std::fs::remove_file(folder.path().join("x/a.png")).unwrap();
    std::os::unix::fs::symlink(
        outside.path().join("secret.png"),
        folder.path().join("x/a.png"),
    )
    .unwrap();
    let error = sample.image.decode().unwrap_err().to_string();
    assert!(error.contains("train.jsonl:1: image "), "{error}");
    assert!(error.contains("out of the dataset's folder"), "{error}");
}

#[test]
fn a_damaged_image_is_traced_to_the_line_that_names_it() {
    let folder = folder(&[
        ("good.png", &encoded(4, 4, ImageFormat::Png)),
        ("bad.png", &encoded(4, 4, ImageFormat::Png)[..40]),
        (
            "train.jsonl",
            format!(
                "{}\n{}\n",
                GOOD.replace("a.png", "good.png"),
                GOOD.replace("a.png", "bad.png")
            )
            .as_bytes(),
        ),
    ]);
    let description = describe(text(folder.path())).unwrap();
    // Validation and test are empty, too.
    assert_eq!(description.problem_count, 3);
    assert!(
        description.problems[0].contains("train.jsonl:2: image "),
        "{:?}",
        description.problems
    );
    assert!(description.problems[0].contains("bad.png: the file is truncated"));
}

#[test]
fn several_problems_are_counted() {
    let lines = ["{", "}", GOOD, "nonsense"].join("\n");
    let folder = folder(&[
        ("a.png", &encoded(4, 4, ImageFormat::Png)),
        ("train.jsonl", lines.as_bytes()),
    ]);
    let error = open_vqa(text(folder.path())).err().unwrap().to_string();
    assert!(error.contains("train.jsonl:1: "), "{error}");
    assert!(error.contains("and 2 more; `crucible data "), "{error}");
    // Validation and test are empty, too.
    assert_eq!(describe(text(folder.path())).unwrap().problem_count, 5);
}

#[test]
fn broken_captions_and_texts_are_refused() {
    let image = encoded(4, 4, ImageFormat::Png);
    let good = r#"{"image": "a.png", "caption": "c"}"#;
    for (line, reason) in [
        ("{", "EOF"),
        (r#"{"image": "a.png"}"#, "missing field `caption`"),
        (r#"{"image": "a.png", "caption": 3}"#, "expected a string"),
        (
            r#"{"image": "a.png", "caption": " "}"#,
            "`caption` is empty",
        ),
        (r#"{"image": "../a.png", "caption": "c"}"#, "contains `..`"),
    ] {
        let folder = folder(&[
            ("a.png", &image),
            ("train.jsonl", format!("{good}\n{line}").as_bytes()),
        ]);
        let error = open_captions(text(folder.path()))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("train.jsonl:2: "), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    let folder = folder(&[("a.txt", b"fine\n\xff\n")]);
    let description = describe(text(&folder.path().join("a.txt"))).unwrap();
    let problem = &description.problems[0];
    assert!(problem.contains("not valid UTF-8 at byte 6"), "{problem}");
}

#[test]
fn a_folder_of_images_keeps_to_itself() {
    let image = encoded(4, 4, ImageFormat::Png);
    let outside = folder(&[("secret.png", &image)]);
    let folder = folder(&[("cat/1.png", &image), ("dog/1.png", &image)]);
    std::os::unix::fs::symlink(
        outside.path().join("secret.png"),
        folder.path().join("cat/2.png"),
    )
    .unwrap();
    let error = open_images(text(folder.path())).err().unwrap().to_string();
    assert!(error.contains("cat/2.png: the path leads out"), "{error}");
}
