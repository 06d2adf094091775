//! ROUGE-L (Lin 2004, section 3).

use super::ngrams::Item;

/// How much more recall counts than precision.
const BETA: f64 = 1.2;

/// The F-measure of the longest common subsequence. Precision and recall are each that of the best reference, not
/// always the same one, as `pycocoevalcap` has it.
pub(super) fn rouge_l(item: &Item) -> f64 {
    let candidate = &item.candidate;
    let (mut precision, mut recall) = (0.0_f64, 0.0_f64);
    for reference in &item.references {
        // Nothing is one word, which nothing else has.
        let both_empty = candidate.is_empty() && reference.is_empty();
        let common = longest_common_subsequence(candidate, reference).max(both_empty.into()) as f64;
        precision = precision.max(common / candidate.len().max(1) as f64);
        recall = recall.max(common / reference.len().max(1) as f64);
    }
    if precision == 0.0 {
        return 0.0;
    }
    (1.0 + BETA * BETA) * precision * recall / (recall + BETA * BETA * precision)
}

/// How many words of `a` are, in the same order, in `b`.
fn longest_common_subsequence(a: &[usize], b: &[usize]) -> usize {
    // For each word of `b`: with all up to it, and what was seen of `a`.
    let mut longest = vec![0; b.len()];
    for x in a {
        let (mut before, mut left) = (0, 0);
        for (y, longest) in b.iter().zip(&mut longest) {
            let above = *longest;
            *longest = if x == y { before + 1 } else { above.max(left) };
            (before, left) = (above, *longest);
        }
    }
    longest.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subsequence_keeps_the_order_and_may_have_gaps() {
        for (a, b, expected) in [
            (&[1, 2, 3, 4][..], &[2, 9, 4][..], 2),
            (&[1, 2, 3], &[3, 2, 1], 1),
            (&[1, 1, 2], &[1, 1, 1, 2], 3),
            (&[], &[1], 0),
        ] {
            assert_eq!(longest_common_subsequence(a, b), expected, "{a:?} {b:?}");
            assert_eq!(longest_common_subsequence(b, a), expected, "{b:?} {a:?}");
        }
    }
}
