//! The exact gradient of a loss over a large batch, in the memory of a small one.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Distribution, Tensor};

/// Gradients of a loss that compares all rows of a batch, where activations of one chunk at a time are held (gradient
/// cache, Gao et al. 2021, section 3). All chunks are embedded without a tape; the loss over all embeddings gives the
/// gradient of each; then each chunk is embedded a second time, with a tape, and its gradient sent back. Time is that
/// of one more forward pass. Numbers that the model draws, for dropout, are the same both times.
///
/// `embed(model, i)` embeds chunk `i` as `N` tensors of its rows. `loss` sees the chunks one after the other, and
/// returns the loss first; whatever parameters it uses of `model` get their gradients too.
///
/// # Shapes
/// - what `embed` returns: `[rows of the chunk, d]`; what `loss` gets: `[rows of all chunks, d]`
///
/// # Panics
/// Without a chunk.
pub fn chunked<M: Module, T, const N: usize>(
    model: &M,
    chunks: usize,
    embed: impl Fn(&M, usize) -> [Tensor<2>; N],
    loss: impl FnOnce([Tensor<2>; N]) -> (Tensor<1>, T),
) -> (GradientsParams, Tensor<1>, T) {
    let device = model
        .devices()
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("a model without parameters has no gradients"));
    let first: f32 =
        Tensor::<1>::random([1], Distribution::Uniform(0.0, 1.0), &device).into_scalar();
    let seed = |chunk: usize| device.seed(u64::from(first.to_bits()) << 32 | chunk as u64);

    model.visit(&mut Draw);
    let still = model.clone().no_grad();
    let mut parts: [Vec<Tensor<2>>; N] = std::array::from_fn(|_| Vec::with_capacity(chunks));
    for chunk in 0..chunks {
        seed(chunk);
        let embedded = embed(&still, chunk);
        parts
            .iter_mut()
            .zip(embedded)
            .for_each(|(part, rows)| part.push(rows.detach()));
    }
    drop(still);
    let rows: Vec<usize> = parts[0].iter().map(|part| part.dims()[0]).collect();
    let leaves = parts.map(|part| Tensor::cat(part, 0).require_grad());
    let (value, rest) = loss(leaves.clone());
    let mut gradients = value.backward();
    let above = leaves.map(|leaf| leaf.grad_remove(&mut gradients));

    let mut sum = GradientsAccumulator::new();
    sum.accumulate(model, GradientsParams::from_grads(gradients, model));
    let mut start = 0;
    for (chunk, rows) in rows.into_iter().enumerate() {
        seed(chunk);
        let embedded = embed(model, chunk).into_iter().zip(&above);
        let surrogate = embedded.filter_map(|(embedded, above)| {
            let above = above.clone()?.narrow(0, start, rows);
            Some((embedded * above.autodiff()).sum())
        });
        if let Some(surrogate) = surrogate.reduce(|a, b| a + b) {
            let gradients = surrogate.backward();
            sum.accumulate(model, GradientsParams::from_grads(gradients, model));
        }
        start += rows;
    }
    (sum.grads(), value, rest)
}

/// A parameter is drawn when it is first used, and is then without a gradient in all clones if that was in one without.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}
