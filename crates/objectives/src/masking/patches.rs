use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How patches are hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blocks {
    /// Each by itself (MAE, He et al. 2022, section 3).
    #[default]
    Random,
    /// In rectangles of at least four (BEiT, Bao et al. 2022, algorithm 1).
    Block,
}

/// Which patches of an image are hidden.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchMasking {
    /// Share of the patches that are hidden.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub ratio: f64,
    /// How they lie: random or block.
    pub blocks: Blocks,
}

impl PatchMasking {
    /// Whether of an image of so many patches some are seen and some guessed.
    ///
    /// # Errors
    /// What is wrong, beginning with the field's name.
    pub fn check(&self, patches: usize) -> Result<(), String> {
        match self.ratio > 0.0 && self.ratio < 1.0 {
            true if patches > 1 => Ok(()),
            true => Err(format!(
                "ratio hides some patches and leaves some to be seen, but an image has {patches}; use smaller patches"
            )),
            false => Err(format!(
                "ratio is {}; expected more than 0 and less than 1: some patches are seen, some guessed",
                self.ratio
            )),
        }
    }

    /// How many of `patches` are hidden: the same number of every image, at least one, and of
    /// two or more never all.
    pub fn count(&self, patches: usize) -> usize {
        let wanted = (self.ratio * patches as f64).round() as usize;
        wanted.clamp(1, patches.saturating_sub(1).max(1))
    }
}

/// Of a block's shape: the fewest patches, and how far its sides may differ.
const LEAST: usize = 4;
const ASPECT: f64 = 0.3;
/// Blocks that add nothing before single patches fill up what is missing.
const ATTEMPTS: usize = 10;

/// True for the patches of a grid that are hidden, row by row: [`PatchMasking::count`] of them.
pub fn mask_patches(
    rows: usize,
    columns: usize,
    masking: &PatchMasking,
    random: &mut impl Rng,
) -> Vec<bool> {
    let count = masking.count(rows * columns);
    let mut hidden = vec![false; rows * columns];
    let mut missing = count;
    if masking.blocks == Blocks::Block {
        let mut attempts = 0;
        while missing >= LEAST && attempts < ATTEMPTS {
            let block = block(rows, columns, missing, random);
            let new = block.iter().filter(|&&patch| !hidden[patch]).count();
            attempts += 1;
            if new > 0 && new <= missing {
                block.into_iter().for_each(|patch| hidden[patch] = true);
                missing -= new;
                attempts = 0;
            }
        }
    }
    let mut open: Vec<usize> = (0..hidden.len()).filter(|&patch| !hidden[patch]).collect();
    for _ in 0..missing.min(open.len()) {
        hidden[open.swap_remove(random.random_range(0..open.len()))] = true;
    }
    hidden
}

/// A rectangle of about `LEAST` to `most` patches.
fn block(rows: usize, columns: usize, most: usize, random: &mut impl Rng) -> Vec<usize> {
    let area = random.random_range(LEAST as f64..=(most as f64).max(LEAST as f64));
    let aspect = random.random_range(ASPECT.ln()..=-ASPECT.ln()).exp();
    let side = |length: f64, most: usize| (length.round() as usize).clamp(1, most);
    let height = side((area * aspect).sqrt(), rows);
    let width = side((area / aspect).sqrt(), columns);
    let top = random.random_range(0..=rows - height);
    let left = random.random_range(0..=columns - width);
    let rows = top..top + height;
    rows.flat_map(|row| (left..left + width).map(move |column| row * columns + column))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    proptest! {
        #[test]
        fn every_image_has_the_same_number_hidden(
            rows in 1usize..15, columns in 1usize..15, ratio in 0.0f64..=1.0, block: bool, seed: u64,
        ) {
            let blocks = if block { Blocks::Block } else { Blocks::Random };
            let masking = PatchMasking { ratio, blocks };
            let hidden = mask_patches(rows, columns, &masking, &mut ChaCha8Rng::seed_from_u64(seed));
            let count = hidden.iter().filter(|hidden| **hidden).count();
            prop_assert_eq!(count, masking.count(rows * columns));
            prop_assert!(rows * columns == 1 || (1..rows * columns).contains(&count));
        }
    }

    #[test]
    fn blocks_lie_together() {
        let touching = |blocks| {
            let masking = PatchMasking { ratio: 0.4, blocks };
            let mut random = ChaCha8Rng::seed_from_u64(5);
            let mut pairs = 0;
            for _ in 0..100 {
                let hidden = mask_patches(14, 14, &masking, &mut random);
                let right = (0..196).filter(|at| at % 14 < 13 && hidden[*at] && hidden[at + 1]);
                pairs += right.count();
            }
            pairs as f64 / 100.0
        };
        // By chance 182 pairs of neighbours are both hidden with 0.4^2: 29 of them.
        let (random, block) = (touching(Blocks::Random), touching(Blocks::Block));
        assert!(
            (25.0..33.0).contains(&random) && block > 50.0,
            "{random} {block}"
        );
    }
}
