//! Whether a conversation has the form of one.

use std::collections::HashSet;

use super::words::{said, words};
use super::{Reason, RepetitionConfig};
use crate::instruction::conversation::{Conversation, IMAGE, Role, Turn};

/// Marks of chat templates and prompts that scripts leave behind, in lower case. What stands between `<|` and `|>` is
/// found by itself.
const MARKUP: [&str; 16] = [
    "### instruction:",
    "### input:",
    "### response:",
    "### human:",
    "### user:",
    "### assistant:",
    "### system:",
    "[inst]",
    "[/inst]",
    "<<sys>>",
    "<</sys>>",
    "<s>",
    "</s>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<end_of_utterance>",
];

/// How some templates name who speaks, at the beginning of a line.
const SPEAKERS: [&str; 2] = ["USER:", "ASSISTANT:"];

const FENCE: &str = "```";

/// The first thing that is wrong with the form.
pub(super) fn check(conversation: &Conversation) -> Option<Reason> {
    let turns = &conversation.turns;
    let texts = || turns.iter().map(|turn| turn.text.as_str());
    if !take_turns(turns) {
        return Some(Reason::Roles);
    }
    if let Some(turn) = texts().position(|text| text.trim().is_empty()) {
        return Some(Reason::EmptyTurn { turn });
    }
    image_marks(conversation)
        .or_else(|| {
            let mark = texts().find_map(unbalanced)?;
            Some(Reason::Unbalanced { mark })
        })
        .or_else(|| {
            let found = texts().find_map(markup)?;
            Some(Reason::Markup { found })
        })
        .or_else(|| echoes(turns).then_some(Reason::Echo))
}

/// An optional system turn, then user and assistant in turns up to an answer.
fn take_turns(turns: &[Turn]) -> bool {
    let roles: Vec<Role> = turns.iter().map(|turn| turn.role).collect();
    let spoken = match roles.split_first() {
        Some((Role::System, rest)) => rest,
        _ => &roles,
    };
    let pairs = spoken.chunks(2);
    !spoken.is_empty()
        && pairs
            .into_iter()
            .all(|pair| pair == [Role::User, Role::Assistant])
}

fn image_marks(conversation: &Conversation) -> Option<Reason> {
    let count = |turn: &Turn| turn.text.matches(IMAGE).count();
    let asked = conversation
        .turns
        .iter()
        .filter(|turn| turn.role == Role::User);
    let asked: usize = asked.map(count).sum();
    let marks = conversation.turns.iter().map(count).sum();
    let pictures = conversation.images.len();
    (marks != asked || marks != pictures).then_some(Reason::ImageMarks { marks, pictures })
}

/// A mark that is opened and not closed. What code fences hold may be any part of a program and is left alone; so are
/// closing brackets of lists ("a)") and sad faces; intervals such as [0, 1) close one kind of bracket with another.
fn unbalanced(text: &str) -> Option<&'static str> {
    if !text.contains(['(', '[', '{', '`']) {
        return None;
    }
    if text.matches(FENCE).count() % 2 == 1 {
        return Some(FENCE);
    }
    let prose = text.split(FENCE).step_by(2).collect::<Vec<_>>().join(" ");
    let prose = prose.replace(":(", "").replace(":-(", "");
    let count = |marks: &[char]| prose.matches(marks).count();
    if count(&['(', '[']) > count(&[')', ']']) {
        let round = count(&['(']) > count(&[')']);
        return Some(if round { "(" } else { "[" });
    }
    (count(&['{']) > count(&['}'])).then_some("{")
}

fn markup(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let known = MARKUP.into_iter().find(|mark| lower.contains(mark));
    let speaker = || {
        let mut lines = text.lines().map(str::trim_start);
        lines.find_map(|line| {
            SPEAKERS
                .into_iter()
                .find(|speaker| line.starts_with(speaker))
        })
    };
    let special = || {
        lower.split("<|").skip(1).find_map(|after| {
            let (name, _) = after.split_once("|>")?;
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            (plain && !name.is_empty()).then(|| format!("<|{name}|>"))
        })
    };
    known.or_else(speaker).map(String::from).or_else(special)
}

/// Whether an answer has the words of its question and no others.
fn echoes(turns: &[Turn]) -> bool {
    turns.windows(2).any(|pair| match pair {
        [question, answer] if answer.role == Role::Assistant => {
            let [question, answer] = [question, answer].map(|turn| said(&turn.text));
            words(&answer).next().is_some() && words(&question).eq(words(&answer))
        }
        _ => false,
    })
}

/// An answer most of whose n-grams were there before.
pub(super) fn repetition(conversation: &Conversation, config: &RepetitionConfig) -> Option<Reason> {
    let answers = conversation
        .turns
        .iter()
        .filter(|turn| turn.role == Role::Assistant);
    answers.into_iter().find_map(|turn| {
        let text = said(&turn.text);
        let words: Vec<&str> = words(&text).collect();
        if words.len() < config.min_words {
            return None;
        }
        let ngrams = words.windows(config.ngram.max(1));
        let all = ngrams.len();
        let different = ngrams.collect::<HashSet<_>>().len();
        let share = 1.0 - different as f64 / all.max(1) as f64;
        (all > 0 && share > config.share).then_some(Reason::Repetition { share })
    })
}
