//! Corpus BLEU (Papineni et al. 2002).

use super::ngrams::{Counts, Item, LONGEST, counts};

/// Added to what is found and to what it is divided by, as `pycocoevalcap` does: where there is no n-gram, the precision
/// is 1e-6 and not 0 / 0.
const FOUND: f64 = 1e-15;
const OF: f64 = 1e-9;

/// BLEU-1 to BLEU-4: the geometric mean of the precisions up to there, less what brevity costs.
pub(super) fn bleu(ngrams: &[Vec<Item>; LONGEST]) -> [f64; LONGEST] {
    let [words, ..] = ngrams;
    let penalty = brevity_penalty(words);
    let (mut product, mut n) = (1.0, 0.0);
    ngrams.each_ref().map(|items| {
        product *= precision(items);
        n += 1.0;
        penalty * f64::powf(product, 1.0 / n)
    })
}

/// The share of the candidates' n-grams that a reference has too; one that a candidate repeats counts as often as the
/// reference has it that has it most (section 2.1).
fn precision(items: &[Item]) -> f64 {
    let (mut found, mut of) = (FOUND, OF);
    for item in items {
        let mut most = Counts::new();
        for reference in &item.references {
            for (ngram, count) in counts(reference) {
                let most = most.entry(ngram).or_default();
                *most = count.max(*most);
            }
        }
        for (ngram, count) in counts(&item.candidate) {
            found += most.get(&ngram).map_or(0.0, |most| count.min(*most));
            of += count;
        }
    }
    found / of
}

/// Below 1 where the candidates together are shorter than the references closest to them, the shorter of two that are
/// as close (section 2.2).
fn brevity_penalty(items: &[Item]) -> f64 {
    let (mut found, mut of) = (FOUND, OF);
    for item in items {
        let length = item.candidate.len();
        let references = item.references.iter().map(Vec::len);
        let closest = references.min_by_key(|&other| (other.abs_diff(length), other));
        found += length as f64;
        of += closest.unwrap_or(0) as f64;
    }
    (1.0 - of / found).min(0.0).exp()
}
