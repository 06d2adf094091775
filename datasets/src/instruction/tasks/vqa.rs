//! Instructions about the pictures of easy-VQA.

use super::picture_wordings::{COLOUR, DESCRIBE, SHAPE};
use super::question_wordings::{ANSWER, CHOOSE, QUESTIONS, STATEMENT, YES_NO};
use super::statements::statement;
use super::{Wordings, choices, draw, exchange, show};
use crate::instruction::conversation::Conversation;
use crate::{COLOURS, Question, SHAPES, VqaSample, possible_pairs};

/// How many questions a conversation of several has at most.
const TURNS: usize = 4;

/// Instructions about pictures with questions, as easy-VQA has them.
///
/// Each question is asked once: plainly (`answer`), and a hash of its id decides whether instead, where the answer allows
/// it, as a question of yes or no (`yes-no`), as a statement to judge (`statement`), or among colors or shapes to
/// choose from (`choose`). Each picture has besides, as far as its questions leave one color and shape, `colour`,
/// `shape` and `describe`, which do not look like questions of the dataset, and, if it has two questions, a conversation
/// of up to four of them (`questions`).
///
/// Every answer is the dataset's to the question; those of the picture are what its facts leave, the description as
/// `easy-vqa-captions` has it ("a red circle").
pub fn from_vqa(samples: &[VqaSample], wordings: Wordings) -> Vec<Conversation> {
    let of_sample = |sample| about_picture(sample, wordings);
    samples.iter().flat_map(of_sample).collect()
}

fn about_picture(sample: &VqaSample, wordings: Wordings) -> Vec<Conversation> {
    let picture = (sample.id.as_str(), &sample.image);
    let questions = sample.questions.iter();
    let mut conversations: Vec<Conversation> = questions
        .map(|question| one(sample, question, wordings))
        .collect();
    if let [(colour, shape)] = possible_pairs(&sample.questions)[..] {
        let description = format!("a {colour} {shape}");
        let facts = [
            (&COLOUR, colour),
            (&SHAPE, shape),
            (&DESCRIBE, &description),
        ];
        let ask =
            |(task, answer): (&super::Task, &str)| task.ask_about(picture, wordings, &[], answer);
        conversations.extend(facts.map(ask));
    }
    conversations.extend(several(sample, wordings));
    conversations
}

/// One question, in one of the ways that its answer allows.
fn one(sample: &VqaSample, question: &Question, wordings: Wordings) -> Conversation {
    let Question { id, text, answer } = question;
    let statement = || statement(text).map(|statement| (&STATEMENT, "statement", statement));
    let choose = |pool: &[&str]| choices(answer, pool, id).map(|list| (&CHOOSE, "choices", list));
    let way = draw(&format!("{id}/way"), 3);
    let other = match (answer.as_str(), way) {
        ("yes" | "no", 1) => Some((&YES_NO, "", String::new())),
        ("yes" | "no", 2) => statement(),
        (answer, 1 | 2) if COLOURS.contains(&answer) => choose(&COLOURS),
        (answer, 1 | 2) if SHAPES.contains(&answer) => choose(&SHAPES),
        _ => None,
    };
    let (task, name, value) = other.unwrap_or((&ANSWER, "", String::new()));
    let values = [("question", text.as_str()), (name, value.as_str())];
    task.ask_about((id, &sample.image), wordings, &values, answer)
}

/// Several questions about the picture, in an order of their own.
fn several(sample: &VqaSample, wordings: Wordings) -> Option<Conversation> {
    let mut questions: Vec<&Question> = sample.questions.iter().collect();
    questions.sort_by_cached_key(|question| draw(&format!("{}/order", question.id), usize::MAX));
    questions.truncate(TURNS);
    let (first, others) = questions.split_first()?;
    if others.is_empty() {
        return None;
    }
    let values = [("question", first.text.as_str())];
    let mut conversation = QUESTIONS.ask(&sample.id, wordings, &values, &first.answer);
    for Question { text, answer, .. } in others {
        conversation.turns.extend(exchange(text.clone(), answer));
    }
    Some(show(conversation, &sample.image))
}
