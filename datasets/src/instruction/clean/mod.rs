//! Cleaning of collected conversations: what is broken, too short or too long, in another language, or there already is
//! thrown away, and every conversation that is says why.

mod config;
mod duplicates;
mod format;
mod language;
mod minhash;
mod reason;
mod splits;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use self::duplicates::Seen;
use self::words::{said, words};
use crate::instruction::conversation::{Conversation, Role};
use crate::{Place, parallel};

pub use self::config::{CleanConfig, DuplicateConfig, LanguageConfig, RepetitionConfig, WordRange};
pub(crate) use self::minhash::hash;
#[cfg(test)]
pub(crate) use self::minhash::{jaccard, shingles};
pub use self::reason::Reason;
pub use self::splits::{CleanedSplit, clean_splits};

/// A conversation that was thrown away.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dropped {
    /// Its id.
    pub id: String,
    /// The record of its file.
    #[serde(serialize_with = "in_words", skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
}

fn in_words<S: Serializer>(place: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    match place {
        Some(place) => serializer.collect_str(place),
        None => serializer.serialize_none(),
    }
}

/// How many conversations came, stayed and went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Before cleaning.
    pub before: usize,
    /// After it.
    pub kept: usize,
    /// Thrown away by reason; every reason of [`Reason::NAMES`] is there.
    pub dropped: BTreeMap<&'static str, usize>,
}

/// What cleaning left, and what it threw away.
#[derive(Clone, Debug)]
pub struct Cleaned {
    /// In the order in which they came.
    pub kept: Vec<Conversation>,
    /// In the order in which they came.
    pub dropped: Vec<Dropped>,
}

impl Cleaned {
    /// The table of what stayed and what went.
    pub fn counts(&self) -> Counts {
        let mut dropped = BTreeMap::from(Reason::NAMES.map(|name| (name, 0)));
        for Dropped { reason, .. } in &self.dropped {
            *dropped.entry(reason.name()).or_default() += 1;
        }
        Counts {
            before: self.kept.len().saturating_add(self.dropped.len()),
            kept: self.kept.len(),
            dropped,
        }
    }
}

/// Throws away what `config` does not want, in a time that grows with the number of conversations.
///
/// The result depends on the conversations and their order alone. A picture that cannot be read is taken for one that no
/// other conversation shows under another name. Values of `config` that [`CleanConfig::check`] refuses are brought into
/// range.
pub fn clean(conversations: Vec<Conversation>, config: &CleanConfig) -> Cleaned {
    let judged = Judged::new(conversations, config);
    let mut seen = Seen::new(&config.duplicates, judged.sound());
    judged.sift(&mut seen)
}

/// Conversations with what is wrong with each by itself.
struct Judged {
    conversations: Vec<Conversation>,
    flaws: Vec<Option<Reason>>,
}

impl Judged {
    fn new(conversations: Vec<Conversation>, config: &CleanConfig) -> Self {
        let flaws = parallel::map(&conversations, |conversation| flaw(conversation, config));
        Self {
            conversations,
            flaws,
        }
    }

    /// Those without a flaw.
    fn sound(&self) -> impl Iterator<Item = &Conversation> {
        let all = self.conversations.iter().zip(&self.flaws);
        all.filter_map(|(conversation, flaw)| flaw.is_none().then_some(conversation))
    }

    /// Throws away what has a flaw or has been seen.
    fn sift(self, seen: &mut Seen) -> Cleaned {
        let mut cleaned = Cleaned {
            kept: Vec::new(),
            dropped: Vec::new(),
        };
        for (conversation, flaw) in self.conversations.into_iter().zip(self.flaws) {
            match flaw.or_else(|| seen.copy(&conversation)) {
                None => cleaned.kept.push(conversation),
                Some(reason) => cleaned.dropped.push(Dropped {
                    id: conversation.id,
                    place: conversation.place,
                    reason,
                }),
            }
        }
        cleaned
    }
}

/// What is wrong with a conversation by itself.
fn flaw(conversation: &Conversation, config: &CleanConfig) -> Option<Reason> {
    let format = || match config.format {
        true => format::check(conversation),
        false => None,
    };
    format()
        .or_else(|| format::repetition(conversation, &config.repetition))
        .or_else(|| length(conversation, config))
        .or_else(|| {
            let mut sides = [Role::User, Role::Assistant].into_iter();
            sides.find_map(|role| language::check(|| all(conversation, role), &config.language))
        })
}

/// Everything that one of them says.
fn all(conversation: &Conversation, role: Role) -> String {
    let turns = conversation.turns.iter().filter(|turn| turn.role == role);
    turns
        .map(|turn| said(&turn.text))
        .collect::<Vec<_>>()
        .join("\n")
}

fn length(conversation: &Conversation, config: &CleanConfig) -> Option<Reason> {
    let outside = |range: &WordRange, words: usize| words < range.min || words > range.max;
    conversation.turns.iter().find_map(|turn| {
        let words = words(&said(&turn.text)).count();
        match turn.role {
            Role::User if outside(&config.question, words) => {
                Some(Reason::QuestionLength { words })
            }
            Role::Assistant if outside(&config.answer, words) => {
                Some(Reason::AnswerLength { words })
            }
            _ => None,
        }
    })
}
