//! What may follow a text, and which rows of tokens tell how likely each is.

/// Label words as tokens, each with what the template says after it. Words that begin alike are told by the same rows: of
/// words of one token each, the text alone tells them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuations {
    /// Tokens after the text, row by row; the first may be empty, and none begins another.
    pub rows: Vec<Vec<u32>>,
    /// Where something is told: a row, and how many of its tokens have been read. The first is the end of the text.
    pub places: Vec<[usize; 2]>,
    /// The tokens of each word, each with the place that tells it.
    pub words: Vec<Vec<(usize, u32)>>,
}

impl Continuations {
    /// Of words of at least one token.
    pub fn of(words: Vec<Vec<u32>>) -> Self {
        // The last token of a word is told, and never read.
        let read = |word: &Vec<u32>| word[..word.len() - 1].to_vec();
        let mut rows: Vec<Vec<u32>> = words.iter().map(read).collect();
        rows.push(Vec::new());
        rows.sort();
        rows.dedup();
        let longer = |row: &Vec<u32>| {
            rows.iter()
                .any(|other| other != row && other.starts_with(row))
        };
        let rows: Vec<Vec<u32>> = rows.iter().filter(|row| !longer(row)).cloned().collect();
        let mut places = vec![[0, 0]];
        let words = words.iter().map(|word| {
            let tokens = word.iter().enumerate().map(|(at, &token)| {
                // The first row that has read so much; at the end of the text all are the same.
                let row = rows.iter().position(|row| row.starts_with(&word[..at]));
                let place = [row.unwrap_or(0), at];
                let known = places.iter().position(|other| *other == place);
                let place = known.unwrap_or_else(|| {
                    places.push(place);
                    places.len() - 1
                });
                (place, token)
            });
            tokens.collect()
        });
        let words = words.collect();
        Self {
            rows,
            places,
            words,
        }
    }

    /// Tokens of the longest word.
    pub fn longest(&self) -> usize {
        self.words.iter().map(Vec::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_of_one_token_need_no_row_of_their_own() {
        let found = Continuations::of(vec![vec![5], vec![7], vec![9]]);
        assert_eq!(found.rows, [Vec::<u32>::new()]);
        assert_eq!(found.places, [[0, 0]]);
        assert_eq!(found.words, [[(0, 5)], [(0, 7)], [(0, 9)]]);
    }

    #[test]
    fn words_that_begin_alike_share_rows() {
        let found = Continuations::of(vec![vec![1, 2, 3], vec![1, 4], vec![8], vec![5, 6]]);
        assert_eq!(found.rows, [vec![1, 2], vec![5]]);
        assert_eq!(found.places, [[0, 0], [0, 1], [0, 2], [1, 1]]);
        assert_eq!(found.words[1], [(0, 1), (1, 4)]);
        assert_eq!(found.words[3], [(0, 5), (3, 6)]);
    }

    proptest! {
        #[test]
        fn each_token_is_told_by_those_before_it(
            words in prop::collection::vec(prop::collection::vec(0u32..3, 1..5), 0..8),
        ) {
            let found = Continuations::of(words.clone());
            prop_assert_eq!(found.places[0], [0, 0]);
            prop_assert_eq!(found.words.len(), words.len());
            for (word, told) in words.iter().zip(&found.words) {
                prop_assert_eq!(word.len(), told.len());
                for (at, (place, token)) in told.iter().enumerate() {
                    let [row, read] = found.places[*place];
                    prop_assert_eq!(&found.rows[row][..read], &word[..at]);
                    prop_assert_eq!(*token, word[at]);
                }
            }
            // No more is computed than there are words, or the text alone.
            prop_assert!(found.rows.len() <= words.len().max(1));
        }
    }
}
