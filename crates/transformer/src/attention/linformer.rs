use burn::module::{Initializer, Module, Param};
use burn::tensor::{Bool, Device, Tensor};
use crucible_kernels::{attention, matmul};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MultiHeadAttention;
use crate::ConfigError;

/// Linear attention (Linformer, Wang et al. 2020, section 4): keys and values are projected along the length, from as
/// many as there are tokens to a fixed number.
///
/// All heads of a layer share the projections ("headwise sharing" there).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinearAttentionConfig {
    /// Keys and values that are left after the projection.
    pub projected: usize,
    /// Longest sequence, in tokens: the projections have a weight for each position.
    pub max_length: usize,
    /// One projection for keys and values instead of one each.
    pub shared: bool,
}

impl LinearAttentionConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let (projected, max_length) = (self.projected, self.max_length);
        ConfigError::unless(max_length > 0, "attention.max_length", || {
            "must be at least 1".into()
        })?;
        let fits = (1..=max_length).contains(&projected);
        ConfigError::unless(fits, "attention.projected", || {
            format!("is {projected}, but must lie between 1 and max_length ({max_length})")
        })
    }

    pub(super) fn check_length(&self, length: usize) -> Result<(), ConfigError> {
        let max_length = self.max_length;
        ConfigError::unless(length <= max_length, "attention.max_length", || {
            format!("is {max_length}, but sequences have up to {length} tokens")
        })
    }

    pub(super) fn init(&self, device: &Device) -> Linformer {
        let projection = || {
            let (from, to) = (self.max_length, self.projected);
            let xavier = Initializer::XavierUniform { gain: 1.0 };
            xavier.init_with([to, from], Some(from), Some(to), device)
        };
        Linformer {
            key: projection(),
            value: (!self.shared).then(projection),
        }
    }
}

/// The projections along the length.
#[derive(Module, Debug)]
pub struct Linformer {
    /// E of the paper, `[projected, max_length]`.
    key: Param<Tensor<2>>,
    /// F of the paper, `[projected, max_length]`; E where there is none.
    value: Option<Param<Tensor<2>>>,
}

impl Linformer {
    /// The longest sequence.
    pub(super) fn max_length(&self) -> usize {
        let [_, longest] = self.key.dims();
        longest
    }

    /// Equation 7. A shorter sequence meets the weights of its positions; padding is zero before it is projected.
    ///
    /// # Panics
    /// When `x` is longer than the longest sequence.
    pub fn forward(
        &self,
        layer: &MultiHeadAttention,
        x: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let shape @ [_, length, _] = x.dims();
        let longest = self.max_length();
        assert!(
            length <= longest,
            "a sequence of {length} tokens for linear attention over at most {longest}"
        );
        let padding = padding.map(|padding| padding.unsqueeze_dim::<3>(2).expand(shape));
        let shorten = |x: Tensor<3>, by: &Param<Tensor<2>>| {
            let x = match &padding {
                Some(padding) => x.mask_fill(padding.clone(), 0.0),
                None => x,
            };
            let by = by.val().narrow(1, 0, length).unsqueeze::<3>();
            matmul(by, x)
        };
        let [query, key, value] = layer.projections(x);
        let key = shorten(key, &self.key);
        let value = shorten(value, self.value.as_ref().unwrap_or(&self.key));
        let weighs = layer.weighs(&query, None);
        attention(query, key, value, weighs)
    }
}
