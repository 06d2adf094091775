//! Loaders: every step is a function of (seed, step), whatever the slice, the workers or the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::DataLoader;
use burn::data::dataset::{Dataset, DatasetError, InMemDataset};
use burn::prelude::*;
use image::ImageFormat;
use proptest::prelude::*;

use super::{encoded, picture};
use crate::{
    AugmentConfig, Blank, Collate, DataError, Draw, Drawn, EvalLoader, ImageCollate, ImageConfig,
    ImageProcessor, ImageSource, LabelledImage, LoaderConfig, Question, Samples, Tokenizer,
    TokenizerConfig, TrainLoader, VqaBatch, VqaCollate, VqaHost, VqaSample, open_vqa, permutation,
};

/// A collate that only tells what was drawn, and panics or fails at given samples.
#[derive(Default)]
struct Record {
    panic_at: Option<usize>,
    fail_at: Option<usize>,
}

impl Collate for Record {
    type Sample = usize;
    type Host = Vec<(usize, Option<Draw>)>;
    type Batch = Vec<(usize, Option<Draw>)>;

    fn collate(&self, drawn: Vec<Drawn<usize>>) -> Result<Self::Host, DataError> {
        for Drawn { sample, .. } in &drawn {
            assert!(
                self.panic_at != Some(*sample),
                "a panic that the test wants"
            );
            if self.fail_at == Some(*sample) {
                return Err(DataError::UnknownAnswer {
                    id: "seven".into(),
                    answer: "x".into(),
                    known: 3,
                });
            }
        }
        Ok(drawn
            .into_iter()
            .map(|Drawn { sample, draw }| (sample, draw))
            .collect())
    }

    fn upload(&self, host: Self::Host, _: &Device) -> Self::Batch {
        host
    }
}

fn numbers(len: usize) -> Samples<usize> {
    Arc::new(InMemDataset::new((0..len).collect()))
}

fn config(batch_size: usize, workers: usize, prefetch: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size,
        workers,
        prefetch,
    }
}

fn train(len: usize, config: &LoaderConfig, seed: u64, steps: usize) -> TrainLoader<Record> {
    TrainLoader::new(
        numbers(len),
        Arc::default(),
        config,
        seed,
        steps,
        &Device::flex(),
    )
    .unwrap()
}

