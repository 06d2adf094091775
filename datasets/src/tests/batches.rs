//! What batches hold: images, questions, answers, augmented or blank.

use std::sync::Arc;

use burn::data::dataset::InMemDataset;
use burn::prelude::*;
use image::ImageFormat;

use super::encoded;
use super::loaders::{config, drain};
use crate::{
    AugmentConfig, Blank, Collate, CorruptConfig, DataError, Draw, Drawn, EvalLoader, ImageCollate,
    ImageConfig, ImageProcessor, ImageSource, LabelledImage, Question, Samples, Tokenizer,
    TokenizerConfig, TrainLoader, VqaBatch, VqaCollate, VqaHost, VqaSample, open_vqa,
};

fn sample(number: usize, questions: &[(&str, &str)]) -> VqaSample {
    let bytes: &'static [u8] = encoded(6 + number as u32, 6, ImageFormat::Png).leak();
    VqaSample {
        id: number.to_string(),
        image: ImageSource::Embedded {
            name: format!("loader-test-{number}.png"),
            bytes,
        },
        questions: questions
            .iter()
            .enumerate()
            .map(|(i, (text, answer))| Question {
                id: format!("{number}/{i}"),
                text: (*text).into(),
                answer: (*answer).into(),
            })
            .collect(),
    }
}

fn samples() -> Vec<VqaSample> {
    vec![
        sample(0, &[("is it red?", "yes"), ("what is it?", "square")]),
        sample(
            1,
            &[
                ("what is it?", "circle"),
                ("is it red?", "no"),
                ("is it a large red circle?", "no"),
            ],
        ),
    ]
}

fn collate(blank: Blank, augment: AugmentConfig) -> VqaCollate {
    let texts: Vec<String> = samples()
        .iter()
        .flat_map(|s| &s.questions)
        .map(|q| q.text.clone())
        .collect();
    let tokenizer = Tokenizer::train(&TokenizerConfig::default(), &texts).unwrap();
    let images = ImageProcessor::new(&ImageConfig::symmetric(6)).unwrap();
    let answers = ["no", "yes", "circle", "square"].map(String::from);
    VqaCollate::new(
        Arc::new(images),
        augment,
        Arc::new(tokenizer),
        &answers,
        blank,
    )
    .unwrap()
}

fn drawn() -> Vec<Drawn<VqaSample>> {
    let drawn = |sample| Drawn {
        sample,
        index: 0,
        draw: None,
    };
    samples().into_iter().map(drawn).collect()
}

fn batch(blank: Blank) -> (VqaCollate, VqaBatch) {
    let collate = collate(blank, AugmentConfig::default());
    let host = collate.collate(drawn()).unwrap();
    let batch = collate.upload(host, &Device::flex());
    (collate, batch)
}

fn ints<const D: usize>(tensor: &Tensor<D, Int>) -> Vec<i64> {
    tensor.clone().into_data().iter::<i64>().collect()
}

#[test]
fn equal_questions_are_stored_once_and_gathered() {
    let (collate, batch) = batch(Blank::None);
    assert_eq!(batch.images.dims(), [2, 3, 6, 6]);
    assert_eq!(ints(&batch.image_of), [0, 0, 1, 1, 1]);
    assert_eq!(ints(&batch.text_of), [0, 1, 1, 0, 2]);
    assert_eq!(ints(&batch.answers), [1, 3, 2, 0, 0]);
    assert_eq!(batch.ids, ["0/0", "0/1", "1/0", "1/1", "1/2"]);
    // [CLS] is it a large red circle ? [SEP]: nine tokens are the longest text.
    assert_eq!(batch.tokens.dims(), [3, 9]);
    let padding: Vec<bool> = batch.padding.to_data().iter::<bool>().collect();
    let tokens = ints(&batch.tokens);
    for (row, length) in [(0, 6), (1, 6), (2, 9)] {
        for column in 0..9 {
            assert_eq!(padding[row * 9 + column], column >= length);
            assert_eq!(tokens[row * 9 + column] == 0, column >= length);
        }
    }
    // Every question finds its own text by the gather.
    let rows = batch.tokens.select(0, batch.text_of);
    let rows = ints(&rows);
    let questions = samples().into_iter().flat_map(|sample| sample.questions);
    for (row, question) in rows.chunks(9).zip(questions) {
        let ids: Vec<u32> = row
            .iter()
            .filter(|&&id| id != 0)
            .map(|&id| id as u32)
            .collect();
        let tokenizer = Tokenizer::train(
            &TokenizerConfig::default(),
            samples()
                .iter()
                .flat_map(|s| &s.questions)
                .map(|q| q.text.clone())
                .collect::<Vec<_>>(),
        );
        assert_eq!(ids, tokenizer.unwrap().encode(&question.text).unwrap());
    }
    drop(collate);
}

