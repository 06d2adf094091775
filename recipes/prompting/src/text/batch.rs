//! Texts with each label word in the place of the mask.

use burn::tensor::{Device, Int, Tensor, TensorData};
use crucible_datasets::{Collate, DataError, Drawn, LabelledText, indices};

use super::question::Question;

/// Texts, each with all label words in turn.
#[derive(Clone, Debug)]
pub struct WordBatch {
    /// Token ids, `[items * words, length]`, filled up at the end.
    pub ids: Tensor<2, Int>,
    /// Which of them fill up.
    pub padding: Vec<Vec<bool>>,
    /// The places before each token of a label word, `[tokens]`, counted through all rows.
    pub telling: Tensor<1, Int>,
    /// The row of each, `[tokens]`.
    pub row: Tensor<1, Int>,
    /// These tokens, `[tokens]`.
    pub targets: Tensor<1, Int>,
    /// 1 where a token is of a row, `[items * words, tokens]`.
    pub of_row: Tensor<2>,
    /// Classes, `[items]`.
    pub labels: Tensor<1, Int>,
    /// The texts' ids.
    pub names: Vec<String>,
}

/// A [`WordBatch`] in host memory.
#[derive(Debug, Default)]
pub struct WordHost {
    rows: Vec<Vec<u32>>,
    /// Row and place of each token of a label word.
    said: Vec<[usize; 2]>,
    labels: Vec<i32>,
    names: Vec<String>,
}

/// Makes [`WordBatch`]es.
pub struct WordCollate {
    /// How a text is asked about.
    pub question: Question,
}

impl Collate for WordCollate {
    type Sample = LabelledText;
    type Host = WordHost;
    type Batch = WordBatch;

    fn collate(&self, drawn: Vec<Drawn<LabelledText>>) -> Result<WordHost, DataError> {
        let mut host = WordHost::default();
        for Drawn { sample, .. } in drawn {
            let prompt = self.question.prompt(&sample.text)?;
            for word in &self.question.words {
                let row = host.rows.len();
                let places = prompt.len()..prompt.len() + word.len();
                host.said.extend(places.map(|place| [row, place]));
                host.rows.push([&prompt[..], word].concat());
            }
            host.labels.push(sample.label as i32);
            host.names.push(sample.id);
        }
        Ok(host)
    }

    fn upload(&self, host: WordHost, device: &Device) -> WordBatch {
        let (rows, tokens) = (host.rows.len(), host.said.len());
        let length = host.rows.iter().map(Vec::len).max().unwrap_or(0);
        let filled = |row: &Vec<u32>, place| row.get(place).map_or(0, |&id| id as i32);
        let ids = host.rows.iter();
        let ids = ids.flat_map(|row| (0..length).map(move |place| filled(row, place)));
        let ids = TensorData::new(ids.collect::<Vec<i32>>(), [rows, length]);
        let mut of_row = vec![0.0_f32; rows * tokens];
        for (token, [row, _]) in host.said.iter().enumerate() {
            of_row[row * tokens + token] = 1.0;
        }
        let number = |of: &dyn Fn(&[usize; 2]) -> usize| {
            let numbers = host.said.iter().map(|said| of(said) as i32);
            indices(numbers.collect(), device)
        };
        WordBatch {
            ids: Tensor::from_data(ids, device),
            telling: number(&|[row, place]| row * length + place - 1),
            row: number(&|[row, _]| *row),
            targets: number(&|&[row, place]| host.rows[row][place] as usize),
            of_row: Tensor::from_data(TensorData::new(of_row, [rows, tokens]), device),
            padding: (host.rows.iter())
                .map(|row| (0..length).map(|place| place >= row.len()).collect())
                .collect(),
            labels: indices(host.labels, device),
            names: host.names,
        }
    }
}
