//! Tokens to text, piece by piece.

use super::stop::{StopFilter, StopStrings};

/// What decoders put in the place of bytes that are no character, or not yet.
const REPLACEMENT: char = '\u{FFFD}';

/// After so many tokens without a whole character they are no character's beginning (which has 4 bytes at most), and
/// their text goes out as it is.
const PATIENCE: usize = 16;

/// Tokens to the text of a tokenizer, which may take several tokens for a character and drop the space that a text
/// begins with.
///
/// A token's text is what it adds to that of the tokens before it: always two decodings of the same few tokens, so
/// that the time is linear (after the streaming of Hugging Face's text-generation-inference).
#[derive(Clone)]
struct Detokenizer<'a> {
    decode: &'a dyn Fn(&[u32]) -> String,
    /// The tokens of the last piece, and those whose text is not out yet.
    window: Vec<u32>,
    /// How many tokens of the window the last piece has.
    out: usize,
    /// Length of the text of these when they are decoded alone, in bytes.
    known: usize,
}

impl Detokenizer<'_> {
    /// The text that `token` completes.
    fn push(&mut self, token: u32) -> String {
        self.window.push(token);
        let text = (self.decode)(&self.window);
        let incomplete = text.ends_with(REPLACEMENT) || text.len() <= self.known;
        if incomplete && self.window.len() - self.out < PATIENCE {
            return String::new();
        }
        self.release(&text)
    }

    /// The text that was held back, when no token follows.
    fn rest(&mut self) -> String {
        let text = (self.decode)(&self.window);
        self.release(&text)
    }

    fn release(&mut self, text: &str) -> String {
        let piece = text.get(self.known..).unwrap_or_default().to_owned();
        self.window.drain(..self.out);
        self.out = self.window.len();
        self.known = (self.decode)(&self.window).len();
        piece
    }
}

