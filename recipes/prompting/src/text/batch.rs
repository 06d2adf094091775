//! Texts as each template asks about them, with what may follow.

use burn::tensor::{Device, Int, Tensor, TensorData};
use crucible_datasets::{Collate, DataError, Drawn, LabelledText, indices};

use super::question::{Asked, Question};

/// Texts, each asked about in all templates in turn: `items * templates` prompts.
#[derive(Clone, Debug)]
pub struct WordBatch {
    /// Token ids, `[rows, length]`, filled up at the end.
    pub ids: Tensor<2, Int>,
    /// Which of them fill up.
    pub padding: Vec<Vec<bool>>,
    /// Where trained vectors stand in place of tokens, counted through all rows, and which: `[vectors]`; none where the
    /// templates have none.
    pub softs: Option<[Tensor<1, Int>; 2]>,
    /// The places that tell a token, `[places]`, counted through all rows.
    pub places: Tensor<1, Int>,
    /// The row of each, `[places]`.
    pub rows: Tensor<1, Int>,
    /// Among these places the one that tells the answer, `[prompts]`.
    pub answers: Tensor<1, Int>,
    /// The tokens of each word, filled up, `[prompts * words, tokens]`; none without words.
    pub words: Option<Told>,
    /// Classes, `[prompts]`.
    pub labels: Tensor<1, Int>,
    /// The texts' ids, one for each prompt.
    pub names: Vec<String>,
}

/// Tokens of words, `[prompts * words, tokens]` each.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which of the places tells it.
    pub place: Tensor<2, Int>,
    /// The token.
    pub token: Tensor<2, Int>,
    /// 1 where there is one, 0 where it fills up.
    pub there: Tensor<2>,
}

/// A [`WordBatch`] in host memory.
#[derive(Debug, Default)]
pub struct WordHost {
    rows: Vec<Vec<u32>>,
    /// Row, place and number of each trained vector.
    softs: Vec<[usize; 3]>,
    /// Row and place within it.
    places: Vec<[usize; 2]>,
    answers: Vec<i32>,
    /// The tokens of each word, each with its place.
    words: Vec<Vec<(usize, u32)>>,
    labels: Vec<i32>,
    names: Vec<String>,
}

/// Makes [`WordBatch`]es.
pub struct WordCollate {
    /// How a text is asked about, in one template or several.
    pub questions: Vec<Question>,
}

impl WordHost {
    fn push(&mut self, asked: &Asked, question: &Question) {
        let (row, place) = (self.rows.len(), self.places.len());
        let continuations = &question.continuations;
        for more in &continuations.rows {
            let own = asked.softs.iter();
            let row = self.rows.len();
            (self.softs).extend(own.map(|&[place, vector]| [row, place, vector]));
            self.rows.push([&asked.ids[..], more].concat());
        }
        let places = continuations.places.iter();
        // What is read last tells what comes.
        let places = places.map(|[of, read]| [row + of, asked.ids.len() + read - 1]);
        self.places.extend(places);
        self.answers.push(place as i32);
        let words = continuations.words.iter();
        let told = |&(of, token): &(usize, u32)| (place + of, token);
        let words = words.map(|word| word.iter().map(told).collect());
        self.words.extend(words);
    }

    fn told(&self, device: &Device) -> Option<Told> {
        let longest = self.words.iter().map(Vec::len).max()?;
        let shape = [self.words.len(), longest];
        let number = |of: &dyn Fn(&(usize, u32)) -> i32| {
            let words = self.words.iter();
            let filled = words.flat_map(|word| (0..longest).map(|at| word.get(at).map_or(0, of)));
            let filled: Vec<i32> = filled.collect();
            Tensor::from_data(TensorData::new(filled, shape), device)
        };
        Some(Told {
            place: number(&|(place, _)| *place as i32),
            token: number(&|(_, token)| *token as i32),
            there: number(&|_| 1).float(),
        })
    }
}

impl Collate for WordCollate {
    type Sample = LabelledText;
    type Host = WordHost;
    type Batch = WordBatch;

    fn collate(&self, drawn: Vec<Drawn<LabelledText>>) -> Result<WordHost, DataError> {
        let mut host = WordHost::default();
        for Drawn { sample, .. } in drawn {
            for question in &self.questions {
                host.push(&question.asked(&sample.text)?, question);
                host.labels.push(sample.label as i32);
                host.names.push(sample.id.clone());
            }
        }
        Ok(host)
    }

    fn upload(&self, host: WordHost, device: &Device) -> WordBatch {
        let rows = host.rows.len();
        let length = host.rows.iter().map(Vec::len).max().unwrap_or(0);
        let filled = |row: &Vec<u32>, place| row.get(place).map_or(0, |&id| id as i32);
        let ids = host.rows.iter();
        let ids = ids.flat_map(|row| (0..length).map(move |place| filled(row, place)));
        let ids = TensorData::new(ids.collect::<Vec<i32>>(), [rows, length]);
        let numbers = |all: &mut dyn Iterator<Item = usize>| {
            indices(all.map(|number| number as i32).collect(), device)
        };
        let softs = host.softs.iter();
        let softs = (!host.softs.is_empty()).then(|| {
            [
                numbers(&mut softs.clone().map(|[row, place, _]| row * length + place)),
                numbers(&mut softs.clone().map(|[_, _, vector]| *vector)),
            ]
        });
        let places = host.places.iter();
        WordBatch {
            ids: Tensor::from_data(ids, device),
            padding: (host.rows.iter())
                .map(|row| (0..length).map(|place| place >= row.len()).collect())
                .collect(),
            softs,
            places: numbers(&mut places.clone().map(|[row, place]| row * length + place)),
            rows: numbers(&mut places.map(|[row, _]| *row)),
            words: host.told(device),
            answers: indices(host.answers, device),
            labels: indices(host.labels, device),
            names: host.names,
        }
    }
}
