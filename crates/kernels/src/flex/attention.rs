use std::ops::Range;

use burn::backend::tensor::BoolTensor;
use burn::backend::{Flex, TensorMetadata};
use pulp::{Arch, Simd};

use super::dropout::Dropped;
use super::gemm::{Target, View, gemm};
use super::math::exp;
use super::parallel::{Parts, each};
use super::tensor::{contiguous, room, tensor, values};
use super::{Float, lanes};
use crate::attention::MASKED;
use crate::fused::Scores;

/// Scores that exist at a time, on each thread: what stays in its cache.
const SCORES: usize = 1 << 17;
/// Keys at a time, so that there is room for the scores of enough queries.
const KEYS: usize = 512;

/// Sizes, mask and dropout of one call.
struct Plan {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    head: usize,
    scale: f32,
    scores: Scores,
    hidden: Option<Mask>,
}

/// `true` hides a key; strides of batch, queries and keys.
struct Mask {
    values: BoolTensor<Flex>,
    strides: [usize; 3],
}

impl Plan {
    fn new([query, key, _]: &[Float; 3], hidden: Option<BoolTensor<Flex>>, scores: Scores) -> Self {
        let (shape, keys) = (query.shape(), key.shape()[1]);
        let (width, head) = (shape[2], shape[2] / scores.heads);
        let hidden = hidden.map(|hidden| {
            let values = hidden.to_contiguous();
            let [batch, _, queries, keys] = values.shape().dims();
            let stride = |length: usize, stride| if length == 1 { 0 } else { stride };
            let strides = [stride(batch, queries * keys), stride(queries, keys), 1];
            Mask { values, strides }
        });
        Self {
            batch: shape[0],
            heads: scores.heads,
            queries: shape[1],
            keys,
            width,
            head,
            scale: (head as f32).sqrt().recip(),
            scores,
            hidden,
        }
    }

    /// Calls `f` for each head of each sample.
    fn each_head(&self, f: impl Fn(Head<'_>) + Send + Sync) {
        each(self.batch * self.heads, |number| {
            f(Head {
                plan: self,
                number,
                sample: number / self.heads,
                head: number % self.heads,
            });
        });
    }

    /// Queries and keys at a time.
    fn tile(&self) -> [usize; 2] {
        let keys = self.keys.clamp(1, KEYS);
        [self.queries.min(SCORES / keys), keys]
    }
}

/// One head of one sample.
struct Head<'a> {
    plan: &'a Plan,
    number: usize,
    sample: usize,
    head: usize,
}

impl Head<'_> {
    /// Where rows of queries (or keys, among `length`) of this head begin.
    fn offset(&self, length: usize, row: usize) -> usize {
        (self.sample * length + row) * self.plan.width + self.head * self.plan.head
    }

    /// A row of this head.
    fn row(&self, length: usize, row: usize) -> Range<usize> {
        let start = self.offset(length, row);
        start..start + self.plan.head
    }

    /// Rows of a `[batch, length, width]` tensor.
    fn view<'v>(&self, values: &'v [f32], length: usize, rows: Range<usize>) -> View<'v> {
        let offset = self.offset(length, rows.start).min(values.len());
        View::rows(
            &values[offset..],
            [rows.len(), self.plan.head],
            self.plan.width,
        )
    }

    /// The same rows, to be written.
    fn target<'v>(&self, values: Parts<'v>, length: usize, rows: Range<usize>) -> Target<'v> {
        let shape = [rows.len(), self.plan.head];
        // SAFETY: heads do not overlap, and each is one thread's.
        unsafe {
            Target::new(
                values,
                self.offset(length, rows.start),
                shape,
                self.plan.width,
            )
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        pieces(self.plan.queries, self.plan.tile()[0])
    }

    /// The keys that the queries of a block may see, some at a time. All of them where a row might see none,
    /// which then averages over all.
    fn tiles(&self, block: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let Plan { queries, keys, .. } = *self.plan;
        let cut = self.plan.scores.causal && self.plan.hidden.is_none() && keys >= queries;
        let visible = if cut {
            block.end + keys - queries
        } else {
            keys
        };
        pieces(visible, self.plan.tile()[1])
    }

    /// Products of the queries of a block with some keys; where a mask hides a key they become so low that
    /// nothing remains of it.
    fn scores(
        &self,
        q: View<'_>,
        k: View<'_>,
        room: &mut [f32],
        [block, tile]: [&Range<usize>; 2],
    ) {
        gemm(
            Target::rows(room, [block.len(), tile.len()]),
            q,
            k.t(),
            false,
        );
        let plan = self.plan;
        let masked = MASKED as f32 / plan.scale;
        for (row, query) in room.chunks_exact_mut(tile.len()).zip(block.clone()) {
            if plan.scores.causal {
                let seen = (query + 1 + plan.keys).saturating_sub(plan.queries);
                row[seen.clamp(tile.start, tile.end) - tile.start..].fill(masked);
            }
            if let Some(mask) = &plan.hidden {
                let start = self.sample * mask.strides[0] + query * mask.strides[1];
                // Booleans of flex are stored as bytes.
                let hidden = &mask.values.bytes()[start + tile.start..start + tile.end];
                for (score, hidden) in row.iter_mut().zip(hidden) {
                    *score = if *hidden != 0 { masked } else { *score };
                }
            }
        }
    }

    /// Zeroes what is dropped and scales up the rest.
    fn drop_some(&self, weights: &mut [f32], [block, tile]: [&Range<usize>; 2]) {
        for (row, query) in weights.chunks_exact_mut(tile.len()).zip(block.clone()) {
            let number = (self.number * self.plan.queries + query) as u64;
            Dropped::new(self.plan.scores.dropout, number).apply(row, tile.start);
        }
    }
}

