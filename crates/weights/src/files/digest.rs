//! What identifies a file: the SHA-256 of all that is in it (FIPS 180-4).

use sha2::{Digest, Sha256};

use super::source::Source;
use crate::Error;

/// Bytes that are read at a time.
const CHUNK: u64 = 1 << 20;

/// Told of after each of them.
const GIB: u64 = 1 << 30;

/// The digest in hexadecimal, as `sha256sum` prints it. `progress` gets a line for each GiB.
pub(super) fn sha256(source: &Source, progress: &mut dyn FnMut(&str)) -> Result<String, Error> {
    let mut digest = Sha256::new();
    let mut at = 0;
    while at < source.length() {
        let bytes = source.bytes(at, source.remaining(at).min(CHUNK))?;
        digest.update(&bytes);
        at += bytes.len() as u64;
        if at.is_multiple_of(GIB) {
            let (read, all) = (at / GIB, source.length().div_ceil(GIB));
            progress(&format!(
                "{}: digest of {read} of {all} GiB",
                source.path().display()
            ));
        }
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
