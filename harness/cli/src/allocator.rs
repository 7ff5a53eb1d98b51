//! The binary's allocator: mimalloc under `assay_bench`'s tally. mimalloc
//! helped some kernels and hurt none (DESIGN.md).

use assay_bench::CountingAllocator;
use mimalloc::MiMalloc;

/// The allocator and its tally.
pub(crate) type Counting = CountingAllocator<MiMalloc>;

/// An allocator that has counted nothing yet.
pub(crate) const fn counting() -> Counting {
    CountingAllocator::new(MiMalloc)
}

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
