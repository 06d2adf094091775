//! How values are written in files, and what they are as `f32`.

use half::f16;

/// The encoding of a tensor's values, all little-endian. The last three hold blocks of 32 values with a common scale
/// (ggml).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    U8,
    Bool,
    Q8_0,
    Q4_0,
    Q4_1,
}

impl Encoding {
    /// Values and bytes of the least unit that can be decoded.
    fn block(self) -> (usize, usize) {
        match self {
            Encoding::F64 | Encoding::I64 => (1, 8),
            Encoding::F32 | Encoding::I32 => (1, 4),
            Encoding::F16 | Encoding::Bf16 => (1, 2),
            Encoding::U8 | Encoding::Bool => (1, 1),
            Encoding::Q8_0 => (32, 34),
            Encoding::Q4_0 => (32, 18),
            Encoding::Q4_1 => (32, 20),
        }
    }

    /// Values of a block, which rows may not share.
    pub fn values_per_block(self) -> usize {
        self.block().0
    }

    /// Bytes of so many values; `None` if they are no whole blocks or too many.
    pub fn bytes(self, values: usize) -> Option<u64> {
        let (block, bytes) = self.block();
        if !values.is_multiple_of(block) {
            return None;
        }
        let bytes = (values / block).checked_mul(bytes)?;
        u64::try_from(bytes).ok()
    }

    /// The most whole blocks within `bytes` bytes, in bytes; at least one.
    pub fn whole(self, bytes: usize) -> usize {
        let (_, block) = self.block();
        (bytes - bytes % block).max(block)
    }

    /// Appends the values of whole blocks. Whole numbers beyond 2^24 are rounded. Tells what is no value.
    pub fn decode(self, bytes: &[u8], values: &mut Vec<f32>) -> Result<(), String> {
        match self {
            Encoding::F64 => values.extend(units(bytes).map(|b| f64::from_le_bytes(b) as f32)),
            Encoding::F32 => values.extend(units(bytes).map(f32::from_le_bytes)),
            Encoding::F16 => values.extend(units(bytes).map(half)),
            Encoding::Bf16 => values.extend(units(bytes).map(|[low, high]| {
                f32::from_le_bytes([0, 0, low, high])
            })),
            Encoding::I64 => values.extend(units(bytes).map(|b| i64::from_le_bytes(b) as f32)),
            Encoding::I32 => values.extend(units(bytes).map(|b| i32::from_le_bytes(b) as f32)),
            Encoding::U8 => values.extend(bytes.iter().map(|&b| f32::from(b))),
            Encoding::Bool => {
                if let Some(byte) = bytes.iter().find(|&&byte| byte > 1) {
                    return Err(format!("a truth value is {byte}, neither 0 nor 1"));
                }
                values.extend(bytes.iter().map(|&b| f32::from(b)));
            }
            Encoding::Q8_0 => {
                for [low, high, quants @ ..] in units::<34>(bytes) {
                    let scale = half([low, high]);
                    let quants: [u8; 32] = quants;
                    values.extend(quants.map(|q| f32::from(q.cast_signed()) * scale));
                }
            }
            Encoding::Q4_0 => {
                for [low, high, quants @ ..] in units::<18>(bytes) {
                    let scale = half([low, high]);
                    values.extend(nibbles(quants).map(|q| (q - 8.0) * scale));
                }
            }
            Encoding::Q4_1 => {
                for [low, high, least_low, least_high, quants @ ..] in units::<20>(bytes) {
                    let scale = half([low, high]);
                    let least = half([least_low, least_high]);
                    values.extend(nibbles(quants).map(|q| q * scale + least));
                }
            }
        }
        Ok(())
    }
}

fn units<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks().0.iter().copied()
}

fn half(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

/// The lower halves of all bytes, then the upper ones.
fn nibbles(quants: [u8; 16]) -> impl Iterator<Item = f32> {
    let low = quants.into_iter().map(|byte| byte & 15);
    let high = quants.into_iter().map(|byte| byte >> 4);
    low.chain(high).map(f32::from)
}
