//! What a batch is trained on.

use crucible_datasets::DataError;
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Which text belongs to which image.
    Contrast,
    /// Does this text belong to this image?
    Matching,
    /// Which words are hidden?
    Words,
    /// What do the hidden patches look like?
    Patches,
}

impl Task {
    /// What its loss and its share of right guesses are called.
    pub fn metrics(self) -> [&'static str; 2] {
        match self {
            Self::Contrast => ["itc_loss", "itc_accuracy"],
            Self::Matching => ["itm_loss", "itm_accuracy"],
            Self::Words => ["mlm_loss", "mlm_accuracy"],
            Self::Patches => ["mvm_loss", "mvm_accuracy"],
        }
    }
}

/// How much a task counts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskConfig {
    /// Weight of its loss in the sum; 0 leaves it out.
    pub weight: f64,
    /// Chance that a batch is trained on it; a batch is trained on one task at least.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
}

/// How losses are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// By the tasks' weights.
    #[default]
    Fixed,
    /// By the tasks' weights and what the model thinks of their noise, which it learns (Kendall et al. 2018).
    Uncertainty,
}

/// The tasks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TasksConfig {
    /// Image-text contrastive: which text belongs to which image (CLIP)?
    pub itc: TaskConfig,
    /// Image-text matching with hard negatives: does this text belong to this image (ALBEF)?
    pub itm: TaskConfig,
    /// Masked language modelling: which words are hidden? The image is at hand where tokens are fused (early, mid).
    pub mlm: TaskConfig,
    /// Masked vision modelling: what do the hidden patches look like (SimMIM)? With early fusion the text is at hand.
    pub mvm: TaskConfig,
    /// How losses are added up: fixed or uncertainty.
    pub weighting: Weighting,
}

impl TasksConfig {
    /// All tasks with weight and share 1.
    pub fn even() -> Self {
        let one = || TaskConfig {
            weight: 1.0,
            share: 1.0,
        };
        Self {
            itc: one(),
            itm: one(),
            mlm: one(),
            mvm: one(),
            weighting: Weighting::Fixed,
        }
    }

    fn each(&self) -> [(Task, &'static str, &TaskConfig); 4] {
        [
            (Task::Contrast, "tasks.itc", &self.itc),
            (Task::Matching, "tasks.itm", &self.itm),
            (Task::Words, "tasks.mlm", &self.mlm),
            (Task::Patches, "tasks.mvm", &self.mvm),
        ]
    }

    /// The weight of a task's loss.
    pub fn weight(&self, task: Task) -> f64 {
        self.each()[task as usize].2.weight
    }

    /// Whether the values make sense.
    pub fn check(&self) -> Result<(), DataError> {
        let refuse = |setting, value: f64, reason: &str| {
            Err(DataError::Setting {
                setting,
                value: value.to_string(),
                reason: reason.into(),
            })
        };
        for (_, name, config) in self.each() {
            if !config.weight.is_finite() || config.weight < 0.0 {
                return refuse(name, config.weight, "expected a weight of 0 or more");
            }
        }
        match self.used().next() {
            Some(_) => Ok(()),
            None => refuse("tasks", 0.0, "no task has a weight and a share above 0"),
        }
    }

    fn used(&self) -> impl Iterator<Item = (Task, f64)> {
        let each = self.each().into_iter();
        each.filter(|(_, _, config)| config.weight > 0.0 && config.share > 0.0)
            .map(|(task, _, config)| (task, config.share))
    }

    /// The tasks of a batch: each with its chance, one at least; without random numbers all.
    pub fn draw(&self, random: Option<impl Rng>) -> Vec<Task> {
        let all = || self.used().map(|(task, _)| task).collect::<Vec<_>>();
        let Some(mut random) = random else {
            return all();
        };
        let drawn: Vec<Task> = self
            .used()
            .filter(|(_, share)| random.random_bool(*share))
            .map(|(task, _)| task)
            .collect();
        if !drawn.is_empty() {
            return drawn;
        }
        let sum: f64 = self.used().map(|(_, share)| share).sum();
        let mut left = random.random::<f64>() * sum;
        let one = self.used().find(|(_, share)| {
            left -= share;
            left < 0.0
        });
        one.map_or_else(all, |(task, _)| vec![task])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn tasks_come_as_often_as_their_shares_say_and_one_always() {
        let mut tasks = TasksConfig::even();
        (tasks.itc.share, tasks.itm.share) = (0.5, 0.25);
        (tasks.mlm.share, tasks.mvm.weight) = (0.25, 0.0);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0; 4];
        for _ in 0..4000 {
            let drawn = tasks.draw(Some(&mut random));
            assert!(!drawn.is_empty());
            drawn.iter().for_each(|&task| counts[task as usize] += 1);
        }
        // None of three is drawn in 0.28 of the batches, and then one is by its share: 0.5 + 0.28 / 2 and so on.
        let expected = [0.64, 0.32, 0.32, 0.0];
        for (count, expected) in counts.iter().zip(expected) {
            let share = f64::from(*count) / 4000.0;
            assert!((share - expected).abs() < 0.035, "{counts:?}");
        }
    }

    #[test]
    fn evaluation_has_all_tasks_that_count() {
        let mut tasks = TasksConfig::even();
        (tasks.itm.weight, tasks.mlm.share) = (0.0, 0.5);
        let drawn = tasks.draw(None::<ChaCha8Rng>);
        assert_eq!(drawn, [Task::Contrast, Task::Words, Task::Patches]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let mut tasks = TasksConfig::even();
        tasks.mlm.weight = -1.0;
        assert!(tasks.check().unwrap_err().to_string().contains("tasks.mlm"));
        let mut tasks = TasksConfig::even();
        for task in [&mut tasks.itc, &mut tasks.itm, &mut tasks.mlm] {
            task.weight = 0.0;
        }
        assert!(tasks.check().is_ok());
        tasks.mvm.share = 0.0;
        assert!(tasks.check().is_err());
    }
}
