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
/// With fewer queries at a time, products are slow.
const QUERIES: usize = 64;

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

    /// Queries at a time.
    fn block(&self) -> usize {
        (SCORES / self.keys.max(1)).max(QUERIES)
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
        let (queries, block) = (self.plan.queries, self.plan.block());
        (0..queries)
            .step_by(block)
            .map(move |start| start..(start + block).min(queries))
    }

    /// How many keys the queries of a block may see. All of them where a row might see none, which then
    /// averages over all.
    fn visible(&self, block: &Range<usize>) -> usize {
        let Plan { queries, keys, .. } = *self.plan;
        let cut = self.plan.scores.causal && self.plan.hidden.is_none() && keys >= queries;
        if cut {
            block.end + keys - queries
        } else {
            keys
        }
    }

    /// Hides keys from the rows of a block: their scores become so low that nothing remains of them.
    fn hide(&self, scores: &mut [f32], block: &Range<usize>, visible: usize) {
        let plan = self.plan;
        let masked = MASKED as f32 / plan.scale;
        for (row, query) in scores.chunks_exact_mut(visible.max(1)).zip(block.clone()) {
            if plan.scores.causal {
                let seen = (query + 1 + plan.keys).saturating_sub(plan.queries);
                row[seen.min(visible)..].fill(masked);
            }
            if let Some(mask) = &plan.hidden {
                let start = self.sample * mask.strides[0] + query * mask.strides[1];
                // Booleans of flex are stored as bytes.
                let hidden = &mask.values.bytes()[start..start + visible];
                for (score, hidden) in row.iter_mut().zip(hidden) {
                    *score = if *hidden != 0 { masked } else { *score };
                }
            }
        }
    }

    fn masks(&self) -> bool {
        self.plan.scores.causal || self.plan.hidden.is_some()
    }

    fn dropped(&self, query: usize) -> Dropped {
        let row = (self.number * self.plan.queries + query) as u64;
        Dropped::new(self.plan.scores.seed, row, self.plan.scores.dropout)
    }

    /// Zeroes what is dropped and scales up the rest.
    fn drop_some(&self, weights: &mut [f32], block: &Range<usize>, visible: usize) {
        let kept = 1.0 / (1.0 - self.plan.scores.dropout);
        for (row, query) in weights.chunks_exact_mut(visible.max(1)).zip(block.clone()) {
            drop_row(row, self.dropped(query), kept);
        }
    }
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
        let mut room = room(plan.block().min(queries) * keys);
        for block in head.blocks() {
            let visible = head.visible(&block);
            let scores = &mut room[..block.len() * visible];
            let of = [block.len(), visible];
            let k = head.view(key, keys, 0..visible);
            gemm(
                Target::rows(scores, of),
                head.view(query, queries, block.clone()),
                k.t(),
                false,
            );
            if head.masks() {
                head.hide(scores, &block, visible);
            }
            let start = head.number * queries;
            // SAFETY: heads do not overlap.
            let kept = unsafe { keep_to.get(start + block.start..start + block.end) };
            weights(scores, kept, visible, plan.scale);
            if plan.scores.dropout > 0.0 {
                head.drop_some(scores, &block, visible);
            }
            let v = head.view(value, keys, 0..visible);
            let target = head.target(to, queries, block.clone());
            gemm(target, View::rows(scores, of, visible), v, false);
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
    let mut of_query = room(plan.batch * queries * width);
    let [mut of_key, mut of_value] = [(); 2].map(|()| vec![0.0; plan.batch * keys * width]);
    let [to_query, to_key, to_value] =
        [&mut of_query, &mut of_key, &mut of_value].map(|values| Parts::new(values));
    plan.each_head(|head| {
        let length = plan.block().min(queries) * keys;
        let (mut p, mut ds) = (room(length), room(length));
        for block in head.blocks() {
            let visible = head.visible(&block);
            let of = [block.len(), visible];
            let (p, ds) = (&mut p[..of[0] * of[1]], &mut ds[..of[0] * of[1]]);
            let q = head.view(query, queries, block.clone());
            let [k, v] = [key, value].map(|side| head.view(side, keys, 0..visible));
            let g = head.view(grad, queries, block.clone());

            gemm(Target::rows(p, of), q, k.t(), false);
            if head.masks() {
                head.hide(p, &block, visible);
            }
            let start = head.number * queries;
            let kept = &kept[start + block.start..start + block.end];
            weights_again(p, kept, visible, plan.scale);

            let of_value = |weights: &[f32]| {
                let target = head.target(to_value, keys, 0..visible);
                gemm(target, View::rows(weights, of, visible).t(), g, true);
            };
            if plan.scores.dropout > 0.0 {
                ds.copy_from_slice(p);
                head.drop_some(ds, &block, visible);
                of_value(ds);
            } else {
                of_value(p);
            }
            gemm(Target::rows(ds, of), g, v.t(), false);
            if plan.scores.dropout > 0.0 {
                head.drop_some(ds, &block, visible);
            }
            for (row, i) in block.clone().enumerate() {
                let range = head.offset(queries, i)..head.offset(queries, i) + plan.head;
                let row = row * visible..(row + 1) * visible;
                // Where all keys are hidden the scores are constants.
                let scale = if sees_nothing(kept[i - block.start]) {
                    0.0
                } else {
                    plan.scale
                };
                differentiate(
                    &mut ds[row.clone()],
                    &p[row],
                    &grad[range.clone()],
                    &output[range],
                    scale,
                );
            }
            let ds = View::rows(ds, of, visible);
            gemm(head.target(to_query, queries, block.clone()), ds, k, false);
            gemm(head.target(to_key, keys, 0..visible), ds.t(), q, true);
        }
    });
    let [of_queries, of_keys, _] = inputs.each_ref().map(TensorMetadata::shape);
    [
        tensor(of_query, of_queries),
        tensor(of_key, of_keys.clone()),
        tensor(of_value, of_keys),
    ]
}

