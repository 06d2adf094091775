//! The embedded data is what its card says, and what is derived from it holds no leak.

use std::collections::{BTreeSet, HashMap, HashSet};

use burn::data::dataset::Dataset;
use image::{Rgb, RgbImage};
use sha2::{Digest, Sha256};

use crate::facts::{Pair, possible_pairs};
use crate::split::hex;
use crate::{
    COLOURS, HELD_OUT, Question, SHAPES, Samples, Split, VqaData, VqaSample, describe, entries,
    open_images, open_vqa,
};

const CARD: &str = include_str!("../../easy-vqa/README.md");

fn all<S: Clone>(samples: &Samples<S>) -> Vec<S> {
    (0..samples.len())
        .map(|i| samples.get(i).unwrap())
        .collect()
}

fn questions(samples: &[VqaSample]) -> Vec<&Question> {
    samples
        .iter()
        .flat_map(|sample| &sample.questions)
        .collect()
}

/// Images and questions of train, valid, test.
fn counts(data: &VqaData) -> [[usize; 2]; 3] {
    Split::ALL.map(|split| {
        let samples = all(data.split(split));
        [samples.len(), questions(&samples).len()]
    })
}

#[test]
fn the_files_have_the_checksums_of_the_card() {
    for (name, bytes) in [
        (
            "train.tar.gz",
            include_bytes!("../../easy-vqa/train.tar.gz").as_slice(),
        ),
        ("test.tar.gz", include_bytes!("../../easy-vqa/test.tar.gz")),
        ("answers.txt", include_bytes!("../../easy-vqa/answers.txt")),
        ("LICENSE", include_bytes!("../../easy-vqa/LICENSE")),
    ] {
        let row = format!(
            "| `{name}` | {} | `{}` |",
            bytes.len(),
            hex(&Sha256::digest(bytes))
        );
        assert!(CARD.contains(&row), "the card lacks {row}");
    }
}

#[test]
fn counts_are_those_of_the_published_dataset() {
    let data = open_vqa("easy-vqa").unwrap();
    let [train, valid, test] = counts(&data);
    assert_eq!([train[0], valid[0], test[0]], [3800, 200, 1000]);
    assert_eq!(train[1] + valid[1], 38_575);
    assert_eq!(test[1], 9_673);
    assert_eq!(data.labels.len(), 13);
    let samples = Split::ALL.map(|split| all(data.split(split)));
    let answers: BTreeSet<&str> = samples
        .iter()
        .flat_map(|samples| questions(samples))
        .map(|question| question.answer.as_str())
        .collect();
    assert_eq!(answers, data.labels.iter().map(String::as_str).collect());
}

#[test]
fn ids_are_unique_across_splits() {
    let data = open_vqa("easy-vqa").unwrap();
    let mut images = HashSet::new();
    let mut ids = HashSet::new();
    for sample in Split::ALL.iter().flat_map(|&split| all(data.split(split))) {
        assert!(images.insert(sample.image.name()));
        for question in sample.questions {
            assert!(ids.insert(question.id));
        }
    }
    assert_eq!((images.len(), ids.len()), (5_000, 48_248));
}

/// Describing decodes all 5,000 images: it would tell of any that is damaged.
#[test]
fn every_entry_of_the_catalogue_describes_itself_without_problems() {
    for entry in entries() {
        let description = describe(entry.name).unwrap();
        assert_eq!(description.problems, Vec::<String>::new(), "{}", entry.name);
        assert_eq!(description.kind, entry.kind);
        assert!(description.licence.contains("Copyright"));
        assert_eq!(description.samples.len(), 5);
    }
    let description = describe("easy-vqa").unwrap();
    assert_eq!(description.words, 26);
    assert_eq!(description.splits[2].images, 1000);
    assert_eq!(description.splits[2].items, 9_673);
}

fn question(text: &str, answer: &str) -> Question {
    Question {
        id: String::new(),
        text: text.into(),
        answer: answer.into(),
    }
}

#[test]
fn facts_follow_from_questions_and_answers() {
    let possible = |facts: &[(&str, &str)]| {
        let questions: Vec<Question> = facts
            .iter()
            .map(|(text, answer)| question(text, answer))
            .collect();
        possible_pairs(&questions)
    };
    assert_eq!(possible(&[]).len(), 24);
    assert_eq!(
        possible(&[("what is the blue shape?", "rectangle")]),
        [("blue", "rectangle")]
    );
    assert_eq!(
        possible(&[("what color is the circle?", "teal")]),
        [("teal", "circle")]
    );
    assert_eq!(possible(&[("what color is the shape?", "red")]).len(), 3);
    assert_eq!(possible(&[("is there a red shape?", "yes")]).len(), 3);
    assert_eq!(possible(&[("is there a red shape?", "no")]).len(), 21);
    assert_eq!(possible(&[("is there not a red shape?", "no")]).len(), 3);
    assert_eq!(possible(&[("is no circle present?", "yes")]).len(), 16);
    assert_eq!(
        possible(&[("does the image not contain a circle?", "no")]).len(),
        8
    );
    // Excluding two shapes and asking for the colour leaves one pair.
    let by_exclusion = [
        ("does the image contain a circle?", "no"),
        ("is no triangle present?", "yes"),
        ("what is the color of the shape?", "gray"),
    ];
    assert_eq!(possible(&by_exclusion), [("gray", "rectangle")]);
}

