//! Work shared between the calling thread and rayon's pool.
//!
//! The engine's own way (`rayon::join` from a thread outside of the pool)
//! hands all work over and puts the caller to sleep: two wake-ups, 20-60 us on
//! a virtual machine, as long as a whole small matrix-vector product. Here the
//! caller works too: it and the pool's threads claim tasks from one counter,
//! and a helper that wakes too late finds nothing left and is not waited for.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::rows::written;

/// Runs `work(0)` to `work(tasks - 1)`, each once, on the calling thread and
/// the pool's, in no fixed order; returns when all are done.
///
/// # Panics
/// When a task does.
pub(crate) fn share(tasks: usize, work: &(dyn Fn(usize) + Sync)) {
    let helpers = rayon::current_num_threads().min(tasks).saturating_sub(1);
    if helpers == 0 {
        (0..tasks).for_each(work);
        return;
    }
    #[expect(unsafe_code, reason = "the pool asks for 'static work")]
    // SAFETY: only the lifetime is changed. `work` is called for claimed tasks
    // alone, tasks do not unwind, and this function returns only when every
    // task is done.
    let work = unsafe {
        std::mem::transmute::<
            &(dyn Fn(usize) + Sync),
            &'static (dyn Fn(usize) + Sync),
        >(work)
    };
    let claims = Arc::new(Claims {
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        panicked: AtomicBool::new(false),
        tasks,
        work,
    });
    let awake = post(Arc::clone(&claims));
    for _ in awake..helpers {
        rayon::spawn(help);
    }
    claims.run();
    claims.wait();
    assert!(
        !claims.panicked.load(Ordering::Relaxed),
        "a task of a kernel panicked"
    );
}

/// The newest work, for helpers that are still awake.
static POSTED: Mutex<Option<Arc<Claims>>> = Mutex::new(None);

/// Counts what was posted.
static EPOCH: AtomicUsize = AtomicUsize::new(0);

/// Helpers that look out for it.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// How long a helper stays awake after its last task: as long as the caller
/// takes between two products of a small model's decode step. A wake-up costs
/// 20-60 us on a virtual machine, as long as the product itself.
const LOOK_OUT: Duration = Duration::from_micros(60);

/// Posts work; how many helpers are awake to see it.
fn post(claims: Arc<Claims>) -> usize {
    *POSTED.lock().unwrap_or_else(PoisonError::into_inner) = Some(claims);
    EPOCH.fetch_add(1, Ordering::Release);
    AWAKE.load(Ordering::Acquire)
}

/// Takes part in posted work, one after the other, until none has come for a
/// while. One that leaves just as work is posted is not missed: the caller
/// does what nobody claims.
fn help() {
    loop {
        let seen = EPOCH.load(Ordering::Acquire);
        let newest =
            POSTED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(claims) = newest {
            claims.run();
        }
        AWAKE.fetch_add(1, Ordering::AcqRel);
        let since = Instant::now();
        let mut news = false;
        while !news && since.elapsed() < LOOK_OUT {
            for _ in 0..32 {
                std::hint::spin_loop();
            }
            news = EPOCH.load(Ordering::Acquire) != seen;
        }
        AWAKE.fetch_sub(1, Ordering::AcqRel);
        if !news {
            return;
        }
    }
}

struct Claims {
    next: AtomicUsize,
    done: AtomicUsize,
    panicked: AtomicBool,
    tasks: usize,
    work: &'static (dyn Fn(usize) + Sync),
}

