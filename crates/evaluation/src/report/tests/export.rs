//! What leaves the report other than as a page: text, JSON, CSV, LaTeX.

use super::*;

/// The cells of a file of comma-separated values, by RFC 4180.
fn parsed(csv: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell, mut quoted) =
        (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = csv.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => cell.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => line.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {
                assert_eq!(letters.next(), Some('\n'));
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            _ => cell.push(letter),
        }
    }
    assert!(
        !quoted && cell.is_empty() && line.is_empty(),
        "the last line ends"
    );
    lines
}

#[test]
fn the_terminal_shows_the_verdict_and_a_table_best_first() {
    let mut report = comparison(vec![
        arm("cross-attention", &[0.90, 0.91]),
        arm("late", &[0.9931, 0.9951]),
    ]);
    report.arms[0].parameters = None;
    report.arms[1].flops = Some(12.3e6);
    let text = report.text();
    let (verdict, table) = text.split_once("\n\n").unwrap();
    assert!(
        verdict.starts_with("late is better than cross-attention, by more than chance explains.\n")
    );
    let expected = "\
#  Arm              Group           Test accuracy  Params        FLOPs          Time
─  ───────────────  ─────  ──────────────────────  ──────  ───────────  ────────────
1  late             a      99.41% [98.14, 100.00]   812 k       12.3 M    1 min 01 s
2  cross-attention  b       90.50% [84.15, 96.85]       –            –    1 min 01 s
";
    let squeezed = |text: &str| -> Vec<Vec<String>> {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        text.lines()
            .filter(|line| !line.contains('─'))
            .map(words)
            .collect()
    };
    assert_eq!(squeezed(table), squeezed(expected));
}

#[test]
fn the_terminal_is_never_too_wide_nor_steered() {
    let label = format!("{HOSTILE}{}", "x".repeat(300));
    let arms = (0..24).map(|index| arm(&label, &[0.9, 0.1 + 0.01 * f64::from(index), 0.5]));
    let mut report = comparison(arms.collect());
    report.metric.label = label.clone();
    report.more_metrics = vec![Metric::default(); 30];
    report.arms[0].flops = Some(1e9);
    let text = report.text();
    let table = text.split_once("\n\n").unwrap().1;
    assert_eq!(table.lines().count(), 26);
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(110), "{widest:?}");
    assert!(text.lines().all(|line| {
        !line.contains(|letter: char| letter.is_control() || letter == '\u{202e}')
    }));
    assert_eq!(comparison(Vec::new()).text(), "");
}

#[test]
fn json_holds_each_seed_and_null_for_what_is_not_known() {
    let mut report = comparison(vec![arm("late", &[0.5, 1.0]), arm("early", &[f64::NAN])]);
    report.arms[0].runs[1].seconds = None;
    report.arms[0].runs[1].test.insert("loss".into(), 0.25);
    report.arms[0].flops = Some(5e6);
    report.more_metrics = vec![Metric {
        key: "loss".into(),
        ..Metric::default()
    }];
    let json = serde_json::to_value(report.summaries()).unwrap();
    assert_eq!(json[0]["seeds"], serde_json::json!([1, 2]));
    assert_eq!(json[0]["rank"], 1);
    assert_eq!(json[0]["letters"], "a");
    assert_eq!(json[0]["flops"], 5e6);
    assert_eq!(
        json[0]["test"]["accuracy"]["values"],
        serde_json::json!([0.5, 1.0])
    );
    assert_eq!(json[0]["test"]["accuracy"]["mean"], 0.75);
    // Student's t with one degree of freedom: 12.706 standard errors of 0.25 to each side.
    let low = json[0]["interval"][0].as_f64().unwrap();
    assert!(
        (low - (0.75 - 12.706_204_736_432_1 * 0.25)).abs() < 1e-9,
        "{low}"
    );
    assert_eq!(
        json[0]["test"]["loss"]["values"],
        serde_json::json!([null, 0.25]),
        "a run without the metric"
    );
    assert_eq!(json[0]["test"]["loss"]["mean"], serde_json::Value::Null);
    assert_eq!(json[0]["seconds"], serde_json::Value::Null);
    assert_eq!(json[1]["rank"], serde_json::Value::Null);
    assert_eq!(json[1]["interval"], serde_json::Value::Null);
    assert_eq!(json[1]["test"]["accuracy"]["mean"], serde_json::Value::Null);
    assert_eq!(json[1]["seconds"]["mean"], 61.0);
    assert_eq!(json[1]["attribution"], serde_json::Value::Null);
}

