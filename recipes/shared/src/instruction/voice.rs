//! How a conversation is written for a model: tokenizer and chat template, kept with the run.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crucible_datasets::instruction::{
    BuiltIn, ChatError, ChatTemplate, ImageTokens, InstructionData, Rendered, Renderer,
    SpecialTokens, training_texts,
};
use crucible_datasets::{Tokenizer as Trained, TokenizerConfig};
use crucible_training::{Error, Run, tell};
use crucible_transformer::GenerationConfig;
use crucible_weights::files;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokenizers::{AddedToken, Tokenizer};

use crate::Origin;

const TOKENIZER: &str = "tokenizer.json";
const CHAT: &str = "chat.json";
/// What stands for a picture among the tokens; its embedding is never read.
const IMAGE_TOKEN: &str = "<|image|>";
/// Ends a text, in a vocabulary of our own.
const END: &str = "<|end|>";
/// The plain template for a vocabulary of our own, which has no line break: the end of the text ends an answer.
const PLAIN: &str = "{%- for message in messages -%}{{- message['content'] -}}\
                     {%- if message['role'] == 'assistant' -%}{{- eos_token -}}{%- endif -%}{%- endfor -%}";
/// Words that templates write around what is said.
const ROLES: &str = "system user assistant instruction input response below";

/// How conversations are written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatConfig {
    /// The chat template: chatml, llama-2, vicuna, zephyr, alpaca or plain.
    pub template: BuiltIn,
    /// Take the template that comes with published weights, where they have one, in place of `template`; or alpaca, where
    /// their tokenizer lacks the tokens of `template`, as GPT-2's does those of chatml.
    pub own_template: bool,
    /// The most tokens of a conversation, pictures included; longer ones are refused, none is cut.
    pub max_length: usize,
    /// Put several conversations into one row of `max_length` tokens, none of which sees another; those about the same
    /// pictures share them.
    pub packing: bool,
    /// At most so many conversations about a picture are learnt in one step: those that there are beyond come in others.
    /// 0: all at once. More of them spare work, fewer leave room for more pictures.
    pub per_picture: usize,
}

impl ChatConfig {
    /// Conversations of so many tokens one by one, in the template that published weights bring, or chatml.
    pub fn published(max_length: usize) -> Self {
        Self {
            template: BuiltIn::Chatml,
            own_template: true,
            max_length,
            packing: false,
            per_picture: 0,
        }
    }
}

/// What is kept of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// Jinja, or none for a template that comes with Crucible.
    source: Option<String>,
    built_in: BuiltIn,
    special: SpecialTokens,
    tokens_per_image: usize,
    max_length: usize,
    /// When the run was started, in seconds since 1970: some templates write the day into the system turn, which must be
    /// the same when the run goes on, is scored again and is talked with.
    #[serde(default = "now")]
    started: u64,
}

/// Tokenizer and template of a model.
#[derive(Clone)]
pub struct Voice {
    /// Writes conversations.
    pub renderer: Arc<Renderer>,
    /// Tokens that end an answer.
    pub stops: Vec<u32>,
    /// Texts that do, where the template closes an answer without a token.
    stop_strings: Vec<String>,
    kept: Kept,
    json: String,
}

impl Kept {
    /// For a vocabulary of our own.
    fn fresh(chat: &ChatConfig, tokens_per_image: usize) -> Self {
        Self {
            source: (chat.template == BuiltIn::Plain).then(|| PLAIN.into()),
            built_in: chat.template,
            special: SpecialTokens {
                eos: Some(END.into()),
                ..SpecialTokens::default()
            },
            tokens_per_image,
            max_length: chat.max_length,
            started: now(),
        }
    }
}

impl Voice {
    /// That of a training, which is to be [kept](Self::keep) with it: as it was kept where the run goes on; of published
    /// weights their own; of a fresh model that of the run whose weights it starts from, or else a new one. (What lies in
    /// a run's directory before a checkpoint does may be of another configuration that failed.)
    ///
    /// # Errors
    ///
    /// Those of the data, the tokenizer and the template.
    pub fn begin(
        run: &Run,
        language: &Origin,
        tokenizer: &TokenizerConfig,
        chat: &ChatConfig,
        tokens_per_image: usize,
        data: &InstructionData,
    ) -> Result<Self, Error> {
        if run.goes_on() {
            return Self::reopen(run);
        }
        if let Origin::Published(path) = language {
            return Self::published(path, chat, tokens_per_image);
        }
        let init = run.init.as_ref().map(|init| init.run.as_path());
        match init.filter(|folder| folder.join(CHAT).exists() && tokenizer.file.is_empty()) {
            Some(folder) => Self::of_run(folder, chat, tokens_per_image),
            None => {
                let texts = training_texts(data).map_err(Error::data)?;
                Self::fresh(tokenizer, chat, tokens_per_image, texts)
            }
        }
    }

