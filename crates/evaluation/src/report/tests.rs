//! What every page must hold, whatever it is fed: well-formed, complete in itself, accessible, no broken number.

mod compare;
mod export;
mod figures;
mod run;
mod verdict;

use super::*;
use crate::accuracy::{Group, Tally};
use crate::statistics::{Sample, Study};
use std::collections::{BTreeMap, BTreeSet};

/// Ends every context a text can stand in: element, attribute of either quote, title, style, comment.
const HOSTILE: &str = "</title></style>--></p><evil a=\"1\" onload='x'>\"'&amp;<script>alert(1)</script>\0\u{1b}\u{202e}";

#[derive(Debug)]
struct Tag<'a> {
    name: &'a str,
    attributes: BTreeMap<&'a str, &'a str>,
}

/// The start tags of a page. Panics where a tag is not closed in order or an attribute is not quoted.
fn tags(html: &str) -> Vec<Tag<'_>> {
    let (mut open, mut tags) = (Vec::new(), Vec::new());
    let mut rest = html
        .strip_prefix("<!doctype html>")
        .expect("a document type");
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>'),
            "a bare `>` in {:?}",
            &rest[..start]
        );
        rest = &rest[start + 1..];
        if let Some(end) = rest.strip_prefix('/') {
            let (name, after) = end.split_once('>').expect("an end tag ends");
            assert_eq!(open.pop(), Some(name), "closing {name}");
            rest = after;
            continue;
        }
        let end = rest.find([' ', '>', '/', '\n']).expect("a tag ends");
        let name = &rest[..end];
        rest = &rest[end..];
        let mut attributes = BTreeMap::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>") {
                rest = after;
                break;
            }
            if let Some(after) = rest.strip_prefix('>') {
                if !["meta", "img"].contains(&name) {
                    open.push(name);
                }
                rest = after;
                // Style is no text: it may hold a `>`.
                if name == "style" {
                    rest = &rest[rest.find("</style>").expect("the style ends")..];
                }
                break;
            }
            let (key, after) = rest.split_once("=\"").expect("an attribute is quoted");
            let (value, after) = after.split_once('"').expect("a quote ends");
            assert!(
                key.chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == '-'),
                "{key:?}"
            );
            attributes.insert(key, value);
            rest = after;
        }
        tags.push(Tag { name, attributes });
    }
    assert_eq!(open, Vec::<&str>::new());
    tags
}

/// Checks what holds for every page, and returns its tags.
fn check(html: &str) -> Vec<Tag<'_>> {
    let tags = tags(html);
    let mut ids = BTreeSet::new();
    for Tag { name, attributes } in &tags {
        assert!(
            !["script", "evil", "link", "iframe"].contains(name),
            "<{name}>"
        );
        for (key, value) in attributes {
            assert!(!key.starts_with("on"), "{key}={value}");
            assert!(*key != "href" || value.starts_with('#'), "{key}={value}");
            assert!(
                *key != "src" || value.starts_with("data:image/png;base64,"),
                "{key}={value}"
            );
            let number = [
                "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "points",
            ];
            let numeric = |letter: char| letter.is_ascii_digit() || " .,-%".contains(letter);
            assert!(
                !number.contains(key) || value.chars().all(numeric) || *name == "meta",
                "{key}={value}"
            );
            assert!(
                !value.contains("NaN") && !value.contains("inf"),
                "{key}={value}"
            );
            if *key == "id" {
                assert!(ids.insert(*value), "{value} twice");
            }
        }
    }
    for tag in tags.iter().filter(|tag| tag.name == "a") {
        assert!(ids.contains(&tag.attributes["href"][1..]), "{tag:?}");
    }
    for tag in tags
        .iter()
        .filter(|tag| tag.attributes.get("role") == Some(&"img") && tag.name == "svg")
    {
        let labels: Vec<&str> = tag.attributes["aria-labelledby"].split(' ').collect();
        assert_eq!(labels.len(), 2);
        assert!(labels.iter().all(|label| ids.contains(label)), "{labels:?}");
    }
    for tag in tags.iter().filter(|tag| tag.name == "th") {
        assert!(["row", "col"].contains(&tag.attributes["scope"]));
    }
    let style = &html[html.find("<style>").unwrap()..html.find("</style>").unwrap()];
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(html.contains("default-src 'none'"));
    tags
}

fn count(tags: &[Tag], name: &str) -> usize {
    tags.iter().filter(|tag| tag.name == name).count()
}

/// An arm with an accuracy a seed, and something of most other kinds.
fn arm(label: &str, accuracies: &[f64]) -> Arm {
    let run = |(index, &accuracy): (usize, &f64)| {
        let point = |step: u32| Point {
            step: f64::from(step),
            seconds: Some(2.0 * f64::from(step)),
            value: accuracy,
        };
        ArmRun {
            seed: index as u64 + 1,
            test: [("accuracy".to_owned(), accuracy)].into(),
            groups: vec![Group {
                name: label.to_owned(),
                tally: Tally {
                    correct: 1,
                    total: 2,
                },
            }],
            seconds: Some(61.0),
            samples_per_second: Some(1234.5),
            tracks: vec![Track {
                name: "Validation accuracy".into(),
                axis: Axis::Percent,
                points: (0..3).map(point).collect(),
            }],
            ..ArmRun::default()
        }
    };
    Arm {
        label: label.to_owned(),
        parameters: Some(812_345),
        runs: accuracies.iter().enumerate().map(run).collect(),
        ..Arm::default()
    }
}

/// A comparison of arms by their accuracies, tested.
fn comparison(arms: Vec<Arm>) -> CompareReport {
    let sample = |arm: &Arm| Sample {
        label: arm.label.clone(),
        seeds: arm.runs.iter().map(|run| run.seed).collect(),
        means: arm.runs.iter().map(|run| run.test["accuracy"]).collect(),
        items: None,
    };
    CompareReport {
        title: "fusion".into(),
        study: Study::of(&arms.iter().map(sample).collect::<Vec<_>>()),
        arms,
        ..CompareReport::default()
    }
}
