//! Which validations were the best, and when to stop waiting for a better one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What makes a validation better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Monitor {
    /// A lower loss.
    Loss,
    /// A higher accuracy.
    Accuracy,
}

impl Monitor {
    /// Name of the metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
        }
    }

    fn better(self, value: f64, than: f64) -> bool {
        match self {
            Self::Loss => value < than,
            Self::Accuracy => value > than,
        }
    }
}

/// A validation and its value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// After which step.
    pub step: usize,
    /// Of the monitored metric.
    pub value: f64,
}

/// What the validations so far came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// The best, best first; of equals, the earlier.
    pub best: Vec<Best>,
    /// Validations since the best of all.
    pub stale: usize,
}

impl Watch {
    /// Takes in a validation and keeps the `keep` best (at least one). Whether this is one of them.
    pub(crate) fn see(
        &mut self,
        monitor: Monitor,
        step: usize,
        metrics: &BTreeMap<String, f64>,
        keep: usize,
    ) -> bool {
        let Some(&value) = metrics.get(monitor.name()) else {
            return false;
        };
        let place = self
            .best
            .partition_point(|best| !monitor.better(value, best.value));
        self.stale = match place {
            0 => 0,
            _ => self.stale + 1,
        };
        self.best.insert(place, Best { step, value });
        self.best.truncate(keep.max(1));
        place < keep.max(1)
    }

    /// The steps of the best.
    pub(crate) fn steps(&self) -> Vec<usize> {
        self.best.iter().map(|best| best.step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(monitor: Monitor, values: &[f64], keep: usize) -> (Watch, Vec<bool>) {
        let mut watch = Watch::default();
        let seen = values.iter().enumerate().map(|(step, value)| {
            let metrics = BTreeMap::from([(monitor.name().to_string(), *value)]);
            watch.see(monitor, step, &metrics, keep)
        });
        let seen = seen.collect();
        (watch, seen)
    }

    #[test]
    fn the_best_are_kept_in_order_and_the_wait_is_counted() {
        let (found, seen) = watch(Monitor::Loss, &[3.0, 1.0, 2.0, 1.0, 4.0, 1.5], 3);
        assert_eq!(found.steps(), [1, 3, 5]);
        assert_eq!(found.stale, 4);
        assert_eq!(seen, [true, true, true, true, false, true]);
        let (found, seen) = watch(Monitor::Accuracy, &[0.1, 0.5, 0.4, 0.6], 0);
        assert_eq!((found.steps(), found.stale), (vec![3], 0));
        assert_eq!(seen, [true, true, false, true]);
    }

    #[test]
    fn what_is_not_measured_is_not_watched() {
        let mut watch = Watch::default();
        assert!(!watch.see(Monitor::Accuracy, 1, &BTreeMap::new(), 1));
        assert_eq!(watch, Watch::default());
    }
}