/// So many of a length at a time.
fn pieces(length: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..length).step_by(size.max(1));
    starts.map(move |start| start..(start + size).min(length))
}

/// Output; the logarithm of each row's normaliser, `[batch, heads, queries]`.
pub fn forward(
    inputs: [Float; 3],
    hidden: Option<BoolTensor<Flex>>,
    scores: Scores,
) -> (Float, Float) {
    let inputs = inputs.map(contiguous);
    let plan = Plan::new(&inputs, hidden, scores);
    let [query, key, value] = inputs.each_ref().map(values);
    let (queries, keys) = (plan.queries, plan.keys);
    let mut output = room(plan.batch * queries * plan.width);
    let mut kept = room(plan.batch * plan.heads * queries);
    let (to, keep_to) = (Parts::new(&mut output), Parts::new(&mut kept));
    plan.each_head(|head| {
        let mut scores = room(plan.tile().iter().product());
        for block in head.blocks() {
            let q = head.view(query, queries, block.clone());
            let start = head.number * queries;
            // SAFETY: heads do not overlap.
            let kept = unsafe { keep_to.get(start + block.start..start + block.end) };
            // The largest score so far, and the sum of all weights relative to it.
            kept.fill(f32::NEG_INFINITY);
            let mut sums = vec![0.0; block.len()];
            for tile in head.tiles(&block) {
                let of = [&block, &tile];
                let scores = &mut scores[..block.len() * tile.len()];
                let [k, v] = [key, value].map(|side| head.view(side, keys, tile.clone()));
                head.scores(q, k, scores, of);
                // SAFETY: rows of this block and head.
                let rows = block
                    .clone()
                    .map(|i| unsafe { to.get(head.row(queries, i)) });
                let later = tile.start > 0;
                for (((scores, max), sum), output) in scores
                    .chunks_exact_mut(tile.len())
                    .zip(&mut *kept)
                    .zip(&mut sums)
                    .zip(rows)
                {
                    exponentiate(scores, max, sum, later.then_some(output), plan.scale);
                }
                if plan.scores.dropout.acts() {
                    head.drop_some(scores, of);
                }
                let target = head.target(to, queries, block.clone());
                gemm(
                    target,
                    View::rows(scores, [block.len(), tile.len()], tile.len()),
                    v,
                    later,
                );
            }
            for ((row, kept), sum) in block.clone().zip(kept).zip(sums) {
                // SAFETY: as above.
                let output = unsafe { to.get(head.row(queries, row)) };
                match keys {
                    0 => output.fill(0.0),
                    _ => scale_row(output, 1.0 / sum),
                }
                *kept += sum.ln();
            }
        }
    });
    let [shape, ..] = inputs.each_ref().map(TensorMetadata::shape);
    (
        tensor(output, shape),
        tensor(kept, [plan.batch, plan.heads, queries]),
    )
}

