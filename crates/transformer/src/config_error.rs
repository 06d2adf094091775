use thiserror::Error;

/// Sizes in a model's configuration that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{field}` {reason}")]
pub struct ConfigError {
    /// The field to change.
    pub field: &'static str,
    /// What it is and what it must be.
    pub reason: String,
}

impl ConfigError {
    /// An error about `field` unless `condition` holds.
    ///
    /// # Errors
    /// When it does not.
    pub fn unless(
        condition: bool,
        field: &'static str,
        reason: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        match condition {
            true => Ok(()),
            false => Err(Self {
                field,
                reason: reason(),
            }),
        }
    }
}
