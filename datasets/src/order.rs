//! Which sample is drawn when: a pure function of (seed, position), so that a run can start at any step.

use rand::RngExt;

use crate::augment::{Draw, Purpose, generator};
use crate::window::Windows;

/// With these, all orders of a handful of samples come equally often; with halves of two bits, not.
const ROUNDS: usize = 10;
const LEAST_HALF: u32 = 3;

/// The order of one epoch: a permutation of 0..len that depends on seed and epoch alone, in constant
/// memory. A Feistel network permutes the next power of four; what falls outside of 0..len is permuted
/// again until it does not (cycle walking, Black and Rogaway 2002): of more than a handful of samples,
/// four times at most on average.
#[derive(Clone, Debug)]
pub struct Permutation {
    len: u64,
    /// Bits of each half of a position.
    half: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// The order of that epoch.
    ///
    /// # Panics
    ///
    /// If `len` is 0 or above 2^62.
    pub fn new(seed: u64, epoch: u64, len: u64) -> Self {
        let draw = Draw {
            seed,
            epoch,
            index: 0,
        };
        Self::keyed(Purpose::Order, draw, len)
    }

    /// The permutation of 0..len that belongs to a purpose and a draw.
    pub(crate) fn keyed(purpose: Purpose, draw: Draw, len: u64) -> Self {
        assert!((1..=1 << 62).contains(&len), "{len} samples");
        let bits = u64::BITS - (len - 1).leading_zeros();
        Self {
            len,
            half: bits.div_ceil(2).max(LEAST_HALF),
            keys: generator(purpose, draw).random(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// What stands at that position.
    ///
    /// # Panics
    ///
    /// If there is no such position.
    pub fn at(&self, position: u64) -> u64 {
        assert!(position < self.len, "{position} of {}", self.len);
        let mut value = self.permute(position);
        while value >= self.len {
            value = self.permute(value);
        }
        value
    }

    fn permute(&self, value: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (value >> self.half, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half | right
    }
}

/// Every bit of the result depends on every bit of `value` (MurmurHash3's finalizer, Appleby 2011).
fn mix(mut value: u64) -> u64 {
    value = (value ^ value >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    value = (value ^ value >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ value >> 33
}

/// Walks along the endless sequence of epochs; jumping is as good as walking.
pub(crate) struct Order {
    seed: u64,
    len: u64,
    window: u64,
    /// The epoch that was last looked into, and its order.
    current: Option<(u64, Epoch)>,
}

/// The order of one epoch.
enum Epoch {
    Whole(Permutation),
    Windows(Windows),
}

impl Order {
    /// The order of `len` samples in windows of `window`, or without windows if that is 0.
    pub fn new(seed: u64, len: usize, window: usize) -> Self {
        Self {
            seed,
            len: len as u64,
            window: window as u64,
            current: None,
        }
    }

    /// The draw at a position of the endless sequence.
    pub fn at(&mut self, position: u64) -> Draw {
        let (epoch, place) = (position / self.len, position % self.len);
        let order = match self.current.take() {
            Some((known, order)) if known == epoch => order,
            _ => self.epoch(epoch),
        };
        let (_, order) = self.current.insert((epoch, order));
        let index = match order {
            Epoch::Whole(permutation) => permutation.at(place),
            Epoch::Windows(windows) => windows.at(place),
        };
        Draw {
            seed: self.seed,
            epoch,
            index: index as usize,
        }
    }

    fn epoch(&self, epoch: u64) -> Epoch {
        match self.window {
            0 => Epoch::Whole(Permutation::new(self.seed, epoch, self.len)),
            window => Epoch::Windows(Windows::new(self.seed, epoch, self.len, window)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn order(seed: u64, epoch: u64, len: u64) -> Vec<u64> {
        let permutation = Permutation::new(seed, epoch, len);
        (0..len).map(|position| permutation.at(position)).collect()
    }

    proptest! {
        #[test]
        fn it_is_a_permutation(len in 1u64..3000, seed: u64, epoch: u64) {
            let mut order = order(seed, epoch, len);
            order.sort_unstable();
            prop_assert_eq!(order, (0..len).collect::<Vec<_>>());
        }

        #[test]
        fn a_billion_samples_take_no_more_memory_and_no_two_positions_meet(
            seed: u64, position in 0u64..1_000_000_000, other in 0u64..1_000_000_000,
        ) {
            let permutation = Permutation::new(seed, 0, 1_000_000_000);
            let (a, b) = (permutation.at(position), permutation.at(other));
            prop_assert!(a < 1_000_000_000);
            prop_assert_eq!(a == b, position == other);
        }
    }

    #[test]
    fn orders_differ_between_seeds_and_epochs() {
        let mut orders: Vec<_> = (0..4)
            .flat_map(|seed| (0..4).map(move |epoch| order(seed, epoch, 50)))
            .collect();
        orders.push((0..50).collect());
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 17);
    }

    /// Chi-squared over the orders of five samples: 119 degrees of freedom, so 119 on average, and 194
    /// once in 100,000 such tests.
    #[test]
    fn all_orders_come_equally_often() {
        const EACH: u64 = 200;
        let mut counts: HashMap<Vec<u64>, u64> = HashMap::new();
        for seed in 0..120 * EACH {
            *counts.entry(order(seed, 0, 5)).or_default() += 1;
        }
        assert_eq!(counts.len(), 120);
        let square = |count: &u64| count.abs_diff(EACH).pow(2) as f64;
        let chi_squared = counts.values().map(square).sum::<f64>() / EACH as f64;
        assert!(chi_squared < 194.0, "{chi_squared}");
    }

    /// How often neighbours stay in order: half of the pairs, give or take five standard deviations.
    #[test]
    fn neighbours_are_not_kept_together() {
        const LEN: u64 = 100_000;
        let order = order(7, 3, LEN);
        let rising = order.windows(2).filter(|pair| pair[0] < pair[1]).count() as f64;
        let deviation = (LEN as f64 / 12.0).sqrt();
        assert!(
            (rising - LEN as f64 / 2.0).abs() < 5.0 * deviation,
            "{rising}"
        );
        let touching = order
            .windows(2)
            .filter(|pair| pair[0].abs_diff(pair[1]) == 1);
        assert!(touching.count() < 15, "two of 100,000 are expected");
    }
}
