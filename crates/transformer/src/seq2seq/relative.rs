use std::ops::Range;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::config::Seq2SeqConfig;

/// What is added to the scores of each head for the distance between query and key (Raffel et al. 2020, section 2.1):
/// near distances have a number of their own, far ones share it in ranges that grow with the distance.
#[derive(Module, Debug)]
pub struct RelativePositions {
    /// `[buckets, heads]`.
    pub table: Embedding,
    /// Keys after a query are told from those before it; in a decoder there are none.
    bidirectional: bool,
    max_distance: usize,
}

impl RelativePositions {
    pub(super) fn new(config: &Seq2SeqConfig, bidirectional: bool, device: &Device) -> Self {
        let table = EmbeddingConfig::new(config.buckets, config.heads);
        // As T5 starts.
        let normal = Initializer::Normal {
            mean: 0.0,
            std: (config.d_model as f64).powf(-0.5),
        };
        Self {
            table: table.with_initializer(normal).init(device),
            bidirectional,
            max_distance: config.max_distance,
        }
    }

    /// # Shapes
    /// - output: `[1, heads, queries, keys]`
    pub(super) fn forward(&self, queries: Range<usize>, keys: usize) -> Tensor<4> {
        let [buckets, _] = self.table.weight.dims();
        let shape = [queries.len(), keys];
        let each = queries.flat_map(|query| {
            (0..keys).map(move |key| {
                let distance = key as i64 - query as i64;
                bucket(distance, self.bidirectional, buckets, self.max_distance) as i32
            })
        });
        let ids = TensorData::new(each.collect::<Vec<i32>>(), shape);
        // Ids are on no tape.
        let device = self.table.weight.val().device().inner();
        let ids = Tensor::<2, Int>::from_data(ids, &device);
        self.table.forward(ids).permute([2, 0, 1]).unsqueeze()
    }
}

/// The class of a distance from query to key.
pub(super) fn bucket(
    distance: i64,
    bidirectional: bool,
    buckets: usize,
    max_distance: usize,
) -> usize {
    let (buckets, first, distance) = match bidirectional {
        true => {
            let half = buckets / 2;
            let first = if distance > 0 { half } else { 0 };
            (half, first, distance.unsigned_abs() as usize)
        }
        false => (buckets, 0, distance.min(0).unsigned_abs() as usize),
    };
    let exact = buckets / 2;
    if distance < exact {
        return first + distance;
    }
    // In f32 and in this order, as transformers has it: the ends of the ranges depend on how it is rounded.
    let logarithm = (distance as f32 / exact as f32).ln();
    let whole = (max_distance as f64 / exact as f64).ln() as f32;
    let range = logarithm / whole * (buckets - exact) as f32;
    first + (exact + range as usize).min(buckets - 1)
}
