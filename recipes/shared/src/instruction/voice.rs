//! How a conversation is written for a model: tokenizer and chat template, kept with the run.

use std::path::Path;
use std::sync::Arc;

use crucible_datasets::instruction::{
    BuiltIn, ChatError, ChatTemplate, Conversation, ImageTokens, Rendered, Renderer, Role,
    SpecialTokens, Turn,
};
use crucible_datasets::{Tokenizer as Trained, TokenizerConfig};
use crucible_training::{Error, Run};
use crucible_transformer::GenerationConfig;
use crucible_weights::files;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokenizers::{AddedToken, Tokenizer};

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
    /// Take the template that comes with published weights, where they have one, in place of `template`.
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
    /// As published weights have it, for conversations of so many tokens.
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
}

/// Tokenizer and template of a model.
#[derive(Clone)]
pub struct Voice {
    /// Writes conversations.
    pub renderer: Arc<Renderer>,
    /// Tokens that end an answer.
    pub stops: Vec<u32>,
    /// Texts that do, where no token does.
    stop_strings: Vec<String>,
    kept: Kept,
    json: String,
}

impl Voice {
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
        let special = SpecialTokens {
            eos: Some(END.into()),
            ..SpecialTokens::default()
        };
        let control = ["<|im_start|>", "<|im_end|>", END];
        let control = control.map(|token| AddedToken::from(token, true).normalized(false));
        let added = inner.add_special_tokens(control);
        added.map_err(|error| Error::Usage(format!("tokenizer: {error}")))?;
        let kept = Kept {
            source: (chat.template == BuiltIn::Plain).then(|| PLAIN.into()),
            built_in: chat.template,
            special,
            tokens_per_image,
            max_length: chat.max_length,
        };
        Self::new(inner, kept)
    }

    /// That of published weights.
    ///
    /// # Errors
    ///
    /// Those of the files and the template.
    pub fn published(
        path: &Path,
        chat: &ChatConfig,
        tokens_per_image: usize,
    ) -> Result<Self, Error> {
        let files = files::tokenizer(path).map_err(Error::data)?;
        let inner = parsed(&files.json, path)?;
        let kept = Kept {
            source: files.chat_template.filter(|_| chat.own_template),
            built_in: chat.template,
            special: SpecialTokens {
                bos: files.bos,
                eos: files.eos,
                pad: files.pad,
                unk: None,
            },
            tokens_per_image,
            max_length: chat.max_length,
        };
        Self::new(inner, kept)
    }

    /// Keeps it with a run.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when the run was started with another.
    pub fn keep(&self, run: &Run) -> Result<(), Error> {
        let file = run.dir.file(TOKENIZER);
        if std::fs::read(&file).is_ok_and(|kept| kept != self.json.as_bytes()) {
            return Err(Error::Run {
                path: file,
                reason: "the tokenizer has changed since this run started; choose another --out"
                    .into(),
            });
        }
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
        let json = std::fs::read_to_string(&file).map_err(|error| Error::Run {
            path: file.clone(),
            reason: error.to_string(),
        })?;
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
        let renderer = Renderer::new(inner, template.map_err(chat)?, image, kept.max_length);
        let renderer = renderer.map_err(chat)?;
        let stops = stops(&renderer, &kept.special).map_err(chat)?;
        let stop_strings = match stops.is_empty() {
            true => vec!["\n".into()],
            false => Vec::new(),
        };
        Ok(Self {
            renderer: Arc::new(renderer),
            stops,
            stop_strings,
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

/// The special tokens that end an answer.
fn stops(renderer: &Renderer, special: &SpecialTokens) -> Result<Vec<u32>, ChatError> {
    let turn = |role, text: &str| Turn {
        role,
        text: text.into(),
    };
    let example = Conversation {
        id: "example".into(),
        turns: vec![turn(Role::User, "a"), turn(Role::Assistant, "b")],
        images: Vec::new(),
        task: String::new(),
    };
    let rendered = renderer.render(&example)?;
    let tokenizer = renderer.tokenizer();
    let added = tokenizer.get_added_tokens_decoder();
    let said = rendered
        .ids
        .iter()
        .zip(&rendered.labels)
        .filter(|(_, said)| **said);
    let ends = said.map(|(id, _)| *id);
    let mut stops: Vec<u32> = ends
        .filter(|id| added.get(id).is_some_and(|token| token.special))
        .collect();
    let eos = special.eos.as_deref();
    stops.extend(eos.and_then(|eos| tokenizer.token_to_id(eos)));
    stops.sort_unstable();
    stops.dedup();
    // The end of text alone ends nothing where the template writes none.
    let written = rendered.ids.iter().any(|id| stops.contains(id));
    Ok(if written { stops } else { Vec::new() })
}

fn parsed(json: &str, path: &Path) -> Result<Tokenizer, Error> {
    json.parse().map_err(|error: tokenizers::Error| {
        Error::Usage(format!("{}: tokenizer.json: {error}", path.display()))
    })
}
