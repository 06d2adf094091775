//! What comes after a run: counting hits, summing up seeds, and showing both.
//!
//! Pure functions on data. Nothing here reads or writes a file or knows how a run directory is laid out:
//! the caller brings predictions, curves and features and gets numbers, text or a page.
//!
//! - [`statistics`]: mean, sample standard deviation and range over seeds.
//! - [`accuracy`](mod@accuracy): hits overall, by group, and what was taken for what.
//! - [`consistency`](mod@consistency): whether answers stay the same in other words, [`collapse`] whether representations still differ.
//! - [`probe`]: what a linear classifier, or the nearest neighbours, read off the features of a frozen encoder.
//! - [`retrieval`](mod@retrieval): who finds whom in a space of images and texts, and how it lies.
//! - [`table`]: aligned plain text for the terminal.
//! - [`report`]: one run, or a comparison of many, as one self-contained HTML file.

pub mod accuracy;
pub mod captioning;
pub mod collapse;
pub mod consistency;
pub mod probe;
pub mod report;
pub mod retrieval;
pub mod statistics;
pub mod table;
