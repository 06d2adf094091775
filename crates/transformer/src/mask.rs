use burn::tensor::{Bool, Tensor};

/// Which keys a query may not attend to.
///
/// Made once for a forward pass and shared by all its layers. Without a mask, attention does no mask
/// work at all, so callers keep an `Option<AttentionMask>`.
#[derive(Clone, Debug)]
pub struct AttentionMask {
    /// `true` hides a key: `[batch or 1, 1, queries or 1, keys]`, spread over batch, heads and queries.
    hidden: Option<Tensor<4, Bool>>,
    /// Hides the future as well.
    causal: bool,
}

impl AttentionMask {
    /// Hides the padded keys from every query.
    ///
    /// # Shapes
    /// - `padding`: `[batch, keys]`, `true` = padding
    pub fn padding(padding: Tensor<2, Bool>) -> Self {
        let [batch, keys] = padding.dims();
        Self {
            hidden: Some(padding.reshape([batch, 1, 1, keys])),
            causal: false,
        }
    }

    /// Hides from each query keys of its own, as language models of a prefix or of a permutation do.
    ///
    /// # Shapes
    /// - `hidden`: `[batch, queries, keys]`, `true` = may not be attended to
    pub fn pairs(hidden: Tensor<3, Bool>) -> Self {
        Self {
            hidden: Some(hidden.unsqueeze_dim(1)),
            causal: false,
        }
    }

    /// Hides from each position all that come after it.
    pub fn causal() -> Self {
        Self {
            hidden: None,
            causal: true,
        }
    }

    /// Hides what either mask hides.
    ///
    /// # Panics
    /// When the two are for different batches, queries or keys.
    pub fn or(self, other: Self) -> Self {
        let hidden = match (self.hidden, other.hidden) {
            (Some(a), Some(b)) => {
                let [of_a, of_b] = [a.dims(), b.dims()];
                let both: [usize; 4] = std::array::from_fn(|i| of_a[i].max(of_b[i]));
                Some(a.expand(both).bool_or(b.expand(both)))
            }
            (hidden, None) | (None, hidden) => hidden,
        };
        Self {
            hidden,
            causal: self.causal || other.causal,
        }
    }

    pub(crate) fn hidden(&self) -> Option<Tensor<4, Bool>> {
        self.hidden.clone()
    }

    /// The keys that are hidden from all queries of the sequences `x`, which have no others than those in an encoder.
    ///
    /// # Shapes
    /// - `x`: `[batch, keys, width]`; output: `[batch, keys]`
    pub(crate) fn hidden_keys(&self, x: &Tensor<3>) -> Option<Tensor<2, Bool>> {
        let [batch, keys, _] = x.dims();
        let hidden = self.hidden.clone()?;
        Some(hidden.expand([batch, 1, 1, keys]).reshape([batch, keys]))
    }

    pub(crate) fn is_causal(&self) -> bool {
        self.causal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::device;
    use burn::tensor::TensorData;

    #[test]
    fn or_hides_what_either_hides() {
        let mask = |rows: [[bool; 3]; 2]| {
            AttentionMask::padding(Tensor::from_data(TensorData::from(rows), &device()))
        };
        let a = mask([[false, false, true], [false, false, false]]);
        let b = mask([[false, false, true], [true, false, false]]);
        let both = a.or(AttentionMask::causal()).or(b);
        assert!(both.is_causal());
        let expected = [[[[false, false, true]]], [[[true, false, false]]]];
        let hidden = both.hidden().unwrap().into_data();
        hidden.assert_eq(&TensorData::from(expected), true);
        let causal = AttentionMask::causal().or(AttentionMask::causal());
        assert!(causal.is_causal() && causal.hidden().is_none());
    }
}
