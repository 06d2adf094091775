//! The learning rate: linear warmup, half a cosine, then flat.
//!
//! Burn's cosine rises again after its last iteration and its sequence of schedules counts each part on
//! its own; this one is a pure function of the step.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::optim::LearningRate;

/// Linear warmup to `peak`, cosine decay to `floor` at `steps`, `floor` from there on
/// (Loshchilov and Hutter 2017, "SGDR", without restarts).
#[derive(Clone, Debug, PartialEq)]
pub struct WarmupCosine {
    /// Highest rate, reached at step `warmup`.
    pub peak: f64,
    /// Lowest rate after warmup, reached at step `steps`.
    pub floor: f64,
    /// Steps of warmup.
    pub warmup: usize,
    /// Steps until the floor.
    pub steps: usize,
    step: usize,
}

impl WarmupCosine {
    /// A schedule that has taken no step.
    pub fn new(peak: f64, floor: f64, warmup: usize, steps: usize) -> Self {
        Self {
            peak,
            floor,
            warmup,
            steps,
            step: 0,
        }
    }

    /// The rate of step `step`, from 1.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let decay = self.steps.saturating_sub(self.warmup);
        if decay == 0 || step >= self.steps {
            return self.floor;
        }
        let done = (step - self.warmup) as f64 / decay as f64;
        self.floor + (self.peak - self.floor) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

impl LrScheduler for WarmupCosine {
    fn step(&mut self) -> LearningRate {
        self.step += 1;
        self.rate(self.step)
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar("step", self.step)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(step) = record.scalar("step") {
            self.step = step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points() {
        let schedule = WarmupCosine::new(1.0, 0.1, 10, 110);
        for (step, rate) in [
            (1, 0.1),
            (5, 0.5),
            (10, 1.0),
            (60, 0.55),
            (110, 0.1),
            (111, 0.1),
            (100_000, 0.1),
        ] {
            assert!(
                (schedule.rate(step) - rate).abs() < 1e-12,
                "{step}: {}",
                schedule.rate(step)
            );
        }
    }

    #[test]
    fn rises_then_falls_and_never_rises_again() {
        for (warmup, steps) in [(0, 1), (0, 50), (1, 2), (7, 50), (50, 50), (80, 50)] {
            let schedule = WarmupCosine::new(3e-3, 1e-5, warmup, steps);
            let rates: Vec<f64> = (1..400).map(|step| schedule.rate(step)).collect();
            assert!(
                rates.iter().all(|rate| (0.0..=3e-3).contains(rate)),
                "{warmup} {steps}"
            );
            let top = rates
                .iter()
                .position(|rate| rates.iter().all(|other| other <= rate))
                .unwrap();
            assert!(rates[..=top].is_sorted(), "{warmup} {steps}: warmup falls");
            assert!(
                rates[top..].is_sorted_by(|a, b| a >= b),
                "{warmup} {steps}: decay rises"
            );
            assert_eq!(rates.last(), Some(&1e-5));
        }
    }

    #[test]
    fn a_record_continues_where_it_was_taken() {
        let mut whole = WarmupCosine::new(1.0, 0.0, 3, 20);
        let expected: Vec<f64> = (0..30).map(|_| whole.step()).collect();
        let mut first = WarmupCosine::new(1.0, 0.0, 3, 20);
        let mut rates: Vec<f64> = (0..11).map(|_| first.step()).collect();
        let mut second = WarmupCosine::new(1.0, 0.0, 3, 20);
        second.load_record(first.to_record());
        rates.extend((11..30).map(|_| second.step()));
        assert_eq!(rates, expected);
    }
}
