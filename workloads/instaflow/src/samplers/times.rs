//! Where a sampler stops on its way.

use super::DiffusionSchedule;
use crate::InstaFlowError;

/// Rising times, the first where a sampler starts, the last where it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    times: Vec<f64>,
    even: bool,
}

/// From one stop to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) from: f64,
    pub(super) to: f64,
    /// `to - from`; of even times exactly `1 / N`, as the authors' code has
    /// it.
    pub(super) width: f64,
    pub(super) is_last: bool,
}

impl Times {
    /// From 0 to 1 in `steps` even steps.
    ///
    /// # Errors
    /// No step.
    pub fn uniform(steps: usize) -> Result<Self, InstaFlowError> {
        at_least_one(steps)?;
        let times = (0..=steps).map(|i| i as f64 / steps as f64).collect();
        Ok(Self { times, even: true })
    }

    /// From 0 to 1 in `steps` steps that are even in the log signal-to-noise
    /// ratio of a schedule.
    ///
    /// # Errors
    /// No step.
    pub fn even_in_log_snr(
        schedule: &DiffusionSchedule,
        steps: usize,
    ) -> Result<Self, InstaFlowError> {
        at_least_one(steps)?;
        let [first, last] = [0.0, 1.0].map(|t| schedule.half_log_snr(t));
        let mut times = vec![0.0];
        times.extend((1..steps).map(|i| {
            let share = i as f64 / steps as f64;
            schedule.time(first + share * (last - first))
        }));
        times.push(1.0);
        Ok(Self { times, even: false })
    }

    /// Times of one's own.
    ///
    /// # Errors
    /// Fewer than two, one outside `[0, 1]`, or one that does not lie after
    /// the one before it.
    pub fn new(times: Vec<f64>) -> Result<Self, InstaFlowError> {
        let lawful = times.iter().all(|time| (0.0..=1.0).contains(time));
        let rising = times.windows(2).all(|pair| pair[0] < pair[1]);
        if times.len() < 2 || !lawful || !rising {
            return Err(InstaFlowError::Sampling(format!(
                "times of a sampler: found {times:?}; expected at least two, \
                 each later than the one before, from 0 (noise) to 1 (data)"
            )));
        }
        Ok(Self { times, even: false })
    }

    /// All of them.
    pub fn as_slice(&self) -> &[f64] {
        &self.times
    }

    /// The first and the last.
    pub fn ends(&self) -> [f64; 2] {
        // There are two at least.
        [self.times[0], self.times[self.times.len() - 1]]
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let count = self.times.len() - 1;
        self.times.windows(2).enumerate().map(move |(i, pair)| Step {
            from: pair[0],
            to: pair[1],
            width: if self.even {
                1.0 / count as f64
            } else {
                pair[1] - pair[0]
            },
            is_last: i + 1 == count,
        })
    }
}

fn at_least_one(steps: usize) -> Result<(), InstaFlowError> {
    if steps == 0 {
        return Err(InstaFlowError::Sampling(
            "axis `steps`: 0 steps lead nowhere: what comes out would be the \
             noise that went in; expected at least 1"
                .into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_steps_are_exactly_one_nth_wide() {
        let times = Times::uniform(3).unwrap();
        assert_eq!(times.as_slice(), [0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]);
        let steps: Vec<_> = times.steps().collect();
        assert_eq!(steps.len(), 3);
        assert!(steps.iter().all(|step| step.width == 1.0 / 3.0));
        let last: Vec<_> = steps.iter().map(|step| step.is_last).collect();
        assert_eq!(last, [false, false, true]);
    }

    #[test]
    fn steps_even_in_the_ratio_end_where_the_others_do() {
        let schedule = DiffusionSchedule::stable_diffusion();
        let times = Times::even_in_log_snr(&schedule, 8).unwrap();
        assert_eq!((times.as_slice().len(), times.ends()), (9, [0.0, 1.0]));
        let ratios: Vec<_> = times
            .as_slice()
            .iter()
            .map(|time| schedule.half_log_snr(*time))
            .collect();
        let width = (ratios[8] - ratios[0]) / 8.0;
        for pair in ratios.windows(2) {
            assert!((pair[1] - pair[0] - width).abs() < 1e-9, "{ratios:?}");
        }
        assert!(Times::new(times.as_slice().to_vec()).is_ok());
    }

    #[test]
    fn times_that_lead_nowhere_are_refused() {
        assert!(Times::uniform(0).unwrap_err().to_string().contains("steps"));
        let schedule = DiffusionSchedule::stable_diffusion();
        assert!(Times::even_in_log_snr(&schedule, 0).is_err());
        for times in [
            vec![],
            vec![0.5],
            vec![0.0, 0.0],
            vec![0.5, 0.2],
            vec![0.0, 1.1],
            vec![0.0, f64::NAN],
        ] {
            let error = Times::new(times).unwrap_err().to_string();
            assert!(error.contains("times of a sampler"), "{error}");
        }
    }
}
