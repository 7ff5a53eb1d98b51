//! Records of studies, gathered by what they share, so that only seeds are
//! averaged over.
//!
//! Sound records of one case on one device that agree in all axes but some are
//! one study. The seed is its repetition; other axes in which records may
//! differ are the caller's to name, such as how many methods a study compared:
//! one of more methods does the same for those that both have.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Estimate, Record};

/// The axis that repeats a study.
const SEED: &str = "seed";

/// Sound records of one case and device that differ in the axes of a study's
/// own alone.
#[derive(Clone, Debug)]
pub struct Study<'a> {
    /// The case without its axes.
    path: String,
    /// The axes that all records share.
    axes: BTreeMap<&'a str, &'a str>,
    device: &'a str,
    /// The latest first.
    records: Vec<&'a Record>,
}

/// The sound records of these cases (without axes), gathered into studies,
/// that of the latest record first. Records of one study may differ in the
/// axes `own`.
pub fn studies<'a>(
    records: &'a [Record],
    paths: &[&str],
    own: &[&str],
) -> Vec<Study<'a>> {
    let mut sound: Vec<&Record> = records
        .iter()
        .filter(|record| {
            paths.contains(&record.case.path().as_str()) && record.is_sound()
        })
        .collect();
    sound.sort_by_key(|record| Reverse(record.started));
    let mut studies: Vec<Study<'a>> = Vec::new();
    for record in sound {
        let axes: BTreeMap<&str, &str> = record
            .case
            .axes
            .iter()
            .map(|(axis, value)| (axis.as_str(), value.as_str()))
            .filter(|(axis, _)| !own.contains(axis))
            .collect();
        let path = record.case.path();
        let device = record.device.as_str();
        let met = studies.iter_mut().find(|study| {
            study.path == path && study.axes == axes && study.device == device
        });
        match met {
            Some(study) => study.records.push(record),
            None => {
                studies.push(Study {
                    path,
                    axes,
                    device,
                    records: vec![record],
                });
            }
        }
    }
    studies
}

fn seed_of(record: &Record) -> &str {
    record.case.axis(SEED).unwrap_or_default()
}

impl Study<'_> {
    /// The value of an axis that all records share.
    pub fn axis(&self, name: &str) -> Option<&str> {
        self.axes.get(name).copied()
    }

    /// Of each seed, what the latest record that has something of it says; in
    /// the order of the seeds' texts.
    pub fn over_seeds<T>(&self, of: impl Fn(&Record) -> Option<T>) -> Vec<T> {
        let seeds: BTreeSet<&str> =
            self.records.iter().map(|record| seed_of(record)).collect();
        seeds
            .into_iter()
            .filter_map(|seed| {
                self.records
                    .iter()
                    .copied()
                    .filter(|record| seed_of(record) == seed)
                    .find_map(&of)
            })
            .collect()
    }

    /// An estimate that says, for its reader, what it is of and under what
    /// conditions: the case, the axes that all records share, the device.
    pub fn labelled(&self, estimate: Estimate, what: &str) -> Estimate {
        let mut conditions = self.path.clone();
        for (axis, value) in &self.axes {
            conditions.push_str(&format!(" {axis}={value}"));
        }
        let device = self.device;
        let method =
            format!("{}; {what}; {conditions} on {device}", estimate.method);
        Estimate { method, ..estimate }
    }
}

#[cfg(test)]
mod tests {
    use assay_schema::{Better, Metric, Moment};

    use super::*;
    use crate::mean_over_seeds;
    use crate::testing::record;

    const STUDY: &str = "toy/small/study";
    const OWN: [&str; 2] = ["seed", "methods"];

    fn of(axes: &str, value: f64, started: u64) -> Record {
        let metric = Metric::value("loss", "1", Better::Lower, value);
        let case = format!("{STUDY} {axes}").parse().unwrap();
        Record { started: Moment(started), ..record(case, vec![metric]) }
    }

    fn losses(study: &Study<'_>) -> Vec<f64> {
        study.over_seeds(|record| record.metric("loss"))
    }

    #[test]
    fn records_that_differ_in_more_than_their_seeds_are_studies_apart() {
        let mut elsewhere = of("steps=5 seed=1", 5.0, 0);
        elsewhere.device = "gpu".to_owned();
        let mut wrong = of("steps=5 seed=7", 6.0, 0);
        wrong.verification = None;
        let mut other = of("steps=5 seed=8", 7.0, 0);
        other.case.model = "large".to_owned();
        let records = [
            of("steps=5 seed=1 methods=all", 1.0, 0),
            of("steps=5 seed=2", 2.0, 0),
            of("steps=9 seed=1", 3.0, 1),
            elsewhere,
            wrong,
            other,
        ];
        let found = studies(&records, &[STUDY], &OWN);
        let each: Vec<Vec<f64>> = found.iter().map(losses).collect();
        // That of the latest record first.
        assert_eq!(each, [vec![3.0], vec![1.0, 2.0], vec![5.0]]);
        assert_eq!(found[0].axis("steps"), Some("9"));
        assert_eq!(found[1].axis("seed"), None);
        // Two cases are two studies.
        let both = studies(&records, &[STUDY, "toy/large/study"], &OWN);
        assert_eq!(both.len(), 4);
        assert!(studies(&records, &[], &OWN).is_empty());
    }

    #[test]
    fn of_a_seed_the_latest_record_that_has_a_value_counts() {
        let mut records = vec![
            of("seed=1", 1.0, 0),
            of("seed=1", 2.0, 2),
            of("seed=1", 3.0, 1),
            of("seed=2", 4.0, 0),
        ];
        let latest = |records: &[Record]| {
            let found = studies(records, &[STUDY], &OWN);
            assert_eq!(found.len(), 1);
            losses(&found[0])
        };
        assert_eq!(latest(&records), [2.0, 4.0]);
        records[1].metrics.clear();
        assert_eq!(latest(&records), [3.0, 4.0]);
    }

    #[test]
    fn a_label_tells_what_is_estimated_and_under_what_conditions() {
        let records = [of("steps=5 batch=8 seed=1", 0.5, 0)];
        let found = studies(&records, &[STUDY], &OWN);
        let mean = mean_over_seeds(&losses(&found[0]), 0.95).unwrap();
        let told = found[0].labelled(mean.clone(), "loss");
        let method = "one seed; loss; toy/small/study batch=8 steps=5 on cpu";
        assert_eq!(told, Estimate { method: method.to_owned(), ..mean });
    }
}
