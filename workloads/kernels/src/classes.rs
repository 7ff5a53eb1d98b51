//! Where a model's time goes, by class of kernel: matrix products, attention,
//! softmax, norms, element-wise passes.
//!
//! A kernel computes on the caller's thread and returns when it is done, so
//! the time between its start and its return is its own. Nothing is read of
//! the clock unless [`with_class_times`] asks; then it is two readings a
//! kernel. What is left of a step's time is the engine's own operators.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What kind of work a kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each name is the class")]
pub enum Class {
    Matmul,
    Attention,
    Softmax,
    Norm,
    Elementwise,
    Convolution,
    Recurrence,
    /// Rows picked or written: embeddings, caches.
    Copy,
    Optimizer,
}

impl Class {
    /// All, with their names.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Matmul, "matmul"),
        (Self::Attention, "attention"),
        (Self::Softmax, "softmax"),
        (Self::Norm, "norm"),
        (Self::Elementwise, "elementwise"),
        (Self::Convolution, "convolution"),
        (Self::Recurrence, "recurrence"),
        (Self::Copy, "copy"),
        (Self::Optimizer, "optimizer"),
    ];
}

/// Time by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassTimes {
    times: [Duration; Class::ALL.len()],
}

impl ClassTimes {
    /// Each class that took any, with its name.
    pub fn taken(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let all = Class::ALL.into_iter().zip(self.times);
        all.map(|((_, name), time)| (name, time))
            .filter(|(_, time)| !time.is_zero())
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        self.times.iter().sum()
    }
}

thread_local! {
    static TIMES: Cell<Option<ClassTimes>> = const { Cell::new(None) };
}

/// Runs `body` and tells how long its kernels took, by class, on this thread.
pub fn with_class_times<T>(body: impl FnOnce() -> T) -> (T, ClassTimes) {
    struct Restore(Option<ClassTimes>);
    impl Drop for Restore {
        fn drop(&mut self) {
            TIMES.set(self.0);
        }
    }
    let _restore = Restore(TIMES.replace(Some(ClassTimes::default())));
    let value = body();
    (value, TIMES.get().unwrap_or_default())
}

/// Counts the time until it is dropped.
pub(crate) struct Timed(Option<(Class, Instant)>);

/// Begins a kernel of a class.
#[inline]
pub(crate) fn timed(class: Class) -> Timed {
    Timed(TIMES.get().is_some().then(|| (class, Instant::now())))
}

impl Drop for Timed {
    fn drop(&mut self) {
        if let Some((class, since)) = self.0
            && let Some(mut times) = TIMES.get()
        {
            times.times[class as usize] += since.elapsed();
            TIMES.set(Some(times));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::Tensor;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn only_classes_that_ran_are_counted_and_only_when_asked() {
        let x = Tensor::<2>::ones([64, 64], &Device::flex());
        let product = || crate::matmul(x.clone(), x.clone());
        product();
        let (_, times) = with_class_times(product);
        let names: Vec<_> = times.taken().map(|(name, _)| name).collect();
        assert_eq!(names, ["matmul"]);
        let (_, none) = with_class_times(|| x.clone() + 1.0);
        assert_eq!(none, ClassTimes::default());
    }
}
