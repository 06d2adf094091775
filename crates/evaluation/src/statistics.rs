//! Statistics over seeds: what one arm scores, and which arms of a comparison differ.
//!
//! Pure functions. What cannot be known, for one seed or a diverged one, is `None`, never a guess.
//!
//! - [`Summary`]: the values of several seeds and what they sum up to.
//! - [`Study`]: all of the below for each two of several arms, with a ranking.
//! - [`difference()`]: by how much two arms differ, with an interval; seeds and items are random.
//! - [`Replicates`]: the same by a hierarchical bootstrap.
//! - [`McNemar`]: on how many items one arm is right where the other is wrong.
//! - [`Permutation`]: how often chance parts the runs as far.
//! - [`hedges_g`]: the difference in standard deviations of a seed.
//! - [`holm`]: correction for the number of tests.
//! - [`power()`], [`least_difference`] and, for the primary test, [`Design`]: what could have been seen at all.
//! - [`letter_groups`]: arms in order, with those that cannot be told apart in common groups.
//! - [`Calibration`]: whether a model is right as often as it says.

mod bootstrap;
mod calibration;
mod difference;
mod distribution;
mod effect;
mod holm;
mod mcnemar;
mod noncentral;
mod permutation;
mod power;
mod ranking;
mod sample;
mod study;
mod summary;
#[cfg(test)]
mod tests;

pub use bootstrap::Replicates;
pub use calibration::{BINS, Bin, Calibration};
pub use difference::{Estimate, difference};
pub use effect::{EffectSize, hedges_g};
pub use holm::holm;
pub use mcnemar::{Discordance, McNemar};
pub use noncentral::noncentral_t_cdf;
pub use permutation::{MAX_SPLITS, Permutation};
pub use power::{Design, least_difference, power};
pub use ranking::{letter_groups, letters};
pub use sample::{Components, ItemComponents, Sample};
pub use study::{Detectable, Drawn, Options, POWER, Pair, Rank, Sensitivity, Study, StudyArm};
pub use summary::{Summary, mean, range, standard_deviation};
