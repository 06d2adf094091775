//! One seed for a run, and an independent one for everything inside it that draws numbers.

/// Draws the initial weights.
pub const INIT: u64 = 0;
/// Draws everything random inside a training step on the device: dropout, masks.
pub const STEP: u64 = 1;

/// The seed of item `index` of `stream` in a run seeded with `seed`.
///
/// A pure function, so that step 400 draws the same numbers whether or not steps 1 to 399 ran in this
/// process. Each argument passes through the finalizer of SplitMix64 (Steele et al. 2014, "Fast
/// splittable pseudorandom number generators"), which spreads a change of one bit over all 64.
pub fn derive(seed: u64, stream: u64, index: u64) -> u64 {
    [stream, index]
        .into_iter()
        .fold(mix(seed), |state, word| mix(state.wrapping_add(word)))
}

/// The seed of what has a name instead of a number.
pub fn named(seed: u64, stream: u64, name: &str) -> u64 {
    let letters = name.bytes().map(u64::from);
    letters.fold(derive(seed, stream, name.len() as u64), |state, letter| {
        mix(state.wrapping_add(letter))
    })
}

fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn first_output_of_splitmix64() {
        // The published first output of SplitMix64 with state 0.
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn names_do_not_collide() {
        let names = [
            "",
            "a",
            "b",
            "ab",
            "ba",
            "abc",
            "blocks.1.weight",
            "blocks.11.weight",
        ];
        let all: BTreeSet<u64> = (0..4)
            .flat_map(|seed| names.map(|name| named(seed, INIT, name)))
            .collect();
        assert_eq!(all.len(), 4 * names.len());
    }

    #[test]
    fn neighbours_do_not_collide() {
        let all: BTreeSet<u64> = (0..8)
            .flat_map(|seed| {
                (0..4).flat_map(move |stream| (0..500).map(move |step| derive(seed, stream, step)))
            })
            .collect();
        assert_eq!(all.len(), 8 * 4 * 500);
    }
}
