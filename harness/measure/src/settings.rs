//! How long and how precisely to sample.

use assay_schema::Seconds;

/// What stops a steady session's sampling, and how samples are made.
///
/// The stopping rule, in words: once the end of the warm-up has been found,
/// sampling stops when at least [`minimum_samples`](Self::minimum_samples)
/// over at least [`minimum_time`](Self::minimum_time) give an interval of the
/// median whose half width is within [`target`](Self::target) of the median;
/// or when [`budget`](Self::budget) is spent, warm-up included. The rule looks
/// at the interval's width, never at its place, so it favours no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Time that sampling may take, warm-up and pauses included.
    pub budget: Seconds,
    /// Confidence of the median's interval.
    pub confidence: f64,
    /// Half width over median at which the interval is narrow enough.
    pub target: f64,
    /// Fewest steady samples before it may be called narrow enough.
    pub minimum_samples: usize,
    /// Least time over which steady samples must lie: a quiet moment is not a
    /// quiet machine.
    pub minimum_time: Seconds,
    /// A sample lasts at least this many times the clock's resolution.
    pub resolutions_per_sample: f64,
    /// Most samples that the budget is cut into: fast bodies get longer
    /// samples, not millions of them.
    pub most_samples: f64,
    /// Samples are handed to the sink this often, outside the timed region.
    pub flush_every: Seconds,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            budget: Seconds(10.0),
            confidence: 0.95,
            target: 0.01,
            minimum_samples: 5,
            minimum_time: Seconds(0.1),
            resolutions_per_sample: 1000.0,
            most_samples: 10_000.0,
            flush_every: Seconds(0.5),
        }
    }
}

impl Settings {
    /// The defaults with another budget.
    pub fn with_budget(budget: Seconds) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Shortest sample for a clock of this resolution.
    pub(crate) fn shortest_sample(&self, resolution: Seconds) -> Seconds {
        (resolution * self.resolutions_per_sample)
            .max(self.budget / self.most_samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_long_for_the_clock_and_for_the_budget() {
        let settings = Settings::default();
        assert_eq!(settings.shortest_sample(Seconds(1e-5)), Seconds(0.01));
        assert_eq!(settings.shortest_sample(Seconds(1e-9)), Seconds(0.001));
    }
}
