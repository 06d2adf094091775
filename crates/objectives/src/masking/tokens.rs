use std::ops::Range;

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is hidden as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Each token by itself (BERT).
    #[default]
    Token,
    /// Every piece of a word (whole-word masking, Cui et al. 2019).
    Word,
    /// Several words in a row (SpanBERT, Joshi et al. 2020, section 3.1): lengths from a geometric distribution with
    /// p = 0.2 that ends at 10, 3.8 words in the mean.
    Span,
}

/// How tokens are hidden (BERT, Devlin et al. 2019, section 3.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenMasking {
    /// Share of the tokens that are to be guessed.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rate: f64,
    /// What is hidden as one: token, word or span.
    pub unit: Unit,
    /// Share of those that stay as they are.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub keep: f64,
    /// Share of those that another token takes the place of; the rest become `[MASK]`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub replace: f64,
}

impl Default for TokenMasking {
    /// 15%, of which 80% become `[MASK]`, 10% another token, and 10% stay.
    fn default() -> Self {
        Self {
            rate: 0.15,
            unit: Unit::Token,
            keep: 0.1,
            replace: 0.1,
        }
    }
}

/// What a vocabulary says to masking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The id of `[MASK]`.
    pub mask: u32,
    /// Ids that may take the place of a token.
    pub ordinary: Range<u32>,
}

/// A text with tokens to be guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskedTokens {
    /// What the model sees.
    pub ids: Vec<u32>,
    /// Where it has to guess, in ascending order.
    pub positions: Vec<usize>,
    /// What was there.
    pub targets: Vec<u32>,
}

/// No span has more words, and the chance of each word to be the last.
const LONGEST_SPAN: usize = 10;
const SPAN_ENDS: f64 = 0.2;

/// Hides about `rate` of the tokens, at least one where any may be. `words[i]` is the number of the word that token i
/// is a piece of, rising by one from word to word; tokens without, such as `[CLS]`, are never chosen. Words are hidden
/// whole where [`TokenMasking::unit`] says so: one that does not fit into the rate gives way to a shorter one, unless
/// it is the first.
pub fn mask_tokens(
    ids: &[u32],
    words: &[Option<u32>],
    masking: &TokenMasking,
    vocabulary: &Vocabulary,
    random: &mut impl Rng,
) -> MaskedTokens {
    let groups = groups(words, masking.unit);
    let tokens: usize = groups.iter().map(Vec::len).sum();
    let wanted = masking.rate * tokens as f64;
    // The part of a token that is left over is a chance, so that the rate holds for short texts too.
    let wanted = wanted as usize + usize::from(random.random_bool(wanted.fract()));
    let wanted = wanted.max(usize::from(masking.rate > 0.0)).min(tokens);
    let mut chosen = vec![false; ids.len()];
    let mut count = 0;
    for start in order(groups.len(), random) {
        let length = match masking.unit {
            Unit::Token | Unit::Word => 1,
            Unit::Span => span(random),
        };
        for group in groups.iter().skip(start).take(length) {
            let fits = count == 0 || count + group.len() <= wanted;
            if count < wanted && fits && !chosen[group[0]] {
                group.iter().for_each(|&token| chosen[token] = true);
                count += group.len();
            }
        }
        if count >= wanted {
            break;
        }
    }
    let mut masked = MaskedTokens {
        ids: ids.to_vec(),
        ..MaskedTokens::default()
    };
    for position in (0..ids.len()).filter(|&position| chosen[position]) {
        masked.positions.push(position);
        masked.targets.push(ids[position]);
        let fate: f64 = random.random();
        if fate < masking.replace && !vocabulary.ordinary.is_empty() {
            masked.ids[position] = random.random_range(vocabulary.ordinary.clone());
        } else if fate >= masking.replace + masking.keep {
            masked.ids[position] = vocabulary.mask;
        }
    }
    masked
}

/// The tokens that are chosen together.
fn groups(words: &[Option<u32>], unit: Unit) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut last = None;
    for (position, word) in words.iter().enumerate() {
        let goes_on = unit != Unit::Token && *word == last;
        match groups.last_mut() {
            _ if word.is_none() => {}
            Some(group) if goes_on => group.push(position),
            _ => groups.push(vec![position]),
        }
        last = *word;
    }
    groups
}

/// A random order of `0..len` (Fisher and Yates).
fn order(len: usize, random: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        order.swap(last, random.random_range(0..=last));
    }
    order
}

