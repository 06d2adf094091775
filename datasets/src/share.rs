//! A part of a training split, to see what a model makes of less.

use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use crate::augment::Purpose;
use crate::{Draw, Permutation, Samples};

/// The first samples of a permutation.
struct Shared<S> {
    all: Samples<S>,
    order: Permutation,
    count: usize,
}

impl<S: Send> Dataset<S> for Shared<S> {
    fn get(&self, index: usize) -> Result<S, DatasetError> {
        self.all.get(self.order.at(index as u64) as usize)
    }

    fn len(&self) -> usize {
        self.count
    }
}

/// That share of the samples, at least one; the same for equal seeds, and part of every larger share.
pub(crate) fn shared<S: Send + 'static>(samples: Samples<S>, share: f64, seed: u64) -> Samples<S> {
    let all = samples.len();
    let draw = Draw {
        seed,
        epoch: 0,
        index: 0,
    };
    let count = (share * all as f64).round().clamp(1.0, all.max(1) as f64) as usize;
    match all == 0 || count == all {
        true => samples,
        false => Arc::new(Shared {
            order: Permutation::keyed(Purpose::Share, draw, all as u64),
            all: samples,
            count,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataset::InMemDataset;

    #[test]
    fn smaller_shares_are_parts_of_larger_ones_and_seeds_differ() {
        let taken = |share, seed| -> Vec<u32> {
            let all: Samples<u32> = Arc::new(InMemDataset::new((0..200).collect()));
            let part = shared(all, share, seed);
            let mut items: Vec<u32> = (0..part.len()).map(|i| part.get(i).unwrap()).collect();
            items.sort();
            items.dedup();
            items
        };
        let (tenth, third) = (taken(0.1, 0), taken(0.3, 0));
        assert_eq!(
            (tenth.len(), third.len(), taken(1.0, 0).len()),
            (20, 60, 200)
        );
        assert!(tenth.iter().all(|item| third.contains(item)));
        assert_eq!(tenth, taken(0.1, 0));
        assert_ne!(tenth, taken(0.1, 1));
        assert_eq!(taken(1e-9, 0).len(), 1);
    }
}
