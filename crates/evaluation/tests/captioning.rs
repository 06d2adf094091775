//! Scores of captions against pycocoevalcap: see `tests/reference/captioning.py`.

use crucible_evaluation::captioning::{Captioned, captioning};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A caption and what it should have been.
type Item = (String, Vec<String>);

#[derive(Deserialize)]
struct Corpus {
    name: String,
    items: Vec<Item>,
    out: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Fixtures {
    words: Vec<(String, String)>,
    corpora: Vec<Corpus>,
}

static FIXTURES: LazyLock<Fixtures> = LazyLock::new(|| {
    let text = include_str!("../../../tests/fixtures/captioning.json");
    serde_json::from_str(text).unwrap()
});

/// The corpora, of which there must be as many as the script says.
fn corpora() -> &'static [Corpus] {
    assert_eq!(FIXTURES.corpora.len(), 26);
    &FIXTURES.corpora
}

fn scores<'a>(items: impl IntoIterator<Item = &'a Item>) -> BTreeMap<String, f64> {
    let items: Vec<_> = items
        .into_iter()
        .map(|(candidate, references)| Captioned {
            candidate,
            references,
        })
        .collect();
    captioning(&items)
}

#[track_caller]
fn assert_close(
    seen: &BTreeMap<String, f64>,
    expected: &BTreeMap<String, f64>,
    within: f64,
    name: &str,
) {
    assert!(seen.keys().eq(expected.keys()), "{name}: {:?}", seen.keys());
    for ((score, seen), expected) in seen.iter().zip(expected.values()) {
        assert!(
            (seen - expected).abs() <= within * expected.abs() + 1e-12,
            "{name}: {score} is {seen}, not {expected}"
        );
    }
}

#[test]
fn scores_are_those_of_pycocoevalcap() {
    for corpus in corpora() {
        assert_close(&scores(&corpus.items), &corpus.out, 1e-6, &corpus.name);
    }
    assert!(captioning(&[]).is_empty());
}

#[test]
fn words_are_those_of_the_penn_treebank() {
    assert_eq!(FIXTURES.words.len(), 12);
    for (text, words) in &FIXTURES.words {
        let item = (text.clone(), vec![words.clone()]);
        assert_eq!(scores([&item])["accuracy"], 1.0, "{text}: not {words}");
    }
}

/// Where there are four words at least to be right about.
#[test]
fn what_is_right_scores_one() {
    let long = |text: &String| text.split(' ').count() > 4;
    for corpus in corpora() {
        let texts = corpus.items.iter().flat_map(|item| &item.1);
        let right: Vec<Item> = texts
            .filter(|text| long(text))
            .map(|text| (text.clone(), vec![text.clone()]))
            .collect();
        let all = scores(&right);
        for name in [
            "accuracy", "rouge_l", "bleu_1", "bleu_2", "bleu_3", "bleu_4",
        ] {
            let seen = all.get(name).copied().unwrap_or(1.0);
            assert!((seen - 1.0).abs() < 1e-6, "{}: {name} {seen}", corpus.name);
        }
    }
}

#[test]
fn neither_the_order_of_items_nor_that_of_references_matters() {
    for corpus in corpora() {
        let mut items = corpus.items.clone();
        items.reverse();
        items.iter_mut().for_each(|item| item.1.reverse());
        assert_close(&scores(&items), &scores(&corpus.items), 1e-12, &corpus.name);
    }
}
