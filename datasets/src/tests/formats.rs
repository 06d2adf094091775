//! A user's own data in every format, the catalogue's answers to wrong names, and how splits are made.

use std::collections::BTreeSet;
use std::io::Write;

use burn::data::dataset::Dataset;
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ImageFormat, Rgb};
use proptest::prelude::*;

use super::{encoded, folder, text, write};
use crate::{
    DataError, Kind, Samples, Split, describe, fraction, open_captions, open_images, open_passages,
    open_vqa,
};

pub fn all<S: Clone>(samples: &Samples<S>) -> Vec<S> {
    (0..samples.len())
        .map(|i| samples.get(i).unwrap())
        .collect()
}

#[test]
fn questions_about_the_same_image_form_one_sample() {
    let png = encoded(4, 4, ImageFormat::Png);
    let lines = [
        r#"{"image": "b.png", "question": "first?", "answer": "x"}"#,
        r#"{"image": "a.png", "question": "second?", "answer": "y", "id": "mine", "source": "kept out"}"#,
        r#"{"image": "b.png", "question": " third? ", "answer": "z", "id": 7}"#,
    ];
    // With a byte order mark, Windows line breaks, blank lines, and no line break at the end.
    let manifest = format!(
        "\u{feff}{}\r\n\r\n   \r\n{}\r\n{}",
        lines[0], lines[1], lines[2]
    );
    let empty = folder(&[
        ("a.png", &png),
        ("b.png", &png),
        ("train.jsonl", manifest.as_bytes()),
        ("valid.jsonl", b""),
        ("test.jsonl", b"\n"),
    ]);
    let data = open_vqa(text(empty.path())).unwrap();
    let samples = all(&data.train);
    let ids = |i: usize| {
        samples[i]
            .questions
            .iter()
            .map(|q| q.id.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (samples[0].id.as_str(), ids(0)),
        ("b.png", vec!["train.jsonl:1", "7"])
    );
    assert_eq!((samples[1].id.as_str(), ids(1)), ("a.png", vec!["mine"]));
    assert_eq!(samples[0].questions[1].text, "third?");
    assert_eq!(data.labels, ["x", "y", "z"]);
    assert_eq!((data.valid.len(), data.test.len()), (0, 0));
}

#[test]
fn a_single_file_is_split_by_hash_and_images_stay_whole() {
    let png = encoded(2, 2, ImageFormat::Png);
    let folder = folder(&[]);
    let mut manifest = String::new();
    for question in 0..3 {
        for image in 0..200 {
            write(folder.path().join(format!("{image}.png")), &png);
            manifest += &format!(
                "{{\"image\": \"{image}.png\", \"question\": \"{question}?\", \"answer\": \"a\"}}\n"
            );
        }
    }
    let file = folder.path().join("all.jsonl");
    std::fs::write(&file, &manifest).unwrap();
    let data = open_vqa(text(&file)).unwrap();
    let mut seen = BTreeSet::new();
    for split in Split::ALL {
        for sample in all(data.split(split)) {
            assert_eq!(sample.questions.len(), 3);
            assert!(seen.insert(sample.id.clone()));
            let place = fraction(&sample.id);
            let expected = if place < 0.1 {
                Split::Test
            } else if place < 0.2 {
                Split::Valid
            } else {
                Split::Train
            };
            assert_eq!(split, expected);
        }
    }
    assert_eq!(seen.len(), 200);
    assert!((10..=30).contains(&data.valid.len()) && (10..=30).contains(&data.test.len()));
    // The folder, with this one file in it, is the same dataset; another line makes it another one.
    assert_eq!(open_vqa(text(folder.path())).unwrap().digest, data.digest);
    manifest += "{\"image\": \"0.png\", \"question\": \"more?\", \"answer\": \"a\"}\n";
    std::fs::write(&file, &manifest).unwrap();
    assert_ne!(open_vqa(text(&file)).unwrap().digest, data.digest);
}

proptest! {
    /// Hash fractions are in [0, 1), and adding samples moves none.
    #[test]
    fn fractions_are_fixed(key in ".*") {
        let place = fraction(&key);
        prop_assert!((0.0..1.0).contains(&place));
        prop_assert_eq!(place, fraction(&key));
    }

    /// Lines in any order: every question is found once, with its image.
    #[test]
    fn grouping_loses_nothing(images in prop::collection::vec(0usize..5, 1..40)) {
        let png = encoded(2, 2, ImageFormat::Png);
        let folder = folder(&[]);
        let mut manifest = String::new();
        for (line, image) in images.iter().enumerate() {
            write(folder.path().join(format!("{image}.png")), &png);
            manifest += &format!("{{\"image\": \"{image}.png\", \"question\": \"{line}\", \"answer\": \"{image}\"}}\n");
        }
        std::fs::write(folder.path().join("train.jsonl"), manifest).unwrap();
        let data = open_vqa(text(folder.path())).unwrap();
        let samples: Vec<_> = Split::ALL.iter().flat_map(|&split| all(data.split(split))).collect();
        let distinct: BTreeSet<_> = images.iter().collect();
        prop_assert_eq!(samples.len(), distinct.len());
        let mut found: Vec<usize> = Vec::new();
        for sample in samples {
            for question in sample.questions {
                prop_assert_eq!(&format!("{}.png", question.answer), &sample.id);
                found.push(question.text.parse().unwrap());
            }
        }
        found.sort_unstable();
        prop_assert_eq!(found, (0..images.len()).collect::<Vec<_>>());
    }
}

#[test]
fn captions_are_grouped_by_image() {
    let png = encoded(4, 4, ImageFormat::Png);
    let manifest = br#"{"image": "p/a.png", "caption": "one"}
{"image": "p/b.png", "caption": "two"}
{"image": "p/a.png", "caption": "three"}"#;
    let folder = folder(&[
        ("p/a.png", &png),
        ("p/b.png", &png),
        ("train.jsonl", manifest),
        ("valid.jsonl", b""),
        ("test.jsonl", b""),
        ("LICENSE", b"mine"),
    ]);
    let data = open_captions(text(folder.path())).unwrap();
    let samples = all(&data.train);
    assert_eq!(samples[0].captions, ["one", "three"]);
    assert_eq!(samples[1].captions, ["two"]);
    let description = describe(text(folder.path())).unwrap();
    assert_eq!((description.kind, description.words), (Kind::Captions, 3));
    assert_eq!(description.licence, "see LICENSE");
}

#[test]
fn text_is_described_as_the_passages_that_are_trained_on() {
    let lines: String = (0..2000).map(|line| format!("line {line}\n")).collect();
    let folder = folder(&[("corpus.txt", lines.as_bytes())]);
    let path = folder.path().join("corpus.txt");
    let data = open_passages(text(&path), 512).unwrap();
    let description = describe(text(&path)).unwrap();
    let counts: Vec<usize> = description.splits.iter().map(|split| split.items).collect();
    assert_eq!(counts, Split::ALL.map(|split| data.split(split).len()));
    assert!(description.samples[0].starts_with("line 0 line 1 line 2"));
    let train = all(&data.train).concat();
    let words: BTreeSet<&str> = train.split_whitespace().collect();
    assert_eq!(description.words, words.len());
    assert_eq!(description.problem_count, 0);
}

/// An IDX file of bytes.
fn idx(dimensions: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dimensions.len() as u8];
    dimensions
        .iter()
        .for_each(|size| file.extend(size.to_be_bytes()));
    file.extend(bytes);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn idx_files_plain_and_compressed() {
    let pixels: Vec<u8> = (0..4 * 2 * 3).collect();
    let images = idx(&[4, 2, 3], &pixels);
    let labels = idx(&[4], &[2, 0, 1, 2]);
    for compressed in [false, true] {
        let name = |stem: &str| format!("{stem}{}", if compressed { ".gz" } else { "" });
        let pack = |bytes: &[u8]| {
            if compressed {
                gzip(bytes)
            } else {
                bytes.to_vec()
            }
        };
        let folder = folder(&[
            (&name("train-images-idx3-ubyte"), &pack(&images)),
            (&name("train-labels-idx1-ubyte"), &pack(&labels)),
            (&name("t10k-images-idx3-ubyte"), &pack(&images)),
            (&name("t10k-labels-idx1-ubyte"), &pack(&labels)),
        ]);
        let data = open_images(text(folder.path())).unwrap();
        assert_eq!(data.labels, ["0", "1", "2"]);
        assert_eq!(data.train.len() + data.valid.len(), 4);
        let test = all(&data.test);
        assert_eq!(
            test.iter().map(|sample| sample.label).collect::<Vec<_>>(),
            [2, 0, 1, 2]
        );
        let image = test[1].image.decode().unwrap();
        assert_eq!(image.dimensions(), (3, 2));
        assert_eq!(*image.get_pixel(2, 1), Rgb([11, 11, 11]));

        write(folder.path().join("classes.txt"), b"zero\none\ntwo\n");
        assert_eq!(
            open_images(text(folder.path())).unwrap().labels,
            ["zero", "one", "two"]
        );
        write(folder.path().join("classes.txt"), b"zero\none\n");
        let error = open_images(text(folder.path())).err().unwrap().to_string();
        assert!(error.contains("classes.txt: 2 classes"), "{error}");
    }
}

#[test]
fn damaged_idx_files_are_refused() {
    let images = idx(&[4, 2, 3], &[7; 24]);
    let labels = idx(&[4], &[0, 1, 0, 1]);
    let refuse = |images: &[u8], labels: &[u8], reason: &str| {
        for compressed in [false, true] {
            let suffix = if compressed { ".gz" } else { "" };
            let pack = |bytes: &[u8]| {
                if compressed {
                    gzip(bytes)
                } else {
                    bytes.to_vec()
                }
            };
            let folder = folder(&[
                (&format!("train-images-idx3-ubyte{suffix}"), &pack(images)),
                (&format!("train-labels-idx1-ubyte{suffix}"), &pack(labels)),
            ]);
            let error = open_images(text(folder.path()))
                .err()
                .expect(reason)
                .to_string();
            assert!(
                error.contains("idx") && error.contains(reason),
                "wanted `{reason}`: {error}"
            );
        }
    };
    for length in 0..images.len() {
        refuse(
            &images[..length],
            &labels,
            if length < 16 {
                "too few for a header"
            } else {
                "the file has"
            },
        );
    }
    for length in 0..labels.len() {
        refuse(&images, &labels[..length], "bytes");
    }
    refuse(&[&images[..], b"x"].concat(), &labels, "the file has more");
    refuse(&idx(&[24], &[7; 24]), &labels, "magic number");
    refuse(&idx(&[3, 2, 3], &[7; 18]), &labels, "4 labels for 3 images");
    refuse(
        &idx(&[u32::MAX, u32::MAX, u32::MAX], &[]),
        &labels,
        "the limit is",
    );
    refuse(&idx(&[4, 0, 9], &[]), &labels, "images of 9 x 0 pixels");
    // Not gzip at all, and gzip cut short.
    for bytes in [&images[..], &gzip(&images)[..20]] {
        let folder = folder(&[
            ("train-images-idx3-ubyte.gz", bytes),
            ("train-labels-idx1-ubyte.gz", &gzip(&labels)),
        ]);
        let error = open_images(text(folder.path())).err().unwrap();
        assert!(matches!(error, DataError::Io { .. }), "{error}");
    }
}

#[test]
fn cifar_batches() {
    let record = |label: u8| {
        let mut record = vec![label];
        record.extend([10; 1024]);
        record.extend([20; 1024]);
        record.extend([30; 1024]);
        record
    };
    let batch = [record(9), record(0)].concat();
    let sound = folder(&[
        ("data_batch_1.bin", &batch),
        ("data_batch_3.bin", &record(3)),
        ("test_batch.bin", &batch),
        ("batches.meta.txt", b"airplane\n"),
    ]);
    let data = open_images(text(sound.path())).unwrap();
    assert_eq!(data.labels[9], "truck");
    assert_eq!(data.train.len() + data.valid.len(), 3);
    let sample = data.test.get(0).unwrap();
    assert_eq!((sample.id.as_str(), sample.label), ("test_batch/0", 9));
    let image = sample.image.decode().unwrap();
    assert_eq!(
        (image.dimensions(), *image.get_pixel(31, 31)),
        ((32, 32), Rgb([10, 20, 30]))
    );

    for (bytes, reason) in [
        (
            batch[..batch.len() - 1].to_vec(),
            "6145 bytes are not records",
        ),
        (Vec::new(), "0 bytes are not records"),
        (record(10), "record 0 has the label 10"),
    ] {
        let folder = folder(&[("data_batch_1.bin", &bytes)]);
        let error = open_images(text(folder.path())).err().unwrap().to_string();
        assert!(
            error.contains("data_batch_1.bin: ") && error.contains(reason),
            "{error}"
        );
    }
}

#[test]
fn unknown_names_get_a_suggestion() {
    for (name, suggestion) in [
        ("easy-vqq", "easy-vqa"),
        ("esay-vqa", "easy-vqa"),
        ("Easy-VQA", "easy-vqa"),
        ("easyvqa", "easy-vqa"),
        ("easy-vqa-composition", "easy-vqa-compositions"),
        ("easy-vqa-object", "easy-vqa-objects"),
    ] {
        let error = open_vqa(name).err().unwrap().to_string();
        assert!(
            error.contains(&format!("did you mean `{suggestion}`?")),
            "{error}"
        );
    }
    let error = open_vqa("coco").err().unwrap().to_string();
    assert!(!error.contains("did you mean"), "{error}");
    assert!(
        error.contains("easy-vqa, easy-vqa-compositions, easy-vqa-objects"),
        "{error}"
    );
}

#[test]
fn data_of_another_kind_is_named() {
    let folder = folder(&[("corpus.txt", b"a line")]);
    let error = open_vqa(text(folder.path())).err().unwrap();
    assert!(matches!(error, DataError::WrongKind { .. }));
    let message = error.to_string();
    assert!(
        message.contains("holds text, not images with questions and answers"),
        "{message}"
    );
    assert!(
        message.contains("one of easy-vqa, easy-vqa-compositions"),
        "{message}"
    );
    assert!(open_images("easy-vqa").is_err());
    assert!(open_vqa("easy-vqa-objects").is_err());
    assert!(open_captions("easy-vqa").is_err());
}

#[test]
fn folders_that_hold_nothing_known_are_refused() {
    let empty = folder(&[]);
    let strange = folder(&[("data.parquet", b"PAR1")]);
    let several = folder(&[("one.jsonl", b"{}"), ("two.jsonl", b"{}")]);
    let mixed = folder(&[
        ("train.jsonl", b"{\"question\": 1}"),
        ("validation.jsonl", b""),
    ]);
    let telling_nothing = folder(&[("train.jsonl", b"{\"words\": \"x\"}\n")]);
    for (folder, reason) in [
        (&empty, "no format that is known"),
        (&strange, "no format that is known"),
        (&several, "no train.jsonl"),
        (&mixed, "`validation.jsonl` is not one of the splits"),
        (
            &telling_nothing,
            "no line has a question, a caption, a text with a label or a conversation",
        ),
    ] {
        let error = describe(text(folder.path())).err().unwrap().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert!(describe("/dev/zero").is_err());
}

#[test]
fn an_empty_training_split_is_a_problem() {
    let folder = folder(&[("train.txt", b""), ("valid.txt", b""), ("test.txt", b"x")]);
    let problems = describe(text(folder.path())).unwrap().problems;
    assert!(
        problems[0].contains("the train split is empty"),
        "{problems:?}"
    );
}

#[test]
fn split_names_parse() {
    for split in Split::ALL {
        assert_eq!(split.name().parse::<Split>().unwrap(), split);
    }
    let error = "validation".parse::<Split>().unwrap_err().to_string();
    assert!(error.contains("expected train, valid or test"), "{error}");
}
