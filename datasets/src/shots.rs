//! A few samples of each class, to see what a model makes of so little.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::data::dataset::InMemDataset;

use crate::augment::Purpose;
use crate::{Data, DataError, Draw, LabelledImage, LabelledText, Permutation, Split};

/// What belongs to a class.
pub trait Labelled {
    /// Index into [`Data::labels`].
    fn label(&self) -> usize;
}

impl Labelled for LabelledImage {
    fn label(&self) -> usize {
        self.label
    }
}

impl Labelled for LabelledText {
    fn label(&self) -> usize {
        self.label
    }
}

impl<S: Labelled + Clone + Send + Sync + 'static> Data<S> {
    /// The same data with so many samples of each class to train on, drawn by the seed, in the order of the classes; of a
    /// class with fewer all of them. What more shots hold, fewer are part of.
    ///
    /// Validation is as small, as where only so few samples are labelled (Perez et al. 2021): so many of each class of its
    /// split. The test stays whole.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with a sample, and [`DataError::Setting`] where a class has none.
    pub fn few_shot(self, shots: usize, seed: u64) -> Result<Self, DataError> {
        let [train, valid] =
            [Split::Train, Split::Valid].map(|split| self.drawn(split, shots, seed));
        let (train, valid) = (train?, valid?);
        Ok(Self {
            train: Arc::new(InMemDataset::new(train)),
            valid: Arc::new(InMemDataset::new(valid)),
            ..self
        })
    }

    fn drawn(&self, split: Split, shots: usize, seed: u64) -> Result<Vec<S>, DataError> {
        let samples = self.split(split);
        let mut of_class: BTreeMap<usize, Vec<S>> = BTreeMap::new();
        for index in 0..samples.len() {
            let sample = samples.get(index).map_err(DataError::Dataset)?;
            of_class.entry(sample.label()).or_default().push(sample);
        }
        let absent = (0..self.labels.len()).find(|label| !of_class.contains_key(label));
        if let Some(name) = absent.and_then(|label| self.labels.get(label)) {
            // What a class is validated by may be lacking, but not what it is learnt from.
            if split == Split::Train {
                return Err(DataError::Setting {
                    setting: "shots",
                    value: shots.to_string(),
                    reason: format!("the training split has no sample of the class `{name}`"),
                });
            }
        }
        Ok(few(of_class, shots, seed))
    }
}

/// So many samples of each class, or all where it has fewer, drawn by the seed.
pub(crate) fn few<S: Clone>(of_class: BTreeMap<usize, Vec<S>>, shots: usize, seed: u64) -> Vec<S> {
    let few = of_class.into_iter().flat_map(|(class, samples)| {
        let draw = Draw {
            seed,
            epoch: 0,
            index: class,
        };
        let order = Permutation::keyed(Purpose::Shots, draw, samples.len() as u64);
        let places = (0..samples.len().min(shots)).map(move |at| order.at(at as u64) as usize);
        places.filter_map(move |place| samples.get(place).cloned())
    });
    few.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_labelled_texts;

    fn ids(data: &Data<LabelledText>, split: Split) -> Vec<(usize, String)> {
        let samples = data.split(split);
        (0..samples.len())
            .map(|at| samples.get(at).unwrap())
            .map(|sample| (sample.label, sample.id))
            .collect()
    }

    #[test]
    fn each_class_has_its_shots_and_more_shots_hold_fewer() {
        let few = |shots, seed| {
            open_labelled_texts("emoji-names")
                .unwrap()
                .few_shot(shots, seed)
        };
        let (four, sixteen) = (few(4, 0).unwrap(), few(16, 0).unwrap());
        let [small, large] = [&four, &sixteen].map(|data| ids(data, Split::Train));
        for class in 0..9 {
            let of =
                |ids: &[(usize, String)]| ids.iter().filter(|(label, _)| *label == class).count();
            assert_eq!((of(&small), of(&large)), (4, 16));
        }
        assert!(small.iter().all(|id| large.contains(id)));
        assert_eq!(small, ids(&few(4, 0).unwrap(), Split::Train));
        assert_ne!(small, ids(&few(4, 1).unwrap(), Split::Train));
        assert!(ids(&four, Split::Valid).len() <= 36);
        let whole = open_labelled_texts("emoji-names").unwrap();
        assert_eq!(ids(&four, Split::Test), ids(&whole, Split::Test));
    }

    #[test]
    fn a_class_without_samples_is_named() {
        let mut data = open_labelled_texts("reviews").unwrap();
        data.labels.push("mixed".into());
        let error = data.few_shot(2, 0).err().unwrap().to_string();
        assert!(error.contains("`mixed`"), "{error}");
    }
}
