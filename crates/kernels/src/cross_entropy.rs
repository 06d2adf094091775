use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor, activation};

use crate::fused::Fused;
use crate::route::is_fused;

/// Mean over the rows of `-log softmax(logits)[target]`; of every target the share `smoothing` is spread over all
/// classes (Szegedy et al. 2016, section 7).
///
/// # Shapes
/// - `logits`: `[rows, classes]`; `targets`: `[rows]`, each below `classes`
/// - output: `[1]`; NaN without rows
///
/// # Panics
/// When there is not one target for each row, or on the CPU when a target is not below `classes`.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, smoothing: f32) -> Tensor<1> {
    let [rows, _] = logits.dims();
    assert_eq!(targets.dims(), [rows], "a target for each of {rows} rows");
    match is_fused(&logits) {
        true => {
            let (logits, targets) = (logits.into_dispatch(), targets.into_dispatch());
            Tensor::from_dispatch(Dispatch::cross_entropy(logits, targets, smoothing))
        }
        false => composed(logits, targets, smoothing),
    }
}

/// [`cross_entropy`], composed.
pub fn composed(logits: Tensor<2>, targets: Tensor<1, Int>, smoothing: f32) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let logarithms = activation::log_softmax(logits, 1);
    let chosen = logarithms.clone().gather(1, targets.reshape([rows, 1]));
    let chosen = chosen.mean().neg();
    match smoothing > 0.0 {
        true => chosen * (1.0 - smoothing) - logarithms.mean() * smoothing,
        false => chosen,
    }
}
