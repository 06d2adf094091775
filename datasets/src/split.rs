//! Train, valid, test: which sample belongs where when the data does not say.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::DataError;

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// What the model learns from.
    Train,
    /// What choices are made on during training.
    Valid,
    /// What the result is measured on, once.
    Test,
}

impl Split {
    /// All three, in order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Valid, Split::Test];

    /// `train`, `valid` or `test`: also the name of its file or folder.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Valid => "valid",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Split {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        Split::ALL
            .into_iter()
            .find(|split| split.name() == name)
            .ok_or_else(|| DataError::Setting {
                setting: "split",
                value: name.into(),
                reason: "expected train, valid or test".into(),
            })
    }
}

/// A fixed number in [0, 1) for a key: the first eight bytes of its SHA-256. It depends on nothing else, so a
/// sample stays in its split when others are added or removed.
pub fn fraction(key: &str) -> f64 {
    let mut head = [0; 8];
    head.copy_from_slice(&Sha256::digest(key)[..8]);
    (u64::from_be_bytes(head) >> 11) as f64 / (1u64 << 53) as f64
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The samples of each split, as far as the data itself says.
pub(crate) struct Parts<S> {
    pub train: Vec<S>,
    pub valid: Option<Vec<S>>,
    pub test: Option<Vec<S>>,
}

impl<S> Parts<S> {
    /// Fills in the splits that the data does not bring: a tenth of the training samples each, by their
    /// [`fraction`]. Returns train, valid, test.
    pub fn complete(self, fraction: impl Fn(&S) -> f64) -> [Vec<S>; 3] {
        let carve_test = self.test.is_none();
        let carve_valid = self.valid.is_none();
        let mut train = Vec::with_capacity(self.train.len());
        let mut valid = self.valid.unwrap_or_default();
        let mut test = self.test.unwrap_or_default();
        for sample in self.train {
            match fraction(&sample) {
                x if carve_test && x < 0.1 => test.push(sample),
                x if carve_valid && (0.1..0.2).contains(&x) => valid.push(sample),
                _ => train.push(sample),
            }
        }
        [train, valid, test]
    }
}