    /// With a vocabulary that is trained on `texts`.
    ///
    /// # Errors
    ///
    /// Those of the tokenizer and the template.
    pub fn fresh(
        tokenizer: &TokenizerConfig,
        chat: &ChatConfig,
        tokens_per_image: usize,
        texts: impl IntoIterator<Item = String>,
    ) -> Result<Self, Error> {
        let texts = texts.into_iter().chain([ROLES.to_owned()]);
        let trained = Trained::new(tokenizer, texts).map_err(Error::data)?;
        let mut inner = trained.into_inner();
        let control = ["<|im_start|>", "<|im_end|>", END];
        let control = control.map(|token| AddedToken::from(token, true).normalized(false));
        let added = inner.add_special_tokens(control);
        added.map_err(|error| Error::Usage(format!("tokenizer: {error}")))?;
        Self::new(inner, Kept::fresh(chat, tokens_per_image))
    }

    /// With the vocabulary of another run of a fresh model, whose weights know its words by their ids.
    fn of_run(folder: &Path, chat: &ChatConfig, tokens_per_image: usize) -> Result<Self, Error> {
        let inner = parsed(&read(&folder.join(TOKENIZER))?, folder)?;
        tell!(
            "tokenizer of {}: {} tokens, whatever `tokenizer` says here",
            folder.display(),
            inner.get_vocab_size(true)
        );
        Self::new(inner, Kept::fresh(chat, tokens_per_image))
    }

    /// That of published weights.
    ///
    /// # Errors
    ///
    /// Those of the files and the template; [`Error::Usage`] when the tokenizer lacks the tokens of the template.
    pub fn published(
        path: &Path,
        chat: &ChatConfig,
        tokens_per_image: usize,
    ) -> Result<Self, Error> {
        let files = files::tokenizer(path).map_err(Error::data)?;
        let inner = parsed(&files.json, path)?;
        let special = SpecialTokens {
            bos: files.bos,
            eos: files.eos,
            pad: files.pad,
            unk: None,
        };
        let source = files.chat_template.filter(|_| chat.own_template);
        let kept = Kept {
            built_in: match source {
                Some(_) => chat.template,
                None => fitting(chat, &inner, &special)?,
            },
            source,
            special,
            tokens_per_image,
            max_length: chat.max_length,
            started: now(),
        };
        Self::new(inner, kept)
    }

