//! Where the time of a training goes.

use crate::tell;
use burn::tensor::{Device, Gradients, Tensor};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A part of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Data,
    Forward,
    Backward,
    Optimizer,
    Logging,
    Validation,
    Checkpoint,
}

const PARTS: [(Part, &str); 7] = [
    (Part::Data, "data"),
    (Part::Forward, "forward"),
    (Part::Backward, "backward"),
    (Part::Optimizer, "optimizer"),
    (Part::Logging, "logging"),
    (Part::Validation, "validation"),
    (Part::Checkpoint, "checkpoint"),
];

thread_local! {
    /// Whether to wait for the device, so that its work counts where it was asked for.
    static WAIT: Cell<bool> = const { Cell::new(false) };
    /// Time in backward passes of this thread. A model's step has forward and backward pass in one.
    static BACKWARD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// `loss.backward()`, its time taken for `--profile`.
pub fn backward(loss: &Tensor<1>) -> Gradients {
    let started = Instant::now();
    let gradients = loss.backward();
    if WAIT.get() {
        // An error of the device shows where the gradients are read.
        loss.device().sync().ok();
    }
    BACKWARD.set(BACKWARD.get() + started.elapsed());
    gradients
}

/// [`crucible_kernels::among_threads`], whose backward passes count as those of this thread.
pub(crate) fn among_threads<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    let wait = WAIT.get();
    let (result, backward) = crucible_kernels::among_threads(device, move || {
        WAIT.set(wait);
        (work(), BACKWARD.take())
    });
    BACKWARD.set(BACKWARD.get() + backward);
    result
}

/// The time of each part so far.
pub(crate) struct Profile {
    show: bool,
    spent: [Duration; PARTS.len()],
}

impl Profile {
    pub fn new(show: bool) -> Self {
        BACKWARD.set(Duration::ZERO);
        WAIT.set(show);
        Self {
            show,
            spent: Default::default(),
        }
    }

    /// The time since `clock` went into `part`.
    pub fn add(&mut self, part: Part, clock: Instant) {
        self.spent[part as usize] += clock.elapsed();
    }

    /// The time since `clock` went into a forward and a backward pass.
    pub fn add_compute(&mut self, clock: Instant) {
        let backward = BACKWARD.take();
        self.spent[Part::Backward as usize] += backward;
        self.spent[Part::Forward as usize] += clock.elapsed().saturating_sub(backward);
    }

    /// Says on stderr where `total` went, if that was asked for.
    pub fn print(&self, total: Duration) {
        if self.show {
            tell!("{}", self.table(total).trim_end());
        }
    }

    fn table(&self, total: Duration) -> String {
        let counted: Duration = self.spent.iter().sum();
        let parts = PARTS.map(|(part, name)| (name, self.spent[part as usize]));
        let rest = ("other", total.saturating_sub(counted));
        let mut table = String::from("where the time went\n");
        for (name, spent) in parts.into_iter().chain([rest]) {
            let share = 100.0 * spent.as_secs_f64() / total.as_secs_f64().max(1e-9);
            table += &format!("  {name:<11}{:>9.2} s {share:>6.1}%\n", spent.as_secs_f64());
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backward_passes_of_another_thread_count_here() {
        let mut profile = Profile::new(false);
        let clock = Instant::now();
        among_threads(&Device::flex(), || BACKWARD.set(Duration::from_micros(1)));
        profile.add_compute(clock);
        let spent = profile.spent[Part::Backward as usize];
        assert_eq!(spent, Duration::from_micros(1));
    }

    #[test]
    fn every_part_has_its_line_and_the_rest_too() {
        let mut profile = Profile::new(false);
        for (index, (part, _)) in PARTS.iter().enumerate() {
            assert_eq!(*part as usize, index);
        }
        profile.spent[Part::Data as usize] = Duration::from_millis(250);
        profile.spent[Part::Checkpoint as usize] = Duration::from_millis(500);
        let table = profile.table(Duration::from_secs(1));
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1], ["data", "0.25", "s", "25.0%"]);
        assert_eq!(lines[7], ["checkpoint", "0.50", "s", "50.0%"]);
        assert_eq!(lines[8], ["other", "0.25", "s", "25.0%"]);
    }
}
