//! Records to turns, with everything checked that would make a conversation useless.

use super::records::{Content, Message, Part, Paths, Record, SHAPES};
use crate::formats::lines;
use crate::instruction::marks::pictures;
use crate::instruction::template::role_name;
use crate::instruction::{IMAGE, Role, Turn, typed};
use crate::{DataError, Place};

/// The turns of a record and the paths of its pictures.
pub(super) fn of(place: &Place, record: Record) -> Result<(Vec<Turn>, Vec<String>), DataError> {
    let mut paths = match record.images {
        Paths::None => Vec::new(),
        Paths::One(path) => vec![path],
        Paths::Several(paths) => paths,
    };
    let turns = match (record.conversations, record.messages, record.instruction) {
        (Some(said), None, None) => {
            let turns = said
                .into_iter()
                .map(|said| turn(place, &said.from, &said.value));
            turns.collect::<Result<_, _>>()?
        }
        (None, Some(messages), None) => of_messages(place, messages, &mut paths)?,
        (None, None, Some(instruction)) => {
            let instruction = lines::non_empty(place, "instruction", &instruction)?;
            let question = match record.input.trim() {
                "" => instruction,
                input => format!("{instruction}\n\n{input}"),
            };
            let answer = record.output.unwrap_or_default();
            vec![
                turn(place, "user", &question)?,
                Turn {
                    role: Role::Assistant,
                    text: lines::non_empty(place, "output", &answer)?,
                },
            ]
        }
        (None, None, None) => {
            return Err(DataError::format(
                place.clone(),
                "neither `conversations` nor `messages` nor `instruction`",
                format!("expected {SHAPES}"),
            ));
        }
        _ => {
            return Err(DataError::format(
                place.clone(),
                "more than one of `conversations`, `messages` and `instruction`",
                "keep the one that holds the conversation",
            ));
        }
    };
    check(place, &turns, paths.len())?;
    Ok((turns, paths))
}

/// A turn, by the role's name in its format.
fn turn(place: &Place, role: &str, text: &str) -> Result<Turn, DataError> {
    let role = match role {
        "system" => Role::System,
        "human" | "user" => Role::User,
        "gpt" | "assistant" => Role::Assistant,
        other => {
            return Err(DataError::format(
                place.clone(),
                format!("unknown role `{other}`"),
                "expected system, human or user, gpt or assistant",
            ));
        }
    };
    match text.trim() {
        "" => Err(DataError::format(
            place.clone(),
            format!("the {} says nothing", role_name(role)),
            "fill the turn in, or remove the record",
        )),
        text => Ok(Turn {
            role,
            text: text.into(),
        }),
    }
}

/// Turns in OpenAI's form. Pictures among the parts stand between line breaks, in the order of `paths`.
fn of_messages(
    place: &Place,
    messages: Vec<Message>,
    paths: &mut Vec<String>,
) -> Result<Vec<Turn>, DataError> {
    let mut named = Vec::new();
    let mut marks = 0;
    let mut turns = Vec::new();
    for message in messages {
        let parts = match message.content {
            Content::Text(text) => {
                turns.push(turn(place, &message.role, &text)?);
                continue;
            }
            Content::Parts(parts) => parts.into_iter(),
        };
        let parts: Vec<String> = parts
            .map(|part| {
                let path = match part {
                    // A picture has a part of its own: here its mark is a word.
                    Part::Text { text } => return typed(&text),
                    Part::Image { image } => image,
                    Part::ImageUrl { image_url } => Some(image_url.url),
                };
                marks += 1;
                named.extend(path);
                IMAGE.into()
            })
            .collect();
        turns.push(turn(place, &message.role, &parts.join("\n"))?);
    }
    match named.len() {
        0 => {}
        all if all == marks && paths.is_empty() => *paths = named,
        some => {
            return Err(DataError::format(
                place.clone(),
                format!(
                    "{some} of {marks} picture parts have a path of their own, and `images` has {}",
                    paths.len()
                ),
                "name all pictures in their parts, or all in `images`",
            ));
        }
    }
    Ok(turns)
}

/// Whether the turns are a conversation, and its pictures are all shown.
fn check(place: &Place, turns: &[Turn], images: usize) -> Result<(), DataError> {
    let wrong =
        |reason: String, remedy: &str| Err(DataError::format(place.clone(), reason, remedy));
    let system = usize::from(turns.first().is_some_and(|turn| turn.role == Role::System));
    let mut expected = [Role::User, Role::Assistant].into_iter().cycle();
    for (index, turn) in turns.iter().enumerate().skip(system) {
        let wanted = expected.next().unwrap_or(Role::User);
        if turn.role != wanted {
            let (found, wanted) = (role_name(turn.role), role_name(wanted));
            return wrong(
                format!("turn {} is the {found}'s, not the {wanted}'s", index + 1),
                "expected an optional system turn, then user and assistant in turns",
            );
        }
    }
    match turns.last() {
        Some(turn) if turn.role == Role::Assistant => {}
        Some(_) => {
            return wrong(
                "the last turn is not the assistant's".into(),
                "add the answer, or remove the question",
            );
        }
        None => {
            return wrong(
                "no turns".into(),
                "fill the conversation in, or remove the record",
            );
        }
    }
    match pictures(turns) {
        marks if marks == images => Ok(()),
        marks => wrong(
            format!("{marks} `<image>` in what the user says, for {images} pictures"),
            "put one `<image>` where each picture is shown, and name each picture in `image`",
        ),
    }
}
