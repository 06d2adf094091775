//! What a search asks a causal language model: how it goes on after some texts.

use std::collections::BTreeSet;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use crucible_transformer::{CausalLm, KeyValueCache};

use super::{SearchError, TriggerLoss};

/// Texts that a causal model has read, with the classes they belong to and the words that stand for these.
///
/// Of each text the keys and values are kept, all but those of its last token: a template costs no more than its own
/// tokens and those of the label words.
#[derive(Debug)]
pub struct CausalTexts<'a> {
    model: &'a CausalLm,
    chunks: Vec<Chunk>,
    /// How many texts.
    count: usize,
    /// Label words without their last token, each once: what is read after a template.
    continuations: Vec<Vec<u32>>,
    /// Where tokens of label words are told, each place once: which continuation, and how many of its tokens before.
    places: Vec<(usize, usize)>,
    /// Each token of a label word: its place in `places`, and which.
    said: Vec<(usize, u32)>,
    /// `[tokens of label words, classes]`: a class scores the mean of its words.
    shares: Tensor<2>,
}

/// Texts that are worked on at once.
#[derive(Debug)]
struct Chunk {
    /// Of all tokens but the last; none where no text has more than one.
    cache: Option<KeyValueCache>,
    /// Their last tokens.
    last: Vec<u32>,
    /// Their classes.
    labels: Vec<usize>,
}

/// A change of the embedding of one of a template's tokens, after each text: which, and what is added, `[1, d_model]`.
type Nudge<'a> = Option<(usize, &'a Tensor<2>)>;

