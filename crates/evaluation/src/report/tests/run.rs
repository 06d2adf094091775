//! The page of one run.

use super::*;
use crate::accuracy::Confusion;

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
