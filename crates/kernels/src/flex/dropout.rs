/// Which weights of a row of attention are dropped: a hash of seed, row and column, so that the backward pass
/// finds them again and neither blocks nor threads matter.
#[derive(Clone, Copy)]
pub struct Dropped {
    row: u32,
    threshold: u32,
}

impl Dropped {
    pub fn new(seed: u64, row: u64, chance: f32) -> Self {
        // SplitMix64 (Steele et al. 2014).
        let mut z = seed.wrapping_add(row.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self {
            row: (z ^ (z >> 31)) as u32,
            threshold: (f64::from(chance) * 2f64.powi(32)) as u32,
        }
    }

    /// Whether the weight of a key is dropped; the finaliser of MurmurHash3 (Appleby 2011).
    #[inline(always)]
    pub fn is(self, key: u32) -> bool {
        let mut h = self.row ^ key.wrapping_mul(0x9e37_79b9);
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        h ^ (h >> 16) < self.threshold
    }
}
