//! Matrix products on strided views, by the crate `gemm`, each on the thread that asks for it.

use std::ops::Range;

use super::parallel::Parts;

/// A matrix within a slice.
#[derive(Clone, Copy)]
pub struct View<'a> {
    values: &'a [f32],
    shape: [usize; 2],
    strides: [usize; 2],
}

impl<'a> View<'a> {
    /// Rows one after the other, `stride` elements from one to the next.
    pub fn rows(values: &'a [f32], [rows, columns]: [usize; 2], stride: usize) -> Self {
        let shape = [rows, columns];
        assert!(last(shape, [stride, 1]).is_none_or(|last| last < values.len()));
        Self {
            values,
            shape,
            strides: [stride, 1],
        }
    }

    /// Some of the rows.
    pub fn part(self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.shape[0]);
        let start = (rows.start * self.strides[0]).min(self.values.len());
        Self {
            values: &self.values[start..],
            shape: [rows.len(), self.shape[1]],
            ..self
        }
    }

    /// Some of the columns.
    pub fn columns(self, columns: Range<usize>) -> Self {
        self.t().part(columns).t()
    }

    /// Transposed.
    pub fn t(self) -> Self {
        let ([rows, columns], [row, column]) = (self.shape, self.strides);
        Self {
            shape: [columns, rows],
            strides: [column, row],
            ..self
        }
    }
}

/// A matrix to be written, within parts of a slice.
pub struct Target<'a> {
    values: Parts<'a>,
    offset: usize,
    shape: [usize; 2],
    stride: usize,
}

impl<'a> Target<'a> {
    /// # Safety
    /// While this lives, nothing else reads or writes the elements of this matrix.
    pub unsafe fn new(values: Parts<'a>, offset: usize, shape: [usize; 2], stride: usize) -> Self {
        assert!(last(shape, [stride, 1]).is_none_or(|last| offset + last < values.len()));
        Self {
            values,
            offset,
            shape,
            stride,
        }
    }

    /// All of a slice.
    pub fn rows(values: &'a mut [f32], shape: [usize; 2]) -> Self {
        // SAFETY: the slice is borrowed for as long as this lives.
        unsafe { Self::new(Parts::new(values), 0, shape, shape[1]) }
    }
}

/// The largest offset of an element, if there is any.
fn last([rows, columns]: [usize; 2], [row, column]: [usize; 2]) -> Option<usize> {
    (rows > 0 && columns > 0).then(|| (rows - 1) * row + (columns - 1) * column)
}

/// `target = a b`, or `target += a b` when it accumulates.
pub fn gemm(target: Target<'_>, a: View<'_>, b: View<'_>, accumulate: bool) {
    let ([m, k], [inner, n]) = (a.shape, b.shape);
    assert_eq!((target.shape, k), ([m, n], inner), "shapes of a product");
    if m == 0 || n == 0 {
        return;
    }
    let out = target.values.pointer(target.offset);
    if k == 0 {
        for row in 0..m {
            // SAFETY: the rows of the target are its maker's to write.
            let row = unsafe { std::slice::from_raw_parts_mut(out.add(row * target.stride), n) };
            if !accumulate {
                row.fill(0.0);
            }
        }
        return;
    }
    let [a_row, a_column] = a.strides.map(|stride| stride as isize);
    let [b_row, b_column] = b.strides.map(|stride| stride as isize);
    let stride = target.stride as isize;
    let (a, b) = (a.values.as_ptr(), b.values.as_ptr());
    let alpha = if accumulate { 1.0 } else { 0.0 };
    let none = gemm::Parallelism::None;
    // A left side that lies column by column is multiplied as the right side of the transposed product, in
    // which it need not be turned while it is packed.
    // SAFETY: `View` and `Target` have checked that all elements lie within their slices; those of the target
    // are nobody else's.
    unsafe {
        match a_row == 1 && k > 1 {
            true => gemm::gemm(
                n, m, k, out, stride, 1, accumulate, b, b_row, b_column, a, a_row, a_column, alpha,
                1.0f32, false, false, false, none,
            ),
            false => gemm::gemm(
                m, n, k, out, 1, stride, accumulate, a, a_column, a_row, b, b_column, b_row, alpha,
                1.0f32, false, false, false, none,
            ),
        }
    }
}
