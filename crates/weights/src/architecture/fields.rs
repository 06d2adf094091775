//! What a `config.json` says, read with suspicion.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::Error;

/// No size of a model is larger.
const LARGEST: u64 = 1 << 24;
/// No model has more blocks: each is made before the first tensor is read.
const MOST_LAYERS: usize = 1_024;

/// The keys of a configuration, or of one of its tables.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    path: PathBuf,
    table: Map<String, Value>,
}

impl Fields {
    /// Of the checkpoint at `path`.
    pub fn new(path: &Path, config: Value) -> Result<Self, Error> {
        match config {
            Value::Object(table) => Ok(Self {
                path: path.to_owned(),
                table,
            }),
            other => Err(Error::Config {
                path: path.to_owned(),
                key: "config.json".into(),
                reason: format!("is {}, not a table", kind(&other)),
            }),
        }
    }

    /// That `key` is wrong.
    pub fn wrong(&self, key: &str, reason: impl Into<String>) -> Error {
        Error::Config {
            path: self.path.clone(),
            key: key.into(),
            reason: reason.into(),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.table.get(key).filter(|value| !value.is_null())
    }

    /// Whether it says anything under `key`.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn needed<T>(&self, key: &str, found: Option<T>) -> Result<T, Error> {
        found.ok_or_else(|| self.wrong(key, "is missing"))
    }

    /// A size between 1 and 16 million, if there.
    pub fn optional_size(&self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let size = value.as_u64().filter(|size| (1..=LARGEST).contains(size));
        match size {
            Some(size) => Ok(Some(size as usize)),
            None => Err(self.wrong(
                key,
                format!("is {value}, not a number between 1 and {LARGEST}"),
            )),
        }
    }

    /// A size that must be there.
    pub fn size(&self, key: &str) -> Result<usize, Error> {
        let found = self.optional_size(key)?;
        self.needed(key, found)
    }

    /// A size, or another where there is none.
    pub fn size_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        Ok(self.optional_size(key)?.unwrap_or(default))
    }

    /// A size that is given as a multiple of another.
    pub fn multiple_or(&self, key: &str, default: f64, of: usize) -> Result<usize, Error> {
        let ratio = self.number_or(key, default)?;
        let size = of as f64 * ratio;
        match (1.0..=LARGEST as f64).contains(&size) {
            true => Ok(size as usize),
            false => Err(self.wrong(key, format!("is {ratio}, which makes {size} of {of}"))),
        }
    }

    /// A number of blocks.
    pub fn layers(&self, key: &str) -> Result<usize, Error> {
        let layers = self.size(key)?;
        self.few(key, layers)
    }

    /// A number of blocks, or another where there is none.
    pub fn layers_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        let layers = self.size_or(key, default)?;
        self.few(key, layers)
    }

    fn few(&self, key: &str, layers: usize) -> Result<usize, Error> {
        match layers {
            layers if layers <= MOST_LAYERS => Ok(layers),
            layers => Err(self.wrong(
                key,
                format!("is {layers}, above the {MOST_LAYERS} that are taken"),
            )),
        }
    }

    /// A number, or another where there is none.
    pub fn number_or(&self, key: &str, default: f64) -> Result<f64, Error> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(number),
                None => Err(self.wrong(key, format!("is {value}, not a number"))),
            },
        }
    }

    /// A number that must be there.
    pub fn number(&self, key: &str) -> Result<f64, Error> {
        let found = self
            .has(key)
            .then(|| self.number_or(key, 0.0))
            .transpose()?;
        self.needed(key, found)
    }

    /// A switch, or its default.
    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool, Error> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(key, format!("is {other}, not true or false"))),
        }
    }

    /// That a switch stands as this code has it; another would be another model.
    pub fn only(&self, key: &str, supported: bool) -> Result<(), Error> {
        match self.flag_or(key, supported)? == supported {
            true => Ok(()),
            false => Err(self.wrong(
                key,
                format!("is {}, of which only {supported} is supported", !supported),
            )),
        }
    }

    /// A word, or its default.
    pub fn word_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str, Error> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::String(word)) => Ok(word),
            Some(other) => Err(self.wrong(key, format!("is {}, not a word", kind(other)))),
        }
    }

    /// That a word is the one that this code stands for.
    pub fn only_word(&self, key: &str, supported: &str) -> Result<(), Error> {
        match self.word_or(key, supported)? {
            word if word == supported => Ok(()),
            other => Err(self.wrong(
                key,
                format!("is `{other}`, of which only `{supported}` is supported"),
            )),
        }
    }

    /// That there is no key but these.
    pub fn known(&self, keys: &[&str]) -> Result<(), Error> {
        let mut there = self.table.iter().filter(|(_, value)| !value.is_null());
        match there.find(|(key, _)| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, value)) => Err(self.wrong(
                key,
                format!(
                    "is {value}, but is not supported; these are: {}",
                    keys.join(", ")
                ),
            )),
        }
    }

    /// A number of three channels each.
    pub fn channels_or(&self, key: &str, default: [f32; 3]) -> Result<[f32; 3], Error> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let number = |value: &Value| {
            let number = value.as_f64()? as f32;
            number.is_finite().then_some(number)
        };
        let numbers = value.as_array().map(|list| list.iter().map(number));
        let numbers: Option<Vec<f32>> = numbers.and_then(Iterator::collect);
        let channels = numbers.and_then(|numbers| numbers.try_into().ok());
        channels.ok_or_else(|| self.wrong(key, format!("is {value}, not three numbers")))
    }

    /// A table within, empty if not there.
    pub fn table_or_empty(&self, key: &str) -> Result<Self, Error> {
        let empty = || Self {
            path: self.path.clone(),
            table: Map::new(),
        };
        Ok(self.table(key)?.unwrap_or_else(empty))
    }

    /// A table within, if there.
    pub fn table(&self, key: &str) -> Result<Option<Self>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(table)) => Ok(Some(Self {
                path: self.path.clone(),
                table: table.clone(),
            })),
            Some(other) => Err(self.wrong(key, format!("is {}, not a table", kind(other)))),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a word",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
