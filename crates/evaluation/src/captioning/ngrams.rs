//! Captions as numbers: one for each word, for each two words that follow one another, and so on.

use super::{Captioned, words::words};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The longest n-gram that BLEU and CIDEr look at.
pub(super) const LONGEST: usize = 4;

/// The number of each n-gram of a caption, in the order of the text.
type Caption = Vec<usize>;

/// [`Captioned`] as n-grams of one length.
pub(super) struct Item {
    pub(super) candidate: Caption,
    pub(super) references: Vec<Caption>,
}

/// `items` as words, as bigrams, as trigrams and as 4-grams.
pub(super) fn ngrams(items: &[Captioned<'_>]) -> [Vec<Item>; LONGEST] {
    let mut numbers = Numbers::default();
    let mut caption =
        |text| -> Caption { words(text).into_iter().map(|w| numbers.of(w)).collect() };
    let words: Vec<Item> = items
        .iter()
        .map(|item| Item {
            candidate: caption(item.candidate),
            references: item.references.iter().map(|r| caption(r)).collect(),
        })
        .collect();
    let bigrams = longer(&words, &words, 1);
    let trigrams = longer(&bigrams, &words, 2);
    let fourgrams = longer(&trigrams, &words, 3);
    [words, bigrams, trigrams, fourgrams]
}

/// n-grams one word longer than `ngrams`, which have `n` words: an n-gram and the word that follows it.
fn longer(ngrams: &[Item], words: &[Item], n: usize) -> Vec<Item> {
    let mut numbers = Numbers::default();
    let mut caption = |ngrams: &Caption, words: &Caption| -> Caption {
        let pairs = ngrams.iter().zip(words.iter().skip(n));
        pairs
            .map(|(&ngram, &word)| numbers.of((ngram, word)))
            .collect()
    };
    let items = ngrams.iter().zip(words);
    items
        .map(|(ngrams, words)| {
            let references = ngrams.references.iter().zip(&words.references);
            Item {
                candidate: caption(&ngrams.candidate, &words.candidate),
                references: references.map(|(n, w)| caption(n, w)).collect(),
            }
        })
        .collect()
}

/// Numbers what it is shown in the order of the first time.
struct Numbers<T>(HashMap<T, usize>);

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Numbers<T> {
    fn of(&mut self, it: T) -> usize {
        let next = self.0.len();
        *self.0.entry(it).or_insert(next)
    }
}

/// How often each n-gram occurs, always in the same order, so that a sum over them comes out the same.
pub(super) type Counts = BTreeMap<usize, f64>;

/// The n-grams of `caption`.
pub(super) fn counts(caption: &[usize]) -> Counts {
    let mut counts = Counts::new();
    for &ngram in caption {
        *counts.entry(ngram).or_default() += 1.0;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ngrams_have_equal_numbers() {
        let references = ["b a b a".to_owned(), String::new(), "c".to_owned()];
        let item = Captioned {
            candidate: "a b a b",
            references: &references,
        };
        let [words, bigrams, trigrams, fourgrams] = ngrams(&[item]).map(|items| {
            let [item] = &items[..] else { panic!() };
            [vec![item.candidate.clone()], item.references.clone()].concat()
        });
        assert_eq!(words, [vec![0, 1, 0, 1], vec![1, 0, 1, 0], vec![], vec![2]]);
        assert_eq!(bigrams, [vec![0, 1, 0], vec![1, 0, 1], vec![], vec![]]);
        assert_eq!(trigrams, [vec![0, 1], vec![1, 0], vec![], vec![]]);
        assert_eq!(fourgrams, [vec![0], vec![1], vec![], vec![]]);
        assert_eq!(counts(&bigrams[0]), Counts::from([(0, 2.0), (1, 1.0)]));
    }
}
