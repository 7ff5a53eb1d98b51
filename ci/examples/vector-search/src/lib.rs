//! Nearest neighbours among vectors: an exact scan, and an inverted-file index
//! that looks into the nearest cells only.
//!
//! Small, but of the kind that needs a benchmark: what it gains in time it may
//! lose in answers, and only both numbers together say whether it is better.

use std::collections::BinaryHeap;

/// A found vector: its distance, then its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Squared Euclidean distance.
    pub distance: f32,
    /// Which vector.
    pub id: u32,
}

impl Eq for Hit {}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then(self.id.cmp(&other.id))
    }
}

/// Vectors of one length, one after the other.
#[derive(Clone, Debug)]
pub struct Vectors {
    width: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// `count` vectors around 16 places, which are the same for every seed.
    pub fn generated(count: usize, width: usize, seed: u64) -> Self {
        let mut place = uniform(0);
        let places: Vec<f32> = (0..16 * width).map(|_| place()).collect();
        let mut offset = uniform(seed);
        let values = (0..count * width)
            .map(|i| {
                let near = (i / width) % 16;
                places[near * width + i % width] + offset()
            })
            .collect();
        Self { width, values }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One of them.
    pub fn get(&self, id: u32) -> &[f32] {
        let start = id as usize * self.width;
        &self.values[start..start + self.width]
    }

    /// The `k` nearest, by looking at all of them.
    pub fn scan(&self, query: &[f32], k: usize) -> Vec<Hit> {
        nearest(k, (0..self.len() as u32).map(|id| self.hit(query, id)))
    }

    fn hit(&self, query: &[f32], id: u32) -> Hit {
        let distance = query
            .iter()
            .zip(self.get(id))
            .map(|(a, b)| (a - b) * (a - b))
            .sum();
        Hit { distance, id }
    }
}

/// Uniform numbers in [-1, 1): Marsaglia's xorshift64*.
fn uniform(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
        bits as f32 / (1 << 23) as f32 - 1.0
    }
}

/// The `k` smallest, in order.
fn nearest(k: usize, hits: impl Iterator<Item = Hit>) -> Vec<Hit> {
    let mut best = BinaryHeap::with_capacity(k + 1);
    for hit in hits {
        if best.len() < k {
            best.push(hit);
        } else if best.peek().is_some_and(|worst| hit < *worst) {
            best.pop();
            best.push(hit);
        }
    }
    best.into_sorted_vec()
}

/// Vectors by the nearest of some of them.
pub struct Index {
    vectors: Vectors,
    /// The vectors that stand for cells.
    centres: Vec<u32>,
    cells: Vec<Vec<u32>>,
}

impl Index {
    /// Puts every vector into the cell of its nearest centre; the first
    /// `cells` vectors are the centres.
    pub fn build(vectors: Vectors, cells: usize) -> Self {
        let centres: Vec<u32> = (0..cells.min(vectors.len()) as u32).collect();
        let mut filled = vec![Vec::new(); centres.len()];
        for id in 0..vectors.len() as u32 {
            let of = |&centre: &u32| vectors.hit(vectors.get(id), centre);
            if let Some(cell) = centres.iter().map(of).min() {
                filled[cell.id as usize].push(id);
            }
        }
        Self { vectors, centres, cells: filled }
    }

    /// The `k` nearest in the `probes` nearest cells: fewer cells, less time,
    /// fewer right answers.
    pub fn search(&self, query: &[f32], k: usize, probes: usize) -> Vec<Hit> {
        let centres = self.centres.iter().map(|&c| self.vectors.hit(query, c));
        let cells = nearest(probes, centres);
        let ids = cells.iter().flat_map(|c| &self.cells[c.id as usize]);
        nearest(k, ids.map(|&id| self.vectors.hit(query, id)))
    }

    /// A search that lets others run between cells, as a server's would.
    pub async fn search_fairly(
        &self,
        query: &[f32],
        k: usize,
        probes: usize,
    ) -> Vec<Hit> {
        let centres = self.centres.iter().map(|&c| self.vectors.hit(query, c));
        let mut hits = Vec::new();
        for cell in nearest(probes, centres) {
            let ids = &self.cells[cell.id as usize];
            hits.extend(ids.iter().map(|&id| self.vectors.hit(query, id)));
            yield_once().await;
        }
        nearest(k, hits.into_iter())
    }
}

/// Ready at the second poll.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// The share of `found` that is in `right`.
pub fn recall(found: &[Hit], right: &[Hit]) -> f64 {
    let hits = right.iter().filter(|hit| found.contains(hit)).count();
    hits as f64 / right.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_into_every_cell_finds_what_a_scan_finds() {
        let vectors = Vectors::generated(500, 8, 1);
        let query = Vectors::generated(1, 8, 2);
        let right = vectors.scan(query.get(0), 5);
        let index = Index::build(vectors, 10);
        assert_eq!(index.search(query.get(0), 5, 10), right);
        assert_eq!(recall(&right, &right), 1.0);
    }
}
