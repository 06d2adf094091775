//! The embedded emoji are what their card says; captions are drawn, and transparent pictures lie on white.

use std::collections::HashSet;
use std::sync::Arc;

use burn::data::dataset::Dataset;
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use sha2::{Digest, Sha256};

use crate::split::hex;
use crate::{
    AugmentConfig, CaptionCollate, CaptionSample, Collate, Draw, Drawn, ImageConfig,
    ImageProcessor, ImageSource, Split, Tokenizer, TokenizerConfig, open_captions, open_images,
};

const CARD: &str = include_str!("../../emoji/README.md");

#[test]
fn the_card_has_the_checksum_and_the_counts() {
    let bytes = include_bytes!("../../emoji/emoji.tar.gz");
    let sum = hex(&Sha256::digest(bytes));
    let row = format!("| `emoji.tar.gz` | {} | `{sum}` |", bytes.len());
    assert!(CARD.contains(&row), "the card lacks {row}");
    let (pairs, groups) = (
        open_captions("emoji").unwrap(),
        open_images("emoji-groups").unwrap(),
    );
    let counts = Split::ALL.map(|split| pairs.split(split).len());
    let [train, valid, test] = counts;
    assert!(
        CARD.contains(&format!("| {train} | {valid} | {test} |")),
        "{counts:?}"
    );
    assert_eq!(counts, Split::ALL.map(|split| groups.split(split).len()));
    assert_eq!(groups.labels.len(), 9);
}

#[test]
fn every_picture_has_a_name_of_its_own_and_both_views_agree() {
    let (pairs, groups) = (
        open_captions("emoji").unwrap(),
        open_images("emoji-groups").unwrap(),
    );
    let (mut names, mut pictures) = (HashSet::new(), HashSet::new());
    for split in Split::ALL {
        for index in 0..pairs.split(split).len() {
            let pair = pairs.split(split).get(index).unwrap();
            let class = groups.split(split).get(index).unwrap();
            assert_eq!(pair.id, class.id);
            assert!(
                names.insert(pair.captions[0].clone()),
                "{}",
                pair.captions[0]
            );
            assert!(pictures.insert(pair.id));
        }
    }
    let red = (0..groups.train.len()).map(|index| groups.train.get(index).unwrap());
    let flags = red.filter(|image| groups.labels[image.label] == "flags");
    assert!(flags.count() > 150);
}

#[test]
fn what_is_transparent_is_white() {
    let mut image = RgbaImage::from_pixel(2, 1, Rgba([200, 0, 0, 255]));
    image.put_pixel(1, 0, Rgba([0, 0, 0, 51]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let source = ImageSource::Embedded {
        name: "transparent".into(),
        bytes: bytes.into_inner().leak(),
    };
    let mut expected = RgbImage::from_pixel(2, 1, Rgb([200, 0, 0]));
    expected.put_pixel(1, 0, Rgb([204, 204, 204]));
    assert_eq!(source.decode().unwrap(), expected);
}

fn sample() -> CaptionSample {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(4, 4, Rgb([9, 9, 9]));
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    CaptionSample {
        id: "one".into(),
        image: ImageSource::Embedded {
            name: "captions".into(),
            bytes: bytes.into_inner().leak(),
        },
        captions: ["a", "b b", "c c c"].map(String::from).to_vec(),
    }
}

fn drawn(epoch: Option<u64>) -> Drawn<CaptionSample> {
    Drawn {
        sample: sample(),
        index: 0,
        draw: epoch.map(|epoch| Draw {
            seed: 1,
            epoch,
            index: 0,
        }),
    }
}

#[test]
fn training_draws_a_caption_and_evaluation_takes_the_first() {
    let count = |caption| {
        (0..300)
            .filter(|&epoch| drawn(Some(epoch)).caption() == caption)
            .count()
    };
    // A third of 300, give or take five standard deviations.
    for caption in ["a", "b b", "c c c"] {
        assert!(
            (60..140).contains(&count(caption)),
            "{caption}: {}",
            count(caption)
        );
    }
    assert_eq!(drawn(Some(7)).caption(), drawn(Some(7)).caption());
    assert_eq!(drawn(None).caption(), "a");
}

#[test]
fn pairs_become_a_batch() {
    let tokenizer = Tokenizer::train(&TokenizerConfig::default(), ["a b c"]).unwrap();
    let images = ImageProcessor::new(&ImageConfig::symmetric(4)).unwrap();
    let collate = CaptionCollate::new(
        Arc::new(images),
        AugmentConfig::default(),
        Arc::new(tokenizer),
    );
    let collate = collate.unwrap();
    let device = burn::tensor::Device::flex();
    let long = Drawn {
        sample: CaptionSample {
            captions: vec!["c b a".into()],
            ..sample()
        },
        ..drawn(None)
    };
    let batch = collate.upload(collate.collate(vec![drawn(None), long]).unwrap(), &device);
    assert_eq!(batch.images.dims(), [2, 3, 4, 4]);
    assert_eq!(batch.texts.ids.dims(), [2, 5]);
    let padding: Vec<bool> = batch.texts.padding.into_data().iter().collect();
    let (x, o) = (true, false);
    assert_eq!(padding, [o, o, o, x, x, o, o, o, o, o]);
    let texts = collate.texts(["a", "c b a"], &device).unwrap();
    let ids = |ids: burn::tensor::Tensor<2, burn::tensor::Int>| {
        ids.into_data().iter().collect::<Vec<i64>>()
    };
    assert_eq!(ids(texts.ids), ids(batch.texts.ids));
}
