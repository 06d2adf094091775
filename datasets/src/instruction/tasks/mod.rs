//! Instruction sets built from data that is there, in the manner of FLAN (Wei et al. 2022, Longpre et al. 2023): each task
//! is asked for in many wordings, some of which are held out, so that what is measured is whether a model understands
//! an instruction and not whether it knows its wording. Validation has wordings of its own too, by which settings may be
//! chosen without a look at those of the test.
//!
//! Nothing is drawn at random: a hash of its id decides how a sample is asked about. The id of a conversation is
//! `SAMPLE#WORDING`, as in `test/12/3#yes-no-h2`; held-out wordings have an `h` before their number, those of validation
//! a `v`.

mod captions;
mod demonstrations;
mod frames;
mod lexicon;
mod picture_wordings;
mod question_wordings;
mod rewordings;
mod statements;
#[cfg(test)]
mod tests;
mod text;
mod text_wordings;
mod vqa;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::instruction::conversation::{Conversation, IMAGE, Role, Turn};
use crate::{ImageSource, Split, fraction};

use self::frames::framed;

pub use self::captions::{from_captions, from_groups, from_names, plain};
pub use self::demonstrations::{Demonstrations, with_demonstrations};
pub use self::rewordings::{Few, Reworded, RewordedData, meanings, reworded, wordings};
pub use self::text::text_tasks;
pub use self::vqa::from_vqa;

/// Which wordings are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wordings {
    /// Those that training uses.
    Seen,
    /// Those by which one chooses between trainings, none of which uses them.
    Validation,
    /// Those that nothing uses but the test.
    HeldOut,
}

impl Wordings {
    /// Those of each split.
    pub fn of(split: Split) -> Self {
        match split {
            Split::Train => Self::Seen,
            Split::Valid => Self::Validation,
            Split::Test => Self::HeldOut,
        }
    }
}

/// A task and its wordings, in which `{question}` and other names in braces stand for what a sample fills in.
pub(crate) struct Task {
    /// What conversations and figures by task call it.
    pub name: &'static str,
    /// For training.
    pub seen: &'static [&'static str],
    /// For validation alone.
    pub validation: [&'static str; 4],
    /// For tests alone.
    pub held_out: [&'static str; 4],
}

impl Task {
    fn wordings(&self, of: Wordings) -> &[&'static str] {
        match of {
            Wordings::Seen => self.seen,
            Wordings::Validation => &self.validation,
            Wordings::HeldOut => &self.held_out,
        }
    }

    /// A conversation of one question, without a picture. `id` decides on the wording and names the conversation.
    fn ask(&self, id: &str, of: Wordings, values: &[(&str, &str)], answer: &str) -> Conversation {
        let wordings = self.wordings(of);
        let place = draw(&format!("{id}/{}/wording", self.name), wordings.len());
        let wording = wordings.get(place).copied().unwrap_or_default();
        let mark = match of {
            Wordings::Seen => "",
            Wordings::Validation => "v",
            Wordings::HeldOut => "h",
        };
        let number = place.saturating_add(1);
        Conversation {
            id: format!("{id}#{}-{mark}{number}", self.name),
            turns: exchange(fill(wording, values), answer).into(),
            images: Vec::new(),
            task: self.name.into(),
            place: None,
        }
    }

    /// As [`ask`](Self::ask), below a picture and, in training, in a frame.
    fn ask_about(
        &self,
        (id, image): (&str, &ImageSource),
        of: Wordings,
        values: &[(&str, &str)],
        answer: &str,
    ) -> Conversation {
        let mut conversation = self.ask(id, of, values, answer);
        if let (Wordings::Seen, Some(question)) = (of, conversation.turns.first_mut()) {
            question.text = framed(&question.text, &format!("{id}/{}", self.name));
        }
        show(conversation, image)
    }
}

/// The picture, above what is asked first.
fn show(mut conversation: Conversation, image: &ImageSource) -> Conversation {
    if let Some(first) = conversation.turns.first_mut() {
        first.text = format!("{IMAGE}\n{}", first.text);
    }
    conversation.images.push(image.clone());
    conversation
}

/// A question and its answer.
fn exchange(question: String, answer: &str) -> [Turn; 2] {
    let turn = |role, text| Turn { role, text };
    [
        turn(Role::User, question),
        turn(Role::Assistant, answer.to_owned()),
    ]
}

/// A wording with its names in braces replaced; what is filled in is not looked at again.
fn fill(wording: &str, values: &[(&str, &str)]) -> String {
    let mut parts = wording.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once('}').unwrap_or(("", part));
        let value = values.iter().find(|(slot, _)| *slot == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        filled.push_str(after);
    }
    filled
}

/// A number below `count` (0 if that is 0) for a key, of which the split of a sample tells nothing: that goes by the
/// hash of the id itself.
fn draw(key: &str, count: usize) -> usize {
    let place = fraction(&format!("instruction/{key}")) * count as f64;
    (place as usize).min(count.saturating_sub(1))
}

/// How many answers there are to choose among.
const CHOICES: usize = 4;
/// How often another answer is looked for.
const TRIES: usize = 32;

/// The answer among others of the pool, one a line, in an order that tells nothing; none if there are no others.
fn choices(answer: &str, pool: &[&str], key: &str) -> Option<String> {
    let mut choices = Vec::from([answer]);
    for attempt in 0..TRIES {
        let place = draw(&format!("{key}/choice/{attempt}"), pool.len());
        match pool.get(place) {
            Some(other) if choices.len() < CHOICES && !choices.contains(other) => {
                choices.push(other);
            }
            _ => {}
        }
    }
    if choices.len() < 2 {
        return None;
    }
    let place = draw(&format!("{key}/place"), choices.len());
    choices.swap(0, place);
    let lines: Vec<String> = choices.iter().map(|choice| format!("- {choice}")).collect();
    Some(lines.join("\n"))
}
