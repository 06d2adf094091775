use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MultiHeadAttention;
use super::linformer::{LinearAttentionConfig, Linformer};
use super::lsh::{Lsh, LshAttentionConfig};
use super::window::{Window, WindowAttentionConfig};
use crate::ConfigError;

/// Which keys the queries of self-attention are compared with.
///
/// All but [`Full`](Self::Full) are for encoders of long sequences: time and memory grow with the length and not with
/// its square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "pattern", rename_all = "kebab-case")]
pub enum AttentionPattern {
    /// Each with all (Vaswani et al. 2017).
    #[default]
    Full,
    /// Each with its neighbours, the first few with all (Longformer).
    Window(WindowAttentionConfig),
    /// Each with a fixed number of sums over the sequence (Linformer).
    Linear(LinearAttentionConfig),
    /// Each with those of like direction (Reformer).
    Lsh(LshAttentionConfig),
}

impl AttentionPattern {
    /// The patterns' names, as configurations spell them.
    pub const NAMES: [&str; 4] = ["full", "window", "linear", "lsh"];

    /// The pattern of that name for sequences of up to `max_length` tokens, each token compared with about a quarter
    /// of them.
    pub fn named(name: &str, max_length: usize) -> Option<Self> {
        let part = |parts: usize| (max_length / parts).max(1);
        Some(match name {
            "full" => Self::Full,
            "window" => Self::Window(WindowAttentionConfig {
                window: part(8),
                global: 1,
            }),
            "linear" => Self::Linear(LinearAttentionConfig {
                projected: part(4),
                max_length,
                shared: false,
            }),
            "lsh" => Self::Lsh(LshAttentionConfig {
                buckets: 16,
                rounds: 2,
                chunk: part(16),
                seed: 0,
            }),
            _ => return None,
        })
    }

    /// Whether the sizes fit together.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Full => Ok(()),
            Self::Window(config) => config.check(),
            Self::Linear(config) => config.check(),
            Self::Lsh(config) => config.check(),
        }
    }

    /// Whether sequences of up to `length` tokens fit.
    ///
    /// # Errors
    /// The field that bounds them.
    pub fn check_length(&self, length: usize) -> Result<(), ConfigError> {
        match self {
            Self::Linear(config) => config.check_length(length),
            Self::Full | Self::Window(_) | Self::Lsh(_) => Ok(()),
        }
    }

    /// What the pattern has beyond full attention, with fresh weights; nothing for full attention itself.
    pub(super) fn init(&self, d_model: usize, heads: usize, device: &Device) -> Option<Pattern> {
        match self {
            Self::Full => None,
            Self::Window(config) => Some(Pattern::Window(config.init(d_model, device))),
            Self::Linear(config) => Some(Pattern::Linear(config.init(device))),
            Self::Lsh(config) => Some(Pattern::Lsh(config.init(d_model / heads, heads, device))),
        }
    }

    /// Whether the queries are the keys too, so that there is no projection to keys.
    pub(super) fn shares_queries_and_keys(&self) -> bool {
        matches!(self, Self::Lsh(_))
    }
}

/// A pattern other than full attention, with what it has beyond that.
#[derive(Module, Debug)]
pub enum Pattern {
    /// See [`WindowAttentionConfig`].
    Window(Window),
    /// See [`LinearAttentionConfig`].
    Linear(Linformer),
    /// See [`LshAttentionConfig`].
    Lsh(Lsh),
}

impl Pattern {
    /// The heads' outputs side by side, before the layer's last projection.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, length, d_model]`; `padding`: `[batch, length]`
    pub fn forward(
        &self,
        layer: &MultiHeadAttention,
        x: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        match self {
            Self::Window(window) => window.forward(layer, x, padding),
            Self::Linear(linformer) => linformer.forward(layer, x, padding),
            Self::Lsh(lsh) => lsh.forward(layer, x, padding),
        }
    }
}
