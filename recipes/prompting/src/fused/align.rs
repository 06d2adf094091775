//! Wordings that mean the same shall be represented alike.

use burn::tensor::{Bool, Tensor};
use crucible_objectives::alignment::{attract, pull, uniformity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How representations of instructions are held together and apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlignForm {
    /// Not at all.
    None,
    /// Those that mean the same are pulled together; nothing keeps the others apart.
    Pull,
    /// The same, and those that mean something else are spread out (Wang and Isola 2020).
    Uniform,
    /// Those that mean the same shall be more similar than all others (Khosla et al. 2020).
    Contrastive,
}

/// Which wordings mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pairs {
    /// Those that are known to.
    Meanings,
    /// Those of one cluster of k-means over what the frozen model has for their words.
    Kmeans,
    /// The same by agglomerative clustering.
    Agglomerative,
}

/// The loss of alignment beside that of the answers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlignConfig {
    /// What is aligned: none, pull, uniform or contrastive.
    pub form: AlignForm,
    /// Weight beside the loss of the answers (lambda).
    pub weight: f64,
    /// Inverse temperature of the contrastive form.
    pub scale: f64,
    /// Which wordings mean the same: meanings, kmeans or agglomerative.
    pub pairs: Pairs,
    /// How many clusters there are to find.
    pub clusters: usize,
    /// Further wordings for each question of a batch, drawn among all training wordings of its group; they are aligned and
    /// not answered.
    pub paraphrases: usize,
}

impl AlignForm {
    /// The loss; none where nothing is aligned.
    ///
    /// # Shapes
    /// - `x`: `[instructions, width]`; `same`: `[instructions, instructions]`; output: `[1]`
    pub fn loss(self, x: Tensor<2>, same: Tensor<2, Bool>, scale: f64) -> Option<Tensor<1>> {
        // Of the paper's experiments (Wang and Isola 2020, section 5).
        const T: f64 = 2.0;
        match self {
            Self::None => None,
            Self::Pull => Some(pull(x, same)),
            Self::Uniform => Some(pull(x.clone(), same.clone()) + uniformity(x, same, T)),
            Self::Contrastive => Some(attract(x, same, scale)),
        }
    }
}
