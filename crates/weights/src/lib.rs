//! Published checkpoints in and out: Hugging Face folders, safetensors, PyTorch files and GGUF.
//!
//! | module | one idea |
//! |---|---|
//! | [`files`] | tensors by name, whatever the file |
//! | [`architecture`] | from `config.json` to our configurations, and which tensor is which |
//! | [`rules`] | how such a list is written |
//! | [`load`](load()), [`export`](export()) | both ways |
//! | [`folder`](save_folder) | a whole folder, or none |
//! | [`adapter`](PromptAdapter) | prompts in front of a model, as `peft` has them |

#![warn(missing_docs)]

mod adapter;
pub mod architecture;
mod arrange;
mod error;
mod export;
pub mod files;
mod folder;
mod hub;
mod load;
mod names;
pub mod rules;

pub use adapter::{AdapterKind, AdapterModel, PromptAdapter};
pub use architecture::{
    CausalCheckpoint, ClassifierHead, DualCheckpoint, Preprocessing, Resample, Resize,
    SentenceEmbedding, Seq2SeqCheckpoint, TextCheckpoint, VisionCheckpoint,
};
pub use error::Error;
pub use export::export;
pub use folder::save_folder;
pub use hub::locate;
pub use load::{Loaded, load};