fn drain<B>(loader: &dyn DataLoader<B>) -> Vec<B> {
    loader.iter().collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_epoch_is_a_permutation_that_depends_on_seed_and_epoch(
        len in 1usize..60, batch_size in 1usize..20, seed: u64,
    ) {
        let steps = (3 * len).div_ceil(batch_size);
        let batches = drain(&train(len, &config(batch_size, 1, 2), seed, steps));
        prop_assert!(batches.iter().all(|batch| batch.len() == batch_size));
        let drawn: Vec<_> = batches.into_iter().flatten().collect();
        for epoch in 0..3 {
            let order = &drawn[epoch * len..(epoch + 1) * len];
            for (sample, draw) in order {
                prop_assert_eq!(*draw, Some(Draw { seed, epoch: epoch as u64, index: *sample }));
            }
            let order: Vec<u32> = order.iter().map(|(sample, _)| *sample as u32).collect();
            prop_assert_eq!(&order, &permutation(seed, epoch as u64, len as u32));
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..len as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn slices_workers_and_prefetch_change_nothing(
        len in 1usize..40, batch_size in 1usize..10, workers in 1usize..5, prefetch in 1usize..4,
        cuts in prop::collection::vec(0usize..25, 2), seed: u64,
    ) {
        let steps = 20;
        let whole = drain(&train(len, &config(batch_size, 1, 1), seed, steps));
        let loader = train(len, &config(batch_size, workers, prefetch), seed, steps);
        prop_assert_eq!(&drain(&loader), &whole);
        let (start, end) = (cuts[0].min(cuts[1]), cuts[0].max(cuts[1]));
        let slice = loader.slice(start, end);
        let expected = &whole[start.min(steps)..end.min(steps)];
        prop_assert_eq!(slice.num_items(), expected.len());
        prop_assert_eq!(&drain(&*slice), expected);
        // A slice of a slice counts from the slice's start.
        let rest = slice.slice(1, usize::MAX);
        prop_assert_eq!(&drain(&*rest)[..], expected.get(1..).unwrap_or(&[]));
    }

    #[test]
    fn evaluation_visits_every_sample_once_in_order(
        len in 1usize..60, batch_size in 1usize..20, workers in 1usize..5, start in 0usize..70, end in 0usize..70,
    ) {
        let samples = numbers(len);
        let loader = EvalLoader::new(samples, Arc::<Record>::default(), &config(batch_size, workers, 2), &Device::flex())
            .unwrap();
        let expected = |range: std::ops::Range<usize>| range.map(|i| (i, None)).collect::<Vec<_>>();
        prop_assert_eq!(drain(&loader).concat(), expected(0..len));
        prop_assert_eq!(loader.num_items(), len);
        let slice = loader.slice(start, end);
        let range = start.min(end).min(len)..end.min(len);
        prop_assert_eq!(slice.num_items(), range.len());
        prop_assert_eq!(drain(&*slice).concat(), expected(range));
    }

    #[test]
    fn augmentation_is_a_function_of_seed_epoch_and_index(
        seed: u64, epoch: u64, index: u32, crop_padding in 0usize..5, flip: bool, colour in 0f32..0.9,
    ) {
        let image = picture(12, 9);
        let augment = AugmentConfig { crop_padding, flip, colour };
        let draw = Draw { seed, epoch, index: index as usize };
        let once = augment.apply(&image, draw);
        prop_assert_eq!(once.dimensions(), image.dimensions());
        prop_assert_eq!(&once, &augment.apply(&image, draw));
        // Switching colour on does not change where the crop is or whether the image is mirrored.
        let plain = AugmentConfig { colour: 0.0, ..augment };
        let mut grey = AugmentConfig { colour: f32::MIN_POSITIVE, ..plain.clone() }.apply(&image, draw);
        for (a, b) in grey.iter_mut().zip(plain.apply(&image, draw).iter()) {
            prop_assert!(a.abs_diff(*b) <= 1);
        }
    }
}

#[test]
fn orders_differ_between_seeds_and_epochs() {
    let mut orders: Vec<_> = (0..4)
        .flat_map(|seed| (0..4).map(move |epoch| permutation(seed, epoch, 50)))
        .collect();
    orders.push((0..50).collect());
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 17);
}

#[test]
fn augmentation_varies_with_each_part_of_its_key() {
    let image = picture(16, 16);
    let augment = AugmentConfig {
        crop_padding: 4,
        flip: true,
        colour: 0.5,
    };
    let draw = Draw {
        seed: 1,
        epoch: 2,
        index: 3,
    };
    let first = augment.apply(&image, draw);
    assert_ne!(first, augment.apply(&image, Draw { seed: 2, ..draw }));
    assert_ne!(first, augment.apply(&image, Draw { epoch: 3, ..draw }));
    assert_ne!(first, augment.apply(&image, Draw { index: 4, ..draw }));
    assert_eq!(AugmentConfig::default().apply(&image, draw), image);
    // Both mirrorings and every displacement occur.
    let mirrored = image::imageops::flip_horizontal(&image);
    let flips = AugmentConfig {
        flip: true,
        ..AugmentConfig::default()
    };
    let outcomes: Vec<_> = (0..100)
        .map(|index| flips.apply(&image, Draw { index, ..draw }))
        .collect();
    assert!(outcomes.contains(&image) && outcomes.contains(&mirrored));
    let crops = AugmentConfig {
        crop_padding: 1,
        ..AugmentConfig::default()
    };
    let mut outcomes: Vec<_> = (0..200)
        .map(|index| crops.apply(&image, Draw { index, ..draw }).into_raw())
        .collect();
    outcomes.sort();
    outcomes.dedup();
    assert_eq!(outcomes.len(), 9);
}

#[test]
fn progress_counts_steps_or_samples() {
    let loader = train(10, &config(4, 2, 1), 0, 5);
    let mut batches = loader.iter();
    assert_eq!(
        (
            batches.progress().items_processed,
            batches.progress().items_total
        ),
        (0, 5)
    );
    batches.next();
    assert_eq!(batches.progress().items_processed, 1);
    assert_eq!(loader.steps_per_epoch(), 2.5);
    let loader = EvalLoader::new(
        numbers(10),
        Arc::<Record>::default(),
        &config(4, 1, 1),
        &Device::flex(),
    )
    .unwrap();
    let mut batches = loader.iter();
    for processed in [4, 8, 10] {
        batches.next();
        assert_eq!(batches.progress().items_processed, processed);
    }
    assert!(batches.next().is_none());
}

#[test]
fn an_error_stops_the_loader_and_keeps_its_message() {
    for workers in 1..4 {
        let collate = Arc::new(Record {
            fail_at: Some(7),
            ..Record::default()
        });
        let loader = EvalLoader::new(
            numbers(20),
            collate,
            &config(2, workers, 2),
            &Device::flex(),
        )
        .unwrap();
        let batches: Vec<_> = loader.iter().collect();
        assert_eq!(batches.len(), 4);
        let message = batches[3].as_ref().unwrap_err().to_string();
        assert!(
            message.contains("seven: `x` is not among the 3 answers"),
            "{message}"
        );
    }
}

#[test]
fn a_dataset_that_fails_stops_the_loader() {
    struct Broken;
    impl Dataset<usize> for Broken {
        fn get(&self, index: usize) -> Result<usize, DatasetError> {
            match index {
                5 => Err(DatasetError::new(std::io::Error::other("the disk is gone"))),
                _ => Ok(index),
            }
        }
        fn len(&self) -> usize {
            9
        }
    }
    let loader = EvalLoader::new(
        Arc::new(Broken),
        Arc::<Record>::default(),
        &config(1, 1, 1),
        &Device::flex(),
    )
    .unwrap();
    let batches: Vec<_> = loader.iter().collect();
    assert_eq!(batches.len(), 6);
    assert!(
        batches[5]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("the disk is gone")
    );
}

#[test]
fn a_worker_that_panics_is_an_error_and_not_the_end_of_an_epoch() {
    let collate = Arc::new(Record {
        panic_at: Some(6),
        ..Record::default()
    });
    let loader = EvalLoader::new(numbers(10), collate, &config(2, 2, 1), &Device::flex()).unwrap();
    let batches: Vec<_> = loader.iter().collect();
    assert_eq!(batches.len(), 4);
    assert!(
        batches[3]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("worker 1 died before it delivered batch 3")
    );
}

#[test]
fn an_iterator_dropped_early_stops_its_workers() {
    struct Counting(AtomicUsize);
    impl Collate for Counting {
        type Sample = usize;
        type Host = ();
        type Batch = ();
        fn collate(&self, _: Vec<Drawn<usize>>) -> Result<(), DataError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        fn upload(&self, (): (), _: &Device) {}
    }
    let collate = Arc::new(Counting(AtomicUsize::new(0)));
    let loader = TrainLoader::new(
        numbers(5),
        collate.clone(),
        &config(1, 2, 3),
        0,
        1_000_000,
        &Device::flex(),
    )
    .unwrap();
    let mut batches = loader.iter();
    batches.next().unwrap().unwrap();
    drop(batches);
    // Two workers, three in each queue, one each on its way, one delivered: no more were prepared, and none later.
    let prepared = collate.0.load(Ordering::SeqCst);
    assert!(prepared <= 2 * (3 + 2) + 1, "{prepared}");
    assert_eq!(Arc::strong_count(&collate), 2, "a worker still lives");
}

#[test]
fn senseless_loaders_are_refused() {
    let device = Device::flex();
    for config in [config(0, 1, 1), config(1, 0, 1), config(1, 1, 0)] {
        let loader = TrainLoader::new(numbers(3), Arc::<Record>::default(), &config, 0, 1, &device);
        assert!(matches!(loader.err(), Some(DataError::Setting { .. })));
    }
    let loader = EvalLoader::new(
        numbers(0),
        Arc::<Record>::default(),
        &config(1, 1, 1),
        &device,
    );
    assert!(matches!(loader.err(), Some(DataError::Setting { .. })));
}

// Batches of questions.

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

fn batch(blank: Blank) -> (VqaCollate, VqaBatch) {
    let collate = collate(blank, AugmentConfig::default());
    let drawn = samples()
        .into_iter()
        .map(|sample| Drawn { sample, draw: None })
        .collect();
    let host = collate.collate(drawn).unwrap();
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
    assert_eq!(no_question.images.into_data(), full.images.into_data());
    assert_eq!(ints(&no_question.tokens), [2, 3]);
    assert_eq!(ints(&no_question.text_of), [0; 5]);
    assert_eq!(ints(&no_question.answers), ints(&full.answers));
}

#[test]
fn an_answer_that_the_model_does_not_know_is_named() {
    let collate = collate(Blank::None, AugmentConfig::default());
    let drawn = vec![Drawn {
        sample: sample(0, &[("is it red?", "maybe")]),
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
    let train = TrainLoader::new(samples, collate, &loader, 5, 40, &device).unwrap();
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
        &data.answers,
        Blank::None,
    )
    .unwrap();
    let collate = Arc::new(collate);
    let run = |workers| -> Vec<VqaBatch> {
        let config = config(32, workers, 2);
        let train = data.train.clone();
        drain(&TrainLoader::new(train, collate.clone(), &config, 7, 6, &Device::flex()).unwrap())
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
        .map(|sample| Drawn { sample, draw: None })
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
                        draw: draw(index),
                    })
                    .collect(),
            )
            .unwrap()
    };
    assert_eq!(host(), host());
}
