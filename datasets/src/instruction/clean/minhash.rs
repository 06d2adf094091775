//! Near copies: MinHash over word shingles (Broder 1997), with banding, so that only what is likely to be alike is
//! compared at all (Leskovec, Rajaraman and Ullman 2014, chapter 3).

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::DuplicateConfig;
use super::config::MOST_HASHES;
use super::words::words;

/// The hashes of all runs of `width` words, sorted, each once; of all words together where there are fewer.
pub(crate) fn shingles(text: &str, width: usize) -> Vec<u64> {
    let words: Vec<u64> = words(text).map(|word| hash(&word)).collect();
    let mut shingles: Vec<u64> = match words.len() {
        0 => Vec::new(),
        count => words
            .windows(width.clamp(1, count))
            .map(|run| hash(&run))
            .collect(),
    };
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

/// The Jaccard similarity of two sorted sets: how much of both together they share.
pub(crate) fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut left, mut right, mut shared) = (a, b, 0_usize);
    while let ([x, after_x @ ..], [y, after_y @ ..]) = (left, right) {
        let order = x.cmp(y);
        left = if order.is_le() { after_x } else { left };
        right = if order.is_ge() { after_y } else { right };
        shared = shared.saturating_add(usize::from(order.is_eq()));
    }
    match a.len().saturating_add(b.len()).saturating_sub(shared) {
        0 => 1.0,
        all => shared as f64 / all as f64,
    }
}

/// Of 64 bits, the same in every run: two things that differ have the same by less than an accident.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What is compared of a conversation.
pub(super) struct Document {
    /// Documents about other pictures are no copies.
    pub pictures: [u8; 32],
    /// Shingles of all that is asked.
    pub question: Vec<u64>,
    /// Shingles of all that is answered.
    pub answer: Vec<u64>,
}

impl Document {
    /// The similarity of the questions or of the answers, whichever is smaller.
    fn similarity(&self, other: &Self) -> f64 {
        if self.pictures != other.pictures {
            return 0.0;
        }
        let question = jaccard(&self.question, &other.question);
        question.min(jaccard(&self.answer, &other.answer))
    }
}

/// The documents that were kept, by the bands of their signatures.
///
/// Two documents whose questions and answers have a similarity of s share a band with a chance of s^(rows + 1), and so
/// are compared with one of 1 - (1 - s^(rows + 1))^bands.
pub(super) struct Index<'c> {
    config: &'c DuplicateConfig,
    /// Factor and summand of each hash function: `rows` for the question and one for the answer, band by band.
    hashes: Vec<Vec<(u64, u64)>>,
    documents: Vec<Document>,
    buckets: HashMap<u64, Vec<usize>>,
}

impl<'c> Index<'c> {
    pub fn new(config: &'c DuplicateConfig) -> Self {
        let bands = config.bands.clamp(1, MOST_HASHES);
        let rows = config.rows.clamp(1, MOST_HASHES / bands);
        let function =
            |band: usize, row: usize| (hash(&(band, row, "factor")) | 1, hash(&(band, row)));
        Self {
            config,
            hashes: (0..bands)
                .map(|band| (0..=rows).map(|row| function(band, row)).collect())
                .collect(),
            documents: Vec::new(),
            buckets: HashMap::new(),
        }
    }

    /// The place of an earlier document that is like this one, and how much; adds this one if there is none.
    pub fn find_or_add(&mut self, document: Document) -> Option<(usize, f64)> {
        let bands = self.bands(&document);
        let found = self.find(&document, &bands);
        if found.is_none() {
            for band in bands {
                self.buckets
                    .entry(band)
                    .or_default()
                    .push(self.documents.len());
            }
            self.documents.push(document);
        }
        found
    }

    /// The name of the bucket that a document falls into, for each band.
    fn bands(&self, document: &Document) -> Vec<u64> {
        let least = |set: &[u64], &(factor, summand): &(u64, u64)| {
            let hashed = set
                .iter()
                .map(|x| x.wrapping_mul(factor).wrapping_add(summand));
            hashed.min().unwrap_or(u64::MAX)
        };
        let name = |(band, functions): (usize, &Vec<(u64, u64)>)| {
            let (answer, question) = functions.split_first()?;
            let question = question
                .iter()
                .map(|function| least(&document.question, function));
            let question: Vec<u64> = question.collect();
            let answer = least(&document.answer, answer);
            Some(hash(&(band, document.pictures, question, answer)))
        };
        self.hashes.iter().enumerate().filter_map(name).collect()
    }

    fn find(&self, document: &Document, bands: &[u64]) -> Option<(usize, f64)> {
        let buckets = bands.iter().filter_map(|band| self.buckets.get(band));
        let mut buckets: Vec<&Vec<usize>> = buckets.collect();
        buckets.sort_by_key(|bucket| bucket.len());
        let mut compared = HashSet::new();
        for &place in buckets.into_iter().flatten() {
            if compared.len() >= self.config.candidates.max(1) {
                break;
            }
            if !compared.insert(place) {
                continue;
            }
            let similarity = self.documents.get(place)?.similarity(document);
            if similarity >= self.config.near {
                return Some((place, similarity));
            }
        }
        None
    }
}
