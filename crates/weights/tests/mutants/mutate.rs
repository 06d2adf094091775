//! How files are damaged.

use std::ops::Range;

use rand::{Rng, RngExt};

use crate::subjects::{Subject, fixture, header_length};

/// Numbers at which arithmetic breaks.
const BOUNDARIES: [u64; 18] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    1 << 40,
    0x3fff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_fff8,
    0xffff_ffff_ffff_ffff,
];

/// Pieces of JSON that parsers stumble over.
const PIECES: [&str; 22] = [
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "-0.0",
    "18446744073709551616",
    "9223372036854775807",
    "4294967295",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[[0,0],[0,0]]",
    "\"F64\"",
    "\"BOOL\"",
    "\"é\"",
    "\"##\"",
    ",,",
    "}",
    "{\"type\":\"Sequence\",\"pretokenizers\":[]}",
];

/// Damages a file; tells how many bytes it wrote.
pub fn mutate(rng: &mut impl Rng, subject: &Subject, bytes: &mut Vec<u8>) -> usize {
    let before = bytes.len();
    let is_json = subject.damaged.ends_with(".json");
    let mut header = None;
    if subject.damaged.ends_with(".safetensors") && rng.random_bool(0.5) {
        // Within the header, whose length is put right again.
        let length = header_length(bytes).min(bytes.len() - 8);
        let data = bytes.split_off(8 + length);
        bytes.drain(..8);
        header = Some(data);
    }
    let json = is_json || header.is_some();
    let mut written = 0;
    for _ in 0..[1, 1, 1, 2, 4][rng.random_range(0..5)] {
        written += damage(rng, subject, bytes, json);
    }
    if let Some(data) = header {
        let length = (bytes.len() as u64).to_le_bytes();
        bytes.splice(0..0, length);
        bytes.extend(data);
        // Where the data stayed where it was, nothing of it was written.
        return if bytes.len() == before { 0 } else { written };
    }
    written
}

fn damage(rng: &mut impl Rng, subject: &Subject, bytes: &mut Vec<u8>, json: bool) -> usize {
    if bytes.is_empty() {
        return 0;
    }
    let length = bytes.len();
    // Half of the time where the structure is.
    let at = match rng.random_range(0..6) {
        0 => rng.random_range(0..length.min(512)),
        1 => rng.random_range(length.saturating_sub(512)..length),
        2 => rng.random_range(
            subject.data.start.clamp(1, length).saturating_sub(1024)
                ..subject.data.start.clamp(1, length),
        ),
        _ => rng.random_range(0..length),
    };
    let size = rng.random_range(1..=64).min(length - at);
    match rng.random_range(0..if json { 13 } else { 9 }) {
        0 => {
            bytes[at] ^= 1 << rng.random_range(0..8);
            1
        }
        1 => {
            bytes[at] = rng.random();
            1
        }
        2 => {
            bytes.truncate(at);
            0
        }
        3 => {
            let inserted: Vec<u8> = (0..size)
                .map(|_| if size % 2 == 0 { 0 } else { rng.random() })
                .collect();
            bytes.splice(at..at, inserted);
            size
        }
        4 => {
            bytes.drain(at..at + size);
            0
        }
        5 => {
            // Over other bytes or between them: duplicates and overlaps.
            let from = rng.random_range(0..=length - size);
            let chunk = bytes[from..from + size].to_vec();
            let end = at + if rng.random_bool(0.5) { size } else { 0 };
            bytes.splice(at..end, chunk);
            size
        }
        6 => {
            let other =
                fixture(["types.safetensors", "llama.gguf", "wrapped.pt"][rng.random_range(0..3)]);
            let from = rng.random_range(0..=other.len() - size);
            bytes.splice(at..at + size, other[from..from + size].iter().copied());
            size
        }
        7 | 8 => {
            let near = [
                length as u64,
                length as u64 - 1,
                length as u64 + 1,
                (length - at) as u64,
            ];
            let number = match rng.random_bool(0.2) {
                true => near[rng.random_range(0..4)],
                false => BOUNDARIES[rng.random_range(0..BOUNDARIES.len())],
            };
            let width = [1, 2, 4, 8][rng.random_range(0..4)].min(length - at);
            bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
            width
        }
        9 => {
            let open = [b'[', b'{'][rng.random_range(0..2)];
            let deep = if open == b'[' {
                vec![open; 20_000]
            } else {
                b"{\"a\":".repeat(20_000)
            };
            bytes.splice(at..at, deep);
            0
        }
        // In the place of a value, or a value twice.
        10 | 11 => {
            let range = value(bytes, at);
            bytes.splice(range, PIECES[rng.random_range(0..PIECES.len())].bytes());
            0
        }
        _ => {
            let end = bytes[at..]
                .iter()
                .position(|&byte| byte == b',')
                .map_or(length, |end| at + end + 1);
            let chunk = bytes[at..end].to_vec();
            bytes.splice(end..end, chunk);
            0
        }
    }
}

/// The number or text at or after a place of JSON.
fn value(bytes: &[u8], at: usize) -> Range<usize> {
    let text = |byte: &u8| b"[]{},: \n".contains(byte);
    let start = bytes[at..]
        .iter()
        .position(|byte| !text(byte))
        .map_or(bytes.len(), |start| at + start);
    let end = bytes[start..]
        .iter()
        .position(text)
        .map_or(bytes.len(), |end| start + end);
    start..end
}
