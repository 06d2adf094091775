//! Data for Crucible: formats, the catalogue with its embedded dataset, images, tokenization, batches, loaders.
//!
//! From a name or a path to batches:
//! [`open_vqa`] gives [`VqaData`], whose splits are Burn datasets of [`VqaSample`]s. A [`Tokenizer`] trained on the
//! training split and an [`ImageProcessor`] go into a [`VqaCollate`], and that into a [`TrainLoader`] and an
//! [`EvalLoader`], which are Burn `DataLoader`s of [`VqaBatch`]es. Classification goes the same way from
//! [`open_images`] through [`ImageCollate`] to [`ImageBatch`]es.

#![warn(missing_docs)]

mod augment;
mod batch;
mod catalogue;
mod corrupt;
mod describe;
mod easy_vqa;
mod embedded;
mod emoji;
mod error;
mod facts;
mod formats;
mod image_config;
mod images;
pub mod instruction;
pub mod known;
mod loader;
mod order;
mod parallel;
mod passages;
mod paths;
mod pictures;
mod prefetch;
mod reviews;
mod sample;
mod share;
mod shots;
mod split;
#[cfg(test)]
mod tests;
mod tokenizer;
mod vocabulary;
mod whole;
mod window;

pub use augment::{AugmentConfig, Draw};
pub use batch::{
    Blank, CaptionBatch, CaptionCollate, CaptionHost, Collate, Drawn, ImageBatch, ImageCollate,
    ImageHost, Tokens, TokensHost, VqaBatch, VqaCollate, VqaHost, indices,
};
pub use catalogue::{
    Entry, entries, kind, open_captions, open_images, open_labelled_texts, open_vqa,
};
pub use corrupt::CorruptConfig;
pub use describe::{Description, Duplicates, Lengths, Share, SplitCounts, describe};
pub use easy_vqa::HELD_OUT;
pub use error::{At, DataError, Place};
pub use facts::{COLOURS, Pair, SHAPES, possible_pairs};
pub use formats::Kind;
pub use image_config::{Filter, Fit, ImageConfig};
pub use images::{ImageProcessor, ImageSource, Layout, MAX_BYTES, MAX_SIDE};
pub use loader::{EvalLoader, LoaderConfig, TrainLoader};
pub use order::Permutation;
pub use passages::open_passages;
pub use paths::Root;
pub use pictures::{Picture, open_pictures};
pub use sample::{
    CaptionData, CaptionSample, Data, ImageData, LabelledImage, LabelledText, LabelledTextData,
    Question, Samples, TextData, VqaData, VqaSample,
};
pub use shots::Labelled;
pub use split::{Split, fraction};
pub use tokenizer::{CLS, MASK, PAD, Pieces, SEP, Tokenizer, TokenizerConfig, UNK, Vocabulary};