/// Gradients of query, key and value. The weights are computed again, a block of queries at a time.
pub fn backward(
    inputs: [Float; 3],
    hidden: Option<BoolTensor<Flex>>,
    output: Float,
    kept: Float,
    grad: Float,
    scores: Scores,
) -> [Float; 3] {
    let inputs = inputs.map(contiguous);
    let (output, kept, grad) = (contiguous(output), contiguous(kept), contiguous(grad));
    let plan = Plan::new(&inputs, hidden, scores);
    let [query, key, value] = inputs.each_ref().map(values);
    let (output, kept, grad) = (values(&output), values(&kept), values(&grad));
    let (queries, keys, width) = (plan.queries, plan.keys, plan.width);
    let [mut of_query, mut of_key, mut of_value] =
        [queries, keys, keys].map(|length| vec![0.0; plan.batch * length * width]);
    let [to_query, to_key, to_value] =
        [&mut of_query, &mut of_key, &mut of_value].map(|values| Parts::new(values));
    plan.each_head(|head| {
        let [mut p, mut ds] = [(); 2].map(|()| room(plan.tile().iter().product()));
        for block in head.blocks() {
            let [q, g] = [query, grad].map(|side| head.view(side, queries, block.clone()));
            let start = head.number * queries;
            let kept = &kept[start + block.start..start + block.end];
            for tile in head.tiles(&block) {
                let (of, shape) = ([&block, &tile], [block.len(), tile.len()]);
                let [p, ds] = [&mut p, &mut ds].map(|room| &mut room[..shape[0] * shape[1]]);
                let [k, v] = [key, value].map(|side| head.view(side, keys, tile.clone()));
                head.scores(q, k, p, of);
                for (row, kept) in p.chunks_exact_mut(tile.len()).zip(kept) {
                    weights(row, *kept, keys, plan.scale);
                }

                let of_value = |weights: &[f32]| {
                    let target = head.target(to_value, keys, tile.clone());
                    gemm(target, View::rows(weights, shape, shape[1]).t(), g, true);
                };
                if plan.scores.dropout.acts() {
                    ds.copy_from_slice(p);
                    head.drop_some(ds, of);
                    of_value(ds);
                } else {
                    of_value(p);
                }
                gemm(Target::rows(ds, shape), g, v.t(), false);
                if plan.scores.dropout.acts() {
                    head.drop_some(ds, of);
                }
                let rows = ds
                    .chunks_exact_mut(tile.len())
                    .zip(p.chunks_exact(tile.len()));
                for (((ds, p), kept), i) in rows.zip(kept).zip(block.clone()) {
                    // Where all keys are hidden the scores are constants.
                    let scale = if sees_nothing(*kept) { 0.0 } else { plan.scale };
                    let row = head.row(queries, i);
                    differentiate(ds, p, &grad[row.clone()], &output[row], scale);
                }
                let ds = View::rows(ds, shape, shape[1]);
                let target = head.target(to_query, queries, block.clone());
                gemm(target, ds, k, tile.start > 0);
                gemm(head.target(to_key, keys, tile.clone()), ds.t(), q, true);
            }
        }
    });
    let [of_queries, of_keys, _] = inputs.each_ref().map(TensorMetadata::shape);
    [
        tensor(of_query, of_queries),
        tensor(of_key, of_keys.clone()),
        tensor(of_value, of_keys),
    ]
}

/// Scaled scores of a row become weights relative to its largest so far. Where that has grown, what was summed
/// before becomes less, in `output` too (Milakov and Gimelshein 2018, section 3).
#[pulp::with_simd(exponentiate = Arch::new())]
#[inline(always)]
fn exponentiate_simd<'a, 'b, 'c, 'd, S: Simd>(
    _: S,
    scores: &'a mut [f32],
    largest: &'b mut f32,
    sum: &'c mut f32,
    output: Option<&'d mut [f32]>,
    scale: f32,
) {
    let before = *largest;
    let max = lanes::max(scores) * scale;
    *largest = if before > max { before } else { max };
    let of_before = exp(before - *largest);
    *sum = *sum * of_before + lanes::map_sum(scores, |x| exp(x * scale - *largest));
    for x in output.into_iter().flatten() {
        *x *= of_before;
    }
}

#[pulp::with_simd(scale_row = Arch::new())]
#[inline(always)]
fn scale_row_simd<'a, S: Simd>(_: S, row: &'a mut [f32], factor: f32) {
    row.iter_mut().for_each(|x| *x *= factor);
}

/// Whether all keys are hidden from a row, which averages over them.
#[inline(always)]
fn sees_nothing(kept: f32) -> bool {
    kept < 0.5 * MASKED as f32
}

/// The weights of a row of scores, from the logarithm of its normaliser.
#[pulp::with_simd(weights = Arch::new())]
#[inline(always)]
fn weights_simd<'a, S: Simd>(_: S, scores: &'a mut [f32], kept: f32, keys: usize, scale: f32) {
    match sees_nothing(kept) {
        true => scores.fill(1.0 / keys as f32),
        false => scores.iter_mut().for_each(|x| *x = exp(*x * scale - kept)),
    }
}

/// From the gradient of a row of weights to that of its scores: `p * (ds - sum(p * ds))`, where the sum is
/// that of the output times its gradient.
#[pulp::with_simd(differentiate = Arch::new())]
#[inline(always)]
fn differentiate_simd<'a, 'b, 'c, 'd, S: Simd>(
    _: S,
    ds: &'a mut [f32],
    p: &'b [f32],
    grad: &'c [f32],
    output: &'d [f32],
    scale: f32,
) {
    let mean = lanes::sum2(grad, output, |grad, output| grad * output);
    for (ds, p) in ds.iter_mut().zip(p) {
        *ds = scale * p * (*ds - mean);
    }
}