impl<'a> CausalTexts<'a> {
    /// Reads texts, so many at once. `tokens` is the length of the templates that will be asked about; `words` are the
    /// label words as tokens and `class` the class of each, counted from 0 without a gap.
    ///
    /// # Errors
    /// Without texts, words or classes, for a text without a token or of a class without words, and for one that leaves
    /// no room for a template and a label word.
    pub fn new(
        model: &'a CausalLm,
        texts: &[(Vec<u32>, usize)],
        (words, class): (&[Vec<u32>], &[usize]),
        tokens: usize,
        at_once: usize,
    ) -> Result<Self, SearchError> {
        let empty = |empty, what| match empty {
            true => Err(SearchError::Empty(what)),
            false => Ok(()),
        };
        empty(texts.is_empty(), "texts")?;
        empty(words.is_empty(), "label words")?;
        empty(words.iter().any(Vec::is_empty), "tokens of a label word")?;
        let classes = class.iter().max().map_or(0, |last| last + 1);
        let longest = words.iter().map(Vec::len).max().unwrap_or(0);
        for (text, (ids, label)) in texts.iter().enumerate() {
            if ids.is_empty() {
                return Err(SearchError::Text(text));
            }
            if *label >= classes {
                return Err(SearchError::Range {
                    what: "the class of text",
                    place: text,
                    value: *label,
                    count: classes,
                });
            }
            let (length, max_length) = (ids.len() + tokens + longest, model.max_length());
            if length > max_length {
                return Err(SearchError::Long {
                    text,
                    length,
                    max_length,
                });
            }
        }
        let before = words.iter().map(|word| word[..word.len() - 1].to_vec());
        let continuations: Vec<Vec<u32>> = before.collect::<BTreeSet<_>>().into_iter().collect();
        let (mut places, mut said, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for (word, &of) in words.iter().zip(class) {
            let own = continuations
                .iter()
                .position(|c| *c == word[..word.len() - 1]);
            let count = class.iter().filter(|&&other| other == of).count();
            for (before, &token) in word.iter().enumerate() {
                let place = (own.unwrap_or(0), before);
                let at = places.iter().position(|&other| other == place);
                let at = at.unwrap_or(places.len());
                if at == places.len() {
                    places.push(place);
                }
                said.push((at, token));
                shares.extend((0..classes).map(|class| match class == of {
                    true => 1.0 / count as f32,
                    false => 0.0,
                }));
            }
        }
        let device = device(model);
        let shares = TensorData::new(shares, [said.len(), classes]);
        Ok(Self {
            model,
            chunks: (texts.chunks(at_once.max(1)))
                .map(|texts| Chunk::new(model, texts))
                .collect(),
            count: texts.len(),
            continuations,
            places,
            said,
            shares: Tensor::from_data(shares, &device),
        })
    }

    /// Scores of the classes of each text with a template: mean log-probabilities of their label words,
    /// `[texts][classes]`.
    pub fn classes(&self, template: &[u32]) -> Vec<Vec<f64>> {
        let scores = self.chunks.iter().flat_map(|chunk| {
            let scores = self.scores(chunk, template, None);
            let [_, classes] = scores.dims();
            let scores: Vec<f64> = scores.into_data().iter().collect();
            let rows = scores.chunks(classes).map(<[f64]>::to_vec);
            rows.collect::<Vec<_>>()
        });
        scores.collect()
    }

    /// Share of the texts whose class scores best with a template.
    pub fn accuracy(&self, template: &[u32]) -> f64 {
        let scores = self.classes(template);
        let labels = self.chunks.iter().flat_map(|chunk| &chunk.labels);
        let right = scores.iter().zip(labels);
        let right = right.filter(|(row, label)| crate::scores::argmax(row) == **label);
        right.count() as f64 / self.count as f64
    }

    /// The mean over the texts of minus the log-probability of their own label word, whatever other words get.
    pub fn label_loss(&self, template: &[u32]) -> f64 {
        let scores = self.classes(template);
        let labels = self.chunks.iter().flat_map(|chunk| &chunk.labels);
        let sum: f64 = scores
            .iter()
            .zip(labels)
            .map(|(row, &label)| row[label])
            .sum();
        -sum / self.count as f64
    }

    /// The sum over the texts of the log-probability of each token of the vocabulary after the text and `tokens`.
    pub fn next(&self, tokens: &[u32]) -> Vec<f64> {
        let mut sums = Vec::new();
        for chunk in &self.chunks {
            let states = self.states(chunk, tokens, &[Vec::new()], None);
            let last = states.narrow(1, tokens.len(), 1).squeeze_dim::<2>(1);
            let scores = log_softmax(self.model.logits(last), 1).sum_dim(0);
            let scores = scores.into_data();
            sums.resize(scores.num_elements(), 0.0);
            for (sum, score) in sums.iter_mut().zip(scores.iter::<f64>()) {
                *sum += score;
            }
        }
        sums
    }

    /// Log-probabilities of the classes of a chunk's texts, not normalised.
    ///
    /// # Shapes
    /// - output: `[texts, classes]`
    fn scores(&self, chunk: &Chunk, template: &[u32], nudge: Nudge<'_>) -> Tensor<2> {
        let states = self.states(chunk, template, &self.continuations, nudge);
        let [rows, length, d_model] = states.dims();
        let (texts, continuations) = (chunk.last.len(), self.continuations.len());
        let telling = (0..texts).flat_map(|text| {
            let place = move |&(continuation, before)| {
                let row = text * continuations + continuation;
                row * length + template.len() + before
            };
            self.places.iter().map(place)
        });
        let device = states.device();
        let telling = numbers(telling.collect(), &device);
        let told = states.reshape([rows * length, d_model]).select(0, telling);
        let told = log_softmax(self.model.logits(told), 1);
        let [_, vocabulary] = told.dims();
        // Of each text the tables of all its places side by side, and from them the tokens of the label words.
        let told = told.reshape([texts, self.places.len() * vocabulary]);
        let said = self.said.iter();
        let said = said.map(|&(place, token)| place * vocabulary + token as usize);
        let said = numbers(said.collect(), &device).unsqueeze_dim::<2>(0);
        let words = told.gather(1, said.expand([texts, self.said.len()]));
        words.matmul(self.shares.clone())
    }

    /// What follows the texts of a chunk: their last tokens, the template, and each of the continuations.
    ///
    /// # Shapes
    /// - output: `[texts * continuations, 1 + template + longest continuation, d_model]`, continuation after
    ///   continuation of each text
    fn states(
        &self,
        chunk: &Chunk,
        template: &[u32],
        continuations: &[Vec<u32>],
        nudge: Nudge<'_>,
    ) -> Tensor<3> {
        let longest = continuations.iter().map(Vec::len).max().unwrap_or(0);
        let length = 1 + template.len() + longest;
        let (mut texts, mut ids, mut padding) = (Vec::new(), Vec::new(), Vec::new());
        for (text, &last) in chunk.last.iter().enumerate() {
            for continuation in continuations {
                let filled = length - longest + continuation.len();
                let row = [last].into_iter().chain(template.iter().copied());
                let row = row.chain(continuation.iter().copied());
                let row = row.chain(std::iter::repeat_n(0, length - filled));
                ids.extend(row.map(|id| id as i32));
                padding.push((0..length).map(|place| place >= filled).collect());
                texts.push(text);
            }
        }
        let ids = TensorData::new(ids, [texts.len(), length]);
        let x = self
            .model
            .embed(Tensor::from_data(ids, &device(self.model)));
        let x = match nudge {
            None => x,
            Some((place, nudge)) => {
                let at = (0..length).map(|other| f32::from(u8::from(other == 1 + place)));
                let at = TensorData::new(at.collect::<Vec<f32>>(), [1, length, 1]);
                let at = Tensor::<3>::from_data(at, &x.device());
                x + at * nudge.clone().unsqueeze_dim::<3>(0)
            }
        };
        let mut cache = match &chunk.cache {
            Some(cache) => cache.clone(),
            None => self.model.cache(texts.len()),
        };
        if chunk.cache.is_some() {
            cache.select(&texts);
        }
        self.model.extend(&mut cache, x, &padding)
    }
}

impl Chunk {
    fn new(model: &CausalLm, texts: &[(Vec<u32>, usize)]) -> Self {
        let before = texts.iter().map(|(ids, _)| ids[..ids.len() - 1].to_vec());
        let before: Vec<Vec<u32>> = before.collect();
        let longest = before.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            cache: (longest > 0).then(|| {
                let (x, padding) = model.lined_up(&before);
                let mut cache = model.cache(before.len());
                model.extend(&mut cache, x, &padding);
                cache
            }),
            last: texts.iter().map(|(ids, _)| ids[ids.len() - 1]).collect(),
            labels: texts.iter().map(|(_, label)| *label).collect(),
        }
    }
}

