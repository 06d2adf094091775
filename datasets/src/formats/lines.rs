//! Files read line by line, and JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Format;
use crate::paths::open_regular;
use crate::{DataError, Place};

/// The longest line that is read.
const MAX_LINE: u64 = 1 << 20;

/// The lines of a file that are not blank, without their line breaks. A line that is too long or not UTF-8 is an
/// error, and reading goes on after it; a failure to read is an error and the end.
pub(crate) struct Lines {
    file: Arc<Path>,
    reader: BufReader<File>,
    line: usize,
    failed: bool,
}

/// Opens a file to read it line by line.
pub(crate) fn open(path: &Path) -> Result<Lines, DataError> {
    let file = open_regular(path).map_err(|error| DataError::io(path, error))?;
    Ok(Lines {
        file: path.into(),
        reader: BufReader::new(file),
        line: 0,
        failed: false,
    })
}

impl Iterator for Lines {
    type Item = Result<(Place, String), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            self.line += 1;
            match self.read() {
                Ok(None) => return None,
                Ok(Some(text)) if text.trim().is_empty() => {}
                Ok(Some(text)) => return Some(Ok((self.place(), text))),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

impl Lines {
    fn place(&self) -> Place {
        Place::line(self.file.clone(), self.line)
    }

    fn io(&mut self, source: std::io::Error) -> DataError {
        self.failed = true;
        DataError::io(&self.file, source)
    }

    /// The next line, or nothing at the end.
    fn read(&mut self) -> Result<Option<String>, DataError> {
        let mut bytes = Vec::new();
        let mut limited = self.reader.by_ref().take(MAX_LINE + 1);
        match limited.read_until(b'\n', &mut bytes) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(self.io(error)),
        }
        if bytes.len() as u64 > MAX_LINE && bytes.last() != Some(&b'\n') {
            skip_line(&mut self.reader).map_err(|error| self.io(error))?;
            return Err(DataError::format(
                self.place(),
                format!("the line has more than {MAX_LINE} bytes"),
                "shorten or remove it",
            ));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            DataError::format(
                self.place(),
                format!("not valid UTF-8 at byte {}", error.valid_up_to() + 1),
                "save the file as UTF-8",
            )
        })?;
        // Some editors start a file with a byte order mark.
        let text = match self.line {
            1 => text.trim_start_matches('\u{feff}'),
            _ => text,
        };
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (used, done) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if done {
            return Ok(());
        }
    }
}

/// A record from a line of JSON. `shape` is an example of what is expected.
pub(crate) fn record<T: DeserializeOwned>(
    place: &Place,
    line: &str,
    shape: &str,
) -> Result<T, DataError> {
    // serde would also take an array for a record, its fields in order.
    if !line.trim_start().starts_with('{') {
        let reason = "not a JSON object";
        return Err(DataError::format(
            place.clone(),
            reason,
            format!("expected {shape}"),
        ));
    }
    serde_json::from_str(line).map_err(|error| {
        // serde counts lines within the string it was given, which is one line.
        let reason = error.to_string().replace(" at line 1 column ", ", column ");
        DataError::format(place.clone(), reason, format!("expected {shape}"))
    })
}

/// A record's text, without surrounding white space.
pub(crate) fn non_empty(place: &Place, field: &str, text: &str) -> Result<String, DataError> {
    match text.trim() {
        "" => Err(DataError::format(
            place.clone(),
            format!("`{field}` is empty"),
            "fill it in, or remove the line",
        )),
        text => Ok(text.to_owned()),
    }
}

/// Which of the JSON formats a file has: that of its first line that tells.
pub(crate) fn peek(path: &Path) -> Result<Format, DataError> {
    for line in open(path)? {
        let (_, line) = line?;
        let Ok(value) = serde_json::from_str::<serde_json::Value>(&line) else {
            continue;
        };
        if value.get("question").is_some() || value.get("answer").is_some() {
            return Ok(Format::VqaJsonl);
        }
        if value.get("caption").is_some() {
            return Ok(Format::CaptionJsonl);
        }
        if ["conversations", "messages", "instruction"]
            .iter()
            .any(|key| value.get(key).is_some())
        {
            return Ok(Format::Conversations);
        }
        if value.get("text").is_some() || value.get("label").is_some() {
            return Ok(Format::LabelledTextJsonl);
        }
    }
    Err(DataError::format(
        Place::file(path),
        "no line has a question, a caption, a text with a label or a conversation",
        "expected lines such as {\"image\": \"a.png\", \"question\": \"..\", \"answer\": \"..\"} or \
         {\"image\": \"a.png\", \"caption\": \"..\"} or {\"text\": \"..\", \"label\": \"..\"} or {\"conversations\": [..]}",
    ))
}
