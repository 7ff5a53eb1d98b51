//! SNR boosting (arXiv 1912.11896, Algorithm 1): for a test SNR, choose the
//! SNRs to train on greedily, each time the one that helps the validation set
//! most, while it helps by more than a percentage point; then train on them
//! with the validation examples added back.
//!
//! The paper's times leave the search out; here it is counted, with all epochs
//! of each of its trainings, patience included. Its candidates
//! may be narrowed to SNRs near the test's (`reach_db`), since each costs a
//! training: that is ours.

use assay_kit::classification::{Split, evaluate};
use assay_measure::{Watch, WorkloadError};

use super::{Study, Trained};
use crate::request::snrs_db;

/// Gain that a further SNR must bring: more than a percentage point.
const LEAST_GAIN: f64 = 0.01;

impl Study<'_> {
    /// Chooses SNRs for a target and trains on them.
    pub(super) fn boost(
        &self,
        target: i8,
        watch: &mut Watch<'_>,
    ) -> Result<Trained, WorkloadError> {
        let group = &self.examples.group;
        let reach = self.request.reach_db;
        let mut left: Vec<i8> = snrs_db(self.request.task())
            .into_iter()
            .filter(|snr| (snr - target).abs() <= reach)
            .collect();
        let mut chosen: Vec<i8> = Vec::new();
        let (mut reached, mut epochs) = (0.0, 1);
        let mut search = 0.0;
        let mut made = (0, 0.0);
        let mut which = 0;
        loop {
            let mut best: Option<(i8, f64, usize)> = None;
            for &candidate in &left {
                which += 1;
                let split = self.trained_on(target, &chosen, candidate);
                let fit = self.fit(&split, which)?;
                let (model, trained) = self.finish(fit, &split, watch)?;
                search += trained.all.1;
                made.0 += trained.all.0;
                made.1 += trained.all.1;
                if best
                    .is_none_or(|(_, accuracy, _)| model.validation > accuracy)
                {
                    best = Some((candidate, model.validation, trained.epochs));
                }
            }
            let Some((candidate, accuracy, took)) = best else { break };
            let gain = accuracy - reached;
            if gain <= 0.0 {
                break;
            }
            chosen.push(candidate);
            left.retain(|&snr| snr != candidate);
            (reached, epochs) = (accuracy, took);
            if gain <= LEAST_GAIN || left.is_empty() {
                break;
            }
        }
        let own = |place: usize| chosen.contains(&group[place]);
        let mut last = self
            .split
            .clone()
            .training_only(own)
            .testing_only(|place| group[place] == target);
        last.train.append(&mut last.validation);
        let (test, seconds) = self.retrain(&last, epochs, watch)?;
        made.0 += epochs;
        made.1 += seconds;
        Ok(Trained {
            test,
            epochs,
            seconds,
            all: made,
            examples: last.train.len(),
            search_seconds: Some(search),
            chosen,
            ..Trained::default()
        })
    }

    /// Training on the chosen SNRs and a candidate, validated at the target.
    fn trained_on(&self, target: i8, chosen: &[i8], candidate: i8) -> Split {
        let group = &self.examples.group;
        let mut split = self.split.clone();
        split.train.retain(|&place| {
            group[place] == candidate || chosen.contains(&group[place])
        });
        split.validation.retain(|&place| group[place] == target);
        // The test set takes no part in the choice.
        split.test.clear();
        split
    }

    /// With nothing left to choose the epoch by, as many epochs as the choice
    /// took.
    fn retrain(
        &self,
        split: &Split,
        epochs: usize,
        watch: &mut Watch<'_>,
    ) -> Result<(assay_kit::classification::Evaluation, f64), WorkloadError>
    {
        let mut fit = self.fit(split, 0)?;
        let mut seconds = 0.0;
        for _ in 0..epochs {
            let (loss, time) =
                watch.timed_part("training", |_| fit.train(self.examples));
            if !loss.is_finite() {
                let what = "training loss".to_owned();
                return Err(WorkloadError::NotFinite { what });
            }
            seconds += time.value();
        }
        let model = fit
            .into_model()
            .ok_or_else(|| WorkloadError::other("the model was lost"))?;
        let test = watch.part("evaluation", |_| {
            evaluate(&model, self.examples, &split.test)
        });
        Ok((test, seconds))
    }
}
