//! Where the words of a verdict go.

use super::NAMED;
use crate::report::compare::standing::Ranked;
use crate::report::number;
use crate::report::page::{escape, printable, shortened};

/// Longest name on a terminal.
const LABEL: usize = 40;

/// Where the words go: a page marks names and escapes everything, a terminal shows text as it is.
#[derive(Clone, Copy)]
pub(in crate::report::compare) enum Voice {
    Page,
    Terminal,
}

impl Voice {
    pub(super) fn text(self, text: &str) -> String {
        match self {
            Self::Page => escape(text),
            Self::Terminal => printable(text),
        }
    }

    pub(super) fn name(self, ranked: &Ranked) -> String {
        let label = self.text(&ranked.arm.label);
        match self {
            Self::Page => format!("<strong>{label}</strong>"),
            Self::Terminal => shortened(&label, LABEL),
        }
    }

    /// `a, b and c`; of many the first ones and how many more.
    pub(super) fn names(self, arms: &[&Ranked]) -> String {
        let names = arms.iter().map(|ranked| self.name(ranked));
        if arms.len() <= NAMED {
            return listed(names.collect());
        }
        let more = format!("{} others", number::words(arms.len() - (NAMED - 1)));
        listed(names.take(NAMED - 1).chain([more]).collect())
    }
}

/// `a, b and c`.
fn listed(mut parts: Vec<String>) -> String {
    match parts.pop() {
        None => String::new(),
        Some(last) if parts.is_empty() => last,
        Some(last) => format!("{} and {last}", parts.join(", ")),
    }
}
