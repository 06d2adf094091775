use burn::tensor::{Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a text is read that is read at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextEnd {
    /// At the first token of that id (CLIP); at the first of all where there is none.
    Token(u32),
    /// At the first token of the highest id, which ends the texts of OpenAI's CLIP (Radford et al. 2021) and of
    /// open_clip.
    HighestId,
    /// At the last place. Texts are filled up to the longest, and what fills them is read like any token: no padding is
    /// hidden (SigLIP, Zhai et al. 2023).
    LastPlace,
}

impl TextEnd {
    /// The states at the ends.
    ///
    /// # Shapes
    /// - `tokens`: `[batch, length, d_model]`, of `ids`: `[batch, length]`
    /// - output: `[batch, d_model]`
    pub fn forward(self, tokens: Tensor<3>, ids: Tensor<2, Int>) -> Tensor<2> {
        let [batch, length, d_model] = tokens.dims();
        let ends = match self {
            Self::Token(id) => ids.equal_elem(id),
            Self::HighestId => ids.clone().equal(ids.max_dim(1).expand([batch, length])),
            Self::LastPlace => return tokens.narrow(1, length - 1, 1).squeeze_dim(1),
        };
        // The least place and no argmax: which of equal elements that finds is the backend's choice.
        let places = Tensor::<1, Int>::arange(0..length as i64, &ends.device());
        let places = places.unsqueeze::<2>().expand([batch, length]);
        let place = places.mask_fill(ends.bool_not(), length as i64).min_dim(1);
        let none = place.clone().equal_elem(length as i64);
        let place = place.mask_fill(none, 0).unsqueeze_dim::<3>(2);
        let rows = tokens.gather(1, place.expand([batch, 1, d_model]));
        rows.squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, difference, values};

    #[test]
    fn texts_are_read_at_their_ends() {
        let tokens = values([3, 4, 5], 1, &device());
        // Ends as padding, an end that is not the highest, no end.
        let ids = [[5i32, 7, 7, 7], [7, 9, 1, 2], [1, 2, 3, 4]];
        let ids = Tensor::<2, Int>::from_data(ids, &device());
        for (end, places) in [
            (TextEnd::Token(7), [1, 0, 0]),
            (TextEnd::HighestId, [1, 1, 3]),
            (TextEnd::LastPlace, [3, 3, 3]),
        ] {
            let found = end.forward(tokens.clone(), ids.clone());
            for (row, place) in places.into_iter().enumerate() {
                let expected = tokens.clone().narrow(0, row, 1).narrow(1, place, 1);
                let found = found.clone().narrow(0, row, 1).reshape([1, 1, 5]);
                assert_eq!(difference(found, expected), 0.0, "{end:?} of row {row}");
            }
        }
    }
}
