//! The counting allocator: mimalloc with a tally.
//!
//! Live bytes, their peak, and the number of allocations are relaxed atomics:
//! a few nanoseconds an allocation, and exact once the threads are quiet.
//! `mimalloc` because it helped some kernels and hurt none (DESIGN.md).

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use assay_measure::{AllocationCounter, AllocationSnapshot};
use mimalloc::MiMalloc;

/// The allocator and its tally.
pub(crate) struct Counting {
    live: AtomicU64,
    peak: AtomicU64,
    calls: AtomicU64,
}

impl Counting {
    pub(crate) const fn new() -> Self {
        Self {
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
// SAFETY: every call is passed to mimalloc unchanged; the tally never touches
// the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { MiMalloc.alloc(layout) };
        if !block.is_null() {
            self.grew(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let block = unsafe { MiMalloc.alloc_zeroed(layout) };
        if !block.is_null() {
            self.grew(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.dealloc(block, layout) };
        self.shrank(layout.size());
    }

    unsafe fn realloc(
        &self,
        block: *mut u8,
        layout: Layout,
        size: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let moved = unsafe { MiMalloc.realloc(block, layout, size) };
        if !moved.is_null() {
            self.shrank(layout.size());
            self.grew(size);
        }
        moved
    }
}

impl AllocationCounter for Counting {
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
