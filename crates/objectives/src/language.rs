//! Language modelling: which tokens follow, or stood where one is hidden.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use crucible_kernels::cross_entropy;

/// The states at some positions: masked language models decode these and no others, which spares most of the product
/// with the vocabulary.
///
/// # Shapes
/// - `tokens`: `[batch, length, d]`; `positions`: `[chosen]`, each `row * length + column`
/// - output: `[chosen, d]`
pub fn at_positions(tokens: Tensor<3>, positions: Tensor<1, Int>) -> Tensor<2> {
    let [batch, length, d] = tokens.dims();
    tokens.reshape([batch * length, d]).select(0, positions)
}

/// Masked language modelling (BERT, Devlin et al. 2019, section 3.1): cross-entropy at the hidden positions; 0 where
/// nothing is hidden.
///
/// # Shapes
/// - `logits`: `[chosen, vocabulary]`; `targets`: `[chosen]`; output: `[1]`
pub fn masked_language(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    match targets.dims() {
        // The mean of nothing is no number, the sum is.
        [0] => logits.sum(),
        _ => cross_entropy(logits, targets, 0.0),
    }
}

/// Causal language modelling (GPT, Radford et al. 2018): each position guesses the token after it. PrefixLM (Raffel et
/// al. 2020, section 3.2.3) is the same with `from` the lengths of the prefixes, which are read and not guessed; its
/// attention has the mask [`prefix_mask`]. Captioning (CoCa, Yu et al. 2022, section 3.2) is the same too, with logits of
/// a decoder that reads an image.
///
/// # Shapes
/// - `logits`: `[batch, length, vocabulary]`; `ids`: `[batch, length]`
/// - `padding`: `[batch, length]`, `true` = padding, never guessed; `from`: for each row the first position to guess
/// - output: `[1]`; NaN when nothing is to be guessed
pub fn next_token(
    logits: Tensor<3>,
    ids: Tensor<2, Int>,
    padding: Option<Tensor<2, Bool>>,
    from: Option<&[usize]>,
) -> Tensor<1> {
    let [batch, length, _] = logits.dims();
    let device = logits.device();
    let skipped: Vec<bool> = match padding {
        Some(padding) => padding.into_data().iter().collect(),
        None => vec![false; batch * length],
    };
    let guessed = (0..batch * length).filter(|&at| {
        let (row, column) = (at / length, at % length);
        column >= from.map_or(1, |from| from[row].max(1)) && !skipped[at]
    });
    let guessed: Vec<i32> = guessed.map(|at| at as i32).collect();
    let count = guessed.len();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(guessed, [count]), &device);
    // What guesses a token stands one place before it.
    let logits = at_positions(logits, targets.clone() - 1);
    let targets = ids.reshape([batch * length]).select(0, targets);
    cross_entropy(logits, targets, 0.0)
}

/// Attention of a PrefixLM: everything of the prefix is seen from everywhere, what follows only from later on.
///
/// # Shapes
/// - output: `[batch, length, length]`, query by key, `true` = may not be attended to
pub fn prefix_mask(prefixes: &[usize], length: usize, device: &Device) -> Tensor<3, Bool> {
    let hidden = prefixes.iter().flat_map(|&prefix| {
        (0..length).flat_map(move |query| (0..length).map(move |key| key > query && key >= prefix))
    });
    let hidden: Vec<bool> = hidden.collect();
    Tensor::from_data(
        TensorData::new(hidden, [prefixes.len(), length, length]),
        device,
    )
}

/// Attention of a permutation language model (XLNet, Yang et al. 2019, section 2.3) whose tokens are guessed in the
/// order `orders[row]`: a position of the content stream sees itself and what came before it in that order, one of the
/// query stream only what came before.
///
/// # Shapes
/// - each order: a permutation of `0..length`
/// - output: content and query mask, each `[batch, length, length]`, query by key, `true` = may not be attended to
pub fn permutation_masks(orders: &[Vec<usize>], device: &Device) -> [Tensor<3, Bool>; 2] {
    let length = orders.first().map_or(0, Vec::len);
    [true, false].map(|sees_itself| {
        let mut hidden = vec![true; orders.len() * length * length];
        for (row, order) in orders.iter().enumerate() {
            for (turn, &query) in order.iter().enumerate() {
                let seen = &order[..turn + usize::from(sees_itself)];
                for &key in seen {
                    hidden[(row * length + query) * length + key] = false;
                }
            }
        }
        Tensor::from_data(
            TensorData::new(hidden, [orders.len(), length, length]),
            device,
        )
    })
}