    /// Keeps it with a run.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn keep(&self, run: &Run) -> Result<(), Error> {
        run.dir.write(TOKENIZER, self.json.as_bytes())?;
        run.dir.write_json(CHAT, &self.kept)
    }

    /// That of a run.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn reopen(run: &Run) -> Result<Self, Error> {
        let file = run.dir.file(TOKENIZER);
        let json = read(&file)?;
        Self::new(parsed(&json, &file)?, run.dir.read_json(CHAT)?)
    }

    fn new(inner: Tokenizer, kept: Kept) -> Result<Self, Error> {
        let json = inner.to_string(true);
        let json = json.map_err(|error| Error::Usage(format!("tokenizer: {error}")))?;
        let chat = |error: ChatError| Error::Usage(error.to_string());
        let template = match &kept.source {
            Some(source) => ChatTemplate::new(source, &kept.special),
            None => ChatTemplate::built_in(kept.built_in, &kept.special),
        };
        let image = (kept.tokens_per_image > 0).then(|| ImageTokens {
            token: IMAGE_TOKEN.into(),
            per_image: kept.tokens_per_image,
        });
        let template = template.map_err(chat)?;
        let template = template.at(UNIX_EPOCH + Duration::from_secs(kept.started));
        let renderer = Renderer::new(inner, template, image, kept.max_length);
        let renderer = renderer.map_err(chat)?;
        let ending = renderer.ending().map_err(chat)?;
        // The end of text ends an answer in any case, as it does a text without a template.
        let eos = kept.special.eos.as_deref();
        let eos = eos.and_then(|eos| renderer.tokenizer().token_to_id(eos));
        let mut stops: Vec<u32> = ending.token.into_iter().chain(eos).collect();
        stops.sort_unstable();
        stops.dedup();
        Ok(Self {
            renderer: Arc::new(renderer),
            stops,
            stop_strings: match ending.token {
                Some(_) => Vec::new(),
                None => stop_string(&ending.text).into_iter().collect(),
            },
            kept,
            json,
        })
    }

    /// Does something with a folder that holds what transformers needs of it: `tokenizer.json` and
    /// `tokenizer_config.json`.
    ///
    /// # Errors
    ///
    /// What `with` fails with, and those of writing.
    pub fn beside(&self, with: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
        let failed = |source| Error::Io {
            action: "write",
            path: std::env::temp_dir(),
            source,
        };
        let folder = tempfile::tempdir().map_err(failed)?;
        let special = &self.kept.special;
        let template = match &self.kept.source {
            Some(source) => source.as_str(),
            None => self.kept.built_in.source(),
        };
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": template,
            "bos_token": special.bos,
            "eos_token": special.eos,
            "pad_token": special.pad,
            "model_max_length": self.kept.max_length,
        });
        std::fs::write(folder.path().join(TOKENIZER), &self.json).map_err(failed)?;
        let config = format!("{config:#}\n");
        std::fs::write(folder.path().join("tokenizer_config.json"), config).map_err(failed)?;
        with(folder.path())
    }

    /// How many token ids there are, that of pictures aside.
    pub fn vocabulary_size(&self) -> usize {
        let tokenizer = self.renderer.tokenizer();
        let image = self.renderer.image_token();
        let ids = tokenizer.get_vocab(true).into_values();
        let ids = ids.filter(|id| Some(*id) != image);
        ids.max().map_or(0, |id| id as usize + 1)
    }

    /// A text as it is, without a template.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the tokenizer rejects it or makes nothing of it.
    pub fn plain(&self, text: &str) -> Result<Rendered, Error> {
        let encoding = self.renderer.tokenizer().encode(text, true);
        let encoding = encoding.map_err(|error| Error::Usage(format!("tokenizer: {error}")))?;
        let ids = encoding.get_ids().to_vec();
        if ids.is_empty() {
            return Err(Error::Usage("the prompt is empty".into()));
        }
        Ok(Rendered {
            labels: vec![false; ids.len()],
            ids,
            images: Vec::new(),
        })
    }

    /// The text of tokens, without special ones.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let text = self.renderer.tokenizer().decode(tokens, true);
        text.unwrap_or_default()
    }

    /// How an answer is generated at its shortest: it ends where the template ends one.
    pub fn generation(&self, config: &GenerationConfig) -> GenerationConfig {
        let mut config = config.clone();
        config
            .stop_strings
            .extend(self.stop_strings.iter().cloned());
        config
    }
}

/// The built-in template that a published tokenizer is used with: the one that is asked for, or alpaca where weights
/// that may bring a template of their own have none.
fn fitting(
    chat: &ChatConfig,
    tokenizer: &Tokenizer,
    special: &SpecialTokens,
) -> Result<BuiltIn, Error> {
    let added = tokenizer.get_added_tokens_decoder();
    let has = |name: &str| {
        added
            .values()
            .any(|token| token.special && token.content == name)
    };
    let fits = |template: BuiltIn| {
        let ends = !template.needs_eos() || special.eos.as_deref().is_some_and(has);
        ends && template.control().iter().all(|name| has(name))
    };
    let asked = chat.template;
    if fits(asked) {
        return Ok(asked);
    }
    let lacks = format!(
        "the template {} ends an answer with {}, which is no special token of this tokenizer",
        asked.name(),
        asked.control().last().unwrap_or(&"eos_token")
    );
    if chat.own_template && fits(BuiltIn::Alpaca) {
        tell!("{lacks}: alpaca is used");
        return Ok(BuiltIn::Alpaca);
    }
    let others = BuiltIn::ALL.into_iter().filter(|template| fits(*template));
    let others: Vec<&str> = others.map(BuiltIn::name).collect();
    Err(Error::Usage(format!(
        "{lacks}; set chat.template to one of: {}",
        others.join(", ")
    )))
}

/// What ends an answer in plain text. White space around a text that ends one need not be waited for.
fn stop_string(ending: &str) -> Option<String> {
    let text = match ending.trim() {
        "" => ending,
        text => text,
    };
    (!text.is_empty()).then(|| text.to_owned())
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|error| Error::Run {
        path: file.to_owned(),
        reason: error.to_string(),
    })
}

fn parsed(json: &str, path: &Path) -> Result<Tokenizer, Error> {
    files::load_tokenizer(json)
        .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests;
