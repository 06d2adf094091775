//! The exact gradient of a loss over a large batch, in the memory of a small one.

use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Distribution, Tensor};

/// Gradients of a loss that compares all rows of a batch, where activations of one chunk at a time are held (gradient
/// cache, Gao et al. 2021, section 3). All chunks are embedded without a tape; the loss over all embeddings gives the
/// gradient of each; then each chunk is embedded a second time, with a tape, and its gradient sent back. Time is that
/// of one more forward pass. Numbers that the model draws, for dropout, are the same both times.
///
/// `embed(model, i)` embeds chunk `i` as `N` tensors of its rows. `loss(all, rows)` is what `rows`, those of a chunk,
/// add to the loss, and whatever else is to be known of them; parameters of `model` that it uses get their gradients
/// too. Returned are the gradients, the loss, and what was said of each chunk.
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
    loss: impl Fn([Tensor<2>; N], Range<usize>) -> (Tensor<1>, T),
) -> (GradientsParams, Tensor<1>, Vec<T>) {
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
            .for_each(|(part, rows)| part.push(rows.inner()));
    }
    drop(still);
    let ends = parts[0].iter().scan(0, |end, part| {
        let start = *end;
        *end += part.dims()[0];
        Some(start..*end)
    });
    let ranges: Vec<Range<usize>> = ends.collect();
    let all = parts.map(|part| Tensor::cat(part, 0));

    let mut sum = GradientsAccumulator::new();
    let (mut value, mut said) = (None::<Tensor<1>>, Vec::with_capacity(chunks));
    let mut above = all.clone().map(|all| all.zeros_like());
    for rows in &ranges {
        let leaves = all.clone().map(|all| all.autodiff().require_grad());
        let (part, more) = loss(leaves.clone(), rows.clone());
        let mut gradients = part.backward();
        for (above, leaf) in above.iter_mut().zip(leaves) {
            if let Some(gradient) = leaf.grad_remove(&mut gradients) {
                *above = above.clone() + gradient;
            }
        }
        sum.accumulate(model, GradientsParams::from_grads(gradients, model));
        let part = part.inner();
        value = Some(value.map_or(part.clone(), |value| value + part));
        said.push(more);
    }
    drop(all);

    for (chunk, rows) in ranges.into_iter().enumerate() {
        seed(chunk);
        let embedded = embed(model, chunk).into_iter().zip(&above);
        let surrogate = embedded.map(|(embedded, above)| {
            let above = above.clone().narrow(0, rows.start, rows.len());
            (embedded * above.autodiff()).sum()
        });
        if let Some(surrogate) = surrogate.reduce(|a, b| a + b) {
            let gradients = surrogate.backward();
            sum.accumulate(model, GradientsParams::from_grads(gradients, model));
        }
    }
    let value = value.unwrap_or_else(|| panic!("no chunks"));
    (sum.grads(), value, said)
}

/// A parameter is drawn when it is first used, and is then without a gradient in all clones if that was in one without.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}
