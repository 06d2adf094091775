//! What every page must hold, whatever it is fed: well-formed, complete in itself, accessible, no broken number.

use super::*;
use crate::accuracy::{Confusion, Group, Tally};
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
            !["script", "evil", "link", "iframe", "a"].contains(name),
            "<{name}>"
        );
        for (key, value) in attributes {
            assert!(!key.starts_with("on") && *key != "href", "{key}={value}");
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

fn run_report(text: &str, value: f64) -> RunReport {
    let text = || text.to_owned();
    let points = vec![(0.0, 0.5), (1.0, value), (2.0, 0.25), (value, 0.5)];
    let curve = |axis| Curve {
        name: text(),
        x_label: text(),
        axis,
        series: vec![
            Series {
                label: text(),
                points: points.clone(),
            },
            Series::default(),
        ],
    };
    let sample = |image_png| SampleCard {
        image_png,
        question: text(),
        target: "x".into(),
        prediction: text(),
        score: value,
    };
    RunReport {
        title: text(),
        subtitle: text(),
        facts: vec![(text(), text())],
        test: Tally {
            correct: 3,
            total: 4,
        },
        groups: vec![
            Group {
                name: text(),
                tally: Tally {
                    correct: 3,
                    total: 4,
                },
            },
            Group {
                name: text(),
                tally: Tally::default(),
            },
        ],
        confusions: vec![Confusion {
            target: text(),
            prediction: text(),
            count: 1,
            of: 0,
        }],
        curves: vec![
            curve(Axis::Linear),
            curve(Axis::Percent),
            curve(Axis::Log),
            Curve::default(),
        ],
        figures: vec![
            Figure::Pictures {
                title: text(),
                note: text(),
                columns: vec![text(), text()],
                rows: vec![vec![Png::new(&[1, 2, 3]), Png::new(&[])], Vec::new()],
            },
            Figure::Similarities {
                title: text(),
                note: text(),
                pictures: vec![Png::new(&[1, 2, 3])],
                texts: vec![text(), text()],
                values: vec![vec![value, 0.5]],
            },
        ],
        samples: vec![sample(vec![1, 2, 3]), sample(Vec::new())],
        config_toml: text(),
    }
}

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
        }
    };
    Arm {
        label: label.to_owned(),
        parameters: Some(812_345),
        runs: accuracies.iter().enumerate().map(run).collect(),
    }
}

fn comparison(arms: Vec<Arm>) -> CompareReport {
    CompareReport {
        title: "fusion".into(),
        arms,
        ..CompareReport::default()
    }
}

fn verdict(arms: Vec<Arm>) -> String {
    let html = comparison(arms).html();
    let (_, verdict) = html.split_once("<p class=\"verdict\">").unwrap();
    verdict
        .split_once("</p>")
        .unwrap()
        .0
        .replace("<strong>", "")
        .replace("</strong>", "")
}

#[test]
fn no_text_and_no_value_breaks_the_page_of_a_run() {
    for value in [
        0.75,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -1.0,
        1e308,
        5e-324,
    ] {
        for text in [HOSTILE, "", "late"] {
            check(&run_report(text, value).html());
        }
    }
    check(&RunReport::default().html());
}

#[test]
fn no_text_and_no_value_breaks_the_page_of_a_comparison() {
    for value in [0.75, f64::NAN, f64::INFINITY, 0.0, -1.0, 1e308] {
        for text in [HOSTILE, "", "late"] {
            for axis in [Axis::Linear, Axis::Percent, Axis::Log] {
                let mut report = comparison(vec![
                    arm(text, &[value, 0.5]),
                    arm(text, &[value]),
                    arm(text, &[]),
                ]);
                report.metric.axis = axis;
                report.metric.label = text.to_owned();
                report.more_metrics = vec![Metric {
                    key: text.to_owned(),
                    label: text.to_owned(),
                    axis,
                }];
                report.arms[0].runs[0].tracks[0].name = text.to_owned();
                report.arms[0].runs[0].seconds = Some(value);
                check(&report.html());
                let lines: BTreeSet<usize> = report
                    .text()
                    .lines()
                    .map(|line| line.chars().filter(|letter| letter.is_control()).count())
                    .collect();
                assert_eq!(lines, BTreeSet::from([0]));
            }
        }
    }
    check(&CompareReport::default().html());
}

