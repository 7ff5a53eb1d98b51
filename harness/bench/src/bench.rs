//! The registry: names, and closures that build a routine when asked.
//!
//! Registering costs a name and a box; nothing is built or run before its
//! turn, so that ten thousand benchmarks list in milliseconds.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;

use assay_measure::AllocationCounter;
use assay_schema::nearest;

use crate::prepared::{Prepared, guarded};
use crate::{BenchError, Bencher, Routine};

/// Builds a prepared benchmark.
type Build = Box<dyn Fn() -> Prepared + Send + Sync>;

/// A registered benchmark.
pub(crate) struct Entry {
    pub(crate) name: String,
    build: Build,
}

impl Entry {
    /// Builds the routine.
    ///
    /// # Errors
    ///
    /// In words, that the closure panicked.
    pub(crate) fn build(&self) -> Result<Prepared, String> {
        guarded("the set-up", || Ok((self.build)()))
    }
}

/// The benchmarks of an executable, in the order of their registration.
pub struct Bench {
    /// Where its baselines are kept, `PACKAGE/TARGET`.
    suite: String,
    entries: Vec<Entry>,
    allocations: Option<&'static dyn AllocationCounter>,
}

impl Bench {
    /// Without benchmarks.
    pub fn new() -> Self {
        Self::named("benches")
    }

    /// Without benchmarks, with a name under which baselines are kept; made
    /// by [`main!`](crate::main) from the package and the bench target.
    pub fn named(suite: impl Into<String>) -> Self {
        let (suite, entries) = (suite.into(), Vec::new());
        Self { suite, entries, allocations: None }
    }

    pub(crate) fn suite(&self) -> &str {
        &self.suite
    }

    /// Registers a benchmark; `/` in a name makes groups. `build` is called
    /// when the benchmark is to run: what it makes before its `iter` is set-up
    /// of the whole benchmark.
    ///
    /// ```
    /// # let mut bench = assay_bench::Bench::new();
    /// bench.bench("sort/reversed", |b| {
    ///     let data: Vec<u32> = (0..1000).rev().collect();
    ///     b.iter_with_setup(move || data.clone(), |data| data.sort())
    /// });
    /// ```
    pub fn bench<O: 'static>(
        &mut self,
        name: impl Into<String>,
        build: impl Fn(&Bencher) -> Routine<O> + Send + Sync + 'static,
    ) -> &mut Self {
        let build = move || Prepared::new(build(&Bencher::new()));
        self.add(name.into(), Box::new(build));
        self
    }

    /// An axis: what is registered on it runs once for each value, under
    /// `name axis=value`.
    ///
    /// ```
    /// # let mut bench = assay_bench::Bench::new();
    /// bench
    ///     .axis("n", [1_000_usize, 1_000_000])
    ///     .axis("step", [1_usize, 7])
    ///     .bench("sum", |b, (n, step)| {
    ///         let data = vec![1_u64; n];
    ///         b.iter(move || data.iter().step_by(step).sum::<u64>())
    ///     });
    /// ```
    pub fn axis<V: Axis>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Sweep<'_, V> {
        let points = values
            .into_iter()
            .map(|value| (format!(" {name}={value}"), value))
            .collect();
        Sweep { bench: self, points }
    }

    /// Counts allocations with this global allocator; see
    /// [`CountingAllocator`](crate::CountingAllocator).
    pub fn count_allocations(
        &mut self,
        counter: &'static dyn AllocationCounter,
    ) -> &mut Self {
        self.allocations = Some(counter);
        self
    }

    pub(crate) fn counter(&self) -> Option<&'static dyn AllocationCounter> {
        self.allocations
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Full names, axes included, in the order of registration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    pub(crate) fn entry(&self, name: &str) -> Result<&Entry, BenchError> {
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
            BenchError::UnknownBenchmark {
                found: name.to_owned(),
                nearest: nearest(name, self.names()).map(str::to_owned),
            }
        })
    }

    /// Names must be lines, and each its own.
    ///
    /// # Errors
    ///
    /// The first name that is empty, holds a control character, or stands
    /// twice.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let mut seen = HashSet::with_capacity(self.entries.len());
        for name in self.names() {
            if name.trim().is_empty() || name.chars().any(char::is_control) {
                return Err(BenchError::Name { found: name.to_owned() });
            }
            if !seen.insert(name) {
                return Err(BenchError::Twice { name: name.to_owned() });
            }
        }
        Ok(())
    }

    fn add(&mut self, name: String, build: Build) {
        self.entries.push(Entry { name, build });
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// What an axis takes: anything that can be shown and copied about.
pub trait Axis: Clone + Display + Send + Sync + 'static {}

impl<V: Clone + Display + Send + Sync + 'static> Axis for V {}

/// The points of one or several axes; made by [`Bench::axis`].
pub struct Sweep<'a, V> {
    bench: &'a mut Bench,
    /// The axes as they stand in a name, and the values.
    points: Vec<(String, V)>,
}

impl<'a, V: Clone + Send + Sync + 'static> Sweep<'a, V> {
    /// One axis more: every value so far with every value of this axis. A
    /// closure gets the values as pairs: `(n, k)`, then `((n, k), m)`.
    pub fn axis<W: Axis>(
        self,
        name: &str,
        values: impl IntoIterator<Item = W>,
    ) -> Sweep<'a, (V, W)> {
        let values: Vec<W> = values.into_iter().collect();
        let points = self
            .points
            .iter()
            .flat_map(|(text, value)| {
                values.iter().map(move |next| {
                    (
                        format!("{text} {name}={next}"),
                        (value.clone(), next.clone()),
                    )
                })
            })
            .collect();
        Sweep { bench: self.bench, points }
    }

    /// Registers a benchmark at every point; may be called for several.
    pub fn bench<O: 'static>(
        self,
        name: &str,
        build: impl Fn(&Bencher, V) -> Routine<O> + Send + Sync + 'static,
    ) -> Self {
        let build = Arc::new(build);
        for (axes, value) in &self.points {
            let (build, value) = (Arc::clone(&build), value.clone());
            let build =
                move || Prepared::new(build(&Bencher::new(), value.clone()));
            self.bench.add(format!("{name}{axes}"), Box::new(build));
        }
        self
    }
}
