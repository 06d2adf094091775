//! Blocks of work on rayon's pool.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

/// Rows in blocks of about as many elements.
#[derive(Clone, Copy)]
pub struct Blocks {
    rows: usize,
    size: usize,
}

impl Blocks {
    /// Blocks of `rows` rows of `width`, each of about `elements` and of at least one row.
    pub fn new(rows: usize, width: usize, elements: usize) -> Self {
        Self::even(rows, (rows * width).div_ceil(elements.max(1)))
    }

    /// About so many blocks of nearly equal size; an even number of them where there are several, so that two
    /// threads end together.
    pub fn even(rows: usize, count: usize) -> Self {
        let count = match count {
            0 | 1 => 1,
            count => count.next_multiple_of(2),
        };
        let size = rows.div_ceil(count).max(1);
        Self { rows, size }
    }

    pub fn count(&self) -> usize {
        self.rows.div_ceil(self.size)
    }

    /// Calls `f` with each block's number and rows, on all threads.
    pub fn each(&self, f: impl Fn(usize, Range<usize>) + Send + Sync) {
        each(self.count(), |block| f(block, self.get(block)));
    }

    /// The rows of a block.
    pub fn get(&self, block: usize) -> Range<usize> {
        let start = block * self.size;
        start..(start + self.size).min(self.rows)
    }
}

/// Calls `f` with each number below `count`, on all threads.
pub fn each(count: usize, f: impl Fn(usize) + Send + Sync) {
    match count {
        0 => {}
        1 => f(0),
        _ => (0..count).into_par_iter().for_each(f),
    }
}

/// A slice that several threads write to, each to a part of its own.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    start: *mut f32,
    length: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: a part is reached only through `get` and `pointer`, whose callers promise that no two of them
// overlap.
unsafe impl Send for Parts<'_> {}
// SAFETY: as above.
unsafe impl Sync for Parts<'_> {}

impl<'a> Parts<'a> {
    pub fn new(slice: &'a mut [f32]) -> Self {
        // SAFETY: borrowed for `'a`.
        unsafe { Self::of(slice.as_mut_ptr(), slice.len()) }
    }

    /// Elements that are not initialised must be written before they are read.
    ///
    /// # Safety
    /// For `'a`, nothing else reads or writes these elements.
    pub unsafe fn of(start: *mut f32, length: usize) -> Self {
        Self {
            start,
            length,
            slice: PhantomData,
        }
    }

    pub fn len(&self) -> usize {
        self.length
    }

    /// # Safety
    /// While the result lives, nothing else reads or writes these elements.
    #[allow(clippy::mut_from_ref)] // what the type is for; see Safety
    pub unsafe fn get(&self, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= self.length);
        // SAFETY: within the slice, and the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// Where the element `offset` stands.
    pub fn pointer(&self, offset: usize) -> *mut f32 {
        assert!(offset <= self.length);
        // SAFETY: within the slice or at its end.
        unsafe { self.start.add(offset) }
    }
}
