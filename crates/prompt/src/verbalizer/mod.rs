//! Verbalizers: from scores of words to scores of classes.
//!
//! | verbalizer | how a class is known |
//! |---|---|
//! | [`Verbalizer`] | by label words, chosen by hand |
//! | [`LabelWordSearch`] | by label words, chosen by labelled examples (PETAL) |
//! | [`Refinement`], [`WordWeights`] | by many words, from which noise is taken out (KPT) |
//! | [`SoftVerbalizer`] | by a trainable vector (WARP) |
//! | [`PrototypicalVerbalizer`] | by the place where its examples lie (ProtoVerb) |

mod label_words;
mod manual;
mod prototypical;
mod refinement;
mod search;
mod soft;
mod word_weights;

pub use label_words::{LabelWords, LabelWordsError};
pub use manual::{Aggregation, Verbalizer};
pub use prototypical::{PrototypicalVerbalizer, PrototypicalVerbalizerConfig};
pub use refinement::{Dropped, Reason, Refined, Refinement};
pub use search::{FoundWord, LabelWordSearch, SearchError, Searched};
pub use soft::{SoftVerbalizer, SoftVerbalizerConfig};
pub use word_weights::{WordWeights, WordWeightsConfig};
