//! A plain read of memory: the bandwidth that every streaming kernel is
//! compared with.

use rayon::prelude::*;

use crate::math::multiversion;

/// Independent partial sums: four vectors of 16 lanes hide the latency of an
/// addition.
const LANES: usize = 64;

multiversion! {
    /// The sum of a slice, read once in order by one thread.
    pub fn stream_sum(data: &[f32]) -> f32 {
        let (chunks, rest) = data.as_chunks::<LANES>();
        let mut lanes = [0.0_f32; LANES];
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += chunk[i];
            }
        }
        let _ = FMA;
        lanes.into_iter().sum::<f32>() + rest.iter().sum::<f32>()
    }
}

/// The same with every thread of the current pool reading its own share.
pub fn stream_sum_parallel(data: &[f32]) -> f32 {
    let share = data.len().div_ceil(rayon::current_num_threads()).max(1);
    data.par_chunks(share).map(stream_sum).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sums_add_every_element_once() {
        let data: Vec<f32> = (0..1003).map(|i| (i % 7) as f32).collect();
        let right: f32 = data.iter().sum();
        assert_eq!(stream_sum(&data), right);
        assert_eq!(stream_sum_parallel(&data), right);
    }
}
