//! Whether answers stay the same when what is asked is worded otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::accuracy::Prediction;

/// Answers to items that are each asked in several wordings (Elazar et al. 2021, "Measuring and improving consistency in
/// pretrained language models", section 3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consistency {
    /// Share of pairs of wordings of an item that are answered alike, right or wrong.
    pub consistency: f64,
    /// Share of these pairs that are answered alike and right.
    pub consistently_right: f64,
    /// Share of items whose wordings are all answered alike.
    pub unanimous: f64,
    /// Items that are asked in two wordings at least; the others are left out.
    pub items: usize,
}

/// Of predictions, each with the item that it answers; none where no item is asked twice.
pub fn consistency<'a>(
    predictions: impl IntoIterator<Item = (&'a str, &'a Prediction)>,
) -> Option<Consistency> {
    let mut of_item: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
    for (item, prediction) in predictions {
        of_item.entry(item).or_default().push(prediction);
    }
    let (mut pairs, mut alike, mut right) = (0_usize, 0_usize, 0_usize);
    let (mut items, mut unanimous) = (0_usize, 0_usize);
    for answers in of_item.values().filter(|answers| answers.len() > 1) {
        let before = pairs - alike;
        for (at, a) in answers.iter().enumerate() {
            for b in answers.iter().take(at) {
                let same = a.prediction == b.prediction;
                pairs += 1;
                alike += usize::from(same);
                right += usize::from(same && a.is_right() && b.is_right());
            }
        }
        items += 1;
        unanimous += usize::from(pairs - alike == before);
    }
    let share = |of: usize, all: usize| of as f64 / all as f64;
    (items > 0).then(|| Consistency {
        consistency: share(alike, pairs),
        consistently_right: share(right, pairs),
        unanimous: share(unanimous, items),
        items,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(prediction: &str) -> Prediction {
        Prediction {
            target: "yes".into(),
            prediction: prediction.into(),
            ..Prediction::default()
        }
    }

    #[test]
    fn pairs_of_wordings_are_counted() {
        let said = [
            ("a", "yes"),
            ("b", "no"),
            ("a", "yes"),
            ("b", "no"),
            ("a", "no"),
            ("c", "yes"),
        ];
        let said = said.map(|(item, prediction)| (item, answer(prediction)));
        let found = consistency(said.iter().map(|(item, answer)| (*item, answer))).unwrap();
        let expected = Consistency {
            consistency: 2.0 / 4.0,
            consistently_right: 1.0 / 4.0,
            unanimous: 1.0 / 2.0,
            items: 2,
        };
        assert_eq!(found, expected);
        let alone = [("c", answer("yes"))];
        assert_eq!(
            consistency(alone.iter().map(|(item, answer)| (*item, answer))),
            None
        );
    }
}
