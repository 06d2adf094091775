//! Which sample is drawn when: a pure function of (seed, position), so that a run can start at any step.

use rand::seq::SliceRandom;

use crate::augment::{Draw, Purpose, generator};

/// The order of one epoch: a permutation of 0..len that depends on seed and epoch alone.
pub fn permutation(seed: u64, epoch: u64, len: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len).collect();
    let draw = Draw {
        seed,
        epoch,
        index: 0,
    };
    order.shuffle(&mut generator(Purpose::Order, draw));
    order
}

/// Walks along the endless sequence of epochs. Only the current permutation is held; any other is made again
/// when it is asked for, so jumping is as good as walking.
pub(crate) struct Order {
    seed: u64,
    epoch: u64,
    permutation: Vec<u32>,
}

impl Order {
    pub fn new(seed: u64, len: u32) -> Self {
        Self {
            seed,
            epoch: 0,
            permutation: permutation(seed, 0, len),
        }
    }

    /// The draw at a position of the endless sequence.
    pub fn at(&mut self, position: u64) -> Draw {
        let len = self.permutation.len() as u64;
        let epoch = position / len;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.permutation = permutation(self.seed, epoch, len as u32);
        }
        Draw {
            seed: self.seed,
            epoch,
            index: self.permutation[(position % len) as usize] as usize,
        }
    }
}
