use burn::backend::tensor::BoolTensor;
use burn::backend::{Flex, TensorMetadata};

use super::Float;
use super::gemm::{Target, View, gemm};
use super::parallel::Parts;
use super::tensor::{Room, contiguous, tensor, values};
use crate::fused::Scores;
use plan::Plan;
use rows::{differentiate, exponentiate, scale_row, sees_nothing, weights};

mod plan;
mod rows;

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
    let mut output = Room::new(plan.batch * queries * plan.width);
    let mut kept = vec![0.0; plan.batch * scores.heads * queries];
    let (to, keep_to) = (output.parts(), Parts::new(&mut kept));
    plan.each_head(|head| {
        let mut room = vec![0.0; plan.tile().iter().product()];
        for block in head.blocks() {
            let q = head.view(query, queries, block.clone());
            let start = head.number * queries;
            // SAFETY: heads do not overlap.
            let kept = unsafe { keep_to.get(start + block.start..start + block.end) };
            // The largest score so far, and the sum of all weights relative to it.
            kept.fill(f32::NEG_INFINITY);
            let mut sums = vec![0.0; block.len()];
            for tile in head.tiles(&block) {
                let (of, shape) = ([&block, &tile], [block.len(), tile.len()]);
                let scores = &mut room[..shape[0] * shape[1]];
                let [k, v] = [key, value].map(|side| head.view(side, keys, tile.clone()));
                head.scores(q, k, scores, of);
                let later = tile.start > 0;
                let rows = scores.chunks_exact_mut(tile.len()).zip(block.clone());
                for (((row, i), largest), sum) in rows.zip(&mut *kept).zip(&mut sums) {
                    // SAFETY: heads do not overlap, and an earlier tile has written the row.
                    let output = later.then(|| unsafe { to.get(head.row(queries, i)) });
                    exponentiate(row, largest, sum, output, plan.scale);
                }
                if plan.scores.dropout.acts() {
                    head.drop_some(scores, of);
                }
                // SAFETY: heads do not overlap.
                let target = unsafe { head.target(to, queries, block.clone()) };
                gemm(target, View::rows(scores, shape, shape[1]), v, later);
            }
            for ((i, kept), sum) in block.clone().zip(kept).zip(sums) {
                // SAFETY: as above.
                let output = unsafe { to.get(head.row(queries, i)) };
                match keys {
                    0 => output.fill(0.0),
                    _ => scale_row(output, 1.0 / sum),
                }
                *kept += sum.ln();
            }
        }
    });
    // SAFETY: the heads' blocks cover all of it.
    let output = unsafe { output.filled(inputs[0].shape()) };
    (output, tensor(kept, [plan.batch, scores.heads, queries]))
}

/// Gradients of query, key and value. The weights are computed again, a tile at a time.
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
    let may_see_nothing = plan.may_see_nothing();
    plan.each_head(|head| {
        let [mut p, mut ds] = [(); 2].map(|()| vec![0.0; plan.tile().iter().product()]);
        for block in head.blocks() {
            let [q, g] = [query, grad].map(|side| head.view(side, queries, block.clone()));
            let start = head.number * queries;
            let kept = &kept[start + block.start..start + block.end];
            for tile in head.tiles(&block) {
                let (of, shape) = ([&block, &tile], [block.len(), tile.len()]);
                let [p, ds] = [&mut p, &mut ds].map(|room| &mut room[..shape[0] * shape[1]]);
                let [k, v] = [key, value].map(|side| head.view(side, keys, tile.clone()));
                // SAFETY: heads do not overlap, and a target lives for one product.
                let of_tile = |to| unsafe { head.target(to, keys, tile.clone()) };

                head.scores(q, k, p, of);
                for (row, kept) in p.chunks_exact_mut(tile.len()).zip(kept) {
                    match may_see_nothing && sees_nothing(*kept, keys) {
                        true => row.fill(1.0 / keys as f32),
                        false => weights(row, *kept, plan.scale),
                    }
                }
                let add_to_values = |weights: &[f32]| {
                    gemm(
                        of_tile(to_value),
                        View::rows(weights, shape, shape[1]).t(),
                        g,
                        true,
                    );
                };
                match plan.scores.dropout.acts() {
                    true => {
                        ds.copy_from_slice(p);
                        head.drop_some(ds, of);
                        add_to_values(ds);
                    }
                    false => add_to_values(p),
                }
                gemm(Target::rows(ds, shape), g, v.t(), false);
                if plan.scores.dropout.acts() {
                    head.drop_some(ds, of);
                }
                let rows = ds.chunks_exact_mut(tile.len());
                let rows = rows.zip(p.chunks_exact(tile.len())).zip(kept);
                for (((ds, p), kept), i) in rows.zip(block.clone()) {
                    // Where all keys are hidden the scores are constants.
                    let scale = match may_see_nothing && sees_nothing(*kept, keys) {
                        true => 0.0,
                        false => plan.scale,
                    };
                    let row = head.row(queries, i);
                    differentiate(ds, p, &grad[row.clone()], &output[row], scale);
                }
                let ds = View::rows(ds, shape, shape[1]);
                // SAFETY: as above.
                let of_block = unsafe { head.target(to_query, queries, block.clone()) };
                gemm(of_block, ds, k, tile.start > 0);
                gemm(of_tile(to_key), ds.t(), q, true);
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
