//! JSON of strangers: bounded before it is parsed.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::source;
use crate::Error;

/// The deepest nesting of objects and arrays.
const MAX_DEPTH: usize = 64;

/// How much a JSON file may hold.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub bytes: u64,
    /// Values, as a parsed one takes many times the bytes that it is written in.
    pub values: usize,
}

/// A settings file. The largest have the names of 21,000 classes twice.
pub(super) const SETTINGS: Limits = Limits {
    bytes: 8 << 20,
    values: 1 << 18,
};

/// Parses a file; `None` if there is none of that name.
pub(super) fn read<T: DeserializeOwned>(path: &Path, limits: Limits) -> Result<Option<T>, Error> {
    let text = source::text(path, limits.bytes)?;
    text.map(|text| parse(path, &text, limits)).transpose()
}

/// Parses the content of a file.
pub(super) fn parse<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    limits: Limits,
) -> Result<T, Error> {
    check(text, limits.values).map_err(|reason| Error::damaged(path, reason))?;
    serde_json::from_str(text).map_err(|error| Error::damaged(path, error.to_string()))
}

/// Refuses nesting and numbers of values that would take more memory or stack than they are worth.
pub(super) fn check(text: &str, max_values: usize) -> Result<(), String> {
    let mut depth = 0usize;
    let mut values = 1usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                // To the end of the string; a backslash hides the byte after it.
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                values = values.saturating_add(1);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' => values = values.saturating_add(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("is nested more than {MAX_DEPTH} deep"));
        }
        if values > max_values {
            return Err(format!("has more than {max_values} values"));
        }
    }
    Ok(())
}
