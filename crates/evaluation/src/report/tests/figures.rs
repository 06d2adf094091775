//! The parts of the page of a comparison show what they were given.

use super::compare::part;
use super::*;
use crate::statistics::Calibration;

fn attribute<'a>(tags: &'a [Tag], class: &str, key: &str) -> Vec<&'a str> {
    let tags = tags
        .iter()
        .filter(|tag| tag.attributes.get("class") == Some(&class));
    tags.map(|tag| tag.attributes[key]).collect()
}

fn places(tags: &[Tag], class: &str, key: &str) -> Vec<f64> {
    let values = attribute(tags, class, key).into_iter();
    values
        .map(|value| value.trim_end_matches('%').parse().unwrap())
        .collect()
}

#[test]
fn the_ranking_has_a_dot_a_seed_and_the_mean_between() {
    let html = comparison(vec![
        arm("early", &[0.8, f64::NAN]),
        arm("late", &[0.9, 0.95]),
    ])
    .html();
    let tags = check(&html);
    let (dots, means) = (places(&tags, "dot", "cx"), places(&tags, "at", "x"));
    assert_eq!((dots.len(), means.len()), (3, 1));
    assert!(
        (means[0] - (dots[0] + dots[1]) / 2.0).abs() < 0.011,
        "{means:?} {dots:?}"
    );
    // The arm with a mean comes first, and its seeds are the higher ones.
    assert!(dots[2] < dots[0] && dots[0] < dots[1]);
    assert!(html.contains("1 of 2 seeds finite"));
    // A seed a column, and what is not finite is no number.
    assert!(html.contains("<th scope=\"col\">Seed 1</th><th scope=\"col\">Seed 2</th>"));
    assert!(html.contains("early</span></th><td>80.00%</td><td>–</td>"));
}

#[test]
fn the_forest_and_the_matrix_mark_what_holds() {
    let mut report = comparison(vec![
        arm("wide", &[0.86, 0.90, 0.94]),
        arm("low", &[0.80, 0.801, 0.802]),
        arm("high", &[0.91, 0.911, 0.912]),
    ]);
    let html = report.html();
    check(&html);
    let forest = part(&html, "differences-to-the-best");
    assert_eq!(
        (
            forest.matches("class=\"holds\"").count(),
            forest.matches("class=\"open\"").count()
        ),
        (1, 1)
    );
    assert!(forest.contains(">−11.00<") && forest.contains(">−1.10<"));
    let matrix = part(&html, "all-pairs");
    let cells = |matrix: &str| {
        ["above", "below", "unsure", "self"]
            .map(|class| matrix.matches(&format!("<td class=\"{class}\"")).count())
    };
    assert_eq!(cells(matrix), [1, 1, 4, 3]);
    let first = matrix.split_once("<tbody>").unwrap().1;
    assert!(first.find("class=\"above\"") < first.find("class=\"below\""));
    // A pair a row, with all tests.
    assert!(matrix.contains("Every test of all 3 pairs"));
    assert!(matrix.contains("high − low</th>"));
    // Of a loss the same difference makes the other arm the better one.
    report.metric.less_is_better = true;
    let html = report.html();
    let matrix = part(&html, "all-pairs");
    assert_eq!(cells(matrix), [1, 1, 4, 3]);
    assert!(matrix.find("<span class=\"arm\">low") < matrix.find("<span class=\"arm\">high"));
}

#[test]
fn the_front_has_no_arm_that_another_beats_in_both() {
    let mut arms = vec![
        arm("cheap", &[0.70]),
        arm("beaten", &[0.60]),
        arm("best", &[0.90]),
        arm("as dear as best", &[0.80]),
        arm("unknown", &[0.99]),
    ];
    for (arm, flops) in arms.iter_mut().zip([1e6, 2e6, 9e6, 9e6]) {
        arm.flops = Some(flops);
    }
    let html = comparison(arms).html();
    let tags = check(&html);
    let plot = part(&html, "what-quality-costs");
    let (legend, svg) = plot.split_once("</ul>").unwrap();
    assert!(legend.find("> cheap <b>70.0%</b>") < legend.find("> best <b>90.0%</b>"));
    assert!(!legend.contains("beaten") && !legend.contains("as dear"));
    assert_eq!(
        (
            svg.matches("class=\"holds\"").count(),
            svg.matches("class=\"dot\"").count()
        ),
        (2, 2)
    );
    assert!(svg.contains("from 0.86 to") || svg.contains("MFLOPs of a forward pass"));
    // Two arms and the end: up to the first, along, up to the second, along.
    let steps = attribute(&tags, "front", "points");
    assert_eq!(steps[0].split(' ').count(), 4);
    let equal = comparison(vec![arm("a", &[0.9]), arm("b", &[0.8])]).html();
    assert!(part(&equal, "what-quality-costs").is_empty(), "equal costs");
}

