//! How near captions come to those that people wrote, as the COCO caption server counts it (Chen et al. 2015,
//! <https://arxiv.org/abs/1504.00325>): the numbers are those of `pycocoevalcap`.

use std::collections::BTreeMap;

mod bleu;
mod cider;
mod ngrams;
mod rouge;
mod words;

use ngrams::Item;

/// What was written about one image, and what should have been.
#[derive(Clone, Copy, Debug)]
pub struct Captioned<'a> {
    /// The model's caption; it may be empty.
    pub candidate: &'a str,
    /// Captions that are right. Without any the candidate matches nothing.
    pub references: &'a [String],
}

/// Scores of a whole set of captions; nothing for no items.
///
/// - `bleu_1` to `bleu_4`: corpus BLEU with the length of the closest reference (Papineni et al. 2002,
///   <https://aclanthology.org/P02-1040>). Where no candidate is as long as n words, `bleu_n` is near 0 even if all
///   of them are right.
/// - `rouge_l`: mean ROUGE-L with beta = 1.2 (Lin 2004, <https://aclanthology.org/W04-1013>).
/// - `cider`: mean CIDEr-D of 1 to 4 words with sigma = 6, from 0 to 10 (Vedantam et al. 2015,
///   <https://arxiv.org/abs/1411.5726>). A word that is in a reference of every image says nothing about any; so a
///   set of one item has 0.
/// - `accuracy`: the share of candidates that equal one of their references, word for word.
///
/// Captions are compared in lower case and without punctuation. Words are those of the Penn Treebank tokenizer,
/// `isn't` being two, with these differences: brackets and `?!` are no words; symbols such as `%` and `$` stay in the
/// word they are written with, and emoji are words; the period of an abbreviation (`mr.`, `u.s.`) goes, and the
/// apostrophe that a word begins with (`'tis`); `cannot` and `gonna` are one word each; the punctuation of scripts
/// without spaces stays.
///
/// ```
/// use crucible_evaluation::captioning::{Captioned, captioning};
///
/// let references = ["a red circle".to_owned(), "the circle is red".to_owned()];
/// let scores = captioning(&[Captioned { candidate: "A red circle.", references: &references }]);
/// assert_eq!(scores["accuracy"], 1.0);
/// ```
pub fn captioning(items: &[Captioned<'_>]) -> BTreeMap<String, f64> {
    if items.is_empty() {
        return BTreeMap::new();
    }
    let ngrams = ngrams::ngrams(items);
    let [words, ..] = &ngrams;
    let mut scores = BTreeMap::from([
        ("rouge_l".to_owned(), mean(words.iter().map(rouge::rouge_l))),
        ("cider".to_owned(), cider::cider(&ngrams)),
        ("accuracy".to_owned(), mean(words.iter().map(exact_match))),
    ]);
    for (n, score) in (1..).zip(bleu::bleu(&ngrams)) {
        scores.insert(format!("bleu_{n}"), score);
    }
    scores
}

fn exact_match(item: &Item) -> f64 {
    f64::from(u8::from(item.references.contains(&item.candidate)))
}

/// The mean of some scores, 0 of none.
fn mean(scores: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = scores.len().max(1);
    scores.sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `pycocoevalcap` refuses to score counts as wrong, and takes nothing from the others.
    #[test]
    fn without_references_nothing_matches() {
        let references = ["a red circle on a table".to_owned()];
        let right = Captioned {
            candidate: &references[0],
            references: &references,
        };
        let lone = Captioned {
            references: &[],
            ..right
        };
        let alone = captioning(&[lone]);
        assert!(alone.values().all(|&score| score < 1e-3), "{alone:?}");
        let both = captioning(&[right, lone]);
        for name in ["rouge_l", "accuracy", "bleu_1"] {
            assert!((both[name] - 0.5).abs() < 1e-6, "{name}: {both:?}");
        }
        assert!((both["cider"] - 5.0).abs() < 1e-6, "{both:?}");
    }
}
