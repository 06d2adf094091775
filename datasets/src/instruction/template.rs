//! Chat templates: how a conversation is written for a model, in the Jinja of its `tokenizer_config.json`.

mod jinja;

use std::time::SystemTime;

use minijinja::{Environment, Value, context};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::jinja::NAME;
use super::{ChatError, Role, Turn};

/// What `tokenizer_config.json` names; a template may write them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpecialTokens {
    /// Starts a text.
    #[serde(rename = "bos_token", skip_serializing_if = "Option::is_none")]
    pub bos: Option<String>,
    /// Ends a text, and in most templates an answer.
    #[serde(rename = "eos_token", skip_serializing_if = "Option::is_none")]
    pub eos: Option<String>,
    /// Fills shorter texts.
    #[serde(rename = "pad_token", skip_serializing_if = "Option::is_none")]
    pub pad: Option<String>,
    /// What the vocabulary lacks.
    #[serde(rename = "unk_token", skip_serializing_if = "Option::is_none")]
    pub unk: Option<String>,
}

/// The templates that come with Crucible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BuiltIn {
    /// `<|im_start|>user ... <|im_end|>`: SmolLM2, Qwen2; here without a system turn of its own.
    Chatml,
    /// `[INST] ... [/INST]` with the system turn in `<<SYS>>` (Touvron et al. 2023).
    #[serde(rename = "llama-2")]
    Llama2,
    /// `USER: ... ASSISTANT: ...`: LLaVA-1.5 (Liu et al. 2023), with its system turn.
    Vicuna,
    /// `<|user|> ...`: Zephyr (Tunstall et al. 2023), TinyLlama.
    Zephyr,
    /// `### Instruction: ... ### Response: ...` (Taori et al. 2023).
    Alpaca,
    /// What is said, and nothing else: the picture, then its caption and a line break, as in LLaVA's first stage.
    Plain,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [BuiltIn; 6] = [
        BuiltIn::Chatml,
        BuiltIn::Llama2,
        BuiltIn::Vicuna,
        BuiltIn::Zephyr,
        BuiltIn::Alpaca,
        BuiltIn::Plain,
    ];

    /// Its name in a config.
    pub fn name(self) -> &'static str {
        match self {
            BuiltIn::Chatml => "chatml",
            BuiltIn::Llama2 => "llama-2",
            BuiltIn::Vicuna => "vicuna",
            BuiltIn::Zephyr => "zephyr",
            BuiltIn::Alpaca => "alpaca",
            BuiltIn::Plain => "plain",
        }
    }

    /// Its Jinja.
    pub fn source(self) -> &'static str {
        match self {
            BuiltIn::Chatml => include_str!("templates/chatml.jinja"),
            BuiltIn::Llama2 => include_str!("templates/llama-2.jinja"),
            BuiltIn::Vicuna => include_str!("templates/vicuna.jinja"),
            BuiltIn::Zephyr => include_str!("templates/zephyr.jinja"),
            BuiltIn::Alpaca => include_str!("templates/alpaca.jinja"),
            BuiltIn::Plain => include_str!("templates/plain.jinja"),
        }
    }

    /// Tokens of its own that a tokenizer must have, so that an answer ends in one and not in text that looks like it.
    pub fn control(self) -> &'static [&'static str] {
        match self {
            BuiltIn::Chatml => &["<|im_start|>", "<|im_end|>"],
            _ => &[],
        }
    }

    /// Whether an answer ends with the tokenizer's end-of-text token.
    pub fn needs_eos(self) -> bool {
        !matches!(self, BuiltIn::Chatml | BuiltIn::Plain)
    }
}

/// Writes conversations the way `transformers`' `apply_chat_template` does.
///
/// A template may come from anywhere: it can read nothing but what it is given, and the number of its steps, the depth
/// of its calls and the length of what it writes are bounded. (How much memory a value takes that it makes on the way
/// is not, beyond minijinja's own limits.)
#[derive(Debug)]
pub struct ChatTemplate {
    name: &'static str,
    environment: Environment<'static>,
    special: Value,
}

impl ChatTemplate {
    /// The template of a tokenizer: `chat_template` of its `tokenizer_config.json`.
    ///
    /// # Errors
    ///
    /// [`ChatError::Template`] if it is not Jinja.
    pub fn new(source: &str, special: &SpecialTokens) -> Result<Self, ChatError> {
        Self::parse("of the tokenizer", source, special)
    }

    /// A template that comes with Crucible.
    ///
    /// # Errors
    ///
    /// [`ChatError::Template`] if it ends answers with the tokenizer's end-of-text token and there is none.
    pub fn built_in(template: BuiltIn, special: &SpecialTokens) -> Result<Self, ChatError> {
        if template.needs_eos() && special.eos.is_none() {
            return Err(ChatError::Template {
                template: template.name().into(),
                reason: "it ends an answer with eos_token, which the tokenizer does not name"
                    .into(),
            });
        }
        Self::parse(template.name(), template.source(), special)
    }

    fn parse(name: &'static str, source: &str, special: &SpecialTokens) -> Result<Self, ChatError> {
        let environment = jinja::environment(source, SystemTime::now());
        Ok(Self {
            name,
            environment: environment.map_err(|error| failed(name, &error))?,
            special: Value::from_serialize(special),
        })
    }

    /// Takes another time for the present one, which some templates write into the system turn. It is otherwise that of
    /// the template's making, in UTC, so that all conversations of a run have the same.
    #[must_use]
    pub fn at(mut self, now: SystemTime) -> Self {
        jinja::set_time(&mut self.environment, now);
        self
    }

    /// What a model reads: the turns, and with `prompt` the header of an answer after them.
    ///
    /// # Errors
    ///
    /// [`ChatError::Template`] if the template refuses the turns or does not come to an end.
    pub fn render(&self, turns: &[Turn], prompt: bool) -> Result<String, ChatError> {
        let texts = turns.iter().map(|turn| turn.text.as_str());
        self.write(turns.iter().map(|turn| turn.role).zip(texts), prompt)
    }

    /// As [`render`](Self::render), from roles and texts.
    pub(super) fn write<'a>(
        &self,
        turns: impl Iterator<Item = (Role, &'a str)>,
        prompt: bool,
    ) -> Result<String, ChatError> {
        let messages: Value = turns
            .map(|(role, text)| context! { role => role_name(role), content => text })
            .collect();
        let given = context! {
            messages,
            add_generation_prompt => prompt,
            tools => (),
            documents => (),
            ..self.special.clone(),
        };
        jinja::render(&self.environment, given).map_err(|error| failed(self.name, &error))
    }
}

/// As templates know it.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn failed(template: &str, error: &minijinja::Error) -> ChatError {
    let mut reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    // Of what led to it, what came first tells most.
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    if let Some(first) = causes.last() {
        reason = format!("{reason}: {first}");
    }
    if let Some(line) = error.line().filter(|_| error.name() == Some(NAME)) {
        reason = format!("{reason} (line {line})");
    }
    ChatError::Template {
        template: template.into(),
        reason,
    }
}

#[cfg(test)]
pub(crate) mod tests;
