//! Test items on which the arms disagree.

use super::plan::Planned;
use crate::samples;
use crucible_datasets::DataError;
use crucible_evaluation::accuracy::Prediction;
use crucible_evaluation::report::Example;
use crucible_training::{Error, run_dir};
use std::collections::HashMap;

/// Most items to show.
const ITEMS: usize = 24;
/// Of those on which one arm alone is right or wrong, for each arm.
const EACH: usize = 1;

/// The answers to one item: by arm, one a seed.
type Answers = Vec<Vec<Prediction>>;

/// Items on which an arm alone is right or wrong, then those that divide the arms the most; `place` says where an arm
/// stands on the page.
///
/// # Errors
///
/// When predictions cannot be read, or the data, or a picture.
pub fn gallery(
    data: &str,
    plan: &[Planned],
    place: &[Option<usize>],
) -> Result<Vec<Example>, Error> {
    let arms = place.iter().flatten().count();
    let runs = || {
        let own = plan
            .iter()
            .filter(|planned| planned.condition.is_none() && planned.dir.is_finished());
        own.filter_map(|planned| Some((place[planned.arm]?, planned)))
    };
    // How many runs of each arm are right, and how many there are.
    let mut right: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
    for (arm, planned) in runs() {
        let predictions: Vec<Prediction> = planned.dir.read_json_lines(run_dir::PREDICTIONS)?;
        for item in predictions {
            let is_right = usize::from(item.is_right());
            let tallies = right.entry(item.id).or_insert_with(|| vec![(0, 0); arms]);
            tallies[arm].0 += is_right;
            tallies[arm].1 += 1;
        }
    }
    let chosen = choose(&right, arms);
    let mut answers: HashMap<&str, Answers> = chosen
        .iter()
        .map(|id| (id.as_str(), vec![Vec::new(); arms]))
        .collect();
    for (arm, planned) in runs() {
        let predictions: Vec<Prediction> = planned.dir.read_json_lines(run_dir::PREDICTIONS)?;
        for item in predictions {
            if let Some(of) = answers.get_mut(item.id.as_str()) {
                of[arm].push(item);
            }
        }
    }
    let ids: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let pictures = samples::items(data, &ids).map_err(Error::data)?;
    let example = |id: &String| -> Option<Result<Example, DataError>> {
        let (image, question) = pictures.get(id)?;
        let of = answers.get(id.as_str())?;
        let first = of.iter().flatten().next()?;
        let said = |(arm, runs): (usize, &Vec<Prediction>)| {
            (
                arm,
                runs.iter().map(|item| item.prediction.clone()).collect(),
            )
        };
        Some(samples::png(image).map(|image_png| Example {
            image_png,
            question: question.clone(),
            target: first.target.clone(),
            group: crate::report::kind(&first.target).into(),
            answers: of.iter().enumerate().map(said).collect(),
        }))
    };
    let examples = chosen.iter().filter_map(example);
    examples.collect::<Result<_, _>>().map_err(Error::data)
}

/// The items to show, by their names.
fn choose(right: &HashMap<String, Vec<(usize, usize)>>, arms: usize) -> Vec<String> {
    if arms < 2 {
        return Vec::new();
    }
    let mut ids: Vec<&String> = right.keys().collect();
    ids.sort();
    let share = |id: &str, arm: usize| {
        let (right, of) = right[id][arm];
        right as f64 / of.max(1) as f64
    };
    // How far an arm stands from the nearest other, upwards or downwards.
    let alone = |id: &str, arm: usize, up: bool| {
        let gaps = (0..arms)
            .filter(|other| *other != arm)
            .map(|other| share(id, arm) - share(id, other));
        let least = if up {
            gaps.fold(f64::INFINITY, f64::min)
        } else {
            -gaps.fold(f64::NEG_INFINITY, f64::max)
        };
        least.max(0.0)
    };
    let spread = |id: &str| {
        let shares: Vec<f64> = (0..arms).map(|arm| share(id, arm)).collect();
        let mean = shares.iter().sum::<f64>() / arms as f64;
        shares
            .iter()
            .map(|share| (share - mean).powi(2))
            .sum::<f64>()
    };
    let mut chosen: Vec<String> = Vec::new();
    let take = |chosen: &mut Vec<String>, score: &dyn Fn(&str) -> f64, most: usize, least: f64| {
        let mut ranked: Vec<(f64, &String)> = ids.iter().map(|id| (score(id), *id)).collect();
        ranked.retain(|(score, id)| *score > least && !chosen.contains(id));
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        let most = most.min(ITEMS - chosen.len());
        chosen.extend(ranked.into_iter().take(most).map(|(_, id)| id.clone()));
    };
    for up in [true, false] {
        for arm in 0..arms {
            take(&mut chosen, &|id| alone(id, arm, up), EACH, 0.5);
        }
    }
    take(&mut chosen, &spread, ITEMS / 2, 0.0);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_comes_first_and_then_what_divides() {
        let right = HashMap::from([
            ("first alone".to_string(), vec![(3, 3), (0, 3), (0, 3)]),
            ("second wrong".to_string(), vec![(3, 3), (0, 3), (3, 3)]),
            ("half".to_string(), vec![(3, 3), (1, 3), (0, 3)]),
            ("all right".to_string(), vec![(3, 3); 3]),
            ("all wrong".to_string(), vec![(0, 3); 3]),
        ]);
        assert_eq!(choose(&right, 3), ["first alone", "second wrong", "half"]);
        assert!(choose(&right, 1).is_empty());
    }
}