impl TriggerLoss for CausalTexts<'_> {
    fn loss(&self, template: &[u32]) -> f64 {
        let sums = self.chunks.iter().map(|chunk| {
            let sum: Tensor<1> = self.cross_entropy(chunk, template, None);
            sum.into_data().iter::<f64>().sum::<f64>()
        });
        sums.sum::<f64>() / self.count as f64
    }

    /// Of each row `w` of the embedding, `(e_w - e_old) . gradient` (HotFlip, Ebrahimi et al. 2018, section 3). The
    /// gradient is that of a change which all texts share; the model's own weights need none.
    fn changes(&self, template: &[u32], place: usize) -> Vec<f32> {
        let words = self.model.word.weight.val();
        let [_, d_model] = words.dims();
        let nudge = Tensor::<2>::zeros([1, d_model], &words.device()).require_grad();
        let mut gradient = Tensor::<2>::zeros([1, d_model], &words.device().inner());
        for chunk in &self.chunks {
            let loss = self.cross_entropy(chunk, template, Some((place, &nudge)));
            if let Some(more) = nudge.grad(&loss.backward()) {
                gradient = gradient + more;
            }
        }
        let words = words.inner();
        let along = words.matmul((gradient / self.count as f64).transpose());
        let along: Vec<f32> = along.into_data().iter().collect();
        let old = template.get(place).and_then(|&old| along.get(old as usize));
        let old = old.copied().unwrap_or_default();
        along.into_iter().map(|new| new - old).collect()
    }
}

impl CausalTexts<'_> {
    /// The sum over the texts of a chunk, `[1]`.
    fn cross_entropy(&self, chunk: &Chunk, template: &[u32], nudge: Nudge<'_>) -> Tensor<1> {
        let scores = log_softmax(self.scores(chunk, template, nudge), 1);
        let labels = numbers(chunk.labels.clone(), &scores.device());
        -scores.gather(1, labels.unsqueeze_dim(1)).sum()
    }
}

fn device(model: &CausalLm) -> Device {
    model.word.weight.val().device()
}

fn numbers(numbers: Vec<usize>, device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i32> = numbers.into_iter().map(|number| number as i32).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count]), device)
}
