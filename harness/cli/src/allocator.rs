//! The counting allocator: mimalloc with a tally.
//!
//! Live bytes, their peak, and the number of allocations are relaxed atomics:
//! a few nanoseconds an allocation, and exact once the threads are quiet.
//! `mimalloc` because it helped some kernels and hurt none (DESIGN.md).

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use assay_measure::{AllocationCounter, AllocationSnapshot};
use mimalloc::MiMalloc;

#[expect(unsafe_code, reason = "an option of the C allocator")]
unsafe extern "C" {
    /// mimalloc's own setter of its options.
    fn mi_option_set(option: i32, value: std::ffi::c_long);
}

/// Index of `mi_option_purge_delay` in mimalloc's list of options (2 and 3).
const PURGE_DELAY: i32 = 15;

/// Keeps freed memory in the process: a fresh page costs about 4 us on a
/// virtual machine, which would be charged to whatever kernel first writes to
/// it. A warm process is what the harness measures.
pub(crate) fn keep_freed_memory() {
    #[expect(unsafe_code, reason = "an option of the C allocator")]
    // SAFETY: the option exists in every mimalloc that is linked here, and -1
    // means never.
    unsafe {
        mi_option_set(PURGE_DELAY, -1);
    }
}

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
