use burn::module::Module;
use burn::tensor::kind::Basic;
use burn::tensor::{Bool, Device, Int, Tensor};
use crucible_kernels::matmul;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MultiHeadAttention;
use super::rotations::standard_normal;
use crate::{ConfigError, project};

/// LSH attention (Reformer, Kitaev et al. 2020, section 2): queries are keys too, and locality-sensitive hashing puts
/// those of like direction into one bucket. Sorted by bucket and cut into chunks, each token sees its chunk and the
/// one before, in several rounds of hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LshAttentionConfig {
    /// Buckets of a round; even. Twice as many as there are chunks fill half a chunk each.
    pub buckets: usize,
    /// Rounds of hashing: more find more of the keys that matter and cost as many times as much.
    pub rounds: usize,
    /// Tokens of a chunk.
    pub chunk: usize,
    /// Seed of the random rotations that hash, the same ones in each forward pass.
    pub seed: u64,
}

impl LshAttentionConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let buckets = self.buckets;
        let even = buckets > 0 && buckets.is_multiple_of(2);
        ConfigError::unless(even, "attention.buckets", || {
            format!("is {buckets}, but must be an even number of at least 2")
        })?;
        for (size, field) in [
            (self.rounds, "attention.rounds"),
            (self.chunk, "attention.chunk"),
        ] {
            ConfigError::unless(size > 0, field, || "must be at least 1".into())?;
        }
        Ok(())
    }

    pub(super) fn init(&self, d_head: usize, heads: usize, device: &Device) -> Lsh {
        let directions = self.rounds * self.buckets / 2;
        Lsh {
            rotations: standard_normal([heads, d_head, directions], self.seed, device),
            buckets: self.buckets,
            rounds: self.rounds,
            chunk: self.chunk,
        }
    }
}

/// What LSH attention has beyond full attention; nothing of it is trained.
#[derive(Module, Debug)]
pub struct Lsh {
    /// `[heads, d_head, rounds * buckets / 2]`.
    rotations: Tensor<3>,
    buckets: usize,
    rounds: usize,
    chunk: usize,
}

/// Added to the score of a token with itself and of a padded key: the first is seen when nothing else is there, the
/// second never. Both are finite in every float type, and so is their sum.
const ITSELF: f64 = -1e4;
const HIDDEN: f64 = -3e4;

/// Added to the mean square of a key that is normalised.
const EPSILON: f64 = 1e-6;

/// How a batch is cut: each head of each sequence into `rounds * length / chunk` chunks.
struct Cut {
    batch: usize,
    heads: usize,
    d_head: usize,
    /// With the padding that fills the last chunk.
    length: usize,
    rounds: usize,
    chunk: usize,
}

impl Lsh {
    pub fn forward(
        &self,
        layer: &MultiHeadAttention,
        x: Tensor<3>,
        padding: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, length, width] = x.dims();
        let chunk = self.chunk.min(length);
        let cut = Cut {
            batch,
            heads: layer.heads,
            d_head: width / layer.heads,
            length: length.next_multiple_of(chunk),
            // One chunk holds all keys, whatever their buckets.
            rounds: if chunk < length { self.rounds } else { 1 },
            chunk,
        };
        let behind = cut.length - length;
        let visible = match padding {
            Some(padding) => padding.bool_not().int(),
            None => Tensor::ones([batch, length], &x.device()),
        };
        let hidden = visible.pad([(0, behind)], 0).equal_elem(0);
        let [query, value] = [&layer.query, &layer.value]
            .map(|side| project(side, x.clone()).pad([(0, behind), (0, 0)], 0.0));

        let sorted = self.sort(&cut, query.clone().detach(), hidden);
        let order = cut.positions(sorted.clone());
        let [query, value] = cut.sorted([query, value], order.clone());
        let key = with_previous(normalised(query.clone()));
        let scores = matmul(query, key.swap_dims(2, 3)) + self.bias(&cut, sorted);
        // As good as any other number to take the exponential relative to: the gradient is the same.
        let largest = scores.clone().detach().max_dim(3);
        let weights = (scores - largest.clone()).exp();
        let sum = weights.clone().sum_dim(3);
        let output = matmul(layer.dropout.forward(weights), with_previous(value));
        cut.merged(output, sum, largest, order).narrow(1, 0, length)
    }

    /// The tokens of each round by bucket, those of one bucket by position: `bucket * length + position`. What is
    /// hidden has a bucket of its own behind all others, so that it moves nothing else.
    ///
    /// # Shapes
    /// - `query`: `[batch, length, width]`; `hidden`: `[batch, length]`; output: `[batch, heads, rounds, length]`
    fn sort(&self, cut: &Cut, query: Tensor<3>, hidden: Tensor<2, Bool>) -> Tensor<4, Int> {
        let (batch, heads, length) = (cut.batch, cut.heads, cut.length);
        let query = query.reshape([batch, length, heads, cut.d_head]);
        let rotations = self.rotations.clone().cast(query.dtype()).unsqueeze();
        let rotated = matmul(query.swap_dims(1, 2), rotations);
        let rotated = rotated
            .reshape([batch, heads, length, self.rounds, self.buckets / 2])
            .narrow(3, 0, cut.rounds);
        let nearest = Tensor::cat(vec![rotated.clone(), -rotated], 4).argmax(4);
        let bucket = nearest.squeeze_dim::<4>(4).swap_dims(2, 3);
        let hidden = hidden.reshape([batch, 1, 1, length]).expand(bucket.dims());
        let bucket = bucket.mask_fill(hidden, self.buckets as i64);
        let position = numbers(length, &bucket).unsqueeze::<4>();
        (bucket * length as i64 + position).sort(3)
    }

    /// What is added to the scores of sorted tokens with those that they see.
    ///
    /// # Shapes
    /// - `[batch * heads, chunks, chunk, seen]`
    fn bias(&self, cut: &Cut, sorted: Tensor<4, Int>) -> Tensor<4> {
        let sorted = cut.chunks(sorted);
        let seen = with_previous(sorted.clone());
        let hidden = seen
            .clone()
            .greater_equal_elem((self.buckets * cut.length) as i64);
        let [of, seen] = [sorted, seen].map(|sorted| cut.positions(sorted));
        let itself = of.unsqueeze_dim::<4>(3).equal(seen.unsqueeze_dim(2));
        itself.float() * ITSELF + hidden.float().unsqueeze_dim(2) * HIDDEN
    }
}

