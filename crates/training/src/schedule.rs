//! The learning rate: linear warmup, then one of four decays.
//!
//! Burn's cosine rises again after its last iteration and its sequence of schedules counts each part on
//! its own; this one is a pure function of the step.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::optim::LearningRate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the rate goes on after warmup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Not at all.
    Constant,
    /// In a straight line to the floor.
    Linear,
    /// Half a cosine to the floor (Loshchilov and Hutter 2017, "SGDR", without restarts).
    Cosine,
    /// With the inverse square root of the step (Vaswani et al. 2017), never below the floor.
    Rsqrt,
}

/// Linear warmup to `peak`, then the decay. Linear and cosine are at `floor` at `steps` and stay there.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    decay: Decay,
    peak: f64,
    floor: f64,
    warmup: usize,
    steps: usize,
    step: usize,
}

impl Schedule {
    /// A schedule that has taken no step.
    pub fn new(decay: Decay, peak: f64, floor: f64, warmup: usize, steps: usize) -> Self {
        Self {
            decay,
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
        let done = match decay == 0 || step >= self.steps {
            true => 1.0,
            false => (step - self.warmup) as f64 / decay as f64,
        };
        let left = match self.decay {
            Decay::Constant => return self.peak,
            Decay::Rsqrt => {
                let rate = self.peak * (self.warmup.max(1) as f64 / step as f64).sqrt();
                return rate.max(self.floor);
            }
            Decay::Linear => 1.0 - done,
            Decay::Cosine => 0.5 * (1.0 + (PI * done).cos()),
        };
        self.floor + (self.peak - self.floor) * left
    }
}

impl LrScheduler for Schedule {
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

    const ALL: [Decay; 4] = [Decay::Constant, Decay::Linear, Decay::Cosine, Decay::Rsqrt];

    #[test]
    fn known_points() {
        for (decay, points) in [
            (
                Decay::Cosine,
                [
                    (60, 0.55),
                    (85, 0.23180195),
                    (110, 0.1),
                    (111, 0.1),
                    (100_000, 0.1),
                ],
            ),
            (
                Decay::Linear,
                [
                    (60, 0.55),
                    (85, 0.325),
                    (110, 0.1),
                    (111, 0.1),
                    (100_000, 0.1),
                ],
            ),
            (
                Decay::Constant,
                [(60, 1.0), (85, 1.0), (110, 1.0), (111, 1.0), (100_000, 1.0)],
            ),
            (
                Decay::Rsqrt,
                [
                    (40, 0.5),
                    (90, 1.0 / 3.0),
                    (160, 0.25),
                    (1000, 0.1),
                    (100_000, 0.1),
                ],
            ),
        ] {
            let schedule = Schedule::new(decay, 1.0, 0.1, 10, 110);
            for (step, rate) in [(1, 0.1), (5, 0.5), (10, 1.0)].into_iter().chain(points) {
                let found = schedule.rate(step);
                assert!((found - rate).abs() < 1e-8, "{decay:?} {step}: {found}");
            }
        }
    }

    #[test]
    fn rises_then_falls_and_never_rises_again() {
        let lengths = [(0, 1), (0, 50), (1, 2), (7, 50), (50, 50), (80, 50)];
        for (decay, (warmup, steps)) in ALL.into_iter().flat_map(|d| lengths.map(|l| (d, l))) {
            let schedule = Schedule::new(decay, 3e-3, 1e-5, warmup, steps);
            let rates: Vec<f64> = (1..400).map(|step| schedule.rate(step)).collect();
            let case = format!("{decay:?} {warmup} {steps}");
            assert!(
                rates.iter().all(|rate| (0.0..=3e-3).contains(rate)),
                "{case}"
            );
            let top = rates
                .iter()
                .position(|rate| rates.iter().all(|other| other <= rate))
                .unwrap();
            assert!(rates[..=top].is_sorted(), "{case}: warmup falls");
            assert!(
                rates[top..].is_sorted_by(|a, b| a >= b),
                "{case}: decay rises"
            );
            if matches!(decay, Decay::Linear | Decay::Cosine) {
                assert!((rates.last().unwrap() - 1e-5).abs() < 1e-18, "{case}");
            }
        }
    }

    #[test]
    fn a_record_continues_where_it_was_taken() {
        for decay in ALL {
            let mut whole = Schedule::new(decay, 1.0, 0.0, 3, 20);
            let expected: Vec<f64> = (0..30).map(|_| whole.step()).collect();
            let mut first = Schedule::new(decay, 1.0, 0.0, 3, 20);
            let mut rates: Vec<f64> = (0..11).map(|_| first.step()).collect();
            let mut second = Schedule::new(decay, 1.0, 0.0, 3, 20);
            second.load_record(first.to_record());
            rates.extend((11..30).map(|_| second.step()));
            assert_eq!(rates, expected);
        }
    }
}
