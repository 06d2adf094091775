//! How much memory a training takes, before it takes it.
//!
//! What a backward pass keeps of a forward pass depends on every operation of a model. No formula is kept in step
//! with them: the training is rehearsed instead, with batches of 1, 2, 4, ... samples, and what the growth says
//! about a whole batch is added to what shapes say about the rest.

use crate::fit::{initialise, settle};
use crate::{Error, Observe, Run, TrainingConfig, profile};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::train::{LearnerModel, TrainStep};
use std::fs;

/// Bytes by which the memory has to grow from one size to the next before the sizes say how it goes on: samples
/// differ, and allocators keep some of what they are given back.
const CLEAR: u64 = 256 << 20;

/// Bytes that every run takes beside its model: decoded images, validation and test, parts of pages.
const BESIDE: u64 = 24 << 20;

/// Makes sure that training `model` fits into the memory that [`Run::memory`] allows, and draws its initial
/// weights. `batches` makes batches of a number of samples: one to train on, and as many as a loader holds ready
/// beside it. `at_once` samples of a batch have activations at a time; beyond that it grows by less. Where the limit
/// is not known, or the system does not tell how much is in use, nothing is rehearsed.
///
/// # Errors
///
/// [`Error::Memory`], before the memory is taken; errors of the data.
pub fn rehearse<M>(
    run: &Run,
    config: &TrainingConfig,
    model: M,
    batch_size: usize,
    at_once: usize,
    mut batches: impl FnMut(usize) -> Result<Vec<<M as TrainStep>::Input>, Error>,
) -> Result<M, Error>
where
    M: LearnerModel,
    <M as TrainStep>::Output: Observe,
{
    config.check(config.batches(), 1 + run.others.len())?;
    reset_peak();
    let (Some(limit), Some(start)) = (run.memory, now()) else {
        return Ok(model);
    };
    let room = Room { limit, batch_size };
    room.holds(start + 4 * model.num_params() as u64)?;
    let (model, _) = initialise(run, config, model)?;
    // Clones share what batch normalisation has seen; the record takes it back.
    let record = model.clone().into_record();
    let parts = Parts::of(&model, config);
    let base = now().unwrap_or(start);
    let least = base + parts.update();
    room.holds(least + parts.files())?;

    let mut growth = Growth::from(base + parts.gradients);
    let others = run.others.len();
    let whole = batch_size.saturating_mul(1 + others);
    for size in (0..).map(|power| 1 << power) {
        let steady = at_once >= batch_size || growth.before.0 >= at_once;
        if (growth.is_clear() && steady) || (size > 1 && size >= whole) {
            break;
        }
        room.holds(growth.at(size) + parts.kept())?;
        let mut ready = batches(size)?.into_iter();
        if let Some(batch) = ready.next() {
            let model = model.clone();
            // Where the training will run: what it frees is then used again.
            profile::among_threads(&run.device, move || {
                TrainStep::step(&model, batch).item.observe()
            });
        }
        growth.add(size, peak().unwrap_or(base));
    }
    // Some batches hold longer sequences than the first, or more of them, and an allocator that keeps what was freed
    // does not always find a place for what is asked for next.
    let whole = growth.at(whole);
    let step = whole.saturating_add((whole - base) / 4);
    // Each further device has gradients of its own, and may have weights.
    let further = others as u64 * (parts.gradients + parts.weights);
    let step = step.saturating_add(parts.kept() + further);
    let expected = room.holds(least.max(step) + parts.files() + BESIDE)?;
    run.dir.log(&format!(
        "memory: {} MiB expected, {} MiB may be used",
        expected >> 20,
        limit >> 20
    ))?;
    settle(&model);
    Ok(model.load_record(record))
}

/// What may be used.
struct Room {
    limit: u64,
    batch_size: usize,
}

impl Room {
    fn holds(&self, bytes: u64) -> Result<u64, Error> {
        match bytes <= self.limit {
            true => Ok(bytes),
            false => Err(Error::Memory {
                needed: bytes,
                limit: self.limit,
                batch_size: self.batch_size,
            }),
        }
    }
}

/// Bytes of what a training holds beside the weights, which are there from the start.
struct Parts {
    weights: u64,
    gradients: u64,
    average: u64,
}

impl Parts {
    fn of<M: Module>(model: &M, config: &TrainingConfig) -> Self {
        let mut bytes = Bytes::default();
        model.visit(&mut bytes);
        let averaged = config.ema_decay > 0.0;
        Self {
            weights: bytes.all,
            gradients: bytes.trained,
            average: if averaged { bytes.all } else { 0 },
        }
    }

    /// From one step to the next.
    fn kept(&self) -> u64 {
        // AdamW has two moments of each gradient.
        2 * self.gradients + self.average
    }

    /// When the optimizer has made the new weights and the old are still there.
    fn update(&self) -> u64 {
        self.kept() + self.gradients + self.weights
    }

    /// A checkpoint before it is written: two and a half times its files, as was measured, in records, in bytes and in
    /// copies of both. The memory of a step does not help: an allocator keeps it for the thread that had it.
    fn files(&self) -> u64 {
        (self.weights + self.kept()) * 5 / 2
    }
}

#[derive(Default)]
struct Bytes {
    all: u64,
    trained: u64,
}

impl ModuleVisitor for Bytes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let bytes = (value.shape().num_elements() * value.dtype().size()) as u64;
        self.all += bytes;
        if value.is_require_grad() {
            self.trained += bytes;
        }
    }
}

/// The most memory that was in use, by the samples of a batch: the last two points of a line.
struct Growth {
    before: (usize, u64),
    last: (usize, u64),
}

