//! Work that is spread over all cores.

use std::panic::resume_unwind;
use std::thread;

/// What `of` makes of each item, in order.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], of: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
    let part = items.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let of = &of;
        let workers: Vec<_> = items
            .chunks(part)
            .map(|part| scope.spawn(move || part.iter().map(of).collect::<Vec<R>>()))
            .collect();
        let parts = workers.into_iter().map(|worker| worker.join());
        parts
            .flat_map(|part| part.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}
