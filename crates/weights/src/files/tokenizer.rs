//! The tokenizer of a published model and what belongs to it.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::gguf;
use super::json::{self, Limits};
use super::place::Texts;
use super::source::{self, Source};
use crate::Error;

/// The largest `tokenizer.json`; those of large multilingual models have about 30 MiB.
const TOKENIZER: Limits = Limits {
    bytes: 128 << 20,
    values: 1 << 22,
};

/// The largest chat template, in bytes.
const MAX_TEMPLATE: u64 = 1 << 20;

/// A tokenizer and what its model's chat needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// The content of `tokenizer.json`.
    pub json: String,
    /// The Jinja template that turns messages into a text, if the model has one.
    pub chat_template: Option<String>,
    /// The token that begins a text.
    pub bos: Option<String>,
    /// The token that ends a text or a turn.
    pub eos: Option<String>,
    /// The token that fills up shorter texts.
    pub pad: Option<String>,
    /// Whether texts begin with `bos`. The `json` of a GGUF sees to it where special tokens are asked for; that of a
    /// folder does if it was saved so.
    pub add_bos: bool,
}

/// The tokenizer of a folder, or of a GGUF file, whose byte-level BPE vocabulary is put into the format of
/// `tokenizer.json`.
///
/// Of a folder, `tokenizer_config.json`, `special_tokens_map.json` and `chat_template.jinja` are read as well.
///
/// # Errors
///
/// [`Error::Io`] if a file cannot be read; [`Error::Format`] if there is no `tokenizer.json`, if a file is damaged or
/// larger than any tokenizer, or if the vocabulary of a GGUF is of another kind.
pub fn tokenizer(path: &Path) -> Result<TokenizerFiles, Error> {
    const NAME: &str = "tokenizer.json";
    let folder = match Texts::find(path, &[NAME])? {
        Texts::Gguf(file) => return gguf::tokenizer(&Arc::new(Source::open(&file)?)),
        Texts::Folder(folder) => folder,
    };
    let file = folder.join(NAME);
    let Some(json) = source::text(&file, TOKENIZER.bytes)? else {
        let remedy = "save it with AutoTokenizer.from_pretrained(..).save_pretrained(..)";
        return Err(Error::format(&folder, "has no tokenizer.json", remedy));
    };
    let parsed: Parsed = json::parse(&file, &json, TOKENIZER)?;
    let settings = |name: &str| -> Result<Value, Error> {
        let found = json::read(&folder.join(name), json::SETTINGS)?;
        Ok(found.unwrap_or(Value::Null))
    };
    let config = settings("tokenizer_config.json")?;
    let map = settings("special_tokens_map.json")?;
    let token = |key: &str| [&config, &map].into_iter().find_map(|file| text(file.get(key)?));
    let template = source::text(&folder.join("chat_template.jinja"), MAX_TEMPLATE)?;
    let bos = token("bos_token");
    let add_bos = config.get("add_bos_token").and_then(Value::as_bool);
    Ok(TokenizerFiles {
        chat_template: template.or_else(|| chat_template(config.get("chat_template")?)),
        add_bos: match &bos {
            Some(bos) => add_bos.unwrap_or_else(|| parsed.adds(bos)),
            None => false,
        },
        bos,
        eos: token("eos_token"),
        pad: token("pad_token"),
        json,
    })
}

/// A token, which is written as a text or as an object with its properties.
fn text(token: &Value) -> Option<String> {
    let text = token.as_str().or_else(|| token.get("content")?.as_str());
    text.map(str::to_owned)
}

/// A template, or of several named ones the default.
fn chat_template(template: &Value) -> Option<String> {
    let default = || {
        let named = template.as_array()?.iter();
        let mut default = named.filter(|one| one.get("name").is_some_and(|name| name == "default"));
        default.next()?.get("template")?.as_str()
    };
    template.as_str().or_else(default).map(str::to_owned)
}

/// The part of `tokenizer.json` that puts special tokens around a text.
#[derive(Deserialize)]
struct Parsed {
    post_processor: Option<Processor>,
}

impl Parsed {
    /// Whether each text gets this token as its first.
    fn adds(&self, token: &str) -> bool {
        let Some(processor) = &self.post_processor else {
            return false;
        };
        let mut all = processor.processors.iter().chain([processor]);
        all.any(|processor| processor.first() == Some(token))
    }
}

/// A post-processor: a template, BERT's or RoBERTa's own, or several in turn.
#[derive(Deserialize)]
struct Processor {
    #[serde(default)]
    single: Vec<Piece>,
    cls: Option<(String, u32)>,
    #[serde(default)]
    processors: Vec<Processor>,
}

impl Processor {
    fn first(&self) -> Option<&str> {
        let piece = self.single.first().and_then(|piece| piece.special.as_ref());
        let template = piece.map(|special| &special.id);
        let token = template.or(self.cls.as_ref().map(|(token, _)| token));
        token.map(String::as_str)
    }
}

/// A token or the text, of a template.
#[derive(Deserialize)]
struct Piece {
    #[serde(rename = "SpecialToken")]
    special: Option<Special>,
}

#[derive(Deserialize)]
struct Special {
    id: String,
}
