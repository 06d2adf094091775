//! Lengths of texts, and what stands in two splits.

use image::{ImageFormat, Rgb};

use super::{encoded, folder, picture, text};
use crate::{Duplicates, Lengths, Share, Split, describe};

fn share(found: usize, of: usize) -> Share {
    Share { found, of }
}

/// A picture of its own for each number, as the bytes of a file.
fn numbered(number: u8) -> Vec<u8> {
    let mut image = picture(4, 3);
    image.put_pixel(0, 0, Rgb([number, 1, 2]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn manifest(lines: &[(&str, &str)]) -> Vec<u8> {
    let line = |(image, caption): &(&str, &str)| {
        format!("{{\"image\": \"{image}.png\", \"caption\": \"{caption}\"}}\n")
    };
    lines.iter().map(line).collect::<String>().into_bytes()
}

#[test]
fn what_stands_in_two_splits_is_counted() {
    let pictures: Vec<Vec<u8>> = (0..6).map(numbered).collect();
    // Another file with the same pixels.
    let mut again = pictures[0].clone();
    again.extend(b"what follows the end of a PNG is no concern");
    let folder = folder(&[
        ("0.png", &pictures[0]),
        ("1.png", &pictures[1]),
        ("2.png", &pictures[2]),
        ("3.png", &pictures[3]),
        ("4.png", &again),
        (
            "train.jsonl",
            &manifest(&[("0", "a red hat"), ("0", "hat"), ("1", "a blue shoe")]),
        ),
        (
            "valid.jsonl",
            &manifest(&[("2", "no red hat, but two of them")]),
        ),
        (
            "test.jsonl",
            &manifest(&[("4", "a red hat"), ("4", "a blue shoe"), ("3", "hat")]),
        ),
    ]);
    let description = describe(text(folder.path())).unwrap();
    let none = Duplicates {
        split: Split::Valid,
        images: share(0, 1),
        texts: share(0, 1),
        pairs: share(0, 1),
    };
    // Of the two test images one is planted, all three of its texts, and one text with its image.
    let planted = Duplicates {
        split: Split::Test,
        images: share(1, 2),
        texts: share(3, 3),
        pairs: share(1, 3),
    };
    assert_eq!(description.duplicates, [none, planted]);
    let lengths: Vec<_> = description
        .splits
        .into_iter()
        .map(|split| split.lengths.unwrap())
        .collect();
    let expected = |min, median, p95, max| Lengths {
        min,
        median,
        p95,
        max,
    };
    assert_eq!(
        lengths,
        [
            expected(1, 3, 3, 3),
            expected(7, 7, 7, 7),
            expected(1, 3, 3, 3)
        ]
    );
}

#[test]
fn what_a_dataset_lacks_is_not_compared() {
    let png = encoded(4, 3, ImageFormat::Png);
    let images = folder(&[
        ("train/cat/1.png", &png),
        ("train/cat/2.png", &numbered(9)),
        ("valid/cat/1.png", &png),
        ("test/cat/1.png", &numbered(7)),
    ]);
    let description = describe(text(images.path())).unwrap();
    let found = |split, found| Duplicates {
        split,
        images: share(found, 1),
        texts: share(0, 0),
        pairs: share(0, 0),
    };
    let expected = [found(Split::Valid, 1), found(Split::Test, 0)];
    assert_eq!(description.duplicates, expected);
    assert!(
        description
            .splits
            .iter()
            .all(|split| split.lengths.is_none())
    );

    let texts = folder(&[
        ("train.txt", b"one line\nanother line\n"),
        ("valid.txt", b""),
        ("test.txt", b"one line\nanother line\n"),
    ]);
    let description = describe(text(texts.path())).unwrap();
    let expected = Duplicates {
        split: Split::Test,
        images: share(0, 0),
        texts: share(1, 1),
        pairs: share(0, 0),
    };
    assert_eq!(description.duplicates, [expected]);
    assert_eq!(description.splits[1].lengths, None);
}

/// The questions of easy-VQA are few, and its pictures all different.
#[test]
fn easy_vqa_repeats_its_questions() {
    let [valid, test] = &describe("easy-vqa").unwrap().duplicates[..] else {
        panic!("valid and test are compared");
    };
    for split in [valid, test] {
        assert_eq!(split.texts.found, split.texts.of);
        assert_eq!((split.images.found, split.pairs.found), (0, 0));
        assert_eq!(split.pairs.of, split.texts.of);
    }
    assert_eq!((test.images.of, test.texts.of), (1_000, 9_673));
}