/// Softmax of the rows of scaled scores, and the logarithm of each row's normaliser.
#[pulp::with_simd(weights = Arch::new())]
#[inline(always)]
fn weights_simd<'a, 'b, S: Simd>(
    _: S,
    scores: &'a mut [f32],
    kept: &'b mut [f32],
    keys: usize,
    scale: f32,
) {
    for (row, kept) in scores.chunks_exact_mut(keys.max(1)).zip(kept) {
        let max = lanes::max(row) * scale;
        let sum = lanes::map_sum(row, |x| exp(x * scale - max));
        let factor = 1.0 / sum;
        row.iter_mut().for_each(|x| *x *= factor);
        *kept = max + sum.ln();
    }
}

/// Whether all keys are hidden from a row, which averages over them.
#[inline(always)]
fn sees_nothing(kept: f32) -> bool {
    kept < 0.5 * MASKED as f32
}

/// The same softmax from what was kept of it.
#[pulp::with_simd(weights_again = Arch::new())]
#[inline(always)]
fn weights_again_simd<'a, 'b, S: Simd>(
    _: S,
    scores: &'a mut [f32],
    kept: &'b [f32],
    keys: usize,
    scale: f32,
) {
    for (row, kept) in scores.chunks_exact_mut(keys.max(1)).zip(kept) {
        match sees_nothing(*kept) {
            true => row.fill(1.0 / keys as f32),
            false => row.iter_mut().for_each(|x| *x = exp(*x * scale - kept)),
        }
    }
}

#[pulp::with_simd(drop_row = Arch::new())]
#[inline(always)]
fn drop_row_simd<'a, S: Simd>(_: S, row: &'a mut [f32], dropped: Dropped, kept: f32) {
    for (key, x) in row.iter_mut().enumerate() {
        *x = if dropped.is(key as u32) {
            0.0
        } else {
            *x * kept
        };
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
