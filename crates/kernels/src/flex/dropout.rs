use pulp::{Arch, Simd};

use crate::dropout::Dropout;

/// Which elements of a row are dropped: a hash of seed, row and column, so that the backward pass finds them again
/// and neither blocks nor threads matter.
#[derive(Clone, Copy)]
pub struct Dropped {
    row: u32,
    threshold: u32,
    /// What the others are multiplied by.
    kept: f32,
}

impl Dropped {
    pub fn new(dropout: Dropout, row: u64) -> Self {
        // SplitMix64 (Steele et al. 2014).
        let mut z = dropout
            .seed
            .wrapping_add(row.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self {
            row: (z ^ (z >> 31)) as u32,
            threshold: (f64::from(dropout.chance) * 2f64.powi(32)) as u32,
            kept: 1.0 / (1.0 - dropout.chance),
        }
    }

    /// Zeroes what is dropped of a part of the row, which starts at the column `first`, and scales up the rest.
    pub fn apply(self, part: &mut [f32], first: usize) {
        apply(part, self, first as u32);
    }

    /// The finaliser of MurmurHash3 (Appleby 2011).
    #[inline(always)]
    fn is(self, column: u32) -> bool {
        let mut h = self.row ^ column.wrapping_mul(0x9e37_79b9);
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        h ^ (h >> 16) < self.threshold
    }
}

#[pulp::with_simd(apply = Arch::new())]
#[inline(always)]
fn apply_simd<'a, S: Simd>(_: S, part: &'a mut [f32], dropped: Dropped, first: u32) {
    for (column, x) in part.iter_mut().enumerate() {
        let column = first.wrapping_add(column as u32);
        *x = if dropped.is(column) {
            0.0
        } else {
            *x * dropped.kept
        };
    }
}
