use std::ops::Range;

use burn::backend::tensor::BoolTensor;
use burn::backend::{Flex, TensorMetadata};

use crate::attention::MASKED;
use crate::flex::Float;
use crate::flex::dropout::Dropped;
use crate::flex::gemm::{Target, View, gemm};
use crate::flex::parallel::{Parts, each};
use crate::fused::Scores;

/// Scores that exist at a time, on each thread: what stays in its cache.
const SCORES: usize = 1 << 17;
/// Keys at a time, so that there is room for the scores of enough queries.
const KEYS: usize = 512;

/// Sizes, mask and dropout of one call.
pub struct Plan {
    pub batch: usize,
    pub queries: usize,
    pub keys: usize,
    pub width: usize,
    head: usize,
    pub scale: f32,
    pub scores: Scores,
    hidden: Option<Mask>,
}

/// `true` hides a key; strides of batch, queries and keys.
struct Mask {
    values: BoolTensor<Flex>,
    strides: [usize; 3],
}

impl Plan {
    pub fn new(
        [query, key, _]: &[Float; 3],
        hidden: Option<BoolTensor<Flex>>,
        scores: Scores,
    ) -> Self {
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
    pub fn each_head(&self, f: impl Fn(Head<'_>) + Send + Sync) {
        let heads = self.scores.heads;
        each(self.batch * heads, |number| {
            f(Head {
                plan: self,
                number,
                sample: number / heads,
                head: number % heads,
            });
        });
    }

    /// Whether a row may see no key: the causal mask leaves the last query all of them.
    pub fn may_see_nothing(&self) -> bool {
        self.hidden.is_some() || self.scores.causal && self.keys < self.queries
    }

    /// Queries and keys at a time.
    pub fn tile(&self) -> [usize; 2] {
        let keys = self.keys.clamp(1, KEYS);
        [self.queries.min(SCORES / keys), keys]
    }
}

/// One head of one sample.
pub struct Head<'a> {
    pub plan: &'a Plan,
    pub number: usize,
    sample: usize,
    head: usize,
}

impl Head<'_> {
    /// Where rows of queries (or keys, among `length`) of this head begin.
    pub fn offset(&self, length: usize, row: usize) -> usize {
        (self.sample * length + row) * self.plan.width + self.head * self.plan.head
    }

    /// A row of this head.
    pub fn row(&self, length: usize, row: usize) -> Range<usize> {
        let start = self.offset(length, row);
        start..start + self.plan.head
    }

    /// Rows of a `[batch, length, width]` tensor.
    pub fn view<'v>(&self, values: &'v [f32], length: usize, rows: Range<usize>) -> View<'v> {
        let offset = self.offset(length, rows.start).min(values.len());
        View::rows(
            &values[offset..],
            [rows.len(), self.plan.head],
            self.plan.width,
        )
    }

    /// The same rows, to be written.
    ///
    /// # Safety
    /// While the result lives, nothing else reads or writes these rows of this head.
    pub unsafe fn target<'v>(
        &self,
        values: Parts<'v>,
        length: usize,
        rows: Range<usize>,
    ) -> Target<'v> {
        let shape = [rows.len(), self.plan.head];
        // SAFETY: as promised.
        unsafe {
            Target::new(
                values,
                self.offset(length, rows.start),
                shape,
                self.plan.width,
            )
        }
    }

    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        pieces(self.plan.queries, self.plan.tile()[0])
    }

    /// The keys that the queries of a block may see, some at a time. All of them where a row might see none,
    /// which then averages over all.
    pub fn tiles(&self, block: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
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
    pub fn scores(
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
    pub fn drop_some(&self, weights: &mut [f32], [block, tile]: [&Range<usize>; 2]) {
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
