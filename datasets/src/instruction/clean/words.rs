//! What a text says, without how it is typed: the words that lengths, repetitions and shingles are counted in.

use crate::instruction::conversation::IMAGE;

/// In lower case, with what stands for pictures taken out.
pub(crate) fn said(text: &str) -> String {
    text.replace(IMAGE, " ").to_lowercase()
}

/// The text of equal content: in lower case, with one blank wherever there is some.
pub(super) fn normalised(text: &str) -> String {
    let lower = text.to_lowercase();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a text: runs of letters and digits, each character of a script that puts no blanks between words, and
/// each sign that is not punctuation.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || is_punctuation(c));
        let first = rest.chars().next()?;
        let end = match joins(first) {
            true => rest.find(|c| !joins(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Marks of sentences, which two copies of one text often do not share. Other signs say something: 2 + 2 is not 2 * 2.
fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        '.' | ',' | ';' | ':' | '!' | '?' | '"' | '\'' | '(' | ')' | '…' | '‘'
            ..='”' | '、' | '。' | '，' | '；' | '：' | '！' | '？' | '「' | '」' | '（' | '）'
    )
}

/// Whether a character is part of a longer word.
fn joins(c: char) -> bool {
    c.is_alphanumeric() && !stands_alone(c)
}

/// Kana and Chinese characters.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_characters_and_signs() {
        let of = |text| words(text).collect::<Vec<_>>();
        assert_eq!(
            of(" It's 2+2, (or 4)!"),
            ["It", "s", "2", "+", "2", "or", "4"]
        );
        assert_eq!(of("红色的 circle。"), ["红", "色", "的", "circle"]);
        assert!(of(" ... !").is_empty());
    }

    #[test]
    fn neither_case_nor_blanks_make_a_difference_but_signs_do() {
        assert_eq!(normalised(" What\n is  THIS? "), "what is this?");
        assert_ne!(normalised("2 + 2"), normalised("2 * 2"));
        assert_eq!(said("<image>\nWhat?"), " \nwhat?");
    }
}
