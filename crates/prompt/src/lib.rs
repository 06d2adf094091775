//! Prompt learning over frozen models.
//!
//! | module | one idea |
//! |---|---|
//! | [`prefix`] | continuous prompts: vectors that train in front of a model that does not |

#![warn(missing_docs)]

pub mod prefix;

#[cfg(test)]
#[path = "../../transformer/src/testing.rs"]
mod testing;
