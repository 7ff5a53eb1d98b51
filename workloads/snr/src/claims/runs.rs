//! Records of studies, gathered by what they share.

use std::collections::BTreeSet;

use assay_schema::Record;

use crate::request::snrs_db;
use crate::{Phase, Request, Strategy};

/// SNRs from one to another, both included, dB.
pub(super) type Snrs = (i8, i8);

/// What is trained on, as a claim names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) strategy: Strategy,
    pub(super) offset_db: i8,
    pub(super) fraction: f64,
}

impl Setting {
    /// With the right estimate and all of the data.
    pub(super) const fn of(strategy: Strategy) -> Self {
        Self { strategy, offset_db: 0, fraction: 1.0 }
    }

    /// One SNR, off by so much.
    pub(super) const fn off_by(offset_db: i8) -> Self {
        Self { strategy: Strategy::Single, offset_db, fraction: 1.0 }
    }

    /// On a share of a single-SNR training set.
    pub(super) const fn share(strategy: Strategy, fraction: f64) -> Self {
        Self { strategy, offset_db: 0, fraction }
    }

    fn is_of(&self, request: &Request) -> bool {
        self.strategy == request.strategy
            && self.offset_db == request.offset_db
            && (self.fraction - request.fraction).abs() < 1e-9
    }
}

/// What a claim looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Accuracy at a test SNR, a share of 1.
    Accuracy,
    /// Training time of the network that answers there, seconds.
    Time,
}

/// One training run.
#[derive(Clone)]
struct Run<'a> {
    request: Request,
    record: &'a Record,
}

impl Run<'_> {
    fn is_boosted(&self) -> bool {
        self.request.strategy == Strategy::Boosted
    }
}

/// Runs that differ in strategy, test SNR, offset, share and seed, and in
/// nothing else.
#[derive(Clone)]
pub(super) struct Group<'a> {
    shared: Request,
    device: &'a str,
    real: bool,
    runs: Vec<Run<'a>>,
}

/// Sound studies of this workload, gathered. Where boosting was done with
/// several reaches, there is a group for each.
pub(super) fn groups(records: &[Record]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for record in records {
        let Some(request) = study(record) else { continue };
        let shared = Request {
            strategy: Strategy::Single,
            test_snr_db: None,
            offset_db: 0,
            fraction: 1.0,
            reach_db: 0,
            // A cap that fits single-SNR trainings is too long for others.
            epochs: 1,
            seed: 1,
            ..request.clone()
        };
        let device = record.device.as_str();
        let real =
            record.metric("quality/real_data").is_some_and(|real| real > 0.5);
        let run = Run { request, record };
        let own = groups.iter_mut().find(|group| {
            group.shared == shared
                && group.device == device
                && group.real == real
        });
        match own {
            Some(group) => group.add(run),
            None => {
                groups.push(Group { shared, device, real, runs: vec![run] });
            }
        }
    }
    groups.iter().flat_map(Group::by_reach).collect()
}

fn study(record: &Record) -> Option<Request> {
    if record.case.workload != "snr" || !record.is_sound() {
        return None;
    }
    let request = Request::new(&record.case).ok()?;
    (request.phase == Phase::Study).then_some(request)
}

impl<'a> Group<'a> {
    /// Of a case that was run twice, the later run counts.
    fn add(&mut self, run: Run<'a>) {
        match self.runs.iter_mut().find(|met| met.request == run.request) {
            Some(met) if met.record.started < run.record.started => *met = run,
            Some(_) => {}
            None => self.runs.push(run),
        }
    }

    /// Under what conditions, for a reader of an estimate: the paper's times
    /// are of other networks, data and machines.
    pub(super) fn conditions(&self) -> String {
        let size = self.runs.first().and_then(|r| r.record.case.axis("size"));
        format!(
            "{} networks, {} a cell, batch {}, on {}",
            size.unwrap_or("small"),
            self.shared.per_cell,
            self.shared.batch,
            self.device,
        )
    }

    fn by_reach(&self) -> Vec<Self> {
        let reaches: BTreeSet<i8> = self
            .runs
            .iter()
            .filter(|run| run.is_boosted())
            .map(|run| run.request.reach_db)
            .collect();
        if reaches.len() < 2 {
            return vec![self.clone()];
        }
        reaches
            .into_iter()
            .map(|reach| {
                let mut group = self.clone();
                group.runs.retain(|run| {
                    !run.is_boosted() || run.request.reach_db == reach
                });
                group
            })
            .collect()
    }

    /// The network's name.
    pub(super) fn model(&self) -> &str {
        &self.shared.model
    }

    /// Whether the paper's data were given.
    pub(super) fn is_real(&self) -> bool {
        self.real
    }

    /// The set's SNRs in a range.
    pub(super) fn snrs(&self, (low, high): Snrs) -> Vec<i8> {
        let mut snrs = snrs_db(self.shared.task());
        snrs.retain(|snr| (low..=high).contains(snr));
        snrs
    }

    /// Seeds of any run, in order.
    pub(super) fn seeds(&self) -> BTreeSet<u64> {
        self.runs.iter().map(|run| run.request.seed).collect()
    }

    /// Shares that a strategy was run on, in order.
    pub(super) fn shares(&self, strategy: Strategy) -> Vec<f64> {
        let mut shares: Vec<f64> = self
            .runs
            .iter()
            .filter(|run| run.request.strategy == strategy)
            .map(|run| run.request.fraction)
            .collect();
        shares.sort_by(f64::total_cmp);
        shares.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        shares
    }

    /// The records of a setting and a seed.
    pub(super) fn records(
        &self,
        setting: Setting,
        seed: u64,
    ) -> impl Iterator<Item = &'a Record> + '_ {
        self.runs
            .iter()
            .filter(move |run| {
                run.request.seed == seed && setting.is_of(&run.request)
            })
            .map(|run| run.record)
    }

    /// A value of the network that answers at a test SNR: from the study of
    /// that SNR, or from one of each SNR. The time of the latter is the mean
    /// of its networks.
    pub(super) fn value(
        &self,
        what: What,
        setting: Setting,
        seed: u64,
        snr_db: i8,
    ) -> Option<f64> {
        // Beyond the range an estimate falls on its end: on the right SNR, or
        // on one that is less off.
        let trained_db = snr_db + setting.offset_db;
        if !snrs_db(self.shared.task()).contains(&trained_db) {
            return None;
        }
        let own = self.runs.iter().filter(|run| {
            run.request.seed == seed && setting.is_of(&run.request)
        });
        own.filter_map(|run| match (run.request.test_snr_db, what) {
            (Some(target), _) if target != snr_db => None,
            (_, What::Time) => run.record.metric("quality/training_time"),
            (Some(_), What::Accuracy) => run.record.metric("quality/accuracy"),
            (None, What::Accuracy) => {
                let at = snr_db.to_string();
                let at = [("snr_db", at.as_str())];
                run.record.metric_at("quality/accuracy", &at)
            }
        })
        .find(|value| value.is_finite())
    }
}
