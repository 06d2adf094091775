//! The part of ZIP that PyTorch writes: uncompressed entries, 64-bit sizes (PKWARE APPNOTE 6.3.10).

use std::collections::BTreeMap;
use std::ops::Range;

use super::cursor::Cursor;
use super::source::Source;
use crate::Error;

/// What an archive begins with.
pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";

const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const END_64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";

/// Bytes of the records, without what is of variable length.
const END_LENGTH: u64 = 22;
const END_64_LENGTH: u64 = 56;
const END_64_LOCATOR_LENGTH: u64 = 20;
const LOCAL_LENGTH: u64 = 30;

/// The largest table of contents that is read, which has room for more than 100,000 entries.
const MAX_CONTENTS: u64 = 16 << 20;

/// The names of all entries and their bytes; `None` for those that are compressed or encrypted.
pub(super) type Contents = BTreeMap<String, Option<Range<u64>>>;

/// What is in an archive.
pub(super) fn contents(source: &Source) -> Result<Contents, Error> {
    let damaged = |reason: &str| Error::damaged(source.path(), reason);
    let table = find_table(source)?;
    let length = table.end.checked_sub(table.start);
    let length = length.filter(|&length| length <= MAX_CONTENTS);
    let length = length.ok_or_else(|| damaged("the archive's table of contents is too long"))?;
    let bytes = source.bytes(table.start, length)?;
    let mut cursor = Cursor::new(&bytes);
    let mut entries = BTreeMap::new();
    while !cursor.is_empty() {
        let entry = Listed::read(&mut cursor)
            .ok_or_else(|| damaged("the archive's table of contents is damaged"))?;
        let range = match entry.compressed {
            true => None,
            false => Some(entry.range(source, table.start)?),
        };
        if entries.insert(entry.name, range).is_some() {
            return Err(damaged("the archive has two entries of one name"));
        }
    }
    let ranges = entries.values().flatten();
    let mut ranges: Vec<_> = ranges.map(|range| (range.start, range.end)).collect();
    ranges.sort_unstable();
    if !ranges.is_sorted_by(|(_, end), (start, _)| end <= start) {
        return Err(damaged("entries of the archive overlap"));
    }
    Ok(entries)
}

/// The bytes of the table of contents.
fn find_table(source: &Source) -> Result<Range<u64>, Error> {
    let damaged = || Error::damaged(source.path(), "the archive has no end: it was cut off");
    // A comment could follow; PyTorch writes none.
    let at = source.length().checked_sub(END_LENGTH).ok_or_else(damaged)?;
    let record = source.bytes(at, END_LENGTH)?;
    let (size, start) = end(&record).ok_or_else(damaged)?;
    let mut table = Some((u64::from(size), u64::from(start), at));
    if size == u32::MAX || start == u32::MAX {
        table = end_64(source, at)?;
    }
    let (size, start, limit) = table.ok_or_else(damaged)?;
    let end = start.checked_add(size).filter(|&end| end <= limit);
    Ok(start..end.ok_or_else(damaged)?)
}

/// Size and offset of the table of contents.
fn end(record: &[u8]) -> Option<(u32, u32)> {
    let mut cursor = Cursor::new(record);
    (cursor.array() == Some(END)).then_some(())?;
    // Disks, on this one, entries here and altogether.
    cursor.take(8)?;
    let table = (cursor.u32()?, cursor.u32()?);
    (cursor.u16()? == 0).then_some(table)
}

/// Size and offset of the table of contents, and where it must have ended, of an archive beyond 4 GiB.
fn end_64(source: &Source, end: u64) -> Result<Option<(u64, u64, u64)>, Error> {
    let Some(at) = end.checked_sub(END_64_LOCATOR_LENGTH) else {
        return Ok(None);
    };
    let locator = source.bytes(at, END_64_LOCATOR_LENGTH)?;
    let mut cursor = Cursor::new(&locator);
    let (magic, _disk, Some(at)) = (cursor.array(), cursor.u32(), cursor.u64()) else {
        return Ok(None);
    };
    if magic != Some(END_64_LOCATOR) {
        return Ok(None);
    }
    let record = source.bytes(at, END_64_LENGTH)?;
    let mut cursor = Cursor::new(&record);
    let magic = cursor.array();
    // Its own length, versions, disks, entries here and altogether.
    let skipped = cursor.take(36);
    let (Some(size), Some(start)) = (cursor.u64(), cursor.u64()) else {
        return Ok(None);
    };
    let found = magic == Some(END_64) && skipped.is_some();
    Ok(found.then_some((size, start, at)))
}

/// A line of the table of contents.
struct Listed {
    name: String,
    compressed: bool,
    /// Bytes of the content.
    length: u64,
    /// Where the header before the content begins.
    header: u64,
}

impl Listed {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        (cursor.array() == Some(CENTRAL)).then_some(())?;
        // Versions.
        cursor.take(4)?;
        let encrypted = cursor.u16()? & 1 == 1;
        let method = cursor.u16()?;
        // Time, date, checksum.
        cursor.take(8)?;
        let packed = cursor.u32()?;
        let length = cursor.u32()?;
        let [name, extra, comment] = [cursor.u16()?, cursor.u16()?, cursor.u16()?];
        // Disk and attributes.
        cursor.take(8)?;
        let header = cursor.u32()?;
        let name = cursor.take(usize::from(name))?;
        let extra = cursor.take(usize::from(extra))?;
        cursor.take(usize::from(comment))?;
        let mut wide = Cursor::new(wide(extra).unwrap_or_default());
        let mut widened = |narrow: u32| match narrow {
            u32::MAX => wide.u64(),
            narrow => Some(u64::from(narrow)),
        };
        let length = widened(length)?;
        let packed = widened(packed)?;
        let header = widened(header)?;
        Some(Self {
            name: std::str::from_utf8(name).ok()?.to_owned(),
            compressed: encrypted || method != 0 || packed != length,
            length,
            header,
        })
    }

    /// The content's bytes, which end before `limit`.
    fn range(&self, source: &Source, limit: u64) -> Result<Range<u64>, Error> {
        let damaged = || {
            let reason = format!("the archive's entry `{}` is not where it should be", self.name);
            Error::damaged(source.path(), reason)
        };
        let header = source.bytes(self.header, LOCAL_LENGTH)?;
        let mut cursor = Cursor::new(&header);
        let magic: Option<[u8; 4]> = cursor.array();
        // Version, flags, method, time, date, checksum, sizes: as in the table of contents, or left to it.
        let skipped = cursor.take(22);
        let (Some(name), Some(extra)) = (cursor.u16(), cursor.u16()) else {
            return Err(damaged());
        };
        let at = self.header.checked_add(LOCAL_LENGTH).ok_or_else(damaged)?;
        let named = source.bytes(at, u64::from(name))?;
        if magic != Some(MAGIC) || skipped.is_none() || named != self.name.as_bytes() {
            return Err(damaged());
        }
        let start = at.checked_add(u64::from(name) + u64::from(extra));
        let end = start.and_then(|start| start.checked_add(self.length));
        match (start, end) {
            (Some(start), Some(end)) if end <= limit => Ok(start..end),
            _ => Err(damaged()),
        }
    }
}

/// The 64-bit numbers among an entry's extra fields.
fn wide(extra: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(extra);
    loop {
        let (kind, length) = (cursor.u16()?, cursor.u16()?);
        let field = cursor.take(usize::from(length))?;
        if kind == 1 {
            return Some(field);
        }
    }
}
