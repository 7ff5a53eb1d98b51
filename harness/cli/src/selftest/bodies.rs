//! The four bodies that the selftest compares with themselves: work that is
//! exact by count, so that 102 units are 2 % more work than 100.
//!
//! One function serves every count: a slowdown changes a number, never the
//! machine code, and the arms differ in nothing else.

use std::hint::black_box;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Each step waits for the one before.
    DependentAdds,
    /// Reads of a buffer larger than a core's own caches.
    MemoryStream,
    /// Boxes of four sizes, made and dropped.
    Allocations,
    /// Products of 8 x 8 matrices in f32.
    SmallMatmul,
}

impl Body {
    /// All four.
    pub(crate) const ALL: [Self; 4] = [
        Self::DependentAdds,
        Self::MemoryStream,
        Self::Allocations,
        Self::SmallMatmul,
    ];

    /// The name in records and benchmarks.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DependentAdds => "dependent-adds",
            Self::MemoryStream => "memory-stream",
            Self::Allocations => "allocations",
            Self::SmallMatmul => "small-matmul",
        }
    }

    /// The body of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|body| body.name() == name)
    }

    /// What one iteration runs: `units` units of work, set up here.
    pub(crate) fn work(self, units: u32) -> Box<dyn FnMut() -> u64> {
        match self {
            Self::DependentAdds => Box::new(move || dependent_adds(units)),
            Self::MemoryStream => {
                let mut stream = Stream::new();
                Box::new(move || stream.read(units))
            }
            Self::Allocations => {
                let mut boxes = Boxes::new();
                Box::new(move || boxes.turn_over(units))
            }
            Self::SmallMatmul => {
                let (a, b) = (matrix(3), matrix(5));
                Box::new(move || products(&a, &b, units))
            }
        }
    }
}

/// Steps of one unit: so many that what an iteration costs beside its units
/// (some 40 cycles) is no share of 2 % that an interval could see.
const ADDS: u32 = 1000;

fn dependent_adds(units: u32) -> u64 {
    let mut x: u64 = black_box(1);
    for _ in 0..units {
        for step in 0..ADDS {
            // The rotation keeps the compiler from adding in closed form.
            x = x.wrapping_add(u64::from(step)).rotate_left(7);
        }
    }
    x
}

/// Size of the buffer: beyond a core's own caches (1 to 2 MiB), so small that
/// three arms have room in a shared cache, and read whole in fewer iterations
/// than a slot warms up with. At 8 MiB each the arms evict one another, and a
/// process keeps its luck for life (12 to 19 us for the same work, seen on an
/// EPYC with 32 MiB); at 4 MiB a slot ends before its caches are warm again,
/// and 5 % more work takes 4.3 % more time.
const STREAM_BYTES: usize = 2 << 20;

/// Words of one unit: 8 KiB.
const STREAM_WORDS: usize = 1024;

struct Stream {
    words: Vec<u64>,
    next: usize,
}

impl Stream {
    fn new() -> Self {
        let words = (0..STREAM_BYTES as u64 / 8).collect();
        Self { words, next: 0 }
    }

    fn read(&mut self, units: u32) -> u64 {
        let mut sum: u64 = 0;
        for _ in 0..units {
            let chunk = &self.words[self.next..self.next + STREAM_WORDS];
            sum = chunk.iter().fold(sum, |sum, word| sum.wrapping_add(*word));
            self.next = (self.next + STREAM_WORDS) % self.words.len();
        }
        sum
    }
}

/// Boxes alive at once, and their sizes in turn. A box takes the place of one
/// of its own size, so that each unit asks the allocator for the same and the
/// heap comes to rest.
const LIVE: usize = 64;
const SIZES: [usize; 4] = [48, 200, 700, 90];

struct Boxes {
    live: Vec<Vec<u8>>,
    next: usize,
    count: u64,
}

impl Boxes {
    fn new() -> Self {
        Self { live: vec![Vec::new(); LIVE], next: 0, count: 0 }
    }

    fn turn_over(&mut self, units: u32) -> u64 {
        for _ in 0..units {
            for size in SIZES {
                let mut fresh = Vec::with_capacity(black_box(size));
                fresh.push(self.next as u8);
                self.count += u64::from(fresh[0]);
                self.live[self.next] = black_box(fresh);
                self.next = (self.next + 1) % LIVE;
            }
        }
        self.count
    }
}

const SIDE: usize = 8;

type Matrix = [[f32; SIDE]; SIDE];

fn matrix(seed: usize) -> Matrix {
    let entry = |i: usize, j: usize| ((i * seed + j) % 7) as f32 * 0.1;
    std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)))
}

fn products(a: &Matrix, b: &Matrix, units: u32) -> u64 {
    let mut trace = 0.0;
    for _ in 0..units {
        let (a, b) = (black_box(a), black_box(b));
        let mut c: Matrix = [[0.0; SIDE]; SIDE];
        for (row, out) in a.iter().zip(&mut c) {
            for (factor, line) in row.iter().zip(b) {
                for (sum, entry) in out.iter_mut().zip(line) {
                    *sum += factor * entry;
                }
            }
        }
        trace += black_box(&c)[3][5];
    }
    u64::from(f32::to_bits(trace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_found_by_its_name_and_does_the_same_work_each_time() {
        for body in Body::ALL {
            assert_eq!(Body::named(body.name()), Some(body));
            let (mut one, mut other) = (body.work(100), body.work(100));
            assert_eq!(one(), other(), "{}", body.name());
        }
        assert_eq!(Body::named("nothing"), None);
    }

    #[test]
    fn more_units_are_other_answers() {
        for body in Body::ALL {
            assert_ne!(body.work(100)(), body.work(102)(), "{}", body.name());
        }
    }
}
