//! The members of a tar archive, read header by header; their contents are passed over.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tar::{EntryType, Header, PaxExtensions};

use crate::paths::open_regular;
use crate::{DataError, Place};

/// Headers and contents start at multiples of it.
pub(super) const BLOCK: u64 = 512;
/// The most bytes of a name that has a header of its own.
const MAX_NAME: u64 = 1 << 20;
const PACK_AGAIN: &str = "copy the file again, or pack it again";

/// A regular file in an archive.
pub(super) struct Member {
    pub path: String,
    /// Where its first header starts.
    pub start: u64,
    /// Where its content lies.
    pub body: Range<u64>,
}

impl Member {
    pub fn len(&self) -> u64 {
        self.body.end - self.body.start
    }
}

/// Regular files in the order of the archive. After an error, nothing: what follows cannot be told.
pub(super) struct Members {
    file: Arc<Path>,
    reader: BufReader<File>,
    at: u64,
    end: u64,
    /// Whether only a part of the archive is read.
    partial: bool,
    /// Whether the last block was empty, which closes an archive.
    closed: bool,
    failed: bool,
}

/// What headers say about the member after them.
#[derive(Default)]
struct Announced {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Members {
    /// All members.
    pub fn of(file: &Arc<Path>) -> Result<Self, DataError> {
        Self::open(file, None)
    }

    /// The members between two places that are known from reading all of them.
    pub fn within(file: &Arc<Path>, part: Range<u64>) -> Result<Self, DataError> {
        Self::open(file, Some(part))
    }

    fn open(path: &Arc<Path>, part: Option<Range<u64>>) -> Result<Self, DataError> {
        let failed = |error| DataError::io(path, error);
        let file = open_regular(path).map_err(failed)?;
        let partial = part.is_some();
        let Range { start, end } = match part {
            Some(part) => part,
            None => 0..file.metadata().map_err(failed)?.len(),
        };
        let mut members = Self {
            file: path.clone(),
            reader: BufReader::new(file),
            at: 0,
            end,
            partial,
            closed: false,
            failed: false,
        };
        members.seek(start)?;
        Ok(members)
    }

    /// The length of the archive, when all of it is read.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// An error about what stands at a byte.
    pub fn error(
        &self,
        byte: u64,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> DataError {
        let file = self.file.clone();
        DataError::format(Place::byte(file, byte), reason, remedy)
    }

    /// What lies there. It must be known to be no more than memory can take.
    pub fn content(&mut self, range: Range<u64>) -> Result<Vec<u8>, DataError> {
        self.seek(range.start)?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// Small steps stay within what was read ahead.
    fn seek(&mut self, to: u64) -> Result<(), DataError> {
        let step = to.wrapping_sub(self.at) as i64;
        let sought = self.reader.seek_relative(step);
        sought.map_err(|error| DataError::io(&self.file, error))?;
        self.at = to;
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), DataError> {
        let read = self.reader.read_exact(bytes);
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                self.error(self.at, "the file has become shorter", PACK_AGAIN)
            }
            _ => DataError::io(&self.file, error),
        })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// The next regular file, or nothing at the end.
    fn member(&mut self) -> Result<Option<Member>, DataError> {
        let mut announced = Announced::default();
        let mut start = self.at;
        loop {
            let at = self.at;
            if self.end.saturating_sub(at) < BLOCK {
                if self.partial || self.closed {
                    return Ok(None);
                }
                let reason = "the archive is truncated: it ends before its end marker";
                return Err(self.error(self.end, reason, PACK_AGAIN));
            }
            let mut block = [0; BLOCK as usize];
            self.read(&mut block)?;
            // Archives may have been put together, with the end marker of one before the next.
            self.closed = block.iter().all(|&byte| byte == 0);
            if self.closed {
                announced = Announced::default();
                start = self.at;
                continue;
            }
            let header = self.header(&block, at)?;
            let kind = header.entry_type();
            let announces = matches!(
                kind,
                EntryType::GNULongName
                    | EntryType::GNULongLink
                    | EntryType::XHeader
                    | EntryType::XGlobalHeader
            );
            let size = match announced.size {
                Some(size) if !announces => Ok(size),
                _ => header.entry_size(),
            };
            let size = size.map_err(|error| self.error(at, error.to_string(), PACK_AGAIN))?;
            let body = self.body(at, size)?;
            let next = body.end.next_multiple_of(BLOCK);
            match kind {
                EntryType::GNULongName => announced.path = Some(self.name(body)?),
                EntryType::XHeader => self.extensions(body, &mut announced)?,
                EntryType::Regular | EntryType::Continuous => {
                    let path = announced.path.take();
                    let path = path.unwrap_or_else(|| header.path_bytes().into_owned());
                    let path = self.utf8(path, at)?;
                    self.seek(next)?;
                    return Ok(Some(Member { path, start, body }));
                }
                _ if announces => {}
                _ => {
                    announced = Announced::default();
                    start = next;
                }
            }
            self.seek(next)?;
        }
    }