#[test]
fn shapley_values_are_those_computed_by_hand() {
    let mut late = arm("late", &[0.9, 0.8]);
    let probes = |image, question, neither| {
        [
            ("without question", image),
            ("without image", question),
            ("without both", neither),
        ]
        .map(|(name, accuracy)| Probe {
            name: name.into(),
            level: 1.0,
            accuracy,
        })
        .to_vec()
    };
    late.runs[0].probes = probes(0.3, 0.5, 0.2);
    late.runs[1].probes = probes(0.4, 0.4, 0.2);
    let report = comparison(vec![late.clone(), arm("early", &[0.5, 0.5])]);
    let found = report.summaries()[0].attribution.unwrap();
    // First seed: image 1/2 (0.1 + 0.4) = 0.25, question 1/2 (0.3 + 0.6) = 0.45, together 0.9 - 0.8 + 0.2 = 0.3;
    // second seed: 1/2 (0.2 + 0.4) = 0.3 each, together 0.8 - 0.8 + 0.2 = 0.2.
    for (seen, expected) in [
        (found.image, 0.275),
        (found.question, 0.375),
        (found.interaction, 0.25),
    ] {
        assert!((seen - expected).abs() < 1e-12, "{found:?}");
    }
    assert_eq!(report.summaries()[1].attribution, None);
    let html = report.html();
    let bars = part(&html, "what-each-modality-adds");
    assert!(
        bars.contains("<b>+27.5 / +37.5</b><small>together +25.0</small>"),
        "{bars}"
    );
    assert_eq!(bars.matches("class=\"seed\"").count(), 4);
    late.runs[1].probes.pop();
    assert_eq!(comparison(vec![late]).summaries()[0].attribution, None);
}

#[test]
fn numeric_settings_are_a_curve_and_others_a_table() {
    let mut report = comparison(vec![arm("late", &[0.9, 0.91]), arm("early", &[0.8, 0.81])]);
    let condition = |key: &str, value: &str, accuracy: f64| Condition {
        key: key.into(),
        value: value.into(),
        arms: vec![(0, vec![accuracy, accuracy]), (1, vec![accuracy / 2.0])],
    };
    report.conditions = vec![
        condition("loader.share", "1", 0.9),
        condition("split", "held out", 0.6),
        condition("loader.share", "0.1", 0.5),
    ];
    let html = report.html();
    let tags = check(&html);
    let settings = part(&html, "other-settings");
    assert_eq!(settings.matches("<figure class=\"chart\">").count(), 1);
    assert_eq!(settings.matches("<table>").count(), 2);
    assert!(settings.contains("<td>90.00% ± 0.00</td><td>50.00% ± 0.00</td>"));
    assert!(settings.contains("<td>60.00% ± 0.00</td>"));
    // From the smaller share to the larger, whatever their order, and up.
    let lines: Vec<Vec<f64>> = tags
        .iter()
        .filter(|tag| tag.name == "polyline")
        .map(|tag| tag.attributes["points"])
        .map(|points| {
            points
                .split([' ', ','])
                .map(|number| number.parse().unwrap())
                .collect()
        })
        .filter(|numbers: &Vec<f64>| numbers.len() == 4 && numbers[0] != numbers[2])
        .collect();
    assert_eq!(lines.len(), 2, "a line an arm");
    for line in lines {
        assert!(
            line[0] < 5.0 && line[2] > 995.0 && line[1] > line[3],
            "{line:?}"
        );
    }
}

#[test]
fn spoilt_input_is_a_curve_from_the_clean_accuracy() {
    let mut late = arm("late", &[0.9]);
    late.runs[0].probes = [(0.5, 0.7), (0.25, 0.8)]
        .map(|(level, accuracy)| Probe {
            name: "image noise".into(),
            level,
            accuracy,
        })
        .to_vec();
    late.runs[0].probes.push(Probe {
        name: "without image".into(),
        level: 1.0,
        accuracy: 0.4,
    });
    late.runs[0].tracks.clear();
    let html = comparison(vec![late]).html();
    let tags = check(&html);
    assert!(html.contains("Accuracy by image noise"));
    let lines: Vec<&str> = tags
        .iter()
        .filter(|tag| tag.name == "polyline")
        .map(|tag| tag.attributes["points"])
        .filter(|points| points.split(' ').count() == 3)
        .collect();
    assert_eq!(lines, ["0.0,0.0 500.0,500.0 1000.0,1000.0"]);
    assert!(
        html.contains("<th scope=\"col\">without image</th>") && html.contains("<td>40.00%</td>")
    );
}

