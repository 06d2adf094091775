use burn::module::Module;
use burn::tensor::{Device, Tensor};
use crucible_transformer::BlockConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Modalities, Tokens, early::*, late::*, mid::*};

/// Joins two encoded modalities into one vector for each pair.
pub trait Strategy: Module {
    /// # Shapes
    /// - output: `[pairs, d_model]`
    fn forward(&self, modalities: Modalities) -> Tensor<2>;

    /// Patches and words of each pair after they have met, image first; where only pooled vectors meet, as the towers
    /// left them.
    ///
    /// # Shapes
    /// - output: `[pairs, patches, d_model]` and `[pairs, words, d_model]`
    fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
        modalities.token_pairs()
    }

    /// What `head` says of each pair. Where each modality decides by itself, these are its decisions, joined.
    ///
    /// # Shapes
    /// - `head`: from `[pairs, d_model]` to `[pairs, classes]`, which is the output too
    fn decide(&self, modalities: Modalities, head: &Head) -> Tensor<2> {
        head(self.forward(modalities))
    }

    /// Whether there is an [`image_weight`](Self::image_weight).
    fn weighs(&self) -> bool {
        false
    }

    /// The weight of the image in each pair, between 0 and 1, where a strategy weighs its two modalities.
    ///
    /// # Shapes
    /// - output: `[pairs]`
    fn image_weight(&self, _modalities: Modalities) -> Option<Tensor<1>> {
        None
    }
}

/// What follows a fusion: from `[pairs, d_model]` to `[pairs, classes]`.
pub type Head<'a> = dyn Fn(Tensor<2>) -> Tensor<2> + 'a;

/// What a [`Strategy`] is made from.
pub trait StrategyConfig: Sized {
    /// What is made.
    type Strategy: Strategy;
    /// How large one of its layers is, where it has any.
    const LAYER: Sublayers = Sublayers::NONE;
    /// Layers that it takes for the modalities to meet.
    const LEAST: usize = 1;

    /// With that many layers, where it has any.
    fn with_layers(layers: usize) -> Self;

    /// A strategy with fresh weights, whose layers are shaped like `block`.
    fn init(&self, block: &BlockConfig, device: &Device) -> Self::Strategy;
}

/// The large parts of a layer: one of each makes a layer of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sublayers {
    /// Attentions, each with its four projections.
    pub attentions: usize,
    /// Feed-forward networks.
    pub feed_forwards: usize,
    /// Linear layers of the tokens' width beside them.
    pub linears: usize,
}

impl Sublayers {
    /// Where only pooled vectors meet.
    pub const NONE: Self = Self::new(0, 0);

    /// That many of the two.
    pub const fn new(attentions: usize, feed_forwards: usize) -> Self {
        Self {
            attentions,
            feed_forwards,
            linears: 0,
        }
    }
}

/// Where in a model the modalities meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// At the input, before any tower.
    Early,
    /// In the upper layers.
    Mid,
    /// At the output, where there is one vector for each modality.
    Late,
}

/// What there is to know of a strategy without making one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Described {
    /// As configurations spell it.
    pub name: &'static str,
    /// Where its modalities meet.
    pub family: Family,
    /// What it does and where it is from, in a line.
    pub about: &'static str,
    /// How large one of its layers is.
    #[serde(skip)]
    pub layer: Sublayers,
    /// Layers that it takes for the modalities to meet.
    #[serde(skip)]
    pub least: usize,
}

/// The one list of all strategies: `"name" => Variant(Module, its config): what it does and its source`.
macro_rules! strategies {
    ($($family:ident { $($name:literal => $variant:ident($strategy:ident, $config:ident): $about:literal,)* })*) => {
        /// How vision and language are fused.
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "strategy")]
        pub enum FusionConfig {
            $($(
                #[doc = $about]
                #[serde(rename = $name)]
                $variant($config),
            )*)*
        }

        /// A fusion strategy with its weights.
        #[derive(Module, Debug)]
        pub enum Fusion {
            $($(
                #[doc = $about]
                $variant($strategy),
            )*)*
        }

        /// All strategies, family by family.
        pub const STRATEGIES: &[Described] = &[$($(
            Described {
                name: $name,
                family: Family::$family,
                about: $about,
                layer: <$config as StrategyConfig>::LAYER,
                least: <$config as StrategyConfig>::LEAST,
            },
        )*)*];

        impl FusionConfig {
            /// The strategy of that name with `layers` layers of its own, where it has any.
            pub fn named(name: &str, layers: usize) -> Option<Self> {
                match name {
                    $($($name => Some(Self::$variant($config::with_layers(layers))),)*)*
                    _ => None,
                }
            }

            /// A strategy with fresh weights, whose layers are shaped like `block`.
            pub fn init(&self, block: &BlockConfig, device: &Device) -> Fusion {
                match self {
                    $($(Self::$variant(config) => Fusion::$variant(config.init(block, device)),)*)*
                }
            }
        }

        impl Fusion {
            /// Where its modalities meet.
            pub fn family(&self) -> Family {
                match self {
                    $($(Self::$variant(_) => Family::$family,)*)*
                }
            }
        }

        impl Strategy for Fusion {
            fn forward(&self, modalities: Modalities) -> Tensor<2> {
                match self {
                    $($(Self::$variant(fusion) => fusion.forward(modalities),)*)*
                }
            }

            fn tokens(&self, modalities: Modalities) -> (Tokens, Tokens) {
                match self {
                    $($(Self::$variant(fusion) => fusion.tokens(modalities),)*)*
                }
            }

            fn decide(&self, modalities: Modalities, head: &Head) -> Tensor<2> {
                match self {
                    $($(Self::$variant(fusion) => fusion.decide(modalities, head),)*)*
                }
            }

            fn weighs(&self) -> bool {
                match self {
                    $($(Self::$variant(fusion) => fusion.weighs(),)*)*
                }
            }

            fn image_weight(&self, modalities: Modalities) -> Option<Tensor<1>> {
                match self {
                    $($(Self::$variant(fusion) => fusion.image_weight(modalities),)*)*
                }
            }
        }
    };
}

