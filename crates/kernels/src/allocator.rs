use libmimalloc_sys::{mi_option_eager_commit_delay, mi_option_set, mi_option_t};

/// What a program that trains takes as its global allocator.
pub use mimalloc::MiMalloc as Allocator;

/// Keeps freed memory for the next step, which asks for the same again: by default [`Allocator`] gives it back
/// to the system after some milliseconds, and a third of a step on the CPU would be faults on fresh pages.
///
/// For the start of a program, before there are other threads.
pub fn keep_freed_memory() {
    // `mi_option_purge_delay`, which the bindings have no name for, follows the one before.
    const PURGE_DELAY: mi_option_t = mi_option_eager_commit_delay + 1;
    const NEVER: std::ffi::c_long = -1;
    // SAFETY: sets a number; no other thread reads it yet.
    unsafe { mi_option_set(PURGE_DELAY, NEVER) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_delay() {
        // SAFETY: reads a number.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(15) };
        assert_eq!(delay(), 10, "mimalloc's own default, in milliseconds");
        keep_freed_memory();
        assert_eq!(delay(), -1);
    }
}
