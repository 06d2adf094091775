//! Loaders: every step is a function of (seed, step), whatever the slice, the workers or the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::DataLoader;
use burn::data::dataset::{Dataset, DatasetError, InMemDataset};
use burn::prelude::*;
use proptest::prelude::*;

use super::picture;
use crate::window::Windows;
use crate::{
    AugmentConfig, Collate, DataError, Draw, Drawn, EvalLoader, LoaderConfig, Permutation, Samples,
    TrainLoader,
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
            .map(|Drawn { sample, draw, .. }| (sample, draw))
            .collect())
    }

    fn upload(&self, host: Self::Host, _: &Device) -> Self::Batch {
        host
    }
}

fn numbers(len: usize) -> Samples<usize> {
    Arc::new(InMemDataset::new((0..len).collect()))
}

pub fn config(batch_size: usize, workers: usize, prefetch: usize) -> LoaderConfig {
    LoaderConfig {
        workers,
        prefetch,
        ..LoaderConfig::new(batch_size)
    }
}

fn train(len: usize, config: &LoaderConfig, seed: u64, steps: usize) -> TrainLoader<Record> {
    TrainLoader::new(
        numbers(len),
        Arc::default(),
        config,
        seed,
        steps,
        &[Device::flex()],
    )
    .unwrap()
}

pub fn drain<B>(loader: &dyn DataLoader<B>) -> Vec<B> {
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
            let permutation = Permutation::new(seed, epoch as u64, len as u64);
            let expected = (0..len as u64).map(|position| permutation.at(position) as usize);
            let order: Vec<usize> = order.iter().map(|(sample, _)| *sample).collect();
            prop_assert_eq!(order, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_epoch_in_windows_depends_on_seed_epoch_and_window(
        len in 1usize..60, window in 1usize..80, seed: u64,
    ) {
        let config = LoaderConfig { window, ..config(len, 1, 2) };
        let epochs = drain(&train(len, &config, seed, 3));
        for (epoch, drawn) in epochs.into_iter().enumerate() {
            let epoch = epoch as u64;
            let mut windows = Windows::new(seed, epoch, len as u64, window as u64);
            let expected = (0..len as u64).map(|position| windows.at(position) as usize);
            let expected = expected.map(|index| (index, Some(Draw { seed, epoch, index })));
            prop_assert_eq!(drawn, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn slices_workers_and_prefetch_change_nothing(
        len in 1usize..40, batch_size in 1usize..10, workers in 0usize..5, prefetch in 1usize..4,
        window in 0usize..60, cuts in prop::collection::vec(0usize..25, 2), seed: u64,
    ) {
        let steps = 20;
        let alone = LoaderConfig { window, ..config(batch_size, 1, 1) };
        let whole = drain(&train(len, &alone, seed, steps));
        let loader = LoaderConfig { window, ..config(batch_size, workers, prefetch) };
        let loader = train(len, &loader, seed, steps);
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
        len in 1usize..60, batch_size in 1usize..20, workers in 0usize..5, start in 0usize..70, end in 0usize..70,
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
    assert_eq!(loader.batches_per_epoch(), 2.5);
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
        &[Device::flex()],
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

/// A dataset of any size that holds nothing.
struct Virtual(usize);

impl Dataset<usize> for Virtual {
    fn get(&self, index: usize) -> Result<usize, DatasetError> {
        Ok(index)
    }

    fn len(&self) -> usize {
        self.0
    }
}

/// Kibibytes of memory that this process holds.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim_end_matches("kB").trim().parse().unwrap()
}

/// A permutation that was held would take 4 GB and half a minute.
#[test]
#[cfg(target_os = "linux")]
fn a_billion_samples_cost_no_more_than_a_few() {
    const LEN: usize = 1_000_000_000;
    let before = resident();
    let started = std::time::Instant::now();
    let samples: Samples<usize> = Arc::new(Virtual(LEN));
    let steps = LEN / 10;
    let collate = Arc::<Record>::default();
    let loader = TrainLoader::new(
        samples,
        collate,
        &config(10, 1, 2),
        3,
        steps,
        &[Device::flex()],
    )
    .unwrap();
    let first = loader.iter().next().unwrap().unwrap();
    assert!(started.elapsed().as_secs() < 2);
    let started = std::time::Instant::now();
    let rest = loader.slice(90_000_000, steps);
    let far = rest.iter().next().unwrap().unwrap();
    assert!(started.elapsed().as_secs() < 1);
    assert!(resident() < before + (64 << 10));
    let permutation = Permutation::new(3, 0, LEN as u64);
    for (batch, position) in [(first, 0), (far, 900_000_000)] {
        let expected: Vec<usize> = (position..position + 10)
            .map(|position| permutation.at(position) as usize)
            .collect();
        let drawn: Vec<usize> = batch.into_iter().map(|(sample, _)| sample).collect();
        assert_eq!(drawn, expected);
    }
}

#[test]
fn senseless_loaders_are_refused() {
    let device = Device::flex();
    for config in [config(0, 1, 1), config(1, 1, 0)] {
        let devices = std::slice::from_ref(&device);
        let loader = TrainLoader::new(numbers(3), Arc::<Record>::default(), &config, 0, 1, devices);
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

/// Tells of a batch whether it was made for a device with gradients.
#[derive(Default)]
struct Uploads;

impl Collate for Uploads {
    type Sample = usize;
    type Host = ();
    type Batch = bool;

    fn collate(&self, _: Vec<Drawn<usize>>) -> Result<(), DataError> {
        Ok(())
    }

    fn upload(&self, (): (), device: &Device) -> bool {
        device.is_autodiff()
    }
}

#[test]
fn devices_take_turns_and_keep_them_after_a_resume() {
    let devices = [Device::flex(), Device::flex().autodiff()];
    let collate = Arc::<Uploads>::default();
    let loader = TrainLoader::new(numbers(5), collate, &config(2, 3, 1), 0, 7, &devices).unwrap();
    let all = [false, true, false, true, false, true, false];
    assert_eq!(drain(&loader), all);
    assert_eq!(drain(&*loader.slice(3, 7)), all[3..]);
}
