//! Where the texts of a conversation stand in what a template makes of it.
//!
//! A template is a program: only running it tells what it makes of a text. So each text goes through it between two
//! characters of its own, from a plane of Unicode that no script uses (plane 16, private use), and stands between them
//! in the result. They are put inside of white space at the ends, which templates cut off.

use std::ops::Range;

use super::{ChatError, IMAGE, Role, Turn};

/// The first of the marks: turn `i` stands between `2 i` and `2 i + 1` from here.
const FIRST: u32 = 0x10_0000;
/// Stands for a picture while a conversation is rendered.
pub(super) const PICTURE: char = '\u{10FFFC}';
/// Breaks an [`IMAGE`] that is text.
const TYPED: char = '\u{10FFFD}';
/// The most turns that have marks.
const MAX_TURNS: usize = (PICTURE as u32 - FIRST) as usize / 2;

/// A text as somebody typed it, in which `<image>` shows no picture but is text: a [`Turn`]'s text may be made of it.
pub fn typed(text: &str) -> String {
    let broken = format!("<image{TYPED}>");
    text.replace(IMAGE, &broken)
}

/// How many pictures turns show: the `<image>` of what users say. Elsewhere it is text.
pub(super) fn pictures(turns: &[Turn]) -> usize {
    let user = turns.iter().filter(|turn| turn.role == Role::User);
    user.map(|turn| turn.text.matches(IMAGE).count()).sum()
}

/// The texts that go through a template, pictures marked.
///
/// # Errors
///
/// [`ChatError::Private`] and [`ChatError::Turns`].
pub(super) fn texts(turns: &[Turn]) -> Result<Vec<String>, ChatError> {
    if turns.len() > MAX_TURNS {
        return Err(ChatError::Turns {
            turns: turns.len(),
            limit: MAX_TURNS,
        });
    }
    let text = |(turn, said): (usize, &Turn)| {
        let mut foreign = said.text.chars();
        if let Some(character) = foreign.find(|&c| u32::from(c) >= FIRST && c != TYPED) {
            let turn = turn + 1;
            return Err(ChatError::Private { turn, character });
        }
        let mut picture = [0; 4];
        let text = match said.role {
            Role::User => said.text.replace(IMAGE, PICTURE.encode_utf8(&mut picture)),
            Role::System | Role::Assistant => said.text.clone(),
        };
        Ok(text.replace(TYPED, ""))
    };
    turns.iter().enumerate().map(text).collect()
}

/// The text of turn `turn` between its marks.
pub(super) fn marked(turn: usize, text: &str) -> String {
    let inner = text.trim();
    let after = text.trim_start();
    let before = &text[..text.len() - after.len()];
    let after = &after[inner.len()..];
    let mark = |offset| character(2 * turn + offset);
    format!("{before}{}{inner}{}{after}", mark(0), mark(1))
}

fn character(offset: usize) -> char {
    let code = u32::try_from(offset)
        .ok()
        .and_then(|o| FIRST.checked_add(o));
    // `texts` has refused more turns than there are marks.
    code.and_then(char::from_u32).unwrap_or(PICTURE)
}

/// A rendered text without its marks, and where the text of each turn stands in it: nowhere, once or several times.
pub(super) fn unmarked(text: &str, turns: usize) -> (String, Vec<Vec<Range<usize>>>) {
    let mut plain = String::with_capacity(text.len());
    let mut found = vec![Vec::new(); turns];
    let mut open: Vec<Option<usize>> = vec![None; turns];
    for character in text.chars() {
        let offset = match u32::from(character).checked_sub(FIRST) {
            Some(offset) if character != PICTURE => offset as usize,
            _ => {
                plain.push(character);
                continue;
            }
        };
        let turn = offset / 2;
        let (Some(open), Some(found)) = (open.get_mut(turn), found.get_mut(turn)) else {
            continue;
        };
        match offset % 2 {
            0 => *open = Some(plain.len()),
            _ => found.extend(open.take().map(|start| start..plain.len())),
        }
    }
    (plain, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str) -> Turn {
        Turn {
            role,
            text: text.into(),
        }
    }

    #[test]
    fn marks_stand_inside_white_space_and_come_off() {
        let text = marked(3, " \n some text ");
        assert!(text.starts_with(" \n \u{100006}some") && text.ends_with("text\u{100007} "));
        let (plain, found) = unmarked(&format!("a{}b", text.trim()), 5);
        assert_eq!(plain, "asome textb");
        assert!(found.iter().flatten().eq([&(1..10)]) && found[3].len() == 1);
        // Nothing but white space is a text without letters, at whichever end it is cut.
        assert_eq!(
            unmarked(marked(0, " \n").trim(), 1),
            (String::new(), vec![vec![0..0]])
        );
    }

    #[test]
    fn only_users_show_pictures_and_only_by_marks() {
        let typed = typed("what does <image> mean?");
        let turns = [
            turn(Role::System, "no <image> here"),
            turn(Role::User, &format!("<image>\n{typed}")),
            turn(Role::Assistant, "<image> is a tag"),
        ];
        assert_eq!(pictures(&turns), 1);
        let texts = texts(&turns).unwrap();
        assert_eq!(texts[0], "no <image> here");
        assert_eq!(texts[1], format!("{PICTURE}\nwhat does <image> mean?"));
        assert_eq!(texts[2], "<image> is a tag");
    }

    #[test]
    fn private_characters_are_refused() {
        let turns = [turn(Role::User, "a"), turn(Role::Assistant, "b\u{100001}")];
        let error = texts(&turns).unwrap_err();
        assert!(matches!(
            error,
            ChatError::Private {
                turn: 2,
                character: '\u{100001}'
            }
        ));
        // Those of other planes are in use: icons of terminal fonts.
        assert!(texts(&[turn(Role::User, "\u{E0B0}\u{F0001}")]).is_ok());
    }
}
