//! Captions as words, in the manner of the Penn Treebank.

/// What ends a word, wherever it stands; `,` and `:` do too, except in numbers.
const BREAKS: &[char] = &[
    ';', '!', '?', '"', '`', '“', '”', '„', '«', '»', '…', '–', '—', '(', ')', '[', ']', '{', '}',
];

/// What belongs to a word inside, and not at its ends.
const ENDS: &[char] = &['.', '-', '\''];

/// What is a word of its own though it is written together with another.
const CLITICS: &[&str] = &["n't", "'s", "'m", "'d", "'re", "'ve", "'ll"];

/// The words of `text` in lower case, without punctuation.
pub(super) fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(['‘', '’'], "'");
    let text = text.replace("--", " ");
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = None;
    let digit = |c: &char| c.is_numeric();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let in_number = before.as_ref().is_some_and(digit) && rest.peek().is_some_and(digit);
        if c.is_whitespace() || BREAKS.contains(&c) || (matches!(c, ',' | ':') && !in_number) {
            push(&mut words, &word);
            word.clear();
        } else {
            word.push(c);
        }
        before = Some(c);
    }
    push(&mut words, &word);
    words
}

/// Takes the clitic off `word` and adds what is left of either.
fn push(words: &mut Vec<String>, word: &str) {
    let word = word.trim_end_matches(ENDS);
    let stem = CLITICS.iter().find_map(|clitic| word.strip_suffix(clitic));
    let stem = stem.unwrap_or(word);
    let clitic = word.strip_prefix(stem).unwrap_or_default();
    let parts = [stem.trim_matches(ENDS), clitic];
    words.extend(
        parts
            .into_iter()
            .filter(|w| !w.is_empty())
            .map(str::to_owned),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(words(text).join(" "), expected, "{text}");
    }

    /// What the tokenizer of the Penn Treebank does otherwise.
    #[test]
    fn words_need_no_lists() {
        check("What?! (a) [b] {c}", "what a b c");
        check("$5, 50% #3 a*b", "$5 50% #3 a*b");
        check("Mr. Smith of the U.S. cannot", "mr smith of the u.s cannot");
        check("'tis in the '90s", "tis in the 90s");
        check("一个人，在吃饭 🙂", "一个人，在吃饭 🙂");
    }

    #[test]
    fn nothing_has_no_words() {
        for text in ["", " \u{a0}\t\n", "...", "' - --", "?"] {
            check(text, "");
        }
    }
}