strategies! {
    Early {
        "early" => Early(Joint, JointConfig): "Token concatenation: one encoder over words and patches (ViLT, Kim et al. 2021)",
        "early-additive" => EarlyAdditive(Additive, AdditiveConfig): "Summation: the words' vector is added to every patch before one encoder (Xu et al. 2023)",
        "early-dropout" => EarlyDropout(ModalityDropout, ModalityDropoutConfig): "Token concatenation that loses a modality now and then in training (ModDrop, Neverova et al. 2016)",
    }
    Mid {
        "mid" => Mid(CoAttention, CoAttentionConfig): "Co-attention: two streams that attend to each other (ViLBERT, Lu et al. 2019; METER, Dou et al. 2022)",
        "mid-cross" => MidCross(CrossAttention, CrossAttentionConfig): "One-way cross-attention: words attend to patches (ALBEF, Li et al. 2021)",
        "mid-merged" => MidMerged(MergedAttention, MergedAttentionConfig): "Merged attention: one stream over the tokens of both towers (METER, Dou et al. 2022)",
        "mid-bottleneck" => MidBottleneck(Bottleneck, BottleneckConfig): "Two streams that meet in a few bottleneck tokens (MBT, Nagrani et al. 2021)",
        "mid-film" => MidFilm(Film, FilmConfig): "The text scales and shifts the channels of the patches (FiLM, Perez et al. 2018)",
        "mid-gated" => MidGated(GatedCrossAttention, GatedCrossAttentionConfig): "Gated cross-attention of words to a resampled image (Flamingo, Alayrac et al. 2022)",
        "mid-qformer" => MidQFormer(QFormer, QFormerConfig): "Learned queries that read words and patches (Q-Former of BLIP-2, Li et al. 2023)",
    }
    Late {
        "late" => Late(Concatenation, ConcatenationConfig): "Concatenation: the pooled vectors and their product, through a layer",
        "late-average" => LateAverage(Average, AverageConfig): "The mean of the pooled vectors",
        "late-weighted" => LateWeighted(WeightedSum, WeightedSumConfig): "Attention-weighted sum of the pooled vectors (Bahdanau et al. 2015)",
        "late-gated" => LateGated(GatedSum, GatedSumConfig): "Gated sum of the pooled vectors (GMU, Arevalo et al. 2017)",
        "late-mutan" => LateMutan(Mutan, MutanConfig): "Bilinear with a Tucker core of low rank (MUTAN, Ben-younes et al. 2017)",
        "late-mfb" => LateMfb(FactorizedBilinear, FactorizedBilinearConfig): "Bilinear, factorized and sum-pooled (MFB, Yu et al. 2017)",
        "late-tensor" => LateTensor(TensorFusion, TensorFusionConfig): "Outer product of the pooled vectors (TFN, Zadeh et al. 2017)",
        "late-low-rank" => LateLowRank(LowRank, LowRankConfig): "Outer product with weights of low rank (LMF, Liu et al. 2018)",
        "decision-average" => DecisionAverage(LogitAverage, LogitAverageConfig): "Decision level: each modality decides, their logits are averaged",
        "decision-product" => DecisionProduct(ProductOfExperts, ProductOfExpertsConfig): "Decision level: product of experts (Hinton 2002)",
    }
}

impl FusionConfig {
    /// The strategies' names, as configurations spell them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        STRATEGIES.iter().map(|described| described.name)
    }
}

#[cfg(test)]
mod tests;
