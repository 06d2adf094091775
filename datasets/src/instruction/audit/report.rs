//! What an audit tells.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::Problem;
use crate::Split;

/// How many problems of a kind are kept.
const KEPT: usize = 100;
/// How many problems a refusal names.
const NAMED: usize = 10;

/// What stands in a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitFigures {
    /// Which one.
    pub split: Split,
    /// Conversations.
    pub conversations: usize,
    /// Their tokens, image tokens included, of those that can be rendered.
    pub tokens: usize,
    /// Tokens that the assistant has to say.
    pub supervised: usize,
    /// The most tokens of a conversation.
    pub longest: usize,
    /// Pictures, as often as they are shown.
    pub pictures: usize,
}

/// What was found before the first step.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The first hundred problems of each kind.
    #[serde(serialize_with = "in_words")]
    pub problems: Vec<Problem>,
    /// How many problems there are of each kind.
    pub counts: BTreeMap<&'static str, usize>,
    /// Train, valid, test.
    pub splits: Vec<SplitFigures>,
}

fn in_words<S: Serializer>(problems: &[Problem], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(problems.iter().map(ToString::to_string))
}

impl Report {
    pub(super) fn push(&mut self, problem: Problem) {
        let count = self.counts.entry(problem.kind()).or_default();
        *count += 1;
        if *count <= KEPT {
            self.problems.push(problem);
        }
    }

    /// Whether a training may start.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if there is a problem that would spoil it.
    pub fn pass(&self) -> Result<(), Refusal> {
        let fatal = || self.problems.iter().filter(|problem| problem.is_fatal());
        let mut kinds: Vec<&'static str> = fatal().map(Problem::kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let counts = kinds.into_iter();
        let counts = counts.map(|kind| (kind, self.counts.get(kind).copied().unwrap_or_default()));
        match counts.collect::<Vec<_>>() {
            counts if counts.is_empty() => Ok(()),
            counts => Err(Refusal {
                first: fatal().take(NAMED).map(ToString::to_string).collect(),
                counts,
            }),
        }
    }
}

/// Why a training does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The first ten problems.
    pub first: Vec<String>,
    /// How many there are of each kind.
    pub counts: Vec<(&'static str, usize)>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data would spoil the training")?;
        for (kind, count) in &self.counts {
            write!(f, "; {kind}: {count}")?;
        }
        for problem in &self.first {
            write!(f, "\n  {problem}")?;
        }
        let all: usize = self.counts.iter().map(|(_, count)| count).sum();
        match all.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for Refusal {}