/// Whether the second of two texts follows the first, in the order they are given (NSP: BERT, section 3.1; SOP: ALBERT,
/// Lan et al. 2020, section 3.1, where the wrong order is the same two texts swapped).
///
/// # Shapes
/// - `logits`: `[pairs, 2]`; `follows`: `[pairs]`, 1 when it does; output: `[1]`
pub fn sentence_pair(logits: Tensor<2>, follows: Tensor<1, Int>) -> Tensor<1> {
    cross_entropy(logits, follows, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, difference, number, values};

    #[test]
    fn only_the_hidden_positions_are_taken() {
        let tokens = values([2, 3, 4], 1);
        let positions = Tensor::<1, Int>::from_ints([5, 1], &device());
        let found = at_positions(tokens.clone(), positions);
        let expected = Tensor::cat(
            vec![
                tokens.clone().slice([1..2, 2..3, 0..4]),
                tokens.slice([0..1, 1..2, 0..4]),
            ],
            1,
        );
        assert_eq!(difference(found, expected.reshape([2, 4])), 0.0);
    }

    /// A model that names the next token for certain costs nothing; padding and prefixes do not count.
    #[test]
    fn the_next_token_is_guessed_and_neither_padding_nor_prefix() {
        let ids = Tensor::<2, Int>::from_ints([[2, 0, 1, 2], [1, 1, 0, 0]], &device());
        let next = |ids: [[usize; 4]; 2]| {
            let mut logits = vec![0f32; 2 * 4 * 3];
            for (row, ids) in ids.iter().enumerate() {
                for (at, id) in ids.iter().enumerate() {
                    logits[(row * 4 + at) * 3 + id] = 30.0;
                }
            }
            Tensor::<3>::from_data(TensorData::new(logits, [2, 4, 3]), &device())
        };
        let right = next([[0, 1, 2, 0], [1, 0, 0, 0]]);
        assert!(number(next_token(right, ids.clone(), None, None)) < 1e-6);
        // Wrong at the end of the second row alone.
        let wrong = next([[0, 1, 2, 0], [1, 0, 1, 0]]);
        assert!(number(next_token(wrong.clone(), ids.clone(), None, None)) > 1.0);
        let padding = [[false; 4], [false, false, false, true]];
        let padding = Tensor::<2, Bool>::from_data(TensorData::from(padding), &device());
        assert!(number(next_token(wrong, ids.clone(), Some(padding), None)) < 1e-6);
        let wrong = next([[1, 1, 2, 0], [0, 0, 0, 0]]);
        assert!(number(next_token(wrong.clone(), ids.clone(), None, Some(&[2, 2]))) < 1e-6);
        assert!(number(next_token(wrong, ids, None, Some(&[1, 2]))) > 1.0);
    }

    #[test]
    fn a_prefix_sees_itself_whole() {
        let mask = prefix_mask(&[2, 0], 3, &device()).into_data();
        let (x, o) = (true, false);
        mask.assert_eq(
            &TensorData::from([
                [[o, o, x], [o, o, x], [o, o, o]],
                [[o, x, x], [o, o, x], [o, o, o]],
            ]),
            true,
        );
    }

    #[test]
    fn a_permutation_sees_what_came_before_it() {
        let [content, query] = permutation_masks(&[vec![2, 0, 1]], &device());
        let (x, o) = (true, false);
        let expected = [[[o, x, o], [o, o, o], [x, x, o]]];
        content
            .into_data()
            .assert_eq(&TensorData::from(expected), true);
        let expected = [[[x, x, o], [o, x, o], [x, x, x]]];
        query
            .into_data()
            .assert_eq(&TensorData::from(expected), true);
    }
}
