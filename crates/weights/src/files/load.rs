//! Making a tokenizer of a stranger's `tokenizer.json`.

use std::path::Path;
use std::thread::Builder;

use serde::Deserialize;
use tokenizers::Tokenizer;

use super::json;
use super::tokenizer::LIMITS;
use crate::Error;

/// How many times longer a text may become while it is cut into tokens or put together again.
const MAX_GROWTH: usize = 1 << 12;

/// What a sound tokenizer takes: nothing, a letter, words, digits, blanks, several scripts, what is composed or has a
/// compatible form.
const TRIAL: [&str; 3] = ["", "a", " The cat's 12 x\n\n  é Å ﬁ Ａ 你好 😀\u{200d}"];

/// The tokenizer of a `tokenizer.json`, without its settings for padding and truncation, which are the business of who
/// makes batches.
///
/// The tokenizers library (0.23) panics, or takes memory without bound, on some files that are damaged or made to do
/// harm: a merge that is longer than all tokens, a damaged table of characters, steps of fixed length 0, padding to
/// multiples of terabytes, replacements that grow a text exponentially. Here these are errors. Its panics are caught,
/// after their message went to stderr.
///
/// # Errors
///
/// [`Error::Format`] if the library cannot read it, or cannot encode and decode a short text with it.
pub fn load_tokenizer(json: &str) -> Result<Tokenizer, Error> {
    let path = Path::new("tokenizer.json");
    let steps: Steps = json::parse(path, json, LIMITS)?;
    if steps.growth().is_none_or(|growth| growth > MAX_GROWTH) {
        let reason = format!("its steps can make a text more than {MAX_GROWTH} times longer");
        return Err(Error::damaged(path, reason));
    }
    // The library keeps what it has encoded for as long as the thread lives.
    let tried = std::thread::scope(|scope| {
        let thread = Builder::new().name("tokenizer".into());
        let thread = thread.spawn_scoped(scope, || tried(json))?;
        Ok(thread.join())
    });
    match tried.map_err(|error| Error::io(path, error))? {
        Ok(tokenizer) => tokenizer.map_err(|error| Error::damaged(path, error.to_string())),
        Err(_) => Err(Error::damaged(path, "the tokenizers library fails on it")),
    }
}

/// A tokenizer that has encoded and decoded.
fn tried(json: &str) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(json)?;
    tokenizer.with_padding(None).with_truncation(None)?;
    for text in TRIAL {
        // A text that is refused, for want of an unknown token, does no harm.
        if let Ok(encoding) = tokenizer.encode(text, true) {
            tokenizer.decode(encoding.get_ids(), false)?;
        }
    }
    Ok(tokenizer)
}

/// The parts of a tokenizer that change texts.
#[derive(Deserialize)]
struct Steps {
    normalizer: Option<Step>,
    pre_tokenizer: Option<Step>,
    decoder: Option<Step>,
}

impl Steps {
    /// The most times longer a text becomes; `None` if that is beyond counting.
    fn growth(&self) -> Option<usize> {
        let parts = [&self.normalizer, &self.pre_tokenizer, &self.decoder];
        let mut parts = parts.into_iter().flatten();
        parts.try_fold(1usize, |growth, part| growth.checked_mul(part.growth()?))
    }
}

/// One step, or several in turn.
#[derive(Deserialize)]
struct Step {
    #[serde(default, rename = "type")]
    kind: String,
    /// What stands for each place that a pattern matches.
    #[serde(default)]
    content: String,
    #[serde(
        default,
        rename = "normalizers",
        alias = "pretokenizers",
        alias = "decoders"
    )]
    steps: Vec<Step>,
}

impl Step {
    fn growth(&self) -> Option<usize> {
        let own = match self.kind.as_str() {
            "Replace" => self.content.len().max(1),
            // Half of all bytes become characters of two.
            "ByteLevel" => 2,
            _ => 1,
        };
        let mut steps = self.steps.iter();
        steps.try_fold(own, |growth, step| growth.checked_mul(step.growth()?))
    }
}
