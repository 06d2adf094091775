//! What attention allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use burn::tensor::{Device, Distribution, Tensor};
use crucible_kernels::{Attention, Implementation, attention, composed, implementation};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Operation = fn(Tensor<3>, Tensor<3>, Tensor<3>, Attention) -> Tensor<3>;

/// Bytes at most, beyond those held before, of a forward and a backward pass over so many tokens.
fn peak(operation: Operation, length: usize) -> f64 {
    let device = Device::flex().autodiff();
    let input = || {
        let range = Distribution::Uniform(-1.0, 1.0);
        Tensor::<3>::random([1, length, 128], range, &device).require_grad()
    };
    let [query, key, value] = [(); 3].map(|()| input());
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let gradients = operation(query, key, value, Attention::new(2))
        .sum()
        .backward();
    drop(gradients);
    (PEAK.load(Relaxed) - before) as f64
}

/// How memory grows: the exponent of the length.
fn exponent(operation: Operation, [from, to]: [usize; 2]) -> f64 {
    (peak(operation, to) / peak(operation, from)).ln() / (to as f64 / from as f64).ln()
}

/// One test: what others allocate meanwhile would count.
#[test]
fn attention_takes_memory_in_proportion_to_the_length() {
    let composed = exponent(composed::attention, [256, 1024]);
    assert!(
        composed > 1.7,
        "the composed form keeps the scores: {composed}"
    );
    if implementation(&Device::flex()) == Implementation::Composed {
        return;
    }
    for range in [[128, 4096], [1024, 4096], [2048, 4096]] {
        let fused = exponent(attention, range);
        assert!(fused < 1.1, "{range:?}: {fused}");
    }
}
