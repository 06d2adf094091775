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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, difference, values};
    use burn::tensor::TensorData;

    #[test]
    fn cls_is_the_first_token() {
        let tokens = values([2, 3, 4], 1, &device());
        let expected = tokens.clone().narrow(1, 0, 1).reshape([2, 4]);
        assert_eq!(
            difference(Pooling::Cls.forward(tokens, None), expected),
            0.0
        );
    }

    #[test]
    fn mean_leaves_padding_out() {
        let tokens = values([3, 3, 4], 1, &device());
        let padding = [[false, false, true], [false; 3], [true; 3]];
        let padding = Tensor::from_data(TensorData::from(padding), &device());
        let pooled = Pooling::Mean.forward(tokens.clone(), Some(&padding));
        let whole = Pooling::Mean.forward(tokens.clone(), None);
        let part = tokens
            .narrow(0, 0, 1)
            .narrow(1, 0, 2)
            .mean_dim(1)
            .reshape([1, 4]);
        assert!(difference(pooled.clone().narrow(0, 0, 1), part) < 1e-6);
        assert!(difference(pooled.clone().narrow(0, 1, 1), whole.narrow(0, 1, 1)) < 1e-6);
        assert_eq!(
            difference(pooled.narrow(0, 2, 1), Tensor::zeros([1, 4], &device())),
            0.0
        );
    }
}
