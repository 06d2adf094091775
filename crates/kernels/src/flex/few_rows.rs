//! Products of few rows with a matrix, as when a language model says one token after another. Each element of the matrix
//! is used once for a row, so that what takes time is to read it: in the order in which it lies in memory.

use pulp::{Arch, Simd};

use super::lanes::{self, LANES};
use super::linear::{Weight, add_rows};
use super::parallel::{Blocks, Parts};
use super::tensor::values;

/// The most rows. `benches/generate.rs` measures one and four; where it would begin to pay to pack the matrix for a
/// product in tiles has not been looked for.
pub const MOST: usize = 8;
/// Elements of the matrix that are worth a thread.
const SHARE: usize = 1 << 17;
/// Rows of the matrix that are added to a row of the product at a time.
const AT_ONCE: usize = 8;

/// `to = x weight`, all of it written.
///
/// # Safety
/// Nothing else reads or writes `to` meanwhile.
pub unsafe fn product(to: Parts<'_>, x: &[f32], rows: usize, weight: &Weight) {
    let (inner, width, w) = (weight.inner, weight.width, values(&weight.values));
    assert_eq!((to.len(), x.len()), (rows * width, rows * inner));
    if weight.transposed {
        return Blocks::new(width, inner, SHARE).each(|_, columns| {
            let w = &w[columns.start * inner..columns.end * inner];
            for row in 0..rows {
                let part = row * width + columns.start..row * width + columns.end;
                // SAFETY: columns do not overlap.
                dots(unsafe { to.get(part) }, &x[row * inner..][..inner], w);
            }
        });
    }
    // Each block sums over its own rows of the matrix; the first in the place of the result.
    let blocks = Blocks::new(inner, width, SHARE);
    let mut others = vec![0.0; blocks.count().saturating_sub(1) * to.len()];
    let parts = Parts::new(&mut others);
    blocks.each(|number, block| {
        // SAFETY: every block has a place of its own.
        let sums = unsafe {
            match number {
                0 => to.get(0..to.len()),
                _ => parts.get((number - 1) * to.len()..number * to.len()),
            }
        };
        sums.fill(0.0);
        add_products(
            sums,
            x,
            &w[block.start * width..block.end * width],
            width,
            inner,
            block.start,
        );
    });
    // SAFETY: the blocks are done.
    let sums = unsafe { to.get(0..to.len()) };
    match inner {
        0 => sums.fill(0.0),
        _ => add_rows(sums, &others),
    }
}

/// The products of `x` with each row of `w`.
#[pulp::with_simd(dots = Arch::new())]
#[inline(always)]
fn dots_simd<'a, 'b, 'c, S: Simd>(_: S, to: &'a mut [f32], x: &'b [f32], w: &'c [f32]) {
    if x.is_empty() {
        return to.fill(0.0);
    }
    for (to, w) in to.iter_mut().zip(w.chunks_exact(x.len())) {
        *to = lanes::sum2(x, w, |x, w| x * w);
    }
}

/// Adds to each row of `sums` the rows of `w`, each by its factor in the row of `x`, from its element `first` on.
#[pulp::with_simd(add_products = Arch::new())]
#[inline(always)]
fn add_products_simd<'a, 'b, 'c, S: Simd>(
    _: S,
    sums: &'a mut [f32],
    x: &'b [f32],
    w: &'c [f32],
    width: usize,
    inner: usize,
    first: usize,
) {
    if width == 0 {
        return;
    }
    let mut at = first;
    let mut groups = w.chunks_exact(AT_ONCE * width);
    for group in &mut groups {
        for (sums, x) in sums.chunks_exact_mut(width).zip(x.chunks_exact(inner)) {
            let mut factors = [0.0; AT_ONCE];
            factors.copy_from_slice(&x[at..at + AT_ONCE]);
            add_group(sums, factors, group);
        }
        at += AT_ONCE;
    }
    for row in groups.remainder().chunks_exact(width) {
        for (sums, x) in sums.chunks_exact_mut(width).zip(x.chunks_exact(inner)) {
            for (sum, w) in sums.iter_mut().zip(row) {
                *sum += x[at] * w;
            }
        }
        at += 1;
    }
}

/// Adds [`AT_ONCE`] rows, each by its factor.
#[inline(always)]
fn add_group(sums: &mut [f32], factors: [f32; AT_ONCE], group: &[f32]) {
    let width = sums.len();
    let rows: [&[f32]; AT_ONCE] = std::array::from_fn(|row| &group[row * width..][..width]);
    let whole = width - width % LANES;
    for start in (0..whole).step_by(LANES) {
        let to = &mut sums[start..start + LANES];
        let mut lanes = [0.0; LANES];
        lanes.copy_from_slice(to);
        for (factor, row) in factors.iter().zip(rows) {
            let row = &row[start..start + LANES];
            for lane in 0..LANES {
                lanes[lane] += factor * row[lane];
            }
        }
        to.copy_from_slice(&lanes);
    }
    for column in whole..width {
        for (factor, row) in factors.iter().zip(rows) {
            sums[column] += factor * row[column];
        }
    }
}