/// The text of a sequence while tokens are added to it, up to its first stop string.
#[derive(Clone)]
pub(super) struct TextStream<'a> {
    detokenizer: Detokenizer<'a>,
    filter: StopFilter<'a>,
    /// All that is certain.
    text: String,
    /// How much of it [`TextStream::news`] has told.
    told: usize,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(decode: &'a dyn Fn(&[u32]) -> String, stops: &'a StopStrings) -> Self {
        Self {
            detokenizer: Detokenizer {
                decode,
                window: Vec::new(),
                out: 0,
                known: 0,
            },
            filter: StopFilter::new(stops),
            text: String::new(),
            told: 0,
        }
    }

    /// Adds a token; returns the stop string that it completes.
    pub(super) fn push(&mut self, token: u32) -> Option<&'a str> {
        let piece = self.detokenizer.push(token);
        self.add(&piece)
    }

    /// Adds what was held back, for no token follows; returns the stop string that this completes.
    pub(super) fn finish(&mut self) -> Option<&'a str> {
        let piece = self.detokenizer.rest();
        let stop = self.add(&piece);
        if stop.is_none() {
            self.text += &self.filter.rest();
        }
        stop
    }

    fn add(&mut self, piece: &str) -> Option<&'a str> {
        let (certain, stop) = self.filter.push(piece);
        self.text += &certain;
        stop
    }

    /// What has become certain since the last call.
    pub(super) fn news(&mut self) -> &str {
        let news = self.text.get(self.told..).unwrap_or_default();
        self.told = self.text.len();
        news
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    /// Pieces of a text, one a token and one at the end; whole at the end.
    fn stream(
        decode: &dyn Fn(&[u32]) -> String,
        stops: &[&str],
        tokens: &[u32],
    ) -> (Vec<String>, String) {
        let stops = StopStrings::new(&stops.iter().map(|&s| s.to_owned()).collect::<Vec<_>>());
        let mut stream = TextStream::new(decode, &stops);
        let mut pieces = Vec::new();
        for &token in tokens {
            let stop = stream.push(token);
            pieces.push(stream.news().to_owned());
            if stop.is_some() {
                return (pieces, stream.into_text());
            }
        }
        stream.finish();
        pieces.push(stream.news().to_owned());
        (pieces, stream.into_text())
    }

    /// Byte-level BPE as GPT-2 has it, without merges: a token is a byte.
    fn bytes(tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().map(|&t| t as u8).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn ids(text: &str) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }

    const WORDS: [&str; 6] = ["▁the", "▁cat", "s", "▁", "", "."];

    /// SentencePiece with bytes to fall back on, as Llama 2 has it: a run of bytes is text as a whole or not at all,
    /// and the space that a text begins with is dropped. Tokens from 256 are [`WORDS`].
    fn pieces(tokens: &[u32]) -> String {
        let mut text = String::new();
        let mut run = Vec::new();
        let close = |run: &mut Vec<u8>, text: &mut String| {
            let count = run.len();
            match String::from_utf8(std::mem::take(run)) {
                Ok(whole) => text.push_str(&whole),
                Err(_) => text.extend(std::iter::repeat_n(REPLACEMENT, count)),
            }
        };
        for &token in tokens {
            match u8::try_from(token) {
                Ok(byte) => run.push(byte),
                Err(_) => {
                    close(&mut run, &mut text);
                    text += &WORDS[token as usize - 256].replace('▁', " ");
                }
            }
        }
        close(&mut run, &mut text);
        text.strip_prefix(' ').unwrap_or(&text).to_owned()
    }

    #[test]
    fn a_character_comes_out_whole() {
        let (pieces, text) = stream(&bytes, &[], &ids("aé漢😀b"));
        let expected = ["a", "", "é", "", "", "漢", "", "", "", "😀", "b", ""];
        assert_eq!(pieces, expected);
        assert_eq!(text, "aé漢😀b");
        // Half a character at the end is all there will be.
        let (pieces, text) = stream(&bytes, &[], &ids("a漢")[..3]);
        assert_eq!(pieces, ["a", "", "", "\u{FFFD}"]);
        assert_eq!(text, "a\u{FFFD}");
    }

    #[test]
    fn spaces_between_words_stay() {
        let tokens = [256, 257, 258, 259, 260, 257, 261];
        let (out, text) = stream(&pieces, &[], &tokens);
        assert_eq!(out, ["the", " cat", "s", " ", "", " cat", ".", ""]);
        assert_eq!(text, pieces(&tokens));
        let family = [&[256], &ids("👨‍👩")[..], &[257]].concat();
        assert_eq!(stream(&pieces, &[], &family).1, "the👨‍👩 cat");
    }

    #[test]
    fn stop_strings_are_found_across_tokens() {
        let (out, text) = stream(&pieces, &["cats."], &[256, 257, 258, 261, 256]);
        assert_eq!(out, ["the", " ", "", ""]);
        assert_eq!(text, "the ");
        let (out, text) = stream(&pieces, &["cats."], &[257, 258]);
        assert_eq!(out, ["", "", "cats"]);
        assert_eq!(text, "cats");
    }

    #[test]
    fn time_is_linear() {
        let tokens = Cell::new(0);
        let counting = |ids: &[u32]| {
            tokens.set(tokens.get() + ids.len());
            bytes(ids)
        };
        for kind in [b'a', 0xff] {
            tokens.set(0);
            let (_, text) = stream(&counting, &["aaab"], &vec![u32::from(kind); 10_000]);
            assert_eq!(text.chars().count(), 10_000);
            assert!(tokens.get() < 10_000 * 2 * PATIENCE, "{}", tokens.get());
        }
        let nothing = |ids: &[u32]| {
            tokens.set(tokens.get() + ids.len());
            String::new()
        };
        tokens.set(0);
        assert_eq!(stream(&nothing, &[], &[1; 10_000]).1, "");
        assert!(tokens.get() < 10_000 * 2 * PATIENCE, "{}", tokens.get());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_streamed_is_the_text(text in ".{0,40}") {
            let (pieces, whole) = stream(&bytes, &[], &ids(&text));
            prop_assert_eq!(pieces.concat(), whole.as_str());
            prop_assert_eq!(whole, text);
        }

        #[test]
        fn words_and_bytes_mix(parts in prop::collection::vec(prop_oneof![
            "[a-zé漢😀]{1,3}".prop_map(|text| ids(&text)),
            (256..262_u32).prop_map(|word| vec![word]),
        ], 0..20)) {
            let tokens = parts.concat();
            let (out, whole) = stream(&pieces, &[], &tokens);
            prop_assert_eq!(out.concat(), whole.as_str());
            prop_assert_eq!(whole, pieces(&tokens));
        }
    }
}
