//! One tensor of a file: where it lies, how it is written, and how to read it.

use std::sync::Arc;

use super::encoding::Encoding;
use super::source::Source;
use crate::Error;
use crate::error::DAMAGED;

/// The most dimensions that a tensor may have.
const MAX_RANK: usize = 8;

/// The longest name that a tensor may have, in bytes.
const MAX_NAME: usize = 1024;

/// Bytes that are read and decoded at a time.
const CHUNK: usize = 1 << 20;

/// How the values of a tensor follow each other in the file.
#[derive(Debug)]
enum Order {
    RowMajor,
    /// Value `i, j, ..` stands at `i * strides[0] + j * strides[1] + ..` (a view in PyTorch).
    Strided(Vec<usize>),
    /// The rows of each head stand as pairs: those of its first half beside those of its second (llama.cpp, so that
    /// rotary embedding turns neighbours).
    Paired {
        heads: usize,
    },
}

/// A tensor whose bytes are known to lie in its file.
#[derive(Debug)]
pub(super) struct Entry {
    source: Arc<Source>,
    name: String,
    shape: Vec<usize>,
    encoding: Encoding,
    start: u64,
    /// Values in the file from `start` on that the tensor takes, its gaps included.
    extent: usize,
    order: Order,
}

impl Entry {
    /// A tensor in row-major order from byte `start` on. `name` is its name in the file.
    pub fn new(
        source: &Arc<Source>,
        name: &str,
        shape: Vec<usize>,
        encoding: Encoding,
        start: u64,
    ) -> Result<Self, Error> {
        let error = |reason: String| Error::tensor(source.path(), name, reason, DAMAGED);
        if name.len() > MAX_NAME {
            return Err(error(format!("its name has more than {MAX_NAME} bytes")));
        }
        if shape.len() > MAX_RANK {
            return Err(error(format!("has {} dimensions", shape.len())));
        }
        let extent = product(&shape);
        let extent = extent.ok_or_else(|| error(format!("its shape {shape:?} is too large")))?;
        let entry = Self {
            source: source.clone(),
            name: name.to_owned(),
            shape,
            encoding,
            start,
            extent,
            order: Order::RowMajor,
        };
        let row = entry.shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(encoding.values_per_block()) {
            let reason = format!("rows of {row} values cannot be of type {encoding:?}");
            return Err(error(reason));
        }
        if entry.bytes()? > source.remaining(start) {
            let reason = format!(
                "{extent} values from byte {start} on do not fit into a file of {} bytes",
                source.length()
            );
            return Err(error(reason));
        }
        Ok(entry)
    }

    /// The view of shape `shape` with `strides` whose first value is this tensor's value `offset`. This tensor is a
    /// storage of one dimension.
    pub fn view(
        &self,
        name: &str,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, Error> {
        let path = self.source.path();
        let damaged = |reason: String| Error::tensor(path, name, reason, DAMAGED);
        let outside = || {
            damaged(format!(
                "shape {shape:?} with strides {strides:?} from value {offset} on leaves its storage of {} values",
                self.extent
            ))
        };
        if shape.len() != strides.len() {
            return Err(outside());
        }
        let count = product(&shape).ok_or_else(outside)?;
        let extent = match count {
            0 => Some(0),
            _ => shape
                .iter()
                .zip(&strides)
                .try_fold(1, |extent: usize, (&size, &stride)| {
                    // No dimension is empty: the product is not 0.
                    size.checked_sub(1)?
                        .checked_mul(stride)?
                        .checked_add(extent)
                }),
        };
        let extent = extent.ok_or_else(outside)?;
        let end = offset.checked_add(extent).ok_or_else(outside)?;
        if end > self.extent {
            return Err(outside());
        }
        if count > self.extent {
            // Memory is bounded by the file.
            let reason = "repeats values of its storage (an expanded view)";
            let remedy = "save a contiguous copy of it";
            return Err(Error::tensor(path, name, reason, remedy));
        }
        let skipped = self.encoding.bytes(offset).ok_or_else(outside)?;
        let start = self.start.checked_add(skipped).ok_or_else(outside)?;
        if row_major(&shape, &strides) {
            return Self::new(&self.source, name, shape, self.encoding, start);
        }
        Ok(Self {
            extent,
            order: Order::Strided(strides),
            ..Self::new(&self.source, name, shape, self.encoding, start)?
        })
    }

    /// Undoes llama.cpp's order of the rows of queries and keys.
    pub fn paired(self, heads: usize) -> Result<Self, Error> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let pairs = heads.checked_mul(2).filter(|&pairs| pairs > 0);
        if !pairs.is_some_and(|pairs| rows.is_multiple_of(pairs)) {
            let reason = format!("its {rows} rows are no pairs for {heads} heads");
            return Err(Error::tensor(
                self.source.path(),
                &self.name,
                reason,
                DAMAGED,
            ));
        }
        Ok(Self {
            order: Order::Paired { heads },
            ..self
        })
    }

