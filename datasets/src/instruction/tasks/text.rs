//! Instructions without pictures, made by rules: enough to see whether a small model learns to follow them.

use std::collections::HashSet;

use super::lexicon::LEXICON;
use super::text_wordings::{
    COPY, COUNT_LETTERS, COUNT_WORDS, FIRST, LAST, LOWER, MEMBER, REVERSE, SORT, SUM, UPPER,
};
use super::{Task, Wordings, draw};
use crate::instruction::conversation::Conversation;

/// The numbers that are counted and reckoned with.
const NUMBERS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// How often as many inputs are drawn as are wanted, since some come twice.
const DRAWS: usize = 4;

/// `count` instructions about words and small numbers, no two of one task with the same input. The eleven tasks are asked
/// in turn; the letters of a word (294 inputs) and sums (462) run out, and others take their place.
///
/// The same seed gives the same inputs, answers and samples' names, in the same order, whatever the wordings: train on the
/// first of those in wordings that are seen and test on the last of those in wordings held out, and no input is in both.
/// Answers are in lower case, but for what is asked for in capitals; numbers are words.
pub fn text_tasks(seed: u64, count: usize, wordings: Wordings) -> Vec<Conversation> {
    let mut inputs = HashSet::new();
    let drawn = (0..count.saturating_mul(DRAWS)).zip(TASKS.iter().cycle());
    let new = drawn.filter_map(|(index, (task, rule))| {
        let id = format!("text-{seed}/{index}");
        let Item { values, answer } = rule(&id);
        let values: Vec<(&str, &str)> = values
            .iter()
            .map(|(slot, value)| (*slot, value.as_str()))
            .collect();
        let input = format!("{}: {values:?}", task.name);
        let conversation = || task.ask(&id, wordings, &values, &answer);
        inputs.insert(input).then(conversation)
    });
    new.take(count).collect()
}

