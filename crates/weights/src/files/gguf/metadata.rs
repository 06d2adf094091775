//! The typed values of a GGUF header.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::Error;
use crate::files::source::Source;

/// The longest text that is read: a chat template.
const MAX_TEXT: u64 = 1 << 20;

/// The longest array that is read: a vocabulary or its merges.
const MAX_ITEMS: u64 = 1 << 21;

/// A value of the metadata.
pub(super) enum Value {
    Integer(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    /// Arrays stay in the file until they are asked for.
    Array(Array),
}

/// Where an array stands.
#[derive(Clone, Copy)]
pub(super) struct Array {
    kind: u32,
    count: u64,
    at: u64,
}

/// The types of values, by their numbers.
mod kind {
    pub const I32: u32 = 5;
    pub const TEXT: u32 = 8;
    pub const ARRAY: u32 = 9;
}

/// Reads a header from its start to its end, never more than the file has.
pub(super) struct Reader<'a> {
    source: &'a Source,
    file: BufReader<&'a File>,
    at: u64,
    /// Whether the file stands where `at` says.
    placed: bool,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a Source, at: u64) -> Self {
        Self {
            source,
            file: BufReader::with_capacity(1 << 16, source.file()),
            at,
            placed: false,
        }
    }

    pub fn path(&self) -> &'a Path {
        self.source.path()
    }

    /// The byte that is read next.
    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn text(&mut self) -> Result<String, Error> {
        let length = self.u64()?;
        if length > MAX_TEXT || length > self.source.remaining(self.at) {
            return Err(self.damaged(format!("has a text of {length} bytes")));
        }
        let length = usize::try_from(length).map_err(|_| self.damaged("has too long a text"))?;
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.damaged("has a text that is not UTF-8"))
    }

    /// A value behind its type.
    pub fn value(&mut self) -> Result<Value, Error> {
        let kind = self.u32()?;
        Ok(match kind {
            0 => Value::Integer(self.array().map(u8::from_le_bytes)?.into()),
            1 => Value::Integer(self.array().map(i8::from_le_bytes)?.into()),
            2 => Value::Integer(self.array().map(u16::from_le_bytes)?.into()),
            3 => Value::Integer(self.array().map(i16::from_le_bytes)?.into()),
            4 => Value::Integer(self.u32()?.into()),
            kind::I32 => Value::Integer(self.array().map(i32::from_le_bytes)?.into()),
            6 => Value::Float(decimal(self.array().map(f32::from_le_bytes)?)),
            7 => match self.array()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return Err(self.damaged("has a truth value that is neither 0 nor 1")),
            },
            kind::TEXT => Value::Text(self.text()?),
            kind::ARRAY => {
                let kind = self.u32()?;
                let count = self.u64()?;
                self.skipped(kind, count)?
            }
            10 => {
                let value = i64::try_from(self.u64()?);
                Value::Integer(value.map_err(|_| self.damaged("has a number beyond 2^63"))?)
            }
            11 => Value::Integer(self.array().map(i64::from_le_bytes)?),
            12 => Value::Float(self.array().map(f64::from_le_bytes)?),
            _ => return Err(self.damaged(format!("has a value of the unknown type {kind}"))),
        })
    }

    /// An array whose type and length were read; goes to its end.
    fn skipped(&mut self, kind: u32, count: u64) -> Result<Value, Error> {
        let at = self.at;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            // Of a text, at least its length.
            8 | 10..=12 => 8,
            _ => return Err(self.damaged(format!("has an array of type {kind}"))),
        };
        let bytes = count.checked_mul(size);
        let bytes = bytes.filter(|&bytes| bytes <= self.source.remaining(at) && count <= MAX_ITEMS);
        let bytes = bytes.ok_or_else(|| self.damaged(format!("has an array of {count} items")))?;
        if kind == kind::TEXT {
            for _ in 0..count {
                let length = self.u64()?;
                self.skip(length)?;
            }
        } else {
            self.skip(bytes)?;
        }
        Ok(Value::Array(Array { kind, count, at }))
    }

    /// The texts of an array.
    pub fn texts(source: &'a Source, array: Array) -> Result<Vec<String>, Error> {
        let mut reader = Self::new(source, array.at);
        if array.kind != kind::TEXT {
            return Err(reader.damaged("has an array that should be of texts"));
        }
        (0..array.count).map(|_| reader.text()).collect()
    }

    /// The numbers of an array of 32-bit integers.
    pub fn integers(source: &'a Source, array: Array) -> Result<Vec<i32>, Error> {
        let mut reader = Self::new(source, array.at);
        if array.kind != kind::I32 {
            return Err(reader.damaged("has an array that should be of 32-bit integers"));
        }
        let number = |_| reader.array().map(i32::from_le_bytes);
        (0..array.count).map(number).collect()
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Error> {
        self.advance(bytes)?;
        match i64::try_from(bytes) {
            Ok(bytes) if self.placed => self.file.seek_relative(bytes),
            // The next read seeks.
            _ => {
                self.placed = false;
                Ok(())
            }
        }
        .map_err(|error| Error::io(self.source.path(), error))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let at = self.at;
        self.advance(buffer.len() as u64)?;
        let read = match self.placed {
            true => Ok(at),
            false => self.file.seek(SeekFrom::Start(at)),
        };
        self.placed = true;
        let read = read.and_then(|_| self.file.read_exact(buffer));
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("ends within its header"),
            _ => Error::io(self.source.path(), error),
        })
    }

    fn advance(&mut self, bytes: u64) -> Result<(), Error> {
        if bytes > self.source.remaining(self.at) {
            return Err(self.damaged("ends within its header"));
        }
        self.at = self.at.saturating_add(bytes);
        Ok(())
    }

    fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::damaged(self.source.path(), reason)
    }
}

/// The shortest decimal number that is this one in 32 bits: 1e-5 was written as such into `config.json`.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