#[test]
fn a_run_shows_what_it_was_given() {
    let html = run_report("late", 0.125).html();
    let tags = check(&html);
    assert!(html.contains("<b>75.00%</b><span>test accuracy, 3 of 4 right</span>"));
    assert_eq!(
        (
            count(&tags, "img"),
            count(&tags, "pre"),
            count(&tags, "table")
        ),
        (4, 1, 4)
    );
    // Of 0.125 and 0.5 the one is the lightest cell, the other the darkest.
    assert!(html.contains("--share:0%\">0.1250<") && html.contains("--share:100%\">0.5000<"));
    assert!(html.contains("src=\"data:image/png;base64,AQID\""));
    assert!(html.contains("right answer: x"));
    assert_eq!(
        html.matches("No finite value to draw.").count(),
        1,
        "the curve without series"
    );
}

#[test]
fn lines_lie_where_their_values_are_and_break_at_a_hole() {
    let points = vec![(0.0, 0.0), (50.0, 1.0), (60.0, f64::NAN), (100.0, 0.5)];
    let series = vec![Series {
        label: "valid".into(),
        points,
    }];
    let curve = Curve {
        name: "Accuracy".into(),
        x_label: "step".into(),
        axis: Axis::Percent,
        series,
    };
    let html = RunReport {
        curves: vec![curve],
        ..RunReport::default()
    }
    .html();
    let tags = check(&html);
    let lines: Vec<&str> = tags
        .iter()
        .filter(|tag| tag.name == "polyline")
        .map(|tag| tag.attributes["points"])
        .collect();
    // The point beyond the hole is drawn as a dot.
    assert_eq!(lines, ["0.0,1000.0 500.0,0.0", "1000.0,500.0 1000.0,500.0"]);
    assert!(html.contains("1 point is not finite or out of range and not drawn."));
    assert!(!html.contains("moving mean"));
}

#[test]
fn only_a_noisy_series_is_smoothed_and_the_page_says_so() {
    let points = (0..200)
        .map(|step| (f64::from(step), f64::from(step % 2) + 1.0))
        .collect();
    let series = vec![Series {
        label: "train".into(),
        points,
    }];
    let curve = Curve {
        name: "Loss".into(),
        x_label: "step".into(),
        axis: Axis::Linear,
        series,
    };
    let html = RunReport {
        curves: vec![curve],
        ..RunReport::default()
    }
    .html();
    assert!(
        html.contains(
            "Bold train: centred moving mean over 5 points; faint: the points themselves."
        )
    );
    assert_eq!(
        (
            html.matches("class=\"s0 d0 faint\"").count(),
            html.matches("class=\"s0 d0 bold\"").count()
        ),
        (1, 1)
    );
}

#[test]
fn the_verdict_says_no_more_than_the_seeds_do() {
    assert_eq!(
        verdict(vec![
            arm("mid", &[0.97, 0.98]),
            arm("late", &[0.985, 0.995]),
            arm("early", &[0.9, 0.91])
        ]),
        "late reaches 99.00% on average over 2 seeds. mid follows with 97.50%; every seed of late is above every seed of mid."
    );
    assert!(
        verdict(vec![arm("a", &[0.9, 0.95]), arm("b", &[0.94, 0.96])])
            .ends_with("their order may be chance.")
    );
    assert!(
        verdict(vec![arm("a", &[0.9]), arm("b", &[0.8])])
            .ends_with("nothing about the spread between seeds.")
    );
    assert_eq!(
        verdict(vec![arm("a", &[0.9, 0.9])]),
        "a reaches 90.00% on average over 2 seeds."
    );
    assert_eq!(
        verdict(vec![arm("a", &[0.9]), arm("b", &[0.99, f64::NAN])]),
        "a reaches 90.00% with one seed. Without a mean, as a seed gave no finite value: b."
    );
}

