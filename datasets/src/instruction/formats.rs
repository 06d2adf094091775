//! Conversations on disk: JSON lines, or one JSON array; a record a conversation, in one of three forms:
//!
//! - Alpaca: `{"instruction": "..", "input": "..", "output": ".."}`
//! - ShareGPT, LLaVA: `{"image": "photos/1.png", "conversations": [{"from": "human", "value": "<image>\n.."}, ..]}`
//! - OpenAI: `{"messages": [{"role": "user", "content": ".."}, ..], "images": ["photos/1.png"]}`
//!
//! `image` or `images` are one path or several, relative to the file's folder; `id` is optional; other keys are left alone.

mod records;
mod turns;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use self::records::Record;
use super::{Conversation, InstructionData};
use crate::formats::{Problems, Scan, SplitFiles, entries, lines};
use crate::paths::{Root, open_regular};
use crate::split::{Parts, fraction, hex};
use crate::{Data, DataError, ImageSource, Place};

/// Reads a file or folder.
pub(crate) fn scan(name: &str, path: &Path) -> Result<Scan<InstructionData>, DataError> {
    let files = SplitFiles::find(path, extension(path)?)?;
    let mut reader = Reader {
        root: Arc::new(Root::new(&files.folder)?),
        problems: Problems::default(),
        ids: HashMap::new(),
        digest: Sha256::new(),
    };
    let train = reader.read(&files.train)?;
    let valid = files
        .valid
        .as_deref()
        .map(|path| reader.read(path))
        .transpose()?;
    let test = files
        .test
        .as_deref()
        .map(|path| reader.read(path))
        .transpose()?;
    let splits = Parts { train, valid, test }.complete(|conversation| fraction(key(conversation)));
    Ok(Scan {
        data: Data::in_memory(name, splits, Vec::new(), hex(&reader.digest.finalize())),
        problems: reader.problems,
    })
}

/// Of the files at `path`: `jsonl`, or `json` where there is none.
fn extension(path: &Path) -> Result<&'static str, DataError> {
    let is_lines = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "jsonl")
    };
    let lines = match path.is_dir() {
        true => entries(path)?.iter().any(|(_, path)| is_lines(path)),
        false => is_lines(path),
    };
    Ok(if lines { "jsonl" } else { "json" })
}

/// What decides on the split: the picture, so that what is said of one stays together, or else the id.
fn key(conversation: &Conversation) -> &str {
    match conversation.images.first() {
        Some(ImageSource::Listed { relative, .. }) => relative,
        _ => &conversation.id,
    }
}

struct Reader {
    root: Arc<Root>,
    problems: Problems,
    /// Ids seen, and how often.
    ids: HashMap<String, usize>,
    digest: Sha256,
}

impl Reader {
    fn read(&mut self, path: &Path) -> Result<Vec<Conversation>, DataError> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut conversations = Vec::new();
        // What moves from one split to another changes the digest.
        self.digest.update(file_name.as_bytes());
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            for line in lines::open(path)? {
                let line = line.and_then(|(place, line)| self.record(&place, &line));
                conversations.extend(self.problems.keep(line));
            }
        } else {
            let file = open_regular(path).map_err(|error| DataError::io(path, error))?;
            let text = records::text(path, file)?;
            for element in records::elements(path, &text) {
                let element = element.and_then(|(place, json)| self.record(&place, json));
                conversations.extend(self.problems.keep(element));
            }
        }
        Ok(conversations)
    }

    /// The conversation of one record.
    fn record(&mut self, place: &Place, json: &str) -> Result<Conversation, DataError> {
        self.digest.update(json);
        self.digest.update("\n");
        let record: Record = lines::record(place, json, records::SHAPES)?;
        let id = record.id(place)?;
        let (turns, paths) = turns::of(place, record)?;
        let mut images = Vec::new();
        for relative in paths {
            let image = ImageSource::Listed {
                root: self.root.clone(),
                relative,
                named_by: Some(place.clone()),
            };
            self.digest.update(image.length()?.to_le_bytes());
            images.push(image);
        }
        let id = id.unwrap_or_else(|| place.id());
        // LLaVA's files name the picture as id, which several conversations are about.
        let count = self.ids.entry(id.clone()).or_default();
        *count += 1;
        Ok(Conversation {
            id: match *count {
                1 => id,
                _ => format!("{id} ({})", place.id()),
            },
            turns,
            images,
            task: String::new(),
            place: Some(place.clone()),
        })
    }
}

#[cfg(test)]
mod tests;