    fn utf8(&self, path: Vec<u8>, at: u64) -> Result<String, DataError> {
        String::from_utf8(path).map_err(|error| {
            let name = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let reason = format!("the name `{name}` is not valid UTF-8");
            self.error(at, reason, "rename the file, and pack it again")
        })
    }

    /// The header in a block, if its checksum says that it is one.
    fn header<'a>(&self, block: &'a [u8], at: u64) -> Result<&'a Header, DataError> {
        let header = Header::from_byte_slice(block);
        let counted = block.iter().enumerate().map(|(place, &byte)| match place {
            // Where the sum itself stands, it counts spaces.
            148..156 => u32::from(b' '),
            _ => u32::from(byte),
        });
        let sum: u32 = counted.sum();
        if header.cksum().is_ok_and(|stated| stated == sum) {
            return Ok(header);
        }
        let (reason, remedy) = match (at, block) {
            (0, [0x1f, 0x8b, ..]) => (
                "compressed with gzip, and so without access to single samples",
                "decompress it with `gunzip`",
            ),
            (0, _) => ("not a tar archive", "give the path of a .tar file"),
            _ => ("no header of a tar archive stands here", PACK_AGAIN),
        };
        Err(self.error(at, reason, remedy))
    }

    /// Where the content of a member lies, if the file is long enough for it.
    fn body(&self, header: u64, size: u64) -> Result<Range<u64>, DataError> {
        let left = self.end - self.at;
        if size <= left {
            return Ok(self.at..self.at + size);
        }
        let reason = format!("a member of {size} bytes, where only {left} are left of the file");
        Err(self.error(header, reason, PACK_AGAIN))
    }

    /// What a header of its own says about the next member.
    fn announcement(&mut self, body: Range<u64>) -> Result<Vec<u8>, DataError> {
        let size = body.end - body.start;
        if size > MAX_NAME {
            let reason = format!("a name or its like of {size} bytes; the limit is {MAX_NAME}");
            return Err(self.error(body.start, reason, PACK_AGAIN));
        }
        self.content(body)
    }

    /// A long name, which a zero byte ends.
    fn name(&mut self, body: Range<u64>) -> Result<Vec<u8>, DataError> {
        let mut name = self.announcement(body)?;
        name.truncate(
            name.iter()
                .position(|&byte| byte == 0)
                .unwrap_or(name.len()),
        );
        Ok(name)
    }

    /// The keys of a pax header that matter.
    fn extensions(&mut self, body: Range<u64>, into: &mut Announced) -> Result<(), DataError> {
        let start = body.start;
        let content = self.announcement(body)?;
        for extension in PaxExtensions::new(&content) {
            let damaged = |reason: String| self.error(start, reason, PACK_AGAIN);
            let extension = extension.map_err(|error| damaged(error.to_string()))?;
            match extension.key_bytes() {
                b"path" => into.path = Some(extension.value_bytes().to_owned()),
                b"size" => {
                    let size = extension.value().ok().and_then(|size| size.parse().ok());
                    let size = size.ok_or_else(|| damaged("a size that is no number".into()))?;
                    into.size = Some(size);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Iterator for Members {
    type Item = Result<Member, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let member = self.member();
        self.failed = member.is_err();
        member.transpose()
    }
}