#[test]
fn a_blank_modality_tells_nothing() {
    let (_, full) = batch(Blank::None);
    let (_, no_image) = batch(Blank::Image);
    assert!(
        no_image
            .images
            .into_data()
            .iter::<f32>()
            .all(|value| value == 0.0)
    );
    assert_eq!(ints(&no_image.tokens), ints(&full.tokens));
    let (_, no_question) = batch(Blank::Question);
    assert_eq!(no_question.images.to_data(), full.images.to_data());
    assert_eq!(ints(&no_question.tokens), [2, 3]);
    assert_eq!(ints(&no_question.text_of), [0; 5]);
    assert_eq!(ints(&no_question.answers), ints(&full.answers));
    let (_, neither) = batch(Blank::Both);
    assert_eq!(ints(&neither.tokens), [2, 3]);
    let blanks = [&full, &no_question, &neither].map(|batch| batch.blank);
    assert_eq!(blanks, [Blank::None, Blank::Question, Blank::Both]);
    assert!(
        neither
            .images
            .into_data()
            .iter::<f32>()
            .all(|value| value == 0.0)
    );
}

#[test]
fn spoilt_samples_are_the_same_each_time_and_others_than_before() {
    let corrupt = |image_noise, word_dropout| {
        let corrupt = CorruptConfig {
            image_noise,
            word_dropout,
        };
        let collate = collate(Blank::None, AugmentConfig::default());
        let collate = collate.corrupted(&corrupt).unwrap();
        let batch = collate.upload(collate.collate(drawn()).unwrap(), &Device::flex());
        (batch.images.to_data(), ints(&batch.tokens))
    };
    let (images, tokens) = corrupt(0.0, 0.0);
    let (noisy, same) = corrupt(0.5, 0.0);
    assert_ne!(noisy, images);
    assert_eq!(same, tokens);
    assert_eq!(corrupt(0.5, 0.0).0, noisy);
    let (same, fewer) = corrupt(0.0, 0.6);
    assert_eq!(same, images);
    assert_ne!(fewer, tokens);
}

#[test]
fn an_answer_that_the_model_does_not_know_is_named() {
    let collate = collate(Blank::None, AugmentConfig::default());
    let drawn = vec![Drawn {
        sample: sample(0, &[("is it red?", "maybe")]),
        index: 0,
        draw: None,
    }];
    let error = collate.collate(drawn).unwrap_err().to_string();
    assert!(
        error.contains("0/0: `maybe` is not among the 4 answers"),
        "{error}"
    );
}

#[test]
fn a_question_can_be_asked_without_an_answer() {
    let (collate, full) = batch(Blank::None);
    let one = collate
        .ask(samples()[1].image.clone(), "what is it?", &Device::flex())
        .unwrap();
    assert_eq!(
        one.images.into_data(),
        full.images.slice(s![1..2]).into_data()
    );
    assert_eq!(ints(&one.tokens), ints(&full.tokens.slice(s![1..2, ..6])));
    assert_eq!(ints(&one.answers), [0]);
    assert!(
        collate
            .ask(
                ImageSource::File("missing.png".into()),
                "what?",
                &Device::flex()
            )
            .is_err()
    );
}

