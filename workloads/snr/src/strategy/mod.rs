//! What is trained on, given the SNR of the test: the paper's strategies.
//!
//! Each gives a [`Trained`]: the answers on the test examples of the target,
//! and what they cost.

mod bagging;
mod boosting;

use assay_interference::study::epoch;
use assay_kit::Parameters;
use assay_kit::classification::{
    Best, Evaluation, Examples, Fit, Schedule, Split,
};
use assay_measure::{Watch, WorkloadError};
use burn::tensor::Device;

use crate::config::Task;
use crate::networks::Network;
use crate::request::snrs_db;
use crate::{Request, SnrError, Strategy};

/// What a strategy reached at one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trained {
    /// Answers on the target's test examples.
    pub(crate) test: Evaluation,
    /// Epochs up to the chosen ones, of all networks that answer.
    pub(crate) epochs: usize,
    /// Their training time, seconds.
    pub(crate) seconds: f64,
    /// Epochs made, and their training time, seconds: for the time of one.
    pub(crate) all: (usize, f64),
    /// Examples trained on, of all networks that answer.
    pub(crate) examples: usize,
    /// By the authors' protocol: accuracy and training time, seconds.
    pub(crate) authors: Option<(f64, f64)>,
    /// Time of trainings that only chose what to train on, seconds.
    pub(crate) search_seconds: Option<f64>,
    /// SNRs that boosting chose, dB.
    pub(crate) chosen: Vec<i8>,
}

/// The data of a study, and what all its trainings share.
pub(crate) struct Study<'a> {
    pub(crate) request: &'a Request,
    pub(crate) examples: &'a Examples,
    pub(crate) split: &'a Split,
}

/// The network's answer to a target: `None` tests every SNR with one network.
pub(crate) type Target = Option<i8>;

impl Study<'_> {
    /// Follows the request's strategy for a target.
    pub(crate) fn train(
        &self,
        target: Target,
        watch: &mut Watch<'_>,
    ) -> Result<Trained, WorkloadError> {
        let tested = |place: usize| {
            target.is_none_or(|snr| self.examples.group[place] == snr)
        };
        match (self.request.strategy, target) {
            (Strategy::Boosted, Some(snr)) => self.boost(snr, watch),
            (Strategy::Bagged, Some(snr)) => self.bag(snr, watch),
            (Strategy::Single, Some(snr)) => {
                let on = self.nearest(snr + self.request.offset_db);
                let trains = |place: usize| self.examples.group[place] == on;
                let split = self.split.clone().testing_only(tested);
                let split = split.training_only(trains);
                let split = thinned(split, self.request.fraction, false);
                self.one(&split, 0, watch)
            }
            (Strategy::Uniform, _) => {
                let split = self.split.clone().testing_only(tested);
                self.one(&thinned(split, 0.125, true), 0, watch)
            }
            (Strategy::All, _)
            | (Strategy::Boosted | Strategy::Bagged | Strategy::Single, None) =>
            {
                let split = self.split.clone().testing_only(tested);
                self.one(&split, 0, watch)
            }
        }
    }

    /// An SNR of the set: estimates beyond its ends fall on them.
    fn nearest(&self, snr_db: i8) -> i8 {
        let snrs = snrs_db(self.request.task());
        let (first, last) = (snrs[0], snrs[snrs.len() - 1]);
        snr_db.clamp(first, last)
    }

    fn schedule(&self, which: u64) -> Schedule {
        let channels = self.request.task() == Task::Channels;
        Schedule {
            batch: self.request.batch,
            learning_rate: self.request.config.learning_rate(),
            // The authors': 5 for channels, 15 for modulations. There they
            // watch the validation loss alone; here, as for channels, either
            // it or the accuracy.
            patience: if channels { 5 } else { 15 },
            most_epochs: self.request.epochs,
            // A network of an ensemble has weights and an order of its own.
            seed: self.request.seed.wrapping_mul(1_000).wrapping_add(which),
            authors: channels,
        }
    }

    /// A fit to a split, from new weights; `which` tells networks of one
    /// study apart.
    fn fit(&self, split: &Split, which: u64) -> Result<Fit<Network>, SnrError> {
        let schedule = self.schedule(which);
        let device = Device::flex().autodiff();
        let mut parameters = Parameters::random(&device, schedule.seed);
        let model = Network::new(
            &mut parameters,
            &self.request.config,
            self.examples.length,
            self.examples.classes.len(),
        )?;
        if split.train.is_empty() {
            return Err(SnrError::NothingToTrain {
                snr_db: self
                    .request
                    .test_snr_db
                    .map_or("each".to_owned(), |snr| snr.to_string()),
                per_cell: self.request.per_cell,
                fraction: self.request.fraction,
            });
        }
        Ok(Fit::new(model, split, schedule))
    }

    /// Trains to the end.
    fn finish(
        &self,
        mut fit: Fit<Network>,
        split: &Split,
        watch: &mut Watch<'_>,
    ) -> Result<(Best<Network>, Trained), WorkloadError> {
        while !fit.is_done() {
            let (loss, _) = epoch(&mut fit, self.examples, split, watch);
            if !loss.is_finite() {
                let what = "training loss".to_owned();
                return Err(WorkloadError::NotFinite { what });
            }
        }
        let all = (fit.epoch(), fit.seconds());
        let examples = fit.examples();
        let authors =
            fit.best_of_authors().map(|(accuracy, _, time)| (accuracy, time));
        let best = fit
            .into_best()
            .ok_or_else(|| WorkloadError::other("no epoch was judged"))?;
        let trained = Trained {
            test: best.test.clone(),
            epochs: best.epoch,
            seconds: best.seconds,
            all,
            examples,
            authors,
            ..Trained::default()
        };
        Ok((best, trained))
    }

    fn one(
        &self,
        split: &Split,
        which: u64,
        watch: &mut Watch<'_>,
    ) -> Result<Trained, WorkloadError> {
        let fit = self.fit(split, which)?;
        Ok(self.finish(fit, split, watch)?.1)
    }
}

/// The split with a share of its training examples, and of those that choose
/// the epoch where asked, spread evenly over them; at least one of each.
pub(super) fn thinned(
    mut split: Split,
    share: f64,
    chooses_too: bool,
) -> Split {
    let thin = |places: &mut Vec<usize>| {
        let wanted = (places.len() as f64 * share).round().max(1.0) as usize;
        let wanted = wanted.min(places.len());
        let all = places.len();
        *places = (0..wanted).map(|i| places[i * all / wanted]).collect();
    };
    if share < 1.0 {
        thin(&mut split.train);
        if chooses_too {
            thin(&mut split.validation);
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_spread_evenly_and_never_empty() {
        let split = Split {
            train: (0..40).collect(),
            validation: (40..44).collect(),
            test: vec![99],
        };
        let thin = thinned(split.clone(), 0.125, true);
        assert_eq!(thin.train, [0, 8, 16, 24, 32]);
        assert_eq!(thin.validation, [40]);
        assert_eq!(thin.test, [99]);
        assert_eq!(thinned(split.clone(), 1.0, true), split);
        let thin = thinned(split.clone(), 0.125, false);
        assert_eq!(thin.validation, split.validation);
    }
}