fn span(random: &mut impl Rng) -> usize {
    loop {
        let ends = |_: &usize| random.random_bool(SPAN_ENDS);
        // What would be longer is drawn again, so that the lengths keep their proportions.
        if let Some(length) = (1..=LONGEST_SPAN).find(ends) {
            return length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const VOCABULARY: Vocabulary = Vocabulary {
        mask: 4,
        ordinary: 5..100,
    };

    /// `[CLS]`, words of one to three pieces, `[SEP]`.
    fn text(words: usize) -> (Vec<u32>, Vec<Option<u32>>) {
        let (mut ids, mut of) = (vec![2], vec![None]);
        for word in 0..words {
            for piece in 0..1 + word % 3 {
                ids.push(10 + (7 * word + piece) as u32 % 80);
                of.push(Some(word as u32));
            }
        }
        ids.push(3);
        of.push(None);
        (ids, of)
    }

    proptest! {
        #[test]
        fn only_what_was_chosen_changes_and_the_targets_are_what_was_there(
            words in 0usize..40, rate in 0.0f64..=1.0, unit in 0usize..3, seed: u64,
        ) {
            let (ids, of) = text(words);
            let unit = [Unit::Token, Unit::Word, Unit::Span][unit];
            let masking = TokenMasking { rate, unit, ..TokenMasking::default() };
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let masked = mask_tokens(&ids, &of, &masking, &VOCABULARY, &mut random);
            prop_assert!(masked.positions.is_sorted());
            let tokens = of.iter().flatten().count();
            let wanted = rate * tokens as f64;
            let least = (wanted as usize).max(usize::from(rate > 0.0)).min(tokens);
            // The first word of up to three pieces may be too long; of the last two pieces one may find no room.
            let (short, long) = if unit == Unit::Token { (0, 1) } else { (2, 3) };
            let range = least.saturating_sub(short)..=least + long;
            prop_assert!(range.contains(&masked.positions.len()));
            prop_assert!(rate == 0.0 || tokens == 0 || !masked.positions.is_empty());
            if unit != Unit::Token {
                for word in 0..words as u32 {
                    let mut pieces = (0..of.len()).filter(|&at| of[at] == Some(word));
                    let hidden = |at: usize| masked.positions.contains(&at);
                    let first = hidden(pieces.next().unwrap());
                    prop_assert!(pieces.all(|at| hidden(at) == first), "word {} is torn", word);
                }
            }
            let mut restored = masked.ids.clone();
            for (&position, &target) in masked.positions.iter().zip(&masked.targets) {
                prop_assert!(of[position].is_some());
                restored[position] = target;
            }
            prop_assert_eq!(restored, ids);
        }
    }

    #[test]
    fn eight_of_ten_are_hidden_one_is_replaced_and_one_stays() {
        let (ids, of) = text(3000);
        let masking = TokenMasking {
            rate: 0.5,
            ..TokenMasking::default()
        };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let masked = mask_tokens(&ids, &of, &masking, &VOCABULARY, &mut random);
        let all = masked.positions.len() as f64;
        let share = |kind: fn(u32, u32) -> bool| {
            let found = masked.positions.iter().zip(&masked.targets);
            found
                .filter(|&(&at, &target)| kind(masked.ids[at], target))
                .count() as f64
                / all
        };
        // Of 3,000 tokens, five standard deviations of a share of 0.1 are 0.027.
        assert!((share(|seen, _| seen == 4) - 0.8).abs() < 0.037);
        assert!((share(|seen, target| seen == target) - 0.1).abs() < 0.028);
    }

    /// Of a geometric distribution that ends at 10: (1 - 0.2)^(n - 1) * 0.2, over what all ten add up to.
    #[test]
    fn spans_have_the_lengths_of_spanbert() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let mut counts = [0.0; LONGEST_SPAN + 1];
        (0..100_000).for_each(|_| counts[span(&mut random)] += 1e-5);
        let all = 1.0 - 0.8f64.powi(10);
        for (length, found) in counts.iter().enumerate().skip(1) {
            let expected = 0.2 * 0.8f64.powi(length as i32 - 1) / all;
            assert!((found - expected).abs() < 0.01, "{length}: {found}");
        }
        let mean: f64 = (0..)
            .zip(counts)
            .map(|(n, share)| f64::from(n) * share)
            .sum();
        assert!((mean - 3.797).abs() < 0.04, "{mean}");
    }

    #[test]
    fn spans_hide_neighbours_more_often_than_chance() {
        let (ids, of) = text(2000);
        let neighbours = |unit| {
            let masking = TokenMasking {
                unit,
                ..TokenMasking::default()
            };
            let mut random = ChaCha8Rng::seed_from_u64(3);
            let masked = mask_tokens(&ids, &of, &masking, &VOCABULARY, &mut random);
            let pairs = masked
                .positions
                .windows(2)
                .filter(|pair| pair[1] == pair[0] + 1);
            pairs.count() as f64 / masked.positions.len() as f64
        };
        let (alone, spans) = (neighbours(Unit::Token), neighbours(Unit::Span));
        assert!(alone < 0.25 && spans > 0.7, "{alone} {spans}");
    }
}
