//! What a process holds.

use std::io::{Error, Result};

/// Bytes that the system counts for this process, under a key of `/proc/self/status`.
pub fn memory(key: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(key));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let kib = kib.ok_or_else(|| Error::other("the system counts no memory"))?;
    Ok(1024 * kib)
}
