//! Prompt learning: how a task is put to a pretrained model that stays as it is, and how its words are read as classes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`template`] | the text around an input, with a mask, pictures and soft prompts in it; searched for, too |
//! | [`verbalizer`] | from scores of words to scores of classes |
//! | [`calibration`] | what is taken off the scores that a prompt gives to every input |
//! | [`prefix`] | continuous prompts: vectors that train in front of a model that does not |
//! | [`dual`] | the same in front of both towers of a dual encoder |
//! | [`seen`](mod@seen) | how far those vectors moved, and which words they lie near |
//! | [`fused`] | the same in front of a fused model, or made of the wording of an instruction |
//! | [`instruction`] | an encoder of instructions, small beside the model that it asks |
//!
//! Scores are logarithms of probabilities, `[items][words]` or `[items][classes]`, in `f64` on the host; tensors
//! stand only where something is trained.

#![warn(missing_docs)]

pub mod calibration;
pub mod dual;
pub mod fused;
pub mod instruction;
pub mod prefix;
pub mod seen;
pub mod template;
pub mod verbalizer;

mod scores;
#[cfg(test)]
mod tables;
#[cfg(test)]
#[path = "../../transformer/src/testing.rs"]
mod testing;

pub use scores::ScoreError;