/// What the pixels say, without any question: colour by the palette, shape by how much of its bounding box it fills
/// (a rectangle nearly all, a circle about 0.8, a triangle 0.5 to 0.7). Some small shapes could be two things.
fn seen(image: &RgbImage) -> Vec<Pair> {
    const PALETTE: [[u8; 3]; 8] = [
        [0, 0, 0],
        [0, 0, 255],
        [165, 42, 42],
        [128, 128, 128],
        [0, 255, 0],
        [255, 0, 0],
        [0, 128, 128],
        [255, 255, 0],
    ];
    let Rgb(background) = *image.get_pixel(0, 0);
    let distance =
        |a: [u8; 3], b: [u8; 3]| (0..3).map(|i| u32::from(a[i].abs_diff(b[i]))).sum::<u32>();
    let object: Vec<(u32, u32)> = image
        .enumerate_pixels()
        .filter(|(_, _, pixel)| distance(pixel.0, background) > 40)
        .map(|(x, y, _)| (x, y))
        .collect();
    let mut votes = [0; 8];
    for &(x, y) in &object {
        if let Some(colour) = PALETTE
            .iter()
            .position(|colour| *colour == image.get_pixel(x, y).0)
        {
            votes[colour] += 1;
        }
    }
    let colour = COLOURS[(0..8).max_by_key(|&colour| votes[colour]).unwrap()];
    let span = |of: fn(&(u32, u32)) -> u32| {
        object.iter().map(of).max().unwrap() - object.iter().map(of).min().unwrap() + 1
    };
    let fill = object.len() as f64 / f64::from(span(|p| p.0) * span(|p| p.1));
    let shapes: &[&str] = match fill {
        ..0.70 => &["triangle"],
        0.70..0.76 => &["triangle", "circle"],
        0.76..0.92 => &["circle"],
        _ => &["rectangle"],
    };
    shapes.iter().map(|&shape| (colour, shape)).collect()
}

#[test]
fn facts_agree_with_the_pixels() {
    let data = open_vqa("easy-vqa").unwrap();
    let mut single = 0;
    for sample in Split::ALL.iter().flat_map(|&split| all(data.split(split))) {
        let possible = possible_pairs(&sample.questions);
        let seen = seen(&sample.image.decode().unwrap());
        assert!(
            seen.iter().any(|pair| possible.contains(pair)),
            "{}: facts {possible:?}, pixels {seen:?}",
            sample.id
        );
        single += usize::from(possible.len() == 1);
    }
    assert_eq!(single, 3_578 + 888);
}

#[test]
fn held_out_pairs_are_in_no_training_or_validation_image() {
    let data = open_vqa("easy-vqa-compositions").unwrap();
    let held_out = |pair: &Pair| HELD_OUT.contains(pair);
    let mut doubtful = 0;
    for sample in [Split::Train, Split::Valid]
        .iter()
        .flat_map(|&split| all(data.split(split)))
    {
        assert!(
            !possible_pairs(&sample.questions).iter().any(held_out),
            "{}",
            sample.id
        );
        let seen = seen(&sample.image.decode().unwrap());
        assert!(!seen.iter().all(held_out), "{} shows {seen:?}", sample.id);
        doubtful += usize::from(seen.iter().any(held_out));
    }
    // Small shapes that the pixels alone do not tell apart; the facts do.
    assert!(doubtful <= 30, "{doubtful}");
    for sample in all(&data.test) {
        let seen = seen(&sample.image.decode().unwrap());
        assert!(seen.iter().any(held_out), "{} shows {seen:?}", sample.id);
    }
}

#[test]
fn every_colour_and_shape_is_learnt_and_every_held_out_pair_is_tested() {
    let data = open_vqa("easy-vqa-compositions").unwrap();
    let pairs = |split: Split| -> HashMap<Pair, usize> {
        let mut found = HashMap::new();
        for sample in all(data.split(split)) {
            if let [pair] = possible_pairs(&sample.questions)[..] {
                *found.entry(pair).or_default() += 1;
            }
        }
        found
    };
    let train = pairs(Split::Train);
    assert_eq!(train.len(), 18);
    for word in COLOURS.iter().chain(&SHAPES) {
        assert!(
            train
                .keys()
                .any(|(colour, shape)| colour == word || shape == word),
            "{word}"
        );
    }
    let test = pairs(Split::Test);
    assert_eq!(
        test.keys().collect::<HashSet<_>>(),
        HELD_OUT.iter().collect()
    );
    assert!(test.values().all(|&images| images >= 100), "{test:?}");
}

#[test]
fn the_card_counts_what_is_there() {
    for name in ["easy-vqa", "easy-vqa-compositions"] {
        let [train, valid, test] = counts(&open_vqa(name).unwrap());
        let row = format!(
            "| `{name}` | {} / {} | {} / {} | {} / {} |",
            train[0], train[1], valid[0], valid[1], test[0], test[1]
        );
        assert!(CARD.contains(&row), "the card lacks {row}");
    }
    let objects = open_images("easy-vqa-objects").unwrap();
    let row = format!(
        "| `easy-vqa-objects` | {} | {} | {} |",
        objects.train.len(),
        objects.valid.len(),
        objects.test.len()
    );
    assert!(CARD.contains(&row), "the card lacks {row}");
    assert_eq!(objects.labels.len(), 24);
    assert_eq!(objects.labels[0], "black circle");
}
