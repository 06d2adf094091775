//! The wordings that a training reads, and which of them are taken to mean the same.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::Tensor;
use crucible_datasets::instruction::tasks::{self, Reworded, Wordings};
use crucible_datasets::{CLS, DataError, SEP, Tokenizer, UNK};

use super::align::{AlignConfig, Pairs};
use super::clusters::{agglomerative, kmeans, purity};

/// The wordings of a training with their meanings: those of its items, and with `further` all that there are for these
/// meanings in training.
pub fn training(items: &[Reworded], further: bool) -> BTreeMap<String, usize> {
    let of_item = |item: &Reworded| match further {
        true => tasks::wordings(item.meaning, Wordings::Seen),
        false => item.wordings.clone(),
    };
    let first: BTreeMap<usize, &Reworded> = items.iter().map(|item| (item.meaning, item)).collect();
    let pairs = first.into_values().flat_map(|item| {
        let meaning = item.meaning;
        of_item(item).into_iter().map(move |text| (text, meaning))
    });
    pairs.collect()
}

/// Wordings that are taken to mean the same.
pub struct Groups {
    /// Group by group.
    pub members: Vec<Vec<String>>,
    /// The group of each.
    pub of: HashMap<String, usize>,
    /// Share of wordings whose meaning is the most frequent of their group; none where groups are meanings.
    pub purity: Option<f64>,
}

impl Groups {
    /// Of wordings with their meanings; `vectors` are what clusters are found by.
    pub fn of(
        wordings: &BTreeMap<String, usize>,
        align: &AlignConfig,
        vectors: impl FnOnce() -> Result<Vec<Vec<f64>>, DataError>,
    ) -> Result<Self, DataError> {
        let meanings: Vec<usize> = wordings.values().copied().collect();
        let found = match align.pairs {
            Pairs::Meanings => None,
            Pairs::Kmeans => Some(kmeans(&vectors()?, align.clusters)),
            Pairs::Agglomerative => Some(agglomerative(&vectors()?, align.clusters)),
        };
        let purity = found.as_ref().map(|groups| purity(groups, &meanings));
        let groups = found.unwrap_or(meanings);
        let mut members = vec![Vec::new(); groups.iter().max().map_or(0, |most| most + 1)];
        let mut of = HashMap::new();
        for (text, group) in wordings.keys().zip(groups) {
            members[group].push(text.clone());
            of.insert(text.clone(), group);
        }
        Ok(Self {
            members,
            of,
            purity,
        })
    }
}

/// What a frozen model has for the words of each text that it knows: their mean, in which a word counts the less the more
/// texts have it (inverse document frequency), of length one.
///
/// # Shapes
/// - `words`: `[vocabulary, d]`; output: `[texts][d]`
pub fn vectors<'a>(
    texts: impl Iterator<Item = &'a String>,
    tokenizer: &Tokenizer,
    words: Tensor<2>,
) -> Result<Vec<Vec<f64>>, DataError> {
    let [_, d] = words.dims();
    let words: Vec<f64> = words.into_data().iter().collect();
    let special = [CLS, SEP, UNK].map(|token| tokenizer.id(token));
    let known = |text: &String| -> Result<Vec<u32>, DataError> {
        let mut ids = tokenizer.encode(text)?;
        ids.retain(|id| !special.contains(&Some(*id)));
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    };
    let texts: Vec<Vec<u32>> = texts.map(known).collect::<Result<_, _>>()?;
    let mut frequency: HashMap<u32, f64> = HashMap::new();
    for id in texts.iter().flatten() {
        *frequency.entry(*id).or_default() += 1.0;
    }
    let count = texts.len() as f64;
    let vector = |ids: &Vec<u32>| {
        let mut sum = vec![0.0; d];
        for id in ids {
            let weight = (count / frequency[id]).ln();
            let word = words.iter().skip(*id as usize * d).take(d);
            sum.iter_mut()
                .zip(word)
                .for_each(|(sum, value)| *sum += weight * value);
        }
        let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        sum.iter_mut()
            .for_each(|value| *value /= length.max(f64::MIN_POSITIVE));
        sum
    };
    Ok(texts.iter().map(vector).collect())
}
