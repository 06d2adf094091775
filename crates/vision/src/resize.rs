//! Positions for images of another size.

use burn::tensor::{Device, Tensor, TensorData};

/// The sharpness of the cubic kernel, as PyTorch has it (Keys 1981 has -0.5).
const SHARPNESS: f64 = -0.75;

/// A square grid of vectors with another number of them a side: bicubic, the borders of both at the same places, no
/// smoothing where there are fewer (`interpolate(mode="bicubic", align_corners=False)` in PyTorch).
///
/// # Shapes
/// - from `[from * from, d_model]` to `[to * to, d_model]`, row by row
pub(crate) fn resize_grid(grid: Tensor<2>, from: usize, to: usize) -> Tensor<2> {
    let [_, d_model] = grid.dims();
    let weights = cubic(from, to, &grid.device());
    // Each pass resizes the rows and turns the grid.
    let pass = |grid: Tensor<2>, columns: usize| {
        let rows = weights
            .clone()
            .matmul(grid.reshape([from, columns * d_model]));
        let turned = rows.reshape([to, columns, d_model]).swap_dims(0, 1);
        turned.reshape([columns * to, d_model])
    };
    pass(pass(grid, from), to)
}

/// What each of `to` samples takes of each of `from`, `[to, from]`.
fn cubic(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let mut weights = vec![0.0_f64; to * from];
    for (sample, row) in weights.chunks_exact_mut(from.max(1)).enumerate() {
        let place = (sample as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let before = place.floor();
        for step in -1..3 {
            let neighbour = before + f64::from(step);
            // Beyond the borders are more of the outermost.
            let nearest = neighbour.clamp(0.0, from.saturating_sub(1) as f64) as usize;
            row[nearest] += kernel((place - neighbour).abs());
        }
    }
    let weights: Vec<f32> = weights.into_iter().map(|weight| weight as f32).collect();
    Tensor::from_data(TensorData::new(weights, [to, from]), device)
}

/// The weight at a distance.
fn kernel(x: f64) -> f64 {
    let a = SHARPNESS;
    match x {
        x if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((x - 5.0) * x + 8.0) * x * a - 4.0 * a,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{device, difference, values};

    #[test]
    fn the_same_size_is_the_same_grid() {
        let grid = values([9, 4], 1, &device());
        assert_eq!(difference(resize_grid(grid.clone(), 3, 3), grid), 0.0);
    }

    #[test]
    fn grids_grow_and_shrink_as_pytorch_has_it() {
        // interpolate(arange(9).reshape(1, 1, 3, 3) ** 1.5, size=(N, N), mode="bicubic", align_corners=False)
        let grid = (0..9).map(|i| f32::powf(i as f32, 1.5)).collect::<Vec<_>>();
        let grid = Tensor::<2>::from_data(TensorData::new(grid, [9, 1]), &device());
        let to = |side: usize, expected: &[f32]| {
            let expected = TensorData::new(expected.to_vec(), [side * side, 1]);
            let found = resize_grid(grid.clone(), 3, side);
            assert!(difference(found, Tensor::from_data(expected, &device())) < 1e-5);
        };
        to(2, &TWO);
        to(4, &FOUR);
    }

    #[rustfmt::skip]
    const TWO: [f32; 4] = [
        1.0803729, 3.8902194, 13.416672, 19.56236,
    ];

    #[rustfmt::skip]
    const FOUR: [f32; 16] = [
        -0.43544996, -0.006352541, 1.2171066, 2.3532236, 2.1333663, 3.3012788, 5.479869, 7.0991015, 8.948795, 10.943458, 14.250119, 16.48579, 15.099198, 17.412735, 21.20745, 23.748634,
    ];
}
