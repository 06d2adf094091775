//! What can be seen of trained vectors: how long they are, how far they moved, and which words they have come to lie near.

use burn::tensor::Tensor;

/// What is seen of one vector of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenVector {
    /// Its Euclidean norm.
    pub norm: f64,
    /// Euclidean distance from where it started.
    pub movement: f64,
    /// The rows of the words whose directions are most like its own, and their cosines, the most similar first (Lester et
    /// al. 2021, section 7).
    pub nearest: Vec<(usize, f64)>,
}

/// So many rows of the words at a time, for which there is a copy while norms are taken.
const ROWS: usize = 8192;

/// What is seen of each vector of a prompt.
///
/// # Shapes
/// - `vectors` and `start`, where each began: `[tokens, d_model]`
/// - `words`: `[vocabulary, d_model]`; none for vectors that stand among no words, which then are near to none
/// - output: `tokens`, each with its `nearest` words, or all where there are fewer
///
/// # Panics
/// When the shapes differ in more than the number of words.
pub fn seen(
    vectors: Tensor<2>,
    start: Tensor<2>,
    words: Option<Tensor<2>>,
    nearest: usize,
) -> Vec<SeenVector> {
    let [vectors, start] = [vectors, start].map(Tensor::detach);
    let norm = numbers(norms(vectors.clone()));
    let movement = numbers(norms(vectors.clone() - start));
    let cosines = match words {
        Some(words) => cosines(vectors, words.detach()),
        None => vec![Vec::new(); norm.len()],
    };
    let each = norm.into_iter().zip(movement).zip(cosines);
    let each = each.map(|((norm, movement), cosines)| SeenVector {
        norm,
        movement,
        nearest: highest(cosines, nearest),
    });
    each.collect()
}

/// The mean Euclidean norm of words, which that of a vector is beside.
///
/// # Shapes
/// - `words`: `[vocabulary, d_model]`, one row at least
pub fn mean_norm(words: Tensor<2>) -> f64 {
    let [vocabulary, _] = words.dims();
    let norms = chunks(words.detach()).map(|chunk| numbers(norms(chunk)).iter().sum::<f64>());
    norms.sum::<f64>() / vocabulary as f64
}

/// A few rows after the others.
fn chunks(words: Tensor<2>) -> impl Iterator<Item = Tensor<2>> {
    let [vocabulary, _] = words.dims();
    (0..vocabulary).step_by(ROWS).map(move |row| {
        let rows = ROWS.min(vocabulary - row);
        words.clone().narrow(0, row, rows)
    })
}

/// Of each vector, the cosines with all words.
fn cosines(vectors: Tensor<2>, words: Tensor<2>) -> Vec<Vec<f64>> {
    let [tokens, _] = vectors.dims();
    // A row of zeros, such as that of padding, has no direction: it is like nothing.
    let own = norms(vectors.clone()).clamp_min(f32::MIN_POSITIVE);
    let vectors = vectors / own;
    let mut cosines = vec![Vec::new(); tokens];
    for chunk in chunks(words) {
        let length = norms(chunk.clone()).clamp_min(f32::MIN_POSITIVE);
        let [rows, _] = chunk.dims();
        let products = vectors.clone().matmul(chunk.transpose()) / length.transpose();
        for (all, some) in cosines.iter_mut().zip(numbers(products).chunks(rows)) {
            all.extend_from_slice(some);
        }
    }
    cosines
}

/// The places of the highest values, the highest first; of equal ones the first.
fn highest(values: Vec<f64>, count: usize) -> Vec<(usize, f64)> {
    let mut placed: Vec<(usize, f64)> = values.into_iter().enumerate().collect();
    let before = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if (1..placed.len()).contains(&count) {
        placed.select_nth_unstable_by(count, before);
    }
    placed.truncate(count);
    placed.sort_by(before);
    placed
}

/// `[rows, columns]` to `[rows, 1]`.
fn norms(rows: Tensor<2>) -> Tensor<2> {
    rows.square().sum_dim(1).sqrt()
}

fn numbers(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::tensor;
    use crate::testing::{device, values};

    #[test]
    fn lengths_movements_and_the_nearest_words_are_told() {
        let vectors = tensor([[3.0, 4.0], [0.0, -2.0]], &device()).require_grad();
        let start = tensor([[3.0, 0.0], [0.0, -2.0]], &device());
        let words = [[1.0, 0.0], [0.0, 7.0], [6.0, 8.0], [0.0, 0.0], [0.0, -0.1]];
        let words = tensor(words, &device());
        let found = seen(vectors.clone(), start.clone(), Some(words.clone()), 2);
        let rounded = |nearest: &[(usize, f64)]| -> Vec<(usize, f64)> {
            let near = nearest.iter();
            near.map(|&(row, cosine)| (row, (cosine * 1e4).round() / 1e4))
                .collect()
        };
        assert_eq!([found[0].norm, found[0].movement], [5.0, 4.0]);
        assert_eq!(rounded(&found[0].nearest), [(2, 1.0), (1, 0.8)]);
        assert_eq!([found[1].norm, found[1].movement], [2.0, 0.0]);
        // Two that are like nothing: the first of them.
        assert_eq!(rounded(&found[1].nearest), [(4, 1.0), (0, 0.0)]);
        assert_eq!(
            seen(vectors.clone(), start.clone(), Some(words.clone()), 9)[0]
                .nearest
                .len(),
            5
        );
        assert_eq!(
            seen(vectors.clone(), start.clone(), Some(words.clone()), 0)[0].nearest,
            []
        );
        assert_eq!(seen(vectors, start, None, 2)[1].nearest, []);
        assert!((mean_norm(words) - 18.1 / 5.0).abs() < 1e-6);
    }

    #[test]
    fn many_words_are_as_few() {
        let count = 2 * ROWS + 7;
        let words: Tensor<2> = values([count, 6], 1, &device());
        let own = [ROWS - 1, ROWS, count - 1];
        let vectors = Tensor::cat(own.map(|row| words.clone().narrow(0, row, 1)).to_vec(), 0);
        for (seen, row) in seen(vectors.clone(), vectors, Some(words.clone()), 1)
            .iter()
            .zip(own)
        {
            assert_eq!(seen.nearest[0].0, row);
        }
        let each = (0..count).map(|row| mean_norm(words.clone().narrow(0, row, 1)));
        assert!((mean_norm(words.clone()) - each.sum::<f64>() / count as f64).abs() < 1e-9);
    }
}