#[test]
fn a_reliability_diagram_pools_the_seeds() {
    let mut late = arm("late", &[0.9, 0.9]);
    // In the uppermost of 15 bins: one of one right, and one of three.
    late.runs[0].calibration = Calibration::of(&[(0.99, true)]);
    late.runs[1].calibration = Calibration::of(&[(0.99, true), (0.99, false), (0.99, false)]);
    let html = comparison(vec![late, arm("early", &[0.8])]).html();
    check(&html);
    let diagrams = part(&html, "calibration");
    assert_eq!(diagrams.matches("<rect").count(), 1);
    assert!(
        diagrams.contains("x=\"93.33%\" y=\"50.00%\"") && diagrams.contains("height=\"50.00%\"")
    );
    assert!(diagrams.contains("right 50.00%, 100.00% of the answers"));
}

#[test]
fn the_gallery_begins_where_one_arm_stands_alone() {
    let example = |question: &str, right: [usize; 4]| Example {
        question: question.into(),
        target: "red".into(),
        answers: right
            .into_iter()
            .enumerate()
            .map(|(arm, right)| {
                let answer = |seed| if seed < right { "red" } else { "blue" }.to_owned();
                (arm, (0..3).map(answer).collect())
            })
            .collect(),
        ..Example::default()
    };
    let labels = ["a", "b", "c", "d"];
    let mut report = comparison(labels.iter().map(|label| arm(label, &[0.5])).collect());
    report.gallery = vec![
        example("even", [3, 3, 0, 0]),
        example("none", [0, 0, 0, 1]),
        example("doubtful", [2, 0, 0, 0]),
        example("sure", [3, 3, 3, 0]),
    ];
    let html = report.html();
    check(&html);
    let gallery = part(&html, "where-they-disagree");
    let at = |text: &str| {
        gallery
            .find(&format!("<p class=\"question\">{text}</p>"))
            .unwrap()
    };
    assert!(at("sure") < at("doubtful") && at("doubtful") < at("even") && at("even") < at("none"));
    assert!(
        gallery.contains("Only <b>d</b> is wrong") && gallery.contains("Only <b>a</b> is right")
    );
    assert!(gallery.contains("2 of 4 arms are right") && gallery.contains("All are wrong"));
    assert!(gallery.contains("<li>a <small>2 of 3</small></li>"));
}

#[test]
fn curves_have_a_line_a_seed_and_a_mean_an_arm() {
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
fn of_many_arms_the_best_have_colours_and_the_page_stays_small() {
    let point = |step: u32| Point {
        step: f64::from(step),
        seconds: Some(f64::from(step)),
        value: 0.5 + 0.1 * f64::from(step % 7),
    };
    let arms = (0..24).map(|index| {
        let mut arm = arm(
            &format!("arm-{index}"),
            &[0.3 + 0.02 * f64::from(index); 10],
        );
        for run in &mut arm.runs {
            run.tracks[0].points = (0..2_000).map(point).collect();
        }
        arm
    });
    let html = comparison(arms.collect()).html();
    check(&html);
    let curves = part(&html, "learning-curves");
    let lines = |class: &str| curves.matches(&format!("<g class=\"{class}")).count();
    // On each of two charts six arms with ten seeds and a mean, and the means of 18 others.
    assert_eq!((lines("s"), lines("rest thin")), (2 * 6 * 11, 2 * 18));
    assert!(curves.contains("18 others"));
    assert!(part(&html, "ranking").contains("arm-23"));
    assert!(html.len() < 1_200_000, "{}", html.len());
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
    let table = part(&html, "accuracy-by-group");
    // One value is neither high nor low.
    assert!(table.contains("late</span></th><td>75.00%</td><td><span class=\"shade\" style=\"--share:0%\">25.00%</span></td>"), "{table}");
    assert!(table.contains("early</span></th><td>–</td><td><span class=\"shade\" style=\"--share:100%\"><b>50.00%</b></span></td>"));
}

#[test]
fn commands_stand_beside_their_runs() {
    let mut late = arm("late", &[0.9, 0.95]);
    late.commands = vec!["crucible train vqa --seed 1".into()];
    late.runs[1].digest = "1a2b3c".into();
    let html = comparison(vec![late]).html();
    check(&html);
    let rows = part(&html, "to-repeat-it");
    assert!(rows.contains("<td>1</td><td>90.00%</td><td class=\"words\"><code></code></td><td class=\"words\"><code>crucible train vqa --seed 1</code>"));
    assert!(rows.contains("<td>2</td><td>95.00%</td><td class=\"words\"><code>1a2b3c</code></td><td class=\"words\"><code></code>"));
}
