//! From what a language model says to classes.

use crucible_prompt::verbalizer::{Aggregation, LabelWordSearch, Refinement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a class is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum VerbalizerConfig {
    /// By its label words.
    Manual {
        /// What is made of several: mean, sum or max.
        aggregation: Aggregation,
    },
    /// By words of the model's vocabulary that the shots choose (PETAL, Schick et al. 2020).
    Automatic {
        /// How many words a class gets.
        words_per_class: usize,
        /// Only so many are looked at for each class, the likeliest on its shots.
        candidates: usize,
    },
    /// By many label words, those that say little of their class left out and the others divided by how likely they are
    /// anyway (KPT, Hu et al. 2022).
    Knowledge {
        /// This fraction of all words is left out, those with the lowest prior.
        rare: f64,
        /// Words with a lower relevance for their class are left out.
        least_relevance: f64,
        /// Learn from the shots how much each word counts.
        weigh: bool,
    },
    /// By a trained vector of its own, which begins as that of its label words (WARP, Hambardzumyan et al. 2021).
    Soft,
    /// By a trained prototype of its own (ProtoVerb, Cui et al. 2022).
    Prototypical {
        /// Width of the space in which texts and prototypes are compared.
        d_projection: usize,
    },
}

impl VerbalizerConfig {
    /// With what its paper takes; `manual` for a kind there is not, which the configuration then refuses.
    pub fn preset(kind: &str) -> Self {
        match kind {
            "automatic" => {
                let search = LabelWordSearch::default();
                Self::Automatic {
                    words_per_class: search.words_per_class,
                    candidates: search.candidates,
                }
            }
            "knowledge" => {
                let refinement = Refinement::default();
                Self::Knowledge {
                    rare: refinement.rare,
                    least_relevance: refinement.least_relevance,
                    weigh: false,
                }
            }
            "soft" => Self::Soft,
            "prototypical" => Self::Prototypical { d_projection: 64 },
            _ => Self::Manual {
                aggregation: Aggregation::Mean,
            },
        }
    }

    /// What is made of several words of a class.
    pub fn aggregation(&self) -> Aggregation {
        match self {
            Self::Manual { aggregation } => *aggregation,
            _ => Aggregation::Mean,
        }
    }

    /// Whether words tell a class, and not a vector of its own.
    pub fn has_words(&self) -> bool {
        !matches!(self, Self::Soft | Self::Prototypical { .. })
    }
}