impl Claims {
    fn run(&self) {
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= self.tasks {
                return;
            }
            // The caller turns it into a panic of its own once all are done:
            // unwinding from here would free what other threads still use.
            let work = std::panic::AssertUnwindSafe(|| (self.work)(task));
            if std::panic::catch_unwind(work).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.done.fetch_add(1, Ordering::Release);
        }
    }

    /// Waits for tasks that other threads have claimed: these run already, so
    /// a short spin does; then the processor is offered to them.
    fn wait(&self) {
        let mut spins = 0;
        while self.done.load(Ordering::Acquire) < self.tasks {
            if spins < 4096 {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// An output that several tasks write, each its own part.
pub(crate) struct Parts<'a> {
    first: *mut MaybeUninit<f32>,
    len: usize,
    borrow: PhantomData<&'a mut [MaybeUninit<f32>]>,
}

#[expect(unsafe_code, reason = "tasks on several threads write one output")]
// SAFETY: it gives out mutable slices only by an unsafe function whose callers
// promise that they do not overlap.
unsafe impl Sync for Parts<'_> {}

impl<'a> Parts<'a> {
    pub(crate) fn new(out: &'a mut [MaybeUninit<f32>]) -> Self {
        Self { first: out.as_mut_ptr(), len: out.len(), borrow: PhantomData }
    }

    /// Where the `len` cells from `start` lie, for writers whose rows are not
    /// adjacent: their spans interleave, so they must not become slices.
    pub(crate) fn place(
        &self,
        start: usize,
        len: usize,
    ) -> *mut MaybeUninit<f32> {
        assert!(start <= self.len && len <= self.len - start);
        self.first.wrapping_add(start)
    }

    /// The `len` cells from `start`.
    ///
    /// # Safety
    /// Parts that live at one time must not overlap.
    #[expect(unsafe_code, reason = "see above")]
    #[expect(clippy::mut_from_ref, reason = "parts do not overlap")]
    pub(crate) unsafe fn part(
        &self,
        start: usize,
        len: usize,
    ) -> &mut [MaybeUninit<f32>] {
        // SAFETY: within the borrowed slice; callers keep parts disjoint.
        unsafe { std::slice::from_raw_parts_mut(self.place(start, len), len) }
    }
}

/// Runs `work(first element, part)` over parts of `size` elements.
pub(crate) fn share_parts(
    out: &mut [MaybeUninit<f32>],
    size: usize,
    work: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync,
) {
    let (len, size) = (out.len(), size.max(1));
    let parts = Parts::new(out);
    share(len.div_ceil(size), &|task| {
        let first = task * size;
        #[expect(unsafe_code, reason = "each task has its own part")]
        // SAFETY: parts of different tasks do not overlap.
        let part = unsafe { parts.part(first, size.min(len - first)) };
        work(first, part);
    });
}

/// As [`share_parts`], of memory that holds values; `work` gets the part's
/// number.
pub(crate) fn share_values(
    values: &mut [f32],
    size: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    #[expect(unsafe_code, reason = "one way to share for both kinds")]
    // SAFETY: layouts are equal, and the parts are given out as values only.
    let cells = unsafe {
        &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<f32>])
    };
    share_parts(cells, size, |first, part| work(first / size, written(part)));
}

/// Runs `work` on each piece, each once; what it gives, in the pieces' order.
pub(crate) fn share_pieces<T: Send, R: Send + Sync>(
    pieces: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let results: Vec<OnceLock<R>> =
        pieces.iter().map(|_| OnceLock::new()).collect();
    let pieces: Vec<Mutex<Option<T>>> =
        pieces.into_iter().map(|piece| Mutex::new(Some(piece))).collect();
    share(pieces.len(), &|task| {
        let mut slot =
            pieces[task].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(piece) = slot.take() {
            let _ = results[task].set(work(piece));
        }
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_worked_on_once_and_results_keep_their_order() {
        let mut values = vec![1; 1000];
        let pieces: Vec<_> = values.chunks_mut(7).enumerate().collect();
        let sums = share_pieces(pieces, |(i, piece)| {
            piece.iter_mut().for_each(|x| *x += i);
            piece.iter().sum::<usize>()
        });
        let whole = |i: usize| 7 * (1 + i);
        assert_eq!(sums.len(), 143);
        assert_eq!(sums[141], whole(141));
        assert_eq!(sums.iter().sum::<usize>(), values.iter().sum::<usize>());
    }

    #[test]
    fn every_task_runs_once() {
        for tasks in [0, 1, 2, 3, 100] {
            let runs: Vec<_> =
                (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            share(tasks, &|task| {
                runs[task].fetch_add(1, Ordering::Relaxed);
            });
            assert!(runs.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn it_may_be_called_from_within_the_pool() {
        let sum = AtomicUsize::new(0);
        rayon::join(
            || share(50, &|i| _ = sum.fetch_add(i, Ordering::Relaxed)),
            || share(50, &|i| _ = sum.fetch_add(i, Ordering::Relaxed)),
        );
        assert_eq!(sum.into_inner(), 2 * 49 * 50 / 2);
    }

    #[test]
    #[should_panic(expected = "a task of a kernel panicked")]
    fn a_panic_of_a_task_reaches_the_caller() {
        share(8, &|task| assert!(task != 5));
    }
}
