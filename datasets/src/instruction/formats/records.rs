//! Records, and where they stand in a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::formats::lines;
use crate::{DataError, Place};

/// The longest record of an array that is read, as of a line.
const MAX_RECORD: usize = 1 << 20;

/// What a record may look like.
pub(super) const SHAPES: &str = r#"{"conversations": [{"from": "human", "value": ".."}, {"from": "gpt", "value": ".."}]}, {"messages": [{"role": "user", "content": ".."}, ..]} or {"instruction": "..", "output": ".."}"#;

/// A record in any of the forms.
#[derive(Deserialize)]
pub(super) struct Record {
    #[serde(default)]
    id: Value,
    #[serde(default, alias = "image")]
    pub images: Paths,
    pub conversations: Option<Vec<Said>>,
    pub messages: Option<Vec<Message>>,
    pub instruction: Option<String>,
    #[serde(default)]
    pub input: String,
    pub output: Option<String>,
}

/// One path, or several.
#[derive(Default, Deserialize)]
#[serde(untagged, expecting = "expected a path or a list of paths")]
pub(super) enum Paths {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

/// A turn in ShareGPT's form.
#[derive(Deserialize)]
pub(super) struct Said {
    pub from: String,
    pub value: String,
}

/// A turn in OpenAI's form.
#[derive(Deserialize)]
pub(super) struct Message {
    pub role: String,
    pub content: Content,
}

/// What is said: a text, or texts and pictures.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of parts")]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of what is said.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    Text {
        text: String,
    },
    /// A picture, named here or, in order, by the record.
    Image {
        #[serde(alias = "path", alias = "url")]
        image: Option<String>,
    },
    ImageUrl {
        image_url: Url,
    },
}

/// Where a picture is.
#[derive(Deserialize)]
pub(super) struct Url {
    pub url: String,
}

impl Record {
    /// The record's id, if it has one.
    pub fn id(&self, place: &Place) -> Result<Option<String>, DataError> {
        match &self.id {
            Value::Null => Ok(None),
            Value::String(id) => lines::non_empty(place, "id", id).map(Some),
            Value::Number(id) => Ok(Some(id.to_string())),
            other => Err(DataError::format(
                place.clone(),
                format!("`id` is {other}"),
                "expected text or a number",
            )),
        }
    }
}

/// The text of a file.
pub(super) fn text(path: &Path, mut file: File) -> Result<String, DataError> {
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes);
    read.map_err(|error| DataError::io(path, error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        DataError::format(
            Place::byte(path.into(), valid as u64),
            "not valid UTF-8",
            "save the file as UTF-8",
        )
    })
}

/// The elements of a JSON array, with their numbers and the lines they start in. After a mistake in the JSON itself none follow.
pub(super) fn elements<'t>(path: &Path, text: &'t str) -> Vec<Result<(Place, &'t str), DataError>> {
    let text = text.trim_start_matches('\u{feff}');
    let file: Arc<Path> = path.into();
    let mut found = Vec::new();
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = json
        .deserialize_seq(Elements(&mut found))
        .and_then(|()| json.end());
    let mut lines = Lines {
        text,
        at: 0,
        line: 1,
    };
    let mut elements: Vec<_> = found
        .into_iter()
        .zip(1..)
        .map(|(element, number): (&RawValue, usize)| {
            let place = Place::record(file.clone(), lines.of(element.get()), number);
            match element.get().len() {
                ..=MAX_RECORD => Ok((place, element.get())),
                _ => Err(DataError::format(
                    place,
                    format!("the record has more than {MAX_RECORD} bytes"),
                    "shorten or remove it",
                )),
            }
        })
        .collect();
    if let Err(error) = parsed {
        let line = error.line();
        let reason = error
            .to_string()
            .replace(&format!(" at line {line} column "), ", column ");
        elements.push(Err(DataError::format(
            Place::line(file, line.max(1)),
            reason,
            format!(
                "expected an array of records: [{SHAPES}, ..]; JSON lines belong in a .jsonl file"
            ),
        )));
    }
    elements
}

/// Gathers the elements of an array as they stand.
struct Elements<'a, 't>(&'a mut Vec<&'t RawValue>);

impl<'t> Visitor<'t> for Elements<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(element) = array.next_element()? {
            self.0.push(element);
        }
        Ok(())
    }
}

/// Counts the lines of a text, forwards.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line that a part of the text starts in; parts come in order.
    fn of(&mut self, part: &str) -> usize {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let between = self.text.as_bytes().get(self.at..start).unwrap_or_default();
        self.line += between.iter().filter(|&&byte| byte == b'\n').count();
        self.at = start;
        self.line
    }
}
