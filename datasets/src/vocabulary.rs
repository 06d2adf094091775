//! Vocabularies made from counted words. The tokenizers library has trainers, but its WordPiece one walks through a
//! randomly seeded hash map and gives another vocabulary at every start; a run must be repeatable.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

/// What marks a piece that goes on a word.
const CONTINUED: &str = "##";
/// Words of more characters are unknown to WordPiece and teach it nothing.
const MAX_WORD_CHARS: usize = 100;

/// How often each word occurs.
pub(crate) type Words = BTreeMap<String, u64>;

/// The most frequent words, at most `size`; equally frequent ones in alphabetical order.
pub(crate) fn word_level(words: &Words, size: usize) -> Vec<String> {
    let mut ranking: Vec<(&String, &u64)> = words.iter().collect();
    ranking.sort_by_key(|&(word, &count)| (Reverse(count), word));
    let words = ranking.into_iter().map(|(word, _)| word.clone());
    words.take(size).collect()
}

/// Pieces of words, at most `size`: all characters, then again and again the most frequent pair of neighbours as one
/// piece (byte pair encoding, Sennrich et al. 2016, which is how BERT-like WordPiece vocabularies are made today).
/// Of equally frequent pairs the one whose pieces are older goes first.
pub(crate) fn word_piece(words: &Words, size: usize) -> Vec<String> {
    let mut merger = Merger::new(words, size);
    while merger.pieces.len() < size && merger.merge() {}
    merger.pieces
}

type Piece = u32;
type Pair = (Piece, Piece);

struct Merger {
    pieces: Vec<String>,
    ids: HashMap<String, Piece>,
    /// Each word as pieces, with its count.
    words: Vec<(Vec<Piece>, u64)>,
    counts: HashMap<Pair, u64>,
    /// The words that have or had the pair.
    places: HashMap<Pair, BTreeSet<usize>>,
    /// Pairs by count. Entries are never removed when a count changes: one that is out of date is passed over.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Merger {
    fn new(words: &Words, size: usize) -> Self {
        let split = |word: &str| -> Vec<String> {
            let pieces = word.chars().enumerate();
            pieces
                .map(|(at, c)| {
                    if at == 0 {
                        c.to_string()
                    } else {
                        format!("{CONTINUED}{c}")
                    }
                })
                .collect()
        };
        let known = words
            .iter()
            .filter(|(word, _)| word.chars().count() <= MAX_WORD_CHARS);
        let mut characters = Words::new();
        for (word, count) in known.clone() {
            for piece in split(word) {
                *characters.entry(piece).or_default() += count;
            }
        }
        let mut pieces = word_level(&characters, size);
        pieces.sort();
        let ids: HashMap<String, Piece> = pieces.iter().cloned().zip(0..).collect();
        let mut merger = Self {
            pieces,
            words: Vec::new(),
            counts: HashMap::new(),
            places: HashMap::new(),
            queue: BinaryHeap::new(),
            ids,
        };
        for (word, &count) in known {
            // A word with a character that found no room is left out.
            let pieces: Option<Vec<Piece>> = split(word)
                .iter()
                .map(|piece| merger.ids.get(piece).copied())
                .collect();
            if let Some(pieces) = pieces {
                merger.words.push((pieces, count));
            }
        }
        for word in 0..merger.words.len() {
            merger.add(word);
        }
        merger
    }

    /// Counts a word's pairs.
    fn add(&mut self, word: usize) {
        let (pieces, weight) = &self.words[word];
        for pair in pieces.windows(2).map(|pair| (pair[0], pair[1])) {
            let count = self.counts.entry(pair).or_default();
            *count += weight;
            self.places.entry(pair).or_default().insert(word);
            self.queue.push((*count, Reverse(pair)));
        }
    }

    /// Takes a word's pairs out of the counts.
    fn remove(&mut self, word: usize) {
        let (pieces, weight) = &self.words[word];
        for pair in pieces.windows(2).map(|pair| (pair[0], pair[1])) {
            if let Some(count) = self.counts.get_mut(&pair) {
                *count -= weight;
                self.queue.push((*count, Reverse(pair)));
            }
        }
    }

    /// Merges the most frequent pair wherever it occurs; false if there is none.
    fn merge(&mut self) -> bool {
        let pair = loop {
            match self.queue.pop() {
                Some((count, Reverse(pair)))
                    if count > 0 && self.counts.get(&pair) == Some(&count) =>
                {
                    break pair;
                }
                Some(_) => {}
                None => return false,
            }
        };
        let tail = self.pieces[pair.1 as usize].trim_start_matches(CONTINUED);
        let piece = format!("{}{tail}", self.pieces[pair.0 as usize]);
        // The same piece can come about in two ways.
        let id = *self.ids.entry(piece).or_insert_with_key(|piece| {
            self.pieces.push(piece.clone());
            self.pieces.len() as Piece - 1
        });
        for word in self.places.remove(&pair).unwrap_or_default() {
            self.remove(word);
            let pieces = &mut self.words[word].0;
            let mut at = 0;
            while at + 1 < pieces.len() {
                if (pieces[at], pieces[at + 1]) == pair {
                    pieces[at] = id;
                    pieces.remove(at + 1);
                }
                at += 1;
            }
            self.add(word);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(counts: &[(&str, u64)]) -> Words {
        counts
            .iter()
            .map(|&(word, count)| (word.to_owned(), count))
            .collect()
    }

    #[test]
    fn frequent_words_come_first() {
        let words = words(&[("b", 2), ("a", 2), ("c", 9), ("d", 1)]);
        assert_eq!(word_level(&words, 3), ["c", "a", "b"]);
        assert_eq!(word_level(&words, 9).len(), 4);
    }

    #[test]
    fn frequent_pairs_are_merged_first() {
        let words = words(&[("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)]);
        let pieces = word_piece(&words, 100);
        let merges = &pieces[pieces.iter().position(|piece| piece == "##es").unwrap()..];
        // es 9, est 9, ow 7 (like lo, but ##o is older than l), low 7; then those of `newest`, which occurs 6 times.
        assert_eq!(merges[..4], ["##es", "##est", "##ow", "low"]);
        for word in words.keys() {
            assert!(pieces.contains(word), "{word}");
        }
        let distinct: BTreeSet<&String> = pieces.iter().collect();
        assert_eq!(distinct.len(), pieces.len());
    }

    #[test]
    fn the_size_is_kept_and_repeated_letters_merge_from_the_left() {
        let words = words(&[("aaaa", 1), ("bb", 3)]);
        assert_eq!(word_piece(&words, 5), ["##a", "##b", "a", "b", "bb"]);
        assert_eq!(word_piece(&words, 2), ["##a", "##b"]);
        let all = word_piece(&words, 99);
        assert!(all.contains(&"aaaa".to_owned()), "{all:?}");
        assert_eq!(word_piece(&words, 0), Vec::<String>::new());
        let long = Words::from([("x".repeat(101), 1)]);
        assert_eq!(word_piece(&long, 9), Vec::<String>::new());
    }
}
