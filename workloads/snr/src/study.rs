//! A study as a session: an iteration is one test SNR.

use std::collections::VecDeque;

use assay_interference::study::technologies;
use assay_kit::classification::{
    Evaluation, Examples, Findings, Golden, Split, flops_of_example, report,
};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Flops, Verification};

use crate::config::Task;
use crate::data::examples_of;
use crate::request::snrs_db;
use crate::strategy::{Study, Target, Trained};
use crate::{Request, SnrError, Strategy, golden, trace};

/// A study under way.
pub(crate) struct StudySession {
    request: Request,
    examples: Examples,
    split: Split,
    left: VecDeque<Target>,
    done: Vec<(Target, Trained)>,
    golden: Golden,
    real_data: bool,
    flops: [Flops; 2],
}

impl StudySession {
    pub(crate) fn new(
        request: Request,
        context: &Context,
    ) -> Result<Self, SnrError> {
        let (examples, split) = examples_of(&request, context)?;
        let one_for_all =
            matches!(request.strategy, Strategy::All | Strategy::Uniform);
        let left = match request.test_snr_db {
            Some(snr_db) => VecDeque::from([Some(snr_db)]),
            None if one_for_all => VecDeque::from([None]),
            None => snrs_db(request.task()).into_iter().map(Some).collect(),
        };
        let golden = golden::check_of(&request.model);
        let real_data = context.data.is_some();
        let flops = flops_of_example(&trace(&request)?, request.batch);
        Ok(Self {
            request,
            examples,
            split,
            left,
            done: Vec::new(),
            golden,
            real_data,
            flops,
        })
    }

    fn report(&self, watch: &mut Watch<'_>) {
        let count = self.done.len().max(1) as f64;
        let mut test = Evaluation { loss: f64::NAN, ..Evaluation::default() };
        for (_, trained) in &self.done {
            test.counts.extend(&trained.test.counts);
        }
        let sum = |f: fn(&Trained) -> f64| -> f64 {
            self.done.iter().map(|(_, trained)| f(trained)).sum()
        };
        let authors: Option<Vec<(f64, f64)>> =
            self.done.iter().map(|(_, trained)| trained.authors).collect();
        let searched: Option<f64> =
            self.done.iter().map(|(_, t)| t.search_seconds).sum();
        let kinds = match self.request.task() {
            Task::Channels => technologies(&self.examples.classes),
            Task::Modulations => Vec::new(),
        };
        let epochs = sum(|t| t.all.0 as f64).max(1.0);
        // Where each SNR has a network of its own, the paper's times are the
        // mean of one of them; the sum stands beside.
        report(
            watch,
            &Findings {
                examples: &self.examples,
                test: &test,
                kinds: &kinds,
                best_epoch: sum(|t| t.epochs as f64) / count,
                training_seconds: sum(|t| t.seconds) / count,
                epoch_seconds: sum(|t| t.all.1) / epochs,
                training_examples: (sum(|t| t.examples as f64) / count)
                    as usize,
                authors: authors.map(|all| {
                    let mean = |f: fn(&(f64, f64)) -> f64| {
                        all.iter().map(f).sum::<f64>() / count
                    };
                    (mean(|a| a.0), mean(|a| a.1))
                }),
                search_seconds: searched,
                real_data: self.real_data,
                flops: self.flops,
            },
        );
        let total = sum(|t| t.seconds);
        watch.quality("training_time_total", "s", Better::Lower, total);
        for (target, trained) in &self.done {
            let Some(target) = target else { continue };
            for (rank, snr_db) in trained.chosen.iter().enumerate() {
                let (target, rank) = (target.to_string(), rank.to_string());
                let at = [("test_snr_db", &*target), ("rank", &*rank)];
                let value = f64::from(*snr_db);
                let neither = Better::Neither;
                watch.quality_at("chosen_snr", "dB", neither, value, at);
            }
        }
    }
}

impl Session for StudySession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        (self.golden)()
    }

    fn pace(&self) -> Pace {
        Pace::Study
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        let Some(target) = self.left.pop_front() else {
            return Ok(Progress::Done);
        };
        let study = Study {
            request: &self.request,
            examples: &self.examples,
            split: &self.split,
        };
        let trained = study.train(target, watch)?;
        self.done.push((target, trained));
        if !self.left.is_empty() {
            return Ok(Progress::More);
        }
        self.report(watch);
        Ok(Progress::Done)
    }
}
