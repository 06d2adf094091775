//! An order for data that is slow to read at random: shuffled, but from few places at a time.

use rand::RngExt;

use crate::augment::{Draw, Purpose, generator};
use crate::order::Permutation;

/// How many places of the split a window is read from.
pub(crate) const PLACES: u64 = 16;

/// The order of one epoch. The samples are a ring, cut from a random place on into runs of consecutive ones; the runs
/// are permuted, and so are the samples of each [`PLACES`] runs in a row, a window. What the last run of the ring lacks
/// to a whole one is missing at the end of the epoch, each epoch at another place of the ring. As with [`Permutation`],
/// nothing is held but keys, and jumping is as good as walking.
pub(crate) struct Windows {
    draw: Draw,
    len: u64,
    /// Samples of a run.
    run: u64,
    /// The order of the whole runs, if there is one.
    runs: Option<Permutation>,
    /// Where the ring is cut first.
    start: u64,
    /// The window that was last looked into, and its order.
    current: Option<(u64, Permutation)>,
}

impl Windows {
    /// The order of that epoch in windows of `window` samples, rounded up to whole runs.
    pub fn new(seed: u64, epoch: u64, len: u64, window: u64) -> Self {
        let run = window.div_ceil(PLACES);
        let draw = Draw {
            seed,
            epoch,
            index: 0,
        };
        Self {
            draw,
            len,
            run,
            runs: (len >= run).then(|| Permutation::new(seed, epoch, len / run)),
            start: generator(Purpose::Start, draw).random_range(0..len),
            current: None,
        }
    }

    /// What stands at that position.
    pub fn at(&mut self, position: u64) -> u64 {
        let size = self.run.saturating_mul(PLACES);
        let (number, place) = (position / size, position % size);
        let first = number * size;
        let order = match self.current.take() {
            Some((known, order)) if known == number => order,
            _ => self.order(number, size.min(self.len - first)),
        };
        let (_, order) = self.current.insert((number, order));
        let shuffled = first + order.at(place);
        let place = match &self.runs {
            Some(runs) if shuffled / self.run < runs.len() => {
                runs.at(shuffled / self.run) * self.run + shuffled % self.run
            }
            _ => shuffled,
        };
        (self.start + place) % self.len
    }

    /// The order within the window of a number.
    fn order(&self, number: u64, len: u64) -> Permutation {
        let draw = Draw {
            index: number as usize,
            ..self.draw
        };
        Permutation::keyed(Purpose::Window, draw, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(seed: u64, epoch: u64, len: u64, window: u64) -> Vec<u64> {
        let mut windows = Windows::new(seed, epoch, len, window);
        (0..len).map(|position| windows.at(position)).collect()
    }

    proptest! {
        #[test]
        fn every_sample_comes_once(len in 1u64..2000, window in 1u64..3000, seed: u64, epoch: u64) {
            let mut order = order(seed, epoch, len, window);
            order.sort_unstable();
            prop_assert_eq!(order, (0..len).collect::<Vec<_>>());
        }

        /// What a window draws lies in as many runs of consecutive samples as it has places, and what is left over at
        /// the end of the ring in one more.
        #[test]
        fn a_window_is_read_from_few_places(len in 1u64..5000, window in 1u64..600, seed: u64, epoch: u64) {
            let run = window.div_ceil(PLACES);
            let order = order(seed, epoch, len, window);
            for drawn in order.chunks((run * PLACES) as usize) {
                let mut drawn = drawn.to_vec();
                drawn.sort_unstable();
                let gaps = drawn.windows(2).filter(|pair| pair[1] != pair[0] + 1).count() as u64;
                // The ring's seam may cut a run in two.
                prop_assert!(gaps <= PLACES, "{gaps} gaps in {drawn:?}");
            }
        }

        #[test]
        fn jumping_is_as_good_as_walking(
            len in 1u64..2000, window in 1u64..3000, seed: u64, jumps in prop::collection::vec(0u64..2000, 1..20),
        ) {
            let walked = order(seed, 3, len, window);
            let mut windows = Windows::new(seed, 3, len, window);
            for jump in jumps {
                let position = jump % len;
                prop_assert_eq!(windows.at(position), walked[position as usize]);
            }
        }

        #[test]
        fn the_largest_sizes_do_not_overflow(position in 0u64..1 << 62, window: u64, seed: u64) {
            prop_assume!(window > 0);
            prop_assert!(Windows::new(seed, 0, 1 << 62, window).at(position) < 1 << 62);
        }
    }

    #[test]
    fn orders_differ_between_seeds_and_epochs() {
        let mut orders: Vec<_> = (0..4)
            .flat_map(|seed| (0..4).map(move |epoch| order(seed, epoch, 200, 32)))
            .collect();
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 16);
    }

    /// Windows differ in their order, and both the runs and the samples within a window are shuffled.
    #[test]
    fn windows_are_shuffled_within_and_among_each_other() {
        const RUN: u64 = 64;
        let order = order(5, 1, 100 * RUN * PLACES, RUN * PLACES);
        let rising = order.windows(2).filter(|pair| pair[0] < pair[1]).count();
        let share = rising as f64 / order.len() as f64;
        assert!((share - 0.5).abs() < 0.01, "{share}");
        let mean = |window: &[u64]| window.iter().sum::<u64>() as f64 / window.len() as f64;
        // Sixteen places from all over: the mean of each window is near that of all.
        let all = mean(&order);
        for window in order.chunks((RUN * PLACES) as usize) {
            assert!((mean(window) / all - 1.0).abs() < 0.7, "{}", mean(window));
        }
    }
}