#[test]
fn the_dot_plot_has_a_dot_a_seed_and_the_mean_between() {
    let html = comparison(vec![
        arm("late", &[0.9, 0.95]),
        arm("early", &[0.8, f64::NAN]),
    ])
    .html();
    let tags = check(&html);
    let places = |class: &str, key: &str| -> Vec<f64> {
        let tags = tags
            .iter()
            .filter(|tag| tag.attributes.get("class") == Some(&class));
        tags.map(|tag| tag.attributes[key].trim_end_matches('%').parse().unwrap())
            .collect()
    };
    let (dots, means) = (places("dot", "cx"), places("mean", "x1"));
    assert_eq!((dots.len(), means.len()), (3, 1));
    assert!(
        (means[0] - (dots[0] + dots[1]) / 2.0).abs() < 0.011,
        "{means:?} {dots:?}"
    );
    assert!(dots[2] < dots[0] && dots[0] < dots[1]);
    assert!(html.contains("1 of 2 seeds finite"));
}

#[test]
fn curves_of_a_comparison_have_a_line_a_seed_and_a_mean_an_arm() {
    let mut report = comparison(vec![arm("late", &[0.9, 0.95]), arm("early", &[0.8])]);
    let html = report.html();
    check(&html);
    let lines = |html: &str, weight: &str| html.matches(&format!("{weight}\"><title>")).count();
    // Once over steps, once over time.
    assert_eq!((lines(&html, "thin"), lines(&html, "bold")), (6, 4));
    assert!(
        html.contains("Validation accuracy, against time")
            && html.contains(">seconds of training<")
    );
    report.arms[1].runs[0].tracks[0].points[1].seconds = None;
    let html = report.html();
    assert_eq!((lines(&html, "thin"), lines(&html, "bold")), (3, 2));
    assert!(!html.contains("against time"));
}

#[test]
fn the_best_arm_of_each_group_is_bold() {
    let group = |name: &str, correct| Group {
        name: name.into(),
        tally: Tally { correct, total: 4 },
    };
    let mut report = comparison(vec![arm("late", &[0.9]), arm("early", &[0.8])]);
    report.arms[0].runs[0].groups = vec![group("shape", 3), group("color", 1)];
    report.arms[1].runs[0].groups = vec![group("color", 2)];
    let html = report.html();
    assert!(html.contains("late</th><td><b>75.00%</b></td><td>25.00%</td>"));
    assert!(html.contains("early</th><td>–</td><td><b>50.00%</b></td>"));
}

#[test]
fn the_terminal_shows_the_same_table() {
    let mut report = comparison(vec![
        arm("late", &[0.9931, 0.9951]),
        arm("cross-attention", &[0.9]),
    ]);
    report.arms[1].parameters = None;
    report.arms[1].runs[0].seconds = None;
    let expected = "\
Arm              Parameters  Test accuracy      Each seed  Training time  Samples/s
───────────────  ──────────  ─────────────  ─────────────  ─────────────  ─────────
late                812,345  99.41% ± 0.14  99.31% 99.51%     1 min 01 s      1,234
cross-attention           –         90.00%         90.00%              –      1,234
";
    assert_eq!(report.text(), expected);
}

#[test]
fn json_holds_each_seed_and_null_for_what_is_not_known() {
    let mut report = comparison(vec![arm("late", &[0.5, 1.0]), arm("early", &[f64::NAN])]);
    report.arms[0].runs[1].seconds = None;
    report.arms[0].runs[1].test.insert("loss".into(), 0.25);
    report.more_metrics = vec![Metric {
        key: "loss".into(),
        ..Metric::default()
    }];
    let json = serde_json::to_value(report.summaries()).unwrap();
    assert_eq!(json[0]["seeds"], serde_json::json!([1, 2]));
    assert_eq!(
        json[0]["test"]["accuracy"]["values"],
        serde_json::json!([0.5, 1.0])
    );
    assert_eq!(json[0]["test"]["accuracy"]["mean"], 0.75);
    assert_eq!(
        json[0]["test"]["loss"]["values"],
        serde_json::json!([null, 0.25]),
        "a run without the metric"
    );
    assert_eq!(json[0]["test"]["loss"]["mean"], serde_json::Value::Null);
    assert_eq!(json[0]["seconds"], serde_json::Value::Null);
    assert_eq!(json[1]["test"]["accuracy"]["mean"], serde_json::Value::Null);
    assert_eq!(json[1]["seconds"]["mean"], 61.0);
}
