//! Prompt learning: how a task is put to a pretrained model in words, and how its words are read as classes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`template`] | the text around an input, with a mask, pictures and soft prompts in it |
//! | [`verbalizer`] | from scores of words to scores of classes |
//! | [`calibration`] | what is taken off the scores that a prompt gives to every input |
//!
//! Scores are logarithms of probabilities, `[items][words]` or `[items][classes]`, in `f64` on the host; tensors
//! stand only where something is trained.

#![warn(missing_docs)]

pub mod calibration;
pub mod template;
pub mod verbalizer;

mod scores;
#[cfg(test)]
mod testing;

pub use scores::ScoreError;
