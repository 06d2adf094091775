//! From text to [`Template`], with the column and the remedy of what is wrong.

use std::str::FromStr;

use thiserror::Error;

use super::{Part, Soft, Template};

/// The most vectors of one `{soft:N}`; more is a slip of the keys, and would fill the memory.
pub const LARGEST_SOFT: usize = 1024;

/// Text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("column {column}: {problem}")]
pub struct TemplateError {
    /// The character where the trouble begins, from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub problem: Problem,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// A brace that no brace closes.
    #[error("`{{` is never closed: end it with `}}`, or write `{{{{` for a brace")]
    Unclosed,
    /// A brace that closes nothing.
    #[error("`}}` closes nothing: write `}}}}` for a brace")]
    Unopened,
    /// No name of a value.
    #[error(
        "`{{{0}}}` is no slot: a name has letters, digits and `_` and begins with no digit, as in {{text}}"
    )]
    Name(String),
    /// Trainable vectors of no kind that is known.
    #[error(
        "`{{{0}}}` is no soft prompt: write a number from 1 to {LARGEST_SOFT}, as in {{soft:4}}, or words, as in \
         {{soft:'It was'}}, with '' for a quote"
    )]
    Soft(String),
    /// A second mask.
    #[error("a second {{mask}}: a template has one, where the label word stands")]
    SecondMask,
    /// A second picture.
    #[error("a second {{image}}: an input has one picture")]
    SecondImage,
    /// No mask at all.
    #[error("no {{mask}}: put it where the label word stands")]
    NoMask,
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parser = Parser {
            characters: text.chars().collect(),
            at: 0,
            parts: Vec::new(),
        };
        parser.run()?;
        Ok(Self {
            parts: parser.parts,
        })
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        text.parse()
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
    parts: Vec<Part>,
}

impl Parser {
    fn run(&mut self) -> Result<(), TemplateError> {
        while let Some(&character) = self.characters.get(self.at) {
            let doubled = self.characters.get(self.at + 1) == Some(&character);
            match character {
                '{' | '}' if doubled => {
                    self.literal(character);
                    self.at += 2;
                }
                '{' => self.field()?,
                '}' => return Err(self.error(Problem::Unopened)),
                _ => {
                    self.literal(character);
                    self.at += 1;
                }
            }
        }
        match self.parts.contains(&Part::Mask) {
            true => Ok(()),
            false => Err(self.error(Problem::NoMask)),
        }
    }

    fn literal(&mut self, character: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(character),
            _ => self.parts.push(Part::Text(character.into())),
        }
    }

    /// From `{` to behind its `}`.
    fn field(&mut self) -> Result<(), TemplateError> {
        let end = self.end().ok_or_else(|| self.error(Problem::Unclosed))?;
        let field: String = self.characters[self.at + 1..end].iter().collect();
        let part = self.part(field).map_err(|problem| self.error(problem))?;
        self.parts.push(part);
        self.at = end + 1;
        Ok(())
    }

    /// Where the field that begins here is closed; a brace between quotes closes nothing.
    fn end(&self) -> Option<usize> {
        let mut quoted = false;
        (self.at + 1..self.characters.len()).find(|&at| {
            let character = self.characters[at];
            quoted ^= character == '\'';
            character == '}' && !quoted
        })
    }

    fn part(&self, field: String) -> Result<Part, Problem> {
        if let Some(soft) = field.strip_prefix("soft:") {
            return soft_prompt(soft)
                .map(Part::Soft)
                .ok_or(Problem::Soft(field));
        }
        match field.as_str() {
            "mask" if self.parts.contains(&Part::Mask) => Err(Problem::SecondMask),
            "mask" => Ok(Part::Mask),
            "image" if self.parts.contains(&Part::Image) => Err(Problem::SecondImage),
            "image" => Ok(Part::Image),
            "soft" => Err(Problem::Soft(field)),
            name if is_name(name) => Ok(Part::Slot(field)),
            _ => Err(Problem::Name(field)),
        }
    }

    fn error(&self, problem: Problem) -> TemplateError {
        TemplateError {
            column: self.at + 1,
            problem,
        }
    }
}

/// What stands behind `soft:`.
fn soft_prompt(text: &str) -> Option<Soft> {
    let quoted = text
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''));
    let Some(quoted) = quoted else {
        // Digits alone: `parse` would take `+4` and `04` too, which are not written back so.
        let count = text.parse().ok()?;
        let plain = (1..=LARGEST_SOFT).contains(&count) && count.to_string() == text;
        return plain.then_some(Soft::Random(count));
    };
    let words = quoted.replace("''", "'");
    let doubled = words.replace('\'', "''") == quoted;
    (doubled && !words.trim().is_empty()).then_some(Soft::Words(words))
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit())
}
