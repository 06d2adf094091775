//! What the tests of a comparison are made on: a score for each run, and, where there are such, for each item.

use super::arms::Arm;
use crucible_evaluation::accuracy::Prediction;
use crucible_evaluation::statistics::Sample;
use crucible_training::AnyRecipe;
use crucible_training::recipe::RunResult;

/// What the arms are compared by: the metric of the recipe, or the loss where some run does not have it.
pub fn metric_of<'a>(
    recipe: &dyn AnyRecipe,
    results: impl Iterator<Item = &'a RunResult>,
) -> String {
    let mut results = results.peekable();
    let known =
        results.peek().is_none() || results.all(|result| result.test.contains_key(recipe.metric()));
    match known {
        true => recipe.metric().into(),
        false => "loss".into(),
    }
}

/// How good a run is that was measured on the validation split: more is better.
pub fn validation(recipe: &dyn AnyRecipe, result: &RunResult) -> Option<f64> {
    let key = metric_of(recipe, std::iter::once(result));
    let value = *result.test.get(&key)?;
    Some(if less_is_better(&key) { -value } else { value })
}

/// Whether the best of a metric is the least.
pub fn less_is_better(key: &str) -> bool {
    let less = ["loss", "perplexity", "rank", "gap", "nll"];
    less.iter().any(|word| key.contains(word))
}

/// The scores of one arm.
#[derive(Default)]
pub struct Scores {
    seeds: Vec<u64>,
    means: Vec<f64>,
    /// Whether each item was answered right, by run.
    right: Vec<Vec<f32>>,
    /// The items, in their order; those of the first run.
    ids: Vec<String>,
    /// The picture of each.
    pictures: Vec<u32>,
    /// Whether other runs had other items.
    differ: bool,
}

impl Scores {
    /// Adds a run.
    pub fn add(&mut self, seed: u64, value: f64, predictions: &[Prediction], metric: &str) {
        self.seeds.push(seed);
        self.means.push(value);
        // No other metric is a mean over the answers.
        if metric != "accuracy" || predictions.is_empty() {
            self.differ = true;
            return;
        }
        let ids = || predictions.iter().map(|item| &item.id);
        match self.ids.is_empty() {
            true => {
                self.ids = ids().cloned().collect();
                let pictures = predictions.iter().map(|item| item.picture?.try_into().ok());
                self.pictures = pictures.collect::<Option<_>>().unwrap_or_default();
            }
            false => self.differ |= !ids().eq(self.ids.iter()),
        }
        let right = predictions
            .iter()
            .map(|item| f32::from(u8::from(item.is_right())));
        self.right.push(right.collect());
    }

    /// Adds a run that has no result since its loss was no number; what lost a seed is not tested on the others.
    pub fn diverged(&mut self, seed: u64) {
        self.seeds.push(seed);
        self.means.push(f64::NAN);
    }

    /// The picture that each item is about, where all tell.
    pub fn pictures(&self) -> Option<&[u32]> {
        (!self.pictures.is_empty()).then_some(&self.pictures)
    }

    /// What is tested of the arms that are kept; item by item only where all of them had the same.
    pub fn samples(all: &[Self], arms: &[Arm], keep: &[bool]) -> Vec<Sample> {
        let kept = || all.iter().zip(arms).zip(keep).filter(|(_, keep)| **keep);
        let ids = kept().next().map(|((scores, _), _)| &scores.ids);
        let same = kept().all(|((scores, _), _)| !scores.differ && Some(&scores.ids) == ids);
        let sample = |((scores, arm), _): ((&Self, &Arm), _)| Sample {
            label: arm.label.clone(),
            seeds: scores.seeds.clone(),
            means: scores.means.clone(),
            items: same.then(|| scores.right.clone()),
        };
        kept().map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(rights: &[(&str, bool)]) -> Vec<Prediction> {
        let item = |(id, right): &(&str, bool)| Prediction {
            id: (*id).into(),
            target: "yes".into(),
            prediction: if *right { "yes" } else { "no" }.into(),
            ..Prediction::default()
        };
        rights.iter().map(item).collect()
    }

    fn arm(label: &str) -> Arm {
        Arm {
            label: label.into(),
            ..Arm::default()
        }
    }

    #[test]
    fn items_are_paired_only_where_all_arms_had_the_same() {
        let same = predictions(&[("a", true), ("b", false)]);
        let other = predictions(&[("a", true), ("c", true)]);
        let mut all = [Scores::default(), Scores::default(), Scores::default()];
        for seed in 0..2 {
            all[0].add(seed, 0.5, &same, "accuracy");
            all[1].add(seed, 0.5, &same, "accuracy");
            all[2].add(seed, 1.0, &other, "accuracy");
        }
        let arms = ["x", "y", "z"].map(arm);
        let paired = Scores::samples(&all, &arms, &[true, true, false]);
        assert_eq!((paired.len(), paired[1].label.as_str()), (2, "y"));
        assert_eq!(paired[0].items, Some(vec![vec![1.0, 0.0]; 2]));
        let unpaired = Scores::samples(&all, &arms, &[true; 3]);
        assert!(unpaired.iter().all(|sample| sample.items.is_none()));
        assert_eq!(unpaired[2].means, [1.0, 1.0]);
        let mut loss = Scores::default();
        loss.add(0, 0.3, &same, "loss");
        assert!(
            Scores::samples(&[loss], &arms[..1], &[true])[0]
                .items
                .is_none()
        );
    }
}
