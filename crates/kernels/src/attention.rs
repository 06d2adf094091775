use burn::backend::Dispatch;
use burn::tensor::{Bool, Tensor};

use crate::dropout::Dropout;
use crate::fused::{Bools, Fused, Scores};
use crate::route::is_fused;
use crate::{dropout, flops, softmax};

/// What a masked score becomes: far below any real score, yet finite in every float type, so that a row
/// with nothing to attend to averages over its keys and gives no NaN.
pub(crate) const MASKED: f64 = -1e4;

/// How [`attention`] weighs its values.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// The width of queries, keys and values is cut into so many heads.
    pub heads: usize,
    /// Keys that a query may not attend to, `true` = hidden: `[batch or 1, 1, queries or 1, keys]`.
    pub hidden: Option<Tensor<4, Bool>>,
    /// Hides from each position all that come after it; the last query stands beside the last key.
    pub causal: bool,
    /// Chance that a weight is dropped, the others scaled up for it; 0 outside of training.
    pub dropout: f64,
}

impl Attention {
    /// Without mask and dropout.
    pub fn new(heads: usize) -> Self {
        Self {
            heads,
            ..Self::default()
        }
    }
}

/// Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2) between projected queries,
/// keys and values whose heads lie side by side.
///
/// Where it is fused, scores exist for a block of queries at a time: memory grows with the length of the
/// sequence and not with its square (Dao et al. 2022).
///
/// # Shapes
/// - `query` and output: `[batch, queries, width]`
/// - `key`, `value`: `[batch, keys, width]`
///
/// # Panics
/// When the shapes do not fit or `heads` does not divide the width.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    options: Attention,
) -> Tensor<3> {
    let ([batch, queries, width], [_, keys, _]) = (query.dims(), key.dims());
    let heads = options.heads;
    assert!(
        heads > 0 && width.is_multiple_of(heads),
        "a width of {width} must be a multiple of heads ({heads})"
    );
    for side in [&key, &value] {
        assert_eq!(side.dims(), [batch, keys, width], "keys and values");
    }
    if let Some(hidden) = &options.hidden {
        let dims = hidden.dims();
        let fits = [batch, 1, queries, keys];
        let fit = (0..4).all(|i| dims[i] == fits[i] || (dims[i] == 1 && i < 3));
        assert!(fit, "a mask of {dims:?} for scores of {fits:?}");
    }
    flops::record(2 * flops::dense(batch * queries, width, keys));
    if !is_fused(&query) {
        return composed(query, key, value, options);
    }
    let scores = Scores {
        heads,
        causal: options.causal,
        dropout: Dropout::draw(options.dropout, &query),
    };
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    let hidden = Bools::new(options.hidden.map(Tensor::into_dispatch));
    Tensor::from_dispatch(Dispatch::attention(query, key, value, hidden, scores))
}

/// [`attention`], composed.
pub fn composed(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    options: Attention,
) -> Tensor<3> {
    let [batch, queries, width] = query.dims();
    let [_, keys, _] = key.dims();
    let heads = options.heads;
    // To [batch, heads, length, width / heads]; the scale goes into the smallest tensor it can go into.
    let split = |x: Tensor<3>, length| {
        x.reshape([batch, length, heads, width / heads])
            .swap_dims(1, 2)
    };
    let scale = ((width / heads) as f64).powf(-0.5);
    let query = split(query * scale, queries);
    let (key, value) = (split(key, keys), split(value, keys));

    let shape = [batch, heads, queries, keys];
    let mut scores = query.matmul(key.swap_dims(2, 3));
    if let Some(hidden) = options.hidden {
        scores = scores.mask_fill(hidden.expand(shape), MASKED);
    }
    if options.causal {
        let past = keys as i64 - queries as i64;
        let future = Tensor::<2, Bool>::tril_mask([queries, keys], past, &scores.device());
        scores = scores.mask_fill(future.unsqueeze::<4>().expand(shape), MASKED);
    }
    let weights = dropout::composed(softmax::composed(scores), options.dropout);
    weights
        .matmul(value)
        .swap_dims(1, 2)
        .reshape([batch, queries, width])
}
