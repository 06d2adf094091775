//! The ranking as a LaTeX table, ready to paste into a paper.

use super::super::number;
use super::super::scale::Axis;
use super::CompareReport;
use super::standing::{Ranked, Standing};
use super::summary::over_runs;

impl CompareReport {
    /// A table of the package `booktabs`: best arm first, the mean with its interval, the letters of the arms that
    /// cannot be told apart as superscripts, and costs as far as they are known.
    pub fn latex(&self) -> String {
        let standing = Standing::of(self);
        let has = |cost: &dyn Fn(&Ranked) -> Option<String>| {
            standing.all().any(|(_, ranked)| cost(ranked).is_some())
        };
        type Cost<'a> = (&'a str, &'a dyn Fn(&Ranked) -> Option<String>);
        let costs: [Cost; 3] = [
            ("Parameters", &|ranked| {
                ranked
                    .arm
                    .parameters
                    .map(|count| number::magnitude(count as f64))
            }),
            ("FLOPs", &|ranked| ranked.arm.flops.map(number::magnitude)),
            ("Training time", &|ranked| {
                over_runs(ranked.arm, |run| run.seconds)?
                    .mean
                    .map(number::duration)
            }),
        ];
        let costs: Vec<&Cost> = costs.iter().filter(|(_, cost)| has(cost)).collect();
        let unit = if self.metric.axis == Axis::Percent {
            " (\\%)"
        } else {
            ""
        };
        let mut header = vec!["Arm".to_owned(), escaped(&self.metric.label) + unit];
        header.extend(costs.iter().map(|(name, _)| escaped(name)));
        let mut text = format!(
            "% \\usepackage{{booktabs}}\n\\begin{{tabular}}{{l{}}}\n\\toprule\n{} \\\\\n\\midrule\n",
            "r".repeat(header.len() - 1),
            header.join(" & ")
        );
        for (_, ranked) in standing.all() {
            let mut row = vec![escaped(&ranked.arm.label), self.latex_value(ranked)];
            row.extend(costs.iter().map(|(_, cost)| {
                cost(ranked).map_or_else(|| "--".to_owned(), |cost| escaped(&cost))
            }));
            text += &format!("{} \\\\\n", row.join(" & "));
        }
        text + "\\bottomrule\n\\end{tabular}\n"
    }

    /// The mean, its interval in brackets, its letters.
    fn latex_value(&self, ranked: &Ranked) -> String {
        let Some(mean) = ranked.summary.mean else {
            return "--".to_owned();
        };
        let axis = self.metric.axis;
        // Per cent signs are in the heading.
        let value = axis.format_interval(mean, ranked.interval).replace('%', "");
        let letters = match ranked.letters {
            "" => String::new(),
            letters => format!("\\textsuperscript{{{}}}", escaped(letters)),
        };
        escaped(&value).replace("−", "$-$") + &letters
    }
}

/// Text that LaTeX sets as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '"' => escaped.push_str("\\textquotedbl{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            // A `[` after the end of a row would be read as the space to leave.
            '[' => escaped.push_str("{[}"),
            _ if letter.is_control() => escaped.push(' '),
            _ => escaped.push(letter),
        }
    }
    escaped
}
