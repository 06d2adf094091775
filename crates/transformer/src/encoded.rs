use burn::tensor::{Bool, Tensor};

/// What an encoder makes of its input.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// One vector per token, `[batch, length, d_model]`.
    pub tokens: Tensor<3>,
    /// One vector for the whole input, `[batch, d_model]`.
    pub pooled: Tensor<2>,
    /// Which tokens are padding, `[batch, length]`, `true` = padding; `None` when none is.
    pub mask: Option<Tensor<2, Bool>>,
}
