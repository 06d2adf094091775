//! Correction for the number of tests.

/// Holm's step-down correction: the smallest of `k` p values is multiplied by `k`, the next by `k - 1`, and none
/// falls below one before it. Rejecting where it is below 5% keeps the chance of any false rejection below 5%,
/// however the tests depend on each other (Holm 1979, <https://www.jstor.org/stable/4615733>).
///
/// In the order of `p_values`; NaN stays NaN and does not count as a test.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len())
        .filter(|&index| !p_values[index].is_nan())
        .collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut least: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        let tests = (order.len() - place) as f64;
        least = least.max(tests * p_values[index]).min(1.0);
        adjusted[index] = least;
    }
    adjusted
}