#[test]
fn csv_has_a_line_a_run_and_quotes_what_needs_it() {
    let mut report = comparison(vec![
        arm("a,\"b\"\r\nc", &[0.1, f64::NAN]),
        arm("=cmd()", &[0.3]),
    ]);
    report.arms[0].commands = vec!["train --set x=1,2".into()];
    report.arms[0].runs[0].probes = vec![Probe {
        name: "image noise".into(),
        level: 0.25,
        accuracy: 0.5,
    }];
    report.arms[1].runs[0].digest = "@sum".into();
    let csv = report.csv();
    assert!(csv.contains("\"a,\"\"b\"\"\r\nc\",1,"));
    let lines = parsed(&csv);
    assert_eq!(lines.len(), 4);
    assert!(
        lines.iter().all(|line| line.len() == lines[0].len()),
        "{lines:?}"
    );
    let column = |name: &str| lines[0].iter().position(|cell| cell == name).unwrap();
    let cell = |line: usize, name: &str| lines[line][column(name)].as_str();
    assert_eq!(cell(1, "arm"), "a,\"b\"\r\nc");
    assert_eq!([cell(1, "seed"), cell(2, "seed")], ["1", "2"]);
    assert_eq!([cell(1, "accuracy"), cell(2, "accuracy")], ["0.1", ""]);
    assert_eq!(cell(1, "parameters"), "812345");
    assert_eq!(
        [
            cell(1, "probe: image noise 0.25"),
            cell(2, "probe: image noise 0.25")
        ],
        ["0.5", ""]
    );
    assert_eq!(
        [cell(1, "command"), cell(2, "command")],
        ["train --set x=1,2", ""]
    );
    // What a spreadsheet would run is made text.
    assert_eq!([cell(3, "arm"), cell(3, "digest")], ["'=cmd()", "'@sum"]);
    assert_eq!(cell(3, "group: =cmd()"), "0.5");
}

#[test]
fn csv_of_pairs_has_every_test_of_every_pair() {
    let report = comparison(vec![
        arm("a", &[0.5, 0.52, 0.51]),
        arm("-b", &[0.9, 0.92, 0.91]),
        arm("c", &[0.7]),
    ]);
    let lines = parsed(&report.pairs_csv());
    assert_eq!(lines.len(), 4);
    assert!(
        lines.iter().all(|line| line.len() == lines[0].len()),
        "{lines:?}"
    );
    let column = |name: &str| lines[0].iter().position(|cell| cell == name).unwrap();
    let cell = |line: usize, name: &str| lines[line][column(name)].as_str();
    let value = |line: usize, name: &str| cell(line, name).parse::<f64>().unwrap();
    assert_eq!([cell(1, "a"), cell(1, "b")], ["a", "'-b"]);
    assert!((value(1, "difference") + 0.4).abs() < 1e-12);
    assert!(value(1, "low") < -0.4 && value(1, "high") > -0.4);
    assert!(value(1, "p_holm") >= value(1, "p"));
    assert!((value(1, "least_p_permutation") - 0.1).abs() < 1e-12);
    assert_eq!(cell(1, "holds"), "true");
    assert_eq!(
        [cell(2, "difference"), cell(2, "holds"), cell(2, "p_holm")],
        ["", "", ""]
    );
}

#[test]
fn latex_is_escaped_and_groups_are_superscripts() {
    let mut report = comparison(vec![
        arm("early_50%", &[0.50, 0.51, 0.52]),
        arm("late & $x^2$ {~}\\[#]<|>\"", &[0.90, 0.91, 0.92]),
        arm("nan", &[f64::NAN]),
    ]);
    report.arms[0].flops = Some(2e6);
    let latex = report.latex();
    assert!(latex.contains("\\begin{tabular}{lrrrr}\n\\toprule\n"));
    assert!(
        latex.contains("Arm & Test accuracy (\\%) & Parameters & FLOPs & Training time \\\\\n")
    );
    assert!(latex.contains(
        "late \\& \\$x\\textasciicircum{}2\\$ \\{\\textasciitilde{}\\}\\textbackslash{}{[}\\#]\\textless{}\\textbar{}\
         \\textgreater{}\\textquotedbl{} & 91.00 {[}88.52, 93.48]\\textsuperscript{a} & 812 k & -- & 1 min 01 s \\\\\n"
    ), "{latex}");
    assert!(
        latex.contains(
            "early\\_50\\% & 51.00 {[}48.52, 53.48]\\textsuperscript{b} & 812 k & 2.00 M &"
        )
    );
    assert!(latex.contains("nan & -- & 812 k & -- & 1 min 01 s \\\\\n"));
    let unescaped = latex.replace("\\{", "").replace("\\}", "");
    assert_eq!(
        unescaped.matches('{').count(),
        unescaped.matches('}').count()
    );
    report.metric.axis = Axis::Linear;
    report.arms[0].runs[0].test.insert("accuracy".into(), -3.0);
    assert!(report.latex().contains("& $-$0."), "{}", report.latex());
}
