//! Texts that end a sequence, found while it grows.

use std::mem;

/// The stop strings of a run.
pub(super) struct StopStrings(Vec<StopString>);

struct StopString {
    text: String,
    /// For each number of leading bytes, how many of them still match when the next byte does not: the failure
    /// function of Knuth, Morris and Pratt 1977.
    fallback: Vec<usize>,
}

impl StopString {
    fn new(text: &str) -> Self {
        let mut stop = Self {
            text: text.to_owned(),
            fallback: vec![0, 0],
        };
        let mut matched = 0;
        for &byte in text.as_bytes().iter().skip(1) {
            matched = stop.advance(matched, byte);
            stop.fallback.push(matched);
        }
        stop
    }

    /// How many leading bytes match at the end of a text that goes on with `byte`, where `matched` did before.
    fn advance(&self, mut matched: usize, byte: u8) -> usize {
        while self.text.as_bytes().get(matched) != Some(&byte) {
            if matched == 0 {
                return 0;
            }
            matched = self.fallback.get(matched).copied().unwrap_or_default();
        }
        matched + 1
    }
}

impl StopStrings {
    pub(super) fn new(texts: &[String]) -> Self {
        Self(texts.iter().map(|text| StopString::new(text)).collect())
    }
}

/// Lets a text through up to its first stop string: the one that is complete first and, of those that end together,
/// the longest. It does not matter in which pieces the text arrives.
#[derive(Clone)]
pub(super) struct StopFilter<'a> {
    stops: &'a StopStrings,
    /// How much of each stop string matches at the end of the text.
    matched: Vec<usize>,
    /// The end of the text, as long as the longest of these matches.
    held: String,
}

impl<'a> StopFilter<'a> {
    pub(super) fn new(stops: &'a StopStrings) -> Self {
        Self {
            stops,
            matched: vec![0; stops.0.len()],
            held: String::new(),
        }
    }

    /// Takes the next piece of the text. Returns what is certain not to be part of a stop string and, when one is
    /// complete, which; the text has ended then.
    pub(super) fn push(&mut self, piece: &str) -> (String, Option<&'a str>) {
        let before = self.held.len();
        self.held.push_str(piece);
        for (end, byte) in (before + 1..).zip(piece.bytes()) {
            let mut complete: Option<&'a str> = None;
            for (stop, matched) in self.stops.0.iter().zip(&mut self.matched) {
                *matched = stop.advance(*matched, byte);
                let longer = complete.is_none_or(|other| other.len() < stop.text.len());
                if *matched == stop.text.len() && longer {
                    complete = Some(&stop.text);
                }
            }
            if let Some(stop) = complete {
                self.held.truncate(end - stop.len());
                return (self.rest(), complete);
            }
        }
        let longest = self.matched.iter().copied().max().unwrap_or_default();
        let held = self.held.split_off(self.held.len() - longest);
        (mem::replace(&mut self.held, held), None)
    }

    /// What was held back, when the text ends here.
    pub(super) fn rest(&mut self) -> String {
        mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stops(texts: &[&str]) -> StopStrings {
        StopStrings::new(&texts.iter().map(|&t| t.to_owned()).collect::<Vec<_>>())
    }

    /// The pieces that come out, and the stop string.
    fn filter<'a>(stops: &'a StopStrings, pieces: &[&str]) -> (Vec<String>, Option<&'a str>) {
        let mut filter = StopFilter::new(stops);
        let mut out = Vec::new();
        for piece in pieces {
            let (certain, stop) = filter.push(piece);
            out.push(certain);
            if stop.is_some() {
                return (out, stop);
            }
        }
        out.push(filter.rest());
        (out, None)
    }

    #[test]
    fn text_is_held_back_no_longer_than_it_must() {
        let stops = stops(&["\n\nUser:", "###"]);
        let (out, stop) = filter(&stops, &["Hi", " #", "#1", "\n", "\nUs", "e", "\n\nUser:x"]);
        assert_eq!(out, ["Hi", " ", "##1", "", "", "", "\n\nUse"]);
        assert_eq!(stop, Some("\n\nUser:"));
        let (out, stop) = filter(&stops, &["a\n", "\n"]);
        assert_eq!(
            (out, stop),
            (vec!["a".into(), "".into(), "\n\n".into()], None)
        );
    }

    #[test]
    fn the_stop_string_that_is_complete_first_counts() {
        let of = |texts: &[&str], text| {
            let stops = stops(texts);
            let (out, stop) = filter(&stops, &[text]);
            (out.concat(), stop.map(str::to_owned))
        };
        assert_eq!(of(&["bcd", "c"], "abcde"), ("ab".into(), Some("c".into())));
        assert_eq!(of(&["c", "bc"], "abcde"), ("a".into(), Some("bc".into())));
        // A match that fails goes on with the longest part of it that still matches.
        assert_eq!(
            of(&["aabaaa"], "aabaabaaab"),
            ("aab".into(), Some("aabaaa".into()))
        );
        assert_eq!(of(&["é!"], "éé!"), ("é".into(), Some("é!".into())));
        assert_eq!(of(&[], "abc"), ("abc".into(), None));
    }

    /// The same by looking at every end of the text.
    fn by_hand(texts: &[String], text: &str) -> (String, Option<String>) {
        for (end, _) in text.char_indices().skip(1).chain([(text.len(), ' ')]) {
            let ending = texts.iter().filter(|stop| text[..end].ends_with(*stop));
            if let Some(stop) = ending.max_by_key(|stop| stop.len()) {
                return (text[..end - stop.len()].to_owned(), Some(stop.clone()));
            }
        }
        (text.to_owned(), None)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn pieces_make_no_difference(
            texts in prop::collection::vec("[abé]{1,5}", 0..4),
            pieces in prop::collection::vec("[abé]{0,4}", 0..12),
        ) {
            let stops = StopStrings::new(&texts);
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (out, stop) = filter(&stops, &pieces);
            prop_assert_eq!((out.concat(), stop.map(str::to_owned)), by_hand(&texts, &pieces.concat()));
        }
    }
}
