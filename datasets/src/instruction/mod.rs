//! Conversations for instruction tuning: formats, chat templates, tokens with a label mask, packing, audit.
//!
//! [`Conversation`]s come from a file ([`InstructionData`]). A [`ChatTemplate`] and a tokenizer make a [`Renderer`],
//! which gives the tokens of a conversation with the mask of what the assistant says ([`Rendered`]); [`pack`] puts several
//! in a row. [`audit()`] looks for what would silently spoil a training before its first step, and
//! [`Renderer::paint`] shows what is learnt.

pub mod audit;
pub mod clean;
mod conversation;
mod error;
mod family;
pub(crate) mod formats;
mod marks;
mod open;
mod pack;
mod paint;
mod render;
pub mod tasks;
mod template;

pub use audit::{AuditConfig, Report, audit};
pub use conversation::{Conversation, IMAGE, Role, Turn};
pub use error::ChatError;
pub use family::{Family, families};
pub use marks::typed;
pub(crate) use open::{EASY_VQA, EMOJI, WORDS, scan};
pub use open::{open_instructions, training_texts};
pub use pack::pack;
pub use paint::Span;
pub use render::{Ending, ImageTokens, Mismatch, Rendered, Renderer};
pub use template::{BuiltIn, ChatTemplate, SpecialTokens};

use crate::Data;

/// Conversations.
pub type InstructionData = Data<Conversation>;
