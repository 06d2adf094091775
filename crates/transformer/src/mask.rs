use burn::tensor::{Bool, Device, Tensor};

/// What a masked score becomes: far below any real score, yet finite in every float type, so that a row
/// with nothing to attend to averages over its keys and gives no NaN.
const MASKED: f64 = -1e4;

/// Which keys a query may not attend to; `true` hides a key.
///
/// Made once for a forward pass and shared by all its layers. Without a mask, attention does no mask
/// work at all, so callers keep an `Option<AttentionMask>`.
///
/// # Shapes
/// - `[batch or 1, 1, queries or 1, keys]`, spread over batch, heads and queries where needed
#[derive(Clone, Debug)]
pub struct AttentionMask(Tensor<4, Bool>);

impl AttentionMask {
    /// Hides the padded keys from every query.
    ///
    /// # Shapes
    /// - `padding`: `[batch, keys]`, `true` = padding
    pub fn padding(padding: Tensor<2, Bool>) -> Self {
        let [batch, keys] = padding.dims();
        Self(padding.reshape([batch, 1, 1, keys]))
    }

    /// Hides from each position all that come after it.
    ///
    /// # Shapes
    /// - the mask: `[1, 1, length, length]`
    pub fn causal(length: usize, device: &Device) -> Self {
        Self(Tensor::<2, Bool>::tril_mask([length, length], 0, device).unsqueeze())
    }

    /// Hides what either mask hides.
    ///
    /// # Panics
    /// When the two are for different batches, queries or keys.
    pub fn or(self, other: Self) -> Self {
        let [a, b] = [self.0.dims(), other.0.dims()];
        let both: [usize; 4] = std::array::from_fn(|i| a[i].max(b[i]));
        Self(self.0.expand(both).bool_or(other.0.expand(both)))
    }

    /// # Shapes
    /// - `scores`: `[batch, heads, queries, keys]`
    pub(crate) fn apply(&self, scores: Tensor<4>) -> Tensor<4> {
        let shape = scores.dims();
        scores.mask_fill(self.0.clone().expand(shape), MASKED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn or_hides_the_padding_and_the_future() {
        let device = Device::flex();
        let padding = Tensor::from_data(
            TensorData::from([[false, false, true], [false, true, true]]),
            &device,
        );
        let mask = AttentionMask::causal(3, &device).or(AttentionMask::padding(padding));
        let expected = [
            [[
                [false, true, true],
                [false, false, true],
                [false, false, true],
            ]],
            [[
                [false, true, true],
                [false, true, true],
                [false, true, true],
            ]],
        ];
        mask.0
            .into_data()
            .assert_eq(&TensorData::from(expected), true);
    }
}