impl Growth {
    fn from(bytes: u64) -> Self {
        Self {
            before: (0, bytes),
            last: (0, bytes),
        }
    }

    fn add(&mut self, samples: usize, bytes: u64) {
        // The peak does not fall; where another one hides this, nothing has grown.
        self.before = self.last;
        self.last = (samples, bytes.max(self.before.1));
    }

    fn is_clear(&self) -> bool {
        self.last.1 - self.before.1 >= CLEAR
    }

    /// The bytes that a batch of so many samples is expected to take.
    fn at(&self, samples: usize) -> u64 {
        let ((from, low), (to, high)) = (self.before, self.last);
        let more = (samples.saturating_sub(to) as u64).saturating_mul(high - low);
        high.saturating_add(more.checked_div((to - from) as u64).unwrap_or(0))
    }
}

/// Most bytes that this process held since [`reset_peak`], where the system tells.
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Starts counting the peak anew; where the system cannot, it stays the one of the process.
pub(crate) fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").ok();
}

/// Bytes that this process holds, where the system tells.
pub fn now() -> Option<u64> {
    status("VmRSS:")
}

fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Normalised, Steps, alone, config, run};
    use burn::tensor::{Device, TensorData};

    #[test]
    fn a_line_through_the_last_two_points_says_how_it_goes_on() {
        let mut growth = Growth::from(100);
        assert_eq!(growth.at(8), 100);
        growth.add(1, 110);
        assert_eq!(growth.at(8), 180);
        growth.add(2, 125);
        growth.add(4, 155);
        assert_eq!((growth.at(4), growth.at(16)), (155, 335));
        // A peak of before hides the growth.
        growth.add(8, 140);
        assert_eq!(growth.at(16), 155);
        assert!(!growth.is_clear());
        growth.add(16, 155 + CLEAR);
        assert!(growth.is_clear());
    }

    /// Rehearses with batches that each hold that much memory a sample; tells the sizes it took.
    fn rehearsed(
        limit: Option<u64>,
        batch_size: usize,
        at_once: usize,
        bytes: usize,
    ) -> (Result<Normalised, Error>, Vec<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let mut run = run(folder.path(), false);
        run.memory = limit;
        let mut sizes = Vec::new();
        let model = Normalised::new(&run.device);
        let device = run.training_device(&config(4));
        let model = rehearse(&run, &config(4), model, batch_size, at_once, |size| {
            sizes.push(size);
            let steps = Steps {
                device: device.clone(),
                ..Steps::new(1)
            };
            // Touched, or the system does not count it.
            let ballast = vec![1.0f32; size.min(at_once) * bytes / 4];
            let mut batch = steps.batch(0);
            let ballast = Tensor::<1>::from_data(TensorData::from(ballast.as_slice()), &device);
            batch.points = batch.points + (ballast.sum() * 0.0).unsqueeze::<2>();
            Ok(vec![batch])
        });
        (model, sizes)
    }

    #[test]
    fn a_rehearsal_grows_to_half_a_batch_and_leaves_no_trace() {
        let _turn = alone();
        let device = Device::flex();
        let (model, sizes) = rehearsed(Some(u64::MAX), 10, 10, 4);
        let model = model.unwrap();
        assert_eq!(sizes, [1, 2, 4, 8]);
        assert_eq!(model.seen(), Normalised::new(&device).seen());
        let (plain, sizes) = rehearsed(None, 10, 10, 4);
        assert!(sizes.is_empty());
        // The weights that `fit` draws, which is where a rehearsed model goes on.
        let folder = tempfile::tempdir().unwrap();
        let run = run(folder.path(), false);
        let (drawn, _) = initialise(&run, &config(4), plain.unwrap()).unwrap();
        assert_eq!(model.classifier.weights(), drawn.classifier.weights());
    }

    #[test]
    fn what_cannot_fit_is_refused_before_it_is_taken() {
        let _turn = alone();
        let Some(held) = now() else {
            return; // another system
        };
        // The weights alone.
        let (model, sizes) = rehearsed(Some(1), 1, 1, 4);
        assert!(matches!(model, Err(Error::Memory { limit: 1, .. })));
        assert!(sizes.is_empty());
        // 64 samples of 64 MiB are more than 1 GiB, which shows by the eighth.
        let (model, sizes) = rehearsed(Some(held + (1 << 30)), 64, 64, 64 << 20);
        let Err(Error::Memory { needed, .. }) = model else {
            panic!("{model:?}");
        };
        assert!(needed > held + (1 << 30), "{} MiB", needed >> 20);
        assert!(sizes.iter().sum::<usize>() <= 15, "{sizes:?}");
    }

    /// 128 samples of 64 MiB fit into 3 GiB, copies included, where four are held at a time.
    #[test]
    fn what_is_held_at_once_is_what_counts() {
        let _turn = alone();
        let Some(held) = now() else {
            return; // another system
        };
        let (model, sizes) = rehearsed(Some(held + (3 << 30)), 128, 4, 64 << 20);
        assert!(model.is_ok(), "{model:?}");
        assert_eq!(sizes[..4], [1, 2, 4, 8]);
    }

    #[test]
    fn the_peak_is_seen_and_forgotten() {
        let _turn = alone();
        let (Some(before), Some(_)) = (now(), peak()) else {
            return; // another system
        };
        reset_peak();
        let block = vec![1u8; 256 << 20];
        assert!(peak().unwrap() >= before + (200 << 20), "{}", block[7]);
        drop(block);
        reset_peak();
        assert!(peak().unwrap() < before + (200 << 20));
    }
}