impl Cut {
    fn positions<const D: usize>(&self, sorted: Tensor<D, Int>) -> Tensor<D, Int> {
        sorted.remainder_scalar(self.length as i64)
    }

    /// # Shapes
    /// - from `[batch, heads, rounds, length]` to `[batch * heads, chunks, chunk]`
    fn chunks(&self, x: Tensor<4, Int>) -> Tensor<3, Int> {
        let chunks = self.rounds * self.length / self.chunk;
        x.reshape([self.batch * self.heads, chunks, self.chunk])
    }

    /// # Shapes
    /// - from `[batch, length, width]` to `[batch * heads, chunks, chunk, d_head]`
    fn sorted(&self, sides: [Tensor<3>; 2], order: Tensor<4, Int>) -> [Tensor<4>; 2] {
        let (batch, heads, length) = (self.batch, self.heads, self.length);
        let sequence = numbers(batch, &order).reshape([batch, 1, 1, 1]);
        let sequence = sequence * (length * heads) as i64;
        let head = numbers(heads, &order).reshape([1, heads, 1, 1]);
        let from = (order * heads as i64 + sequence + head).reshape([-1]);
        let chunks = self.rounds * length / self.chunk;
        sides.map(|x| {
            x.reshape([batch * length * heads, self.d_head])
                .select(0, from.clone())
                .reshape([batch * heads, chunks, self.chunk, self.d_head])
        })
    }

    /// One softmax over what all rounds have seen (section 2, "multi-round LSH attention"): a round's part is its
    /// `output`, not yet divided by the `sum` of its weights, which are relative to the exponential of `largest`. As
    /// in the authors' code, a key that several rounds find counts as often.
    ///
    /// # Shapes
    /// - from `[batch * heads, chunks, chunk, d_head or 1]`; output: `[batch, length, width]`
    fn merged(
        &self,
        output: Tensor<4>,
        sum: Tensor<4>,
        largest: Tensor<4>,
        order: Tensor<4, Int>,
    ) -> Tensor<3> {
        let (batch, heads, length) = (self.batch, self.heads, self.length);
        let place = order.argsort(3);
        let round = numbers(batch * heads * self.rounds, &place);
        let start = (round * length as i64).reshape([batch, heads, self.rounds, 1]);
        let back = (place + start).permute([2, 0, 3, 1]).reshape([-1]);
        let [output, sum, largest] = [output, sum, largest].map(|x| {
            let last = x.dims()[3];
            x.reshape([-1, last as i64])
                .select(0, back.clone())
                .reshape([self.rounds, batch * length * heads, last])
        });
        let scale = (largest.clone() - largest.max_dim(0)).exp();
        let output = (output * scale.clone()).sum_dim(0) / (sum * scale).sum_dim(0);
        output.reshape([batch, length, heads * self.d_head])
    }
}

/// From 0 on, of the type of `like`: backends count in more than one.
fn numbers<const D: usize>(count: usize, like: &Tensor<D, Int>) -> Tensor<1, Int> {
    Tensor::arange(0..count as i64, (&like.device(), like.dtype()))
}

/// Keys of one length (section 2, "shared-QK attention"), with the scale of dot-product attention.
fn normalised(query: Tensor<4>) -> Tensor<4> {
    let d_head = query.dims()[3] as f64;
    let mean = query.clone().square().mean_dim(3);
    query * (mean + EPSILON).sqrt().recip() * d_head.powf(-0.5)
}

/// Each chunk behind the one before it, and the first behind the last; a chunk that is alone stays so.
///
/// # Shapes
/// - from `[rows, chunks, chunk, ...]` to `[rows, chunks, 2 * chunk, ...]`
fn with_previous<const D: usize, K: Basic>(x: Tensor<D, K>) -> Tensor<D, K> {
    let last = x.dims()[1] - 1;
    if last == 0 {
        return x;
    }
    let previous = [x.clone().narrow(1, last, 1), x.clone().narrow(1, 0, last)];
    Tensor::cat(vec![Tensor::cat(previous.into(), 1), x], 2)
}