/// What a wording is filled in with, and the answer.
struct Item {
    values: Vec<(&'static str, String)>,
    answer: String,
}

/// Makes an item for a key.
type Rule = fn(&str) -> Item;

/// Every task with its rule.
const TASKS: [(&Task, Rule); 11] = [
    (&COPY, |key| of_words(key, 2, 5, |words| words.join(" "))),
    (&REVERSE, |key| {
        of_words(key, 2, 5, |words| {
            let reversed: Vec<&str> = words.iter().rev().copied().collect();
            reversed.join(" ")
        })
    }),
    (&SORT, |key| {
        of_words(key, 2, 4, |words| {
            let mut sorted = words.to_vec();
            sorted.sort_unstable();
            sorted.join(" ")
        })
    }),
    (&COUNT_WORDS, |key| {
        of_words(key, 2, 9, |words| number(words.len()))
    }),
    (&COUNT_LETTERS, |key| {
        let word = word(key);
        item([("word", word.into())], number(word.len()))
    }),
    (&UPPER, |key| {
        of_words(key, 1, 3, |words| words.join(" ").to_uppercase())
    }),
    (&LOWER, |key| {
        let words = different(key, 1, 3).join(" ");
        item([("words", words.to_uppercase())], words)
    }),
    (&FIRST, |key| {
        of_words(key, 3, 6, |words| {
            words.first().copied().unwrap_or_default().into()
        })
    }),
    (&LAST, |key| {
        of_words(key, 3, 6, |words| {
            words.last().copied().unwrap_or_default().into()
        })
    }),
    (&MEMBER, member),
    (&SUM, sum),
];

fn item<const N: usize>(values: [(&'static str, String); N], answer: String) -> Item {
    Item {
        values: values.into(),
        answer,
    }
}

/// An item about a list of words.
fn of_words(key: &str, least: usize, most: usize, answer: impl Fn(&[&str]) -> String) -> Item {
    let words = different(key, least, most);
    item([("words", words.join(" "))], answer(&words))
}

/// The word of a key.
fn word(key: &str) -> &'static str {
    let place = draw(&format!("{key}/word"), LEXICON.len());
    LEXICON.get(place).copied().unwrap_or_default()
}

/// From `least` to `most` different words.
fn different(key: &str, least: usize, most: usize) -> Vec<&'static str> {
    let span = most.saturating_sub(least).saturating_add(1);
    let length = draw(&format!("{key}/length"), span).saturating_add(least);
    let mut known = HashSet::new();
    let words = (0_u64..).map(|place| word(&format!("{key}/{place}")));
    words
        .filter(|word| known.insert(*word))
        .take(length)
        .collect()
}

/// Whether a word is in a list: it is in one of two.
fn member(key: &str) -> Item {
    let mut words = different(key, 4, 7);
    let place = draw(&format!("{key}/place"), words.len().saturating_sub(1));
    // The word is one that is taken out of the list, or one that stays.
    let sought = words.pop().unwrap_or_default();
    let there = draw(&format!("{key}/there"), 2) == 1;
    if there && let Some(word) = words.get_mut(place) {
        *word = sought;
    }
    let answer = if there { "yes" } else { "no" };
    let values = [("word", sought.to_owned()), ("words", words.join(" "))];
    item(values, answer.into())
}

/// Two numbers up to twenty, together or one less the other; the result is up to twenty too.
fn sum(key: &str) -> Item {
    let larger = draw(&format!("{key}/larger"), NUMBERS.len());
    let part = draw(&format!("{key}/part"), larger.saturating_add(1));
    let rest = larger.saturating_sub(part);
    let [larger, part, rest] = [larger, part, rest].map(number);
    match draw(&format!("{key}/sign"), 2) {
        0 => item([("sum", format!("{part} plus {rest}"))], larger),
        _ => item([("sum", format!("{larger} minus {part}"))], rest),
    }
}

/// The word for a number up to twenty.
fn number(value: usize) -> String {
    NUMBERS.get(value).copied().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many items of a task, as input and answer.
    fn items(task: &str) -> Vec<(Vec<String>, String)> {
        let (_, rule) = TASKS.iter().find(|(of, _)| of.name == task).unwrap();
        let items = (0..300).map(|key| rule(&format!("test/{key}")));
        let values = |item: &Item| item.values.iter().map(|(_, value)| value.clone()).collect();
        items.map(|item| (values(&item), item.answer)).collect()
    }

    fn of(words: &str) -> Vec<&str> {
        words.split(' ').collect()
    }

    #[test]
    fn answers_follow_from_inputs() {
        for task in [
            "copy",
            "reverse",
            "sort",
            "upper",
            "lower",
            "first",
            "last",
            "count-words",
        ] {
            for (values, answer) in items(task) {
                let [words] = &values[..] else { panic!() };
                let list = of(words);
                let expected = match task {
                    "copy" => words.clone(),
                    "reverse" => (0..list.len())
                        .map(|i| list[list.len() - 1 - i])
                        .collect::<Vec<_>>()
                        .join(" "),
                    "sort" => {
                        let rank = |word: &&str| LEXICON.iter().position(|of| of == word).unwrap();
                        assert_ne!(list, [""], "{words}");
                        let mut sorted = list.clone();
                        sorted.sort_by_key(rank);
                        sorted.join(" ")
                    }
                    "upper" => words.chars().map(|c| c.to_ascii_uppercase()).collect(),
                    "lower" => {
                        assert!(!words.contains(char::is_lowercase));
                        words.chars().map(|c| c.to_ascii_lowercase()).collect()
                    }
                    "first" => list[0].into(),
                    "last" => list[list.len() - 1].into(),
                    _ => [
                        "two", "three", "four", "five", "six", "seven", "eight", "nine",
                    ][list.len() - 2]
                        .into(),
                };
                assert_eq!(answer, expected, "{task}: {words}");
                let different: HashSet<&str> = list.iter().copied().collect();
                assert_eq!(different.len(), list.len());
            }
        }
        for (values, answer) in items("count-letters") {
            assert_eq!(
                NUMBERS.iter().position(|number| *number == answer),
                Some(values[0].chars().count())
            );
        }
    }

    #[test]
    fn sums_add_up_and_every_other_word_is_in_its_list() {
        let value = |word: &str| NUMBERS.iter().position(|number| *number == word).unwrap();
        let mut signs = HashSet::new();
        for (values, answer) in items("sum") {
            let parts = of(&values[0]);
            let [a, b] = [parts[0], parts[2]].map(value);
            signs.insert(parts[1].to_owned());
            match parts[1] {
                "plus" => assert_eq!(a + b, value(&answer)),
                "minus" => assert_eq!(a - b, value(&answer)),
                other => panic!("{other}"),
            }
        }
        assert_eq!(signs.len(), 2);
        let members = items("member");
        for (values, answer) in &members {
            assert_eq!(
                of(&values[1]).contains(&values[0].as_str()),
                answer == "yes"
            );
        }
        let yes = members.iter().filter(|(_, answer)| answer == "yes").count();
        assert!((120..180).contains(&yes), "{yes}");
    }

    #[test]
    fn the_seed_decides_on_the_items_and_wordings_on_nothing_else() {
        let [seen, held_out] =
            [Wordings::Seen, Wordings::HeldOut].map(|of| text_tasks(7, 2000, of));
        assert_eq!((seen.len(), held_out.len()), (2000, 2000));
        let sample = |of: &Conversation| of.id.split_once('#').unwrap().0.to_owned();
        let mut asked = HashSet::new();
        for (a, b) in seen.iter().zip(&held_out) {
            assert_eq!((sample(a), &a.task), (sample(b), &b.task));
            assert_eq!(a.turns[1].text, b.turns[1].text);
            assert_ne!(a.turns[0].text, b.turns[0].text);
            assert!(asked.insert(sample(a)));
        }
        let texts = |of: &[Conversation]| -> HashSet<String> {
            of.iter().map(|of| of.turns[0].text.clone()).collect()
        };
        assert!(texts(&seen).is_disjoint(&texts(&held_out)));
        // The order of words and their case are the point, so they are no copies of each other.
        assert!(texts(&seen).len() > 1990);
        let other = text_tasks(8, 2000, Wordings::Seen);
        assert!(texts(&seen).intersection(&texts(&other)).count() < 100);
        for (task, _) in TASKS {
            let count = seen.iter().filter(|of| of.task == task.name).count();
            assert!((120..220).contains(&count), "{}: {count}", task.name);
        }
        assert_eq!(
            text_tasks(7, 10, Wordings::Seen).last().map(sample),
            seen.get(9).map(sample)
        );
        let most = seen
            .iter()
            .map(|of| of.turns[0].text.split_whitespace().count())
            .max();
        assert!(most < Some(30), "{most:?}");
    }

    #[test]
    fn the_words_are_in_order_and_each_once() {
        assert!(LEXICON.is_sorted_by(|a, b| a < b));
        assert!(LEXICON.iter().all(|word| (3..=8).contains(&word.len())));
    }
}
