use burn::tensor::{Bool, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a sequence of tokens becomes one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The first token, `[CLS]`.
    #[default]
    Cls,
    /// The mean over all tokens that are not padding.
    Mean,
    /// The maximum of each channel over all tokens that are not padding: finds the small object that a
    /// mean drowns in background.
    Max,
}

impl Pooling {
    /// A row of nothing but padding has mean zero, and a maximum far below any activation.
    ///
    /// # Shapes
    /// - `tokens`: `[batch, length, d_model]`
    /// - `padding`: `[batch, length]`, `true` = padding
    /// - output: `[batch, d_model]`
    pub fn forward(self, tokens: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        match (self, padding) {
            (Self::Cls, _) => tokens.narrow(1, 0, 1).squeeze_dim(1),
            (Self::Mean, None) => tokens.mean_dim(1).squeeze_dim(1),
            (Self::Max, None) => tokens.max_dim(1).squeeze_dim(1),
            (Self::Max, Some(padding)) => {
                let hidden = padding.clone().unsqueeze_dim::<3>(2).expand(tokens.dims());
                tokens.mask_fill(hidden, -1e4).max_dim(1).squeeze_dim(1)
            }
            (Self::Mean, Some(padding)) => {
                let shape = tokens.dims();
                let hidden = padding.clone().unsqueeze_dim::<3>(2).expand(shape);
                let count = padding.clone().bool_not().float().sum_dim(1).clamp_min(1.0);
                tokens.mask_fill(hidden, 0.0).sum_dim(1).squeeze_dim(1) / count
            }
        }
    }
}