    /// The file that it is in.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes from the first value to the last.
    pub fn bytes(&self) -> Result<u64, Error> {
        let bytes = self.encoding.bytes(self.extent);
        bytes.ok_or_else(|| self.error("is too large"))
    }

    /// The values in row-major order.
    pub fn read(&self) -> Result<Vec<f32>, Error> {
        let stored = self.stored()?;
        match &self.order {
            Order::RowMajor => Ok(stored),
            Order::Strided(strides) => self.gathered(&stored, strides),
            Order::Paired { heads } => self.unpaired(&stored, *heads),
        }
    }

    /// The values in the order of the file.
    fn stored(&self) -> Result<Vec<f32>, Error> {
        let mut values = self.empty(self.extent)?;
        let mut at = self.start;
        let mut left = self.bytes()?;
        let chunk = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut buffer = vec![0; self.encoding.whole(chunk)];
        while left > 0 {
            buffer.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.source.read_at(at, &mut buffer)?;
            let decoded = self.encoding.decode(&buffer, &mut values);
            decoded.map_err(|reason| self.error(reason))?;
            at = at.saturating_add(buffer.len() as u64);
            left = left.saturating_sub(buffer.len() as u64);
        }
        Ok(values)
    }

    fn gathered(&self, stored: &[f32], strides: &[usize]) -> Result<Vec<f32>, Error> {
        let count = product(&self.shape).unwrap_or(0);
        let mut values = self.empty(count)?;
        for index in 0..count {
            let mut rest = index;
            let mut at = 0;
            for (size, stride) in self.shape.iter().zip(strides).rev() {
                at += rest % size * stride;
                rest /= size;
            }
            let value = stored.get(at);
            values.push(*value.ok_or_else(|| self.error("leaves its storage"))?);
        }
        Ok(values)
    }

    fn unpaired(&self, stored: &[f32], heads: usize) -> Result<Vec<f32>, Error> {
        let mut values = self.empty(stored.len())?;
        let rows = self.shape.first().copied().unwrap_or(1);
        let [head, row] = [heads, rows].map(|parts| stored.len() / parts.max(1));
        for head in stored.chunks_exact(head.max(1)) {
            for half in 0..2 {
                let rows = head.chunks_exact(row.max(1)).skip(half).step_by(2);
                values.extend(rows.flatten());
            }
        }
        Ok(values)
    }

    fn empty(&self, count: usize) -> Result<Vec<f32>, Error> {
        let mut values = Vec::new();
        let reserved = values.try_reserve_exact(count);
        reserved.map_err(|error| {
            let remedy = "use a machine with more memory";
            let reason = format!("{count} values: {error}");
            Error::tensor(self.source.path(), &self.name, reason, remedy)
        })?;
        Ok(values)
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        Error::tensor(self.source.path(), &self.name, reason, DAMAGED)
    }
}

/// How many values a shape has; `None` if they are too many to be counted, empty dimensions aside.
fn product(shape: &[usize]) -> Option<usize> {
    let mut sizes = shape.iter();
    sizes.try_fold(1usize, |product, &size| product.checked_mul(size))
}

/// Whether strides are those of a contiguous tensor. Those of dimensions of one value do not matter.
fn row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = Some(1usize);
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || expected == Some(stride);
        expected = expected.and_then(|expected| expected.checked_mul(size));
        fits
    })
}
