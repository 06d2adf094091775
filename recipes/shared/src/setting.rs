//! Settings that make no sense, by the key that was typed.

use crucible_training::Error;
use crucible_transformer::ConfigError;

/// An error of a part of a model as one of the section of a configuration that it was made of: `language.lora`.
pub fn setting(section: &'static str) -> impl Fn(ConfigError) -> Error {
    move |ConfigError { field, reason }| Error::Usage(format!("{section}.{field} {reason}"))
}
