//! The page of a comparison: its parts in the order in which they are read.

use super::super::number;
use super::super::page::{config, document, escape, facts, header};
use super::CompareReport;
use super::standing::Standing;
use super::verdict::Voice;

impl CompareReport {
    /// The comparison as one self-contained HTML document.
    pub fn html(&self) -> String {
        let standing = Standing::of(self);
        let parts = [
            ("Ranking", self.ranking(&standing)),
            ("Differences to the best", self.forest(&standing)),
            ("What quality costs", self.pareto(&standing)),
            ("All pairs", self.all_pairs(&standing)),
            ("Other settings", self.other_settings(&standing)),
            ("Robustness", self.robustness(&standing)),
            ("What each modality adds", self.attributions(&standing)),
            ("Calibration", self.reliability(&standing)),
            ("Accuracy by group", self.groups(&standing)),
            ("Where they disagree", self.cards(&standing)),
            ("Learning curves", self.curves(&standing)),
            ("How this was computed", self.methods(&standing)),
            ("To repeat it", self.repeat(&standing)),
            ("What all arms share", facts(&self.facts)),
        ];
        let parts: Vec<&(&str, String)> = parts
            .iter()
            .filter(|(_, content)| !content.is_empty())
            .collect();
        let sections: String = parts
            .iter()
            .map(|(name, content)| {
                let id = anchor(name);
                format!(
                    "<section id=\"{id}\">\n<h2>{}</h2>\n{content}</section>\n",
                    escape(name)
                )
            })
            .collect();
        let link = |(name, _): &&(&str, String)| {
            format!("<a href=\"#{}\">{}</a>\n", anchor(name), escape(name))
        };
        let contents = match parts.len() {
            0..=2 => String::new(),
            _ => format!(
                "<nav aria-label=\"Contents\">\n{}</nav>\n",
                parts.iter().map(link).collect::<String>()
            ),
        };
        let body = header("Comparison", &self.title, &self.subtitle)
            + &self.verdict(&standing)
            + &self.glance(&standing)
            + &contents
            + &sections
            + &config(&self.config_toml);
        document(&self.title, include_str!("compare.css"), &body)
    }

    fn verdict(&self, standing: &Standing) -> String {
        let sentences = self.sentences(standing, Voice::Page);
        let Some((lead, others)) = sentences.split_first() else {
            return String::new();
        };
        let others: String = others
            .iter()
            .map(|sentence| format!("<li>{sentence}</li>\n"))
            .collect();
        let others = match others.as_str() {
            "" => others,
            _ => format!("<ul class=\"findings\">\n{others}</ul>\n"),
        };
        format!("<p class=\"verdict\">{lead}</p>\n{others}")
    }

    /// The size of the study in a few numbers.
    fn glance(&self, standing: &Standing) -> String {
        let count = |value: usize| number::count(value as u64);
        let (tested, hold) = standing.tested();
        let runs = standing.runs().count();
        let mut glance = Vec::new();
        let mut add = |name: &str, value: String| glance.push((name.to_owned(), value));
        if runs > 0 {
            add("Arms", count(self.arms.len()));
            if let Some(seeds) = standing.seeds() {
                add("Seeds each", count(seeds));
            }
            add("Runs", count(runs));
        }
        if tested > 0 {
            add(
                "Differences that hold",
                format!("{} of {}", count(hold), count(tested)),
            );
        }
        if let Some(least) = standing.least_difference() {
            add(
                "Least difference likely seen",
                self.metric.axis.amount(least),
            );
        }
        format!("<div class=\"glance\">{}</div>\n", facts(&glance))
    }
}

/// The id of a part.
fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}
