//! The counting allocator: any allocator with a tally.
//!
//! Live bytes, their peak, and the number of allocations are relaxed atomics:
//! a few nanoseconds an allocation, and exact once the threads are quiet.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use assay_measure::{AllocationCounter, AllocationSnapshot};

/// A global allocator that counts what it passes on to another.
///
/// ```
/// use assay_bench::{Bench, CountingAllocator};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::system();
///
/// fn register(bench: &mut Bench) {
///     bench.count_allocations(&ALLOCATOR);
///     bench.bench("format", |b| b.iter(|| format!("{:.3}", 1.0)));
/// }
/// # let mut bench = Bench::new();
/// # register(&mut bench);
/// # let output = assay_bench::run(&bench, ["--test"]);
/// # assert_eq!(output, std::process::ExitCode::SUCCESS);
/// ```
pub struct CountingAllocator<A = System> {
    inner: A,
    live: AtomicU64,
    peak: AtomicU64,
    calls: AtomicU64,
}

impl CountingAllocator {
    /// Counts over the system's allocator.
    pub const fn system() -> Self {
        Self::new(System)
    }
}

impl<A> CountingAllocator<A> {
    /// Counts over another allocator.
    pub const fn new(inner: A) -> Self {
        Self {
            inner,
            live: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }

    fn grew(&self, bytes: usize) {
        let live = self.live.fetch_add(bytes as u64, Relaxed) + bytes as u64;
        // A plain load first: the peak moves rarely.
        if live > self.peak.load(Relaxed) {
            self.peak.fetch_max(live, Relaxed);
        }
        self.calls.fetch_add(1, Relaxed);
    }

    fn shrank(&self, bytes: usize) {
        self.live.fetch_sub(bytes as u64, Relaxed);
    }
}

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait")]
// SAFETY: every call is passed on unchanged; the tally never touches the
// memory.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.inner.alloc(layout) };
        if !block.is_null() {
            self.grew(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { self.inner.alloc_zeroed(layout) };
        if !block.is_null() {
            self.grew(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.inner.dealloc(block, layout) };
        self.shrank(layout.size());
    }

    unsafe fn realloc(
        &self,
        block: *mut u8,
        layout: Layout,
        size: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let moved = unsafe { self.inner.realloc(block, layout, size) };
        if !moved.is_null() {
            self.shrank(layout.size());
            self.grew(size);
        }
        moved
    }
}

impl<A: Sync> AllocationCounter for CountingAllocator<A> {
    fn reset_peak(&self) {
        self.peak.store(self.live.load(Relaxed), Relaxed);
    }

    fn snapshot(&self) -> AllocationSnapshot {
        AllocationSnapshot {
            current_bytes: self.live.load(Relaxed),
            peak_bytes: self.peak.load(Relaxed),
            allocations: self.calls.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "an allocator is called by hand")]
    fn the_tally_follows_every_kind_of_call() {
        let allocator = CountingAllocator::system();
        let small = Layout::array::<u8>(100).unwrap();
        // SAFETY: each block is used with the layout it was made with, and
        // freed once.
        unsafe {
            let block = allocator.alloc(small);
            let block = allocator.realloc(block, small, 300);
            let zeroed = allocator.alloc_zeroed(small);
            assert_eq!(*zeroed, 0);
            allocator.dealloc(zeroed, small);
            let counted = allocator.snapshot();
            assert_eq!(counted.current_bytes, 300);
            assert_eq!(counted.peak_bytes, 400);
            assert_eq!(counted.allocations, 3);
            allocator.dealloc(block, Layout::array::<u8>(300).unwrap());
        }
        allocator.reset_peak();
        let counted = allocator.snapshot();
        assert_eq!((counted.current_bytes, counted.peak_bytes), (0, 0));
    }
}