#[test]
fn training_augments_and_evaluation_does_not() {
    let augment = AugmentConfig {
        crop_padding: 3,
        flip: true,
        colour: 0.4,
    };
    let collate = Arc::new(collate(Blank::None, augment));
    let samples: Samples<VqaSample> = Arc::new(InMemDataset::new(samples()));
    let loader = config(1, 1, 1);
    let device = Device::flex();
    let eval = EvalLoader::new(samples.clone(), collate.clone(), &loader, &device).unwrap();
    let plain: Vec<Vec<f32>> = drain(&eval)
        .into_iter()
        .map(|b| b.images.into_data().iter::<f32>().collect())
        .collect();
    let train = TrainLoader::new(samples, collate, &loader, 5, 40, &[device]).unwrap();
    let varied = drain(&train)
        .into_iter()
        .map(|batch| batch.images.into_data().iter::<f32>().collect::<Vec<_>>());
    let same = varied.filter(|image| plain.contains(image)).count();
    assert!(same < 10, "{same} of 40 were not augmented");
}

#[test]
fn easy_vqa_loads_the_same_with_any_number_of_workers() {
    let data = open_vqa("easy-vqa").unwrap();
    let tokenizer =
        Tokenizer::train(&TokenizerConfig::default(), data.training_texts().unwrap()).unwrap();
    let images = Arc::new(ImageProcessor::new(&ImageConfig::symmetric(32)).unwrap());
    let augment = AugmentConfig {
        crop_padding: 2,
        flip: true,
        colour: 0.0,
    };
    let collate = VqaCollate::new(
        images,
        augment,
        Arc::new(tokenizer),
        &data.labels,
        Blank::None,
    )
    .unwrap();
    let collate = Arc::new(collate);
    let run = |workers| -> Vec<VqaBatch> {
        let config = config(32, workers, 2);
        let train = data.train.clone();
        drain(&TrainLoader::new(train, collate.clone(), &config, 7, 6, &[Device::flex()]).unwrap())
    };
    let one = run(1);
    for workers in [2, 4] {
        for (a, b) in one.iter().zip(run(workers)) {
            assert_eq!(a.ids, b.ids);
            assert_eq!(a.images.to_data(), b.images.to_data());
            assert_eq!(a.tokens.to_data(), b.tokens.to_data());
        }
    }
    let texts: usize = one.iter().map(|batch| batch.tokens.dims()[0]).sum();
    let questions: usize = one.iter().map(|batch| batch.ids.len()).sum();
    assert!(
        2 * texts < questions,
        "{texts} texts for {questions} questions"
    );
}

#[test]
fn labelled_images_are_batched() {
    let images = Arc::new(ImageProcessor::new(&ImageConfig::imagenet(6)).unwrap());
    let collate = ImageCollate::new(images, AugmentConfig::default()).unwrap();
    let labelled = samples()
        .into_iter()
        .zip([4, 2])
        .map(|(sample, label)| LabelledImage {
            id: sample.id,
            image: sample.image,
            label,
        });
    let drawn = labelled
        .map(|sample| Drawn {
            sample,
            index: 0,
            draw: None,
        })
        .collect();
    let batch = collate.upload(collate.collate(drawn).unwrap(), &Device::flex());
    assert_eq!(batch.images.dims(), [2, 3, 6, 6]);
    assert_eq!(ints(&batch.labels), [4, 2]);
    assert_eq!(batch.ids, ["0", "1"]);
}

#[test]
fn senseless_augmentation_is_refused() {
    for colour in [-0.1, 1.0, f32::NAN] {
        let images = Arc::new(ImageProcessor::new(&ImageConfig::symmetric(6)).unwrap());
        let augment = AugmentConfig {
            colour,
            ..AugmentConfig::default()
        };
        assert!(matches!(
            ImageCollate::new(images, augment),
            Err(DataError::Setting { .. })
        ));
    }
}

/// Batches of host memory compare, so that a test of determinism needs no device.
#[test]
fn host_batches_are_deterministic() {
    let host = || -> VqaHost {
        let augment = AugmentConfig {
            crop_padding: 2,
            flip: true,
            colour: 0.3,
        };
        let draw = |index| {
            Some(Draw {
                seed: 3,
                epoch: 1,
                index,
            })
        };
        let drawn = samples().into_iter().enumerate();
        collate(Blank::None, augment)
            .collate(
                drawn
                    .map(|(index, sample)| Drawn {
                        sample,
                        index,
                        draw: draw(index),
                    })
                    .collect(),
            )
            .unwrap()
    };
    assert_eq!(host(), host());
}
