//! The page of a comparison as a whole: nothing breaks it, and all parts are there.

use super::*;
use crate::statistics::Calibration;

/// A report with something in every place, all texts `text` and all numbers `value`.
fn full(text: &str, value: f64) -> CompareReport {
    let probe = |name: &str, level, accuracy| Probe {
        name: name.to_owned(),
        level,
        accuracy,
    };
    let mut arms = vec![
        arm(text, &[value, 0.5, 0.6]),
        arm(text, &[0.2, 0.25, value]),
        arm(text, &[0.3, 0.31, 0.32]),
        arm(text, &[0.9, 0.91, 0.92]),
        arm(text, &[value]),
        arm(text, &[]),
    ];
    for arm in &mut arms {
        arm.about = text.to_owned();
        arm.flops = Some(value);
        arm.commands = vec![text.to_owned(); 2];
        for run in &mut arm.runs {
            run.seconds = Some(value);
            run.samples_per_second = Some(value);
            run.peak_bytes = Some(u64::MAX);
            run.digest = text.to_owned();
            run.calibration = Calibration::of(&[(0.9, true), (0.3, false), (1.0, true)]);
            if let Some(calibration) = &mut run.calibration {
                calibration.ece = value;
                calibration.bins[4].accuracy = Some(value);
            }
            run.image_weight = Some(value);
            run.tracks[0].name = text.to_owned();
            run.tracks[0].points[1] = Point {
                step: value,
                seconds: Some(value),
                value,
            };
            run.probes = vec![
                probe(text, 0.5, value),
                probe(text, value, 0.5),
                probe("without image", 1.0, value),
                probe("without question", 1.0, 0.4),
                probe("without both", 1.0, 0.2),
            ];
        }
    }
    let condition = |value_text: &str| Condition {
        key: text.to_owned(),
        value: value_text.to_owned(),
        arms: vec![
            (0, vec![value]),
            (2, vec![0.5, value]),
            (3, vec![0.5, 0.6]),
            (99, vec![0.1]),
        ],
    };
    let mut report = comparison(arms);
    report.title = text.to_owned();
    report.subtitle = text.to_owned();
    report.facts = vec![(text.to_owned(), text.to_owned())];
    report.metric.label = text.to_owned();
    report.more_metrics = vec![
        Metric {
            key: "accuracy".into(),
            label: text.to_owned(),
            ..Metric::default()
        },
        Metric {
            key: text.to_owned(),
            label: text.to_owned(),
            ..Metric::default()
        },
    ];
    report.config_toml = text.to_owned();
    report.conditions = vec![condition("0.1"), condition("1"), condition(text)];
    report.conditions[2].key = "other".into();
    report.gallery = [Vec::new(), vec![1, 2, 3]]
        .into_iter()
        .map(|image_png| Example {
            image_png,
            question: text.to_owned(),
            target: text.to_owned(),
            group: text.to_owned(),
            answers: vec![
                (0, vec![text.to_owned(), "x".into()]),
                (1, Vec::new()),
                (3, vec!["x".into()]),
                (99, vec![text.to_owned()]),
            ],
        })
        .collect();
    report.budget = Some(text.to_owned());
    report.failed = vec![text.to_owned(); 9];
    report
}

/// What lies between the headings of a part and the next one.
pub(super) fn part<'a>(html: &'a str, id: &str) -> &'a str {
    let Some((_, rest)) = html.split_once(&format!("<section id=\"{id}\">")) else {
        return "";
    };
    rest.split_once("</section>").unwrap().0
}

#[test]
fn no_text_and_no_value_breaks_the_page() {
    let values = [
        0.75,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -1.0,
        1e308,
        5e-324,
    ];
    for value in values {
        // An empty and a plain text need no more than one value each.
        let texts = if value.is_nan() {
            &["", "late", HOSTILE][..]
        } else {
            &[HOSTILE][..]
        };
        for text in texts {
            let mut report = full(text, value);
            for (axis, less_is_better) in [
                (Axis::Percent, false),
                (Axis::Linear, true),
                (Axis::Log, false),
            ] {
                report.metric.axis = axis;
                report.metric.less_is_better = less_is_better;
                let html = report.html();
                check(&html);
                assert!(!html.contains("NaN") && !html.contains("inf\""), "{value}");
                let steers = |letter: char| letter.is_control() && letter != '\n';
                assert!(!report.text().contains(steers));
                assert!(!report.latex().contains(steers));
                report.csv();
                report.pairs_csv();
                report.summaries();
            }
        }
    }
    check(&CompareReport::default().html());
}

#[test]
fn a_study_that_does_not_fit_its_arms_breaks_nothing() {
    let mut report = full("late", 0.5);
    report.arms.truncate(2);
    check(&report.html());
    report.study = Study::of(&[]);
    let html = report.html();
    check(&html);
    assert!(part(&html, "all-pairs").is_empty() && part(&html, "how-this-was-computed").is_empty());
    report.pairs_csv();
}

#[test]
fn every_part_is_there_and_what_is_empty_is_left_out() {
    let names = |html: &str| -> Vec<String> {
        let parts = html.split("<section id=\"").skip(1);
        parts
            .map(|part| part.split_once('"').unwrap().0.to_owned())
            .collect()
    };
    let mut report = full("late", 0.5);
    for (index, arm) in report.arms.iter_mut().enumerate() {
        arm.flops = Some(1e6 * (index + 1) as f64);
    }
    let html = report.html();
    assert_eq!(
        names(&html),
        [
            "ranking",
            "differences-to-the-best",
            "what-quality-costs",
            "all-pairs",
            "other-settings",
            "robustness",
            "what-each-modality-adds",
            "calibration",
            "accuracy-by-group",
            "where-they-disagree",
            "learning-curves",
            "how-this-was-computed",
            "to-repeat-it",
            "what-all-arms-share"
        ]
    );
    check(&html);
    assert_eq!(html.matches("<a href=").count(), 14);
    let mut bare = arm("late", &[0.9]);
    bare.runs[0].groups.clear();
    bare.runs[0].tracks.clear();
    assert_eq!(names(&comparison(vec![bare]).html()), ["ranking"]);
}
