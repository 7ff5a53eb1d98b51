//! Studies: cases that are one training run each, gathered by experiment and
//! by setting.
//!
//! A setting is a case without its seed; what is said of it is the mean over
//! its seeds with the smallest and the largest. Only sound records count;
//! how many were planned is kept beside them.

mod names;

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Case, PlannedCase, Record};

pub(crate) use names::{MODEL, WORKLOAD, axis_name, axis_words, name, number};

use super::RunFindings;
use crate::document::{Spread, printable};
use assay_schema::PublishedPoint;

/// The phases that run once to an end of their own: a training run, a search,
/// fine-tuning.
const PHASES: [&str; 3] = ["study", "search", "fine-tune"];
/// The axis that repeats a setting.
pub(super) const SEED: &str = "seed";

/// Whether a case is one run of a study.
pub(crate) fn is_study(case: &Case) -> bool {
    case.phase.as_deref().is_some_and(|phase| PHASES.contains(&phase))
}

/// A case without its seed.
pub(crate) fn setting_of(case: &Case) -> Case {
    let mut setting = case.clone();
    setting.axes.remove(SEED);
    setting
}

/// One experiment of one run.
pub(crate) struct Study<'a> {
    /// Its name in the plan; empty for cases that name none.
    pub(crate) experiment: String,
    /// The machine that trained.
    pub(crate) machine: &'a str,
    /// In plan order.
    pub(crate) settings: Vec<StudySetting<'a>>,
    /// Numbers of others that may stand beside a setting's.
    pub(crate) published: &'a [PublishedPoint],
    /// Models of the whole plan, each once, in its order.
    pub(crate) models: Vec<&'a str>,
}

/// A setting with its seeds.
pub(crate) struct StudySetting<'a> {
    /// The case without its seed.
    pub(crate) case: Case,
    /// Sound records, by seed.
    pub(crate) records: Vec<&'a Record>,
    /// Training runs that the plan asks for.
    pub(crate) planned: usize,
}

/// A mean over seeds, with the smallest and the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OverSeeds {
    pub(crate) spread: Spread,
    /// Seeds that have the number.
    pub(crate) n: usize,
}

impl OverSeeds {
    /// `None` without a value; values that are not finite are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> =
            values.into_iter().filter(|value| value.is_finite()).collect();
        let n = values.len();
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        let mean = values.iter().sum::<f64>() / n as f64;
        // A sum's rounding may push the mean out by a hair.
        let point = mean.clamp(low, high);
        Some(Self { spread: Spread { point, low, high }, n })
    }
}

impl StudySetting<'_> {
    /// A metric without coordinates.
    pub(crate) fn metric(&self, name: &str) -> Option<OverSeeds> {
        OverSeeds::of(self.records.iter().filter_map(|r| r.metric(name)))
    }

    /// A metric at one place of its only axis.
    pub(crate) fn metric_at(
        &self,
        name: &str,
        axis: &str,
        value: &str,
    ) -> Option<OverSeeds> {
        OverSeeds::of(
            self.records
                .iter()
                .filter_map(|r| r.metric_at(name, &[(axis, value)])),
        )
    }

    /// The places at which a metric with this only axis was taken, in the
    /// order met.
    pub(crate) fn places(&self, name: &str, axis: &str) -> Vec<String> {
        let mut met: Vec<String> = Vec::new();
        for record in &self.records {
            for (at, _) in record.metric_values(name) {
                if let (1, Some(place)) = (at.len(), at.get(axis))
                    && !met.contains(place)
                {
                    met.push(place.clone());
                }
            }
        }
        met
    }

    /// The numbers of others that fit: of the same workload, model and
    /// phase, and every axis that they name is equal.
    pub(crate) fn published<'p>(
        &self,
        points: &'p [PublishedPoint],
    ) -> Vec<&'p PublishedPoint> {
        let fits = |point: &&PublishedPoint| {
            point.case.parse::<Case>().is_ok_and(|case| {
                case.path() == self.case.path()
                    && case.axes.iter().all(|(axis, value)| {
                        self.case.axis(axis) == Some(value)
                    })
            })
        };
        points.iter().filter(fits).collect()
    }
}

/// Settings along a numeric axis, all else equal.
pub(crate) struct Series<'s, 'a> {
    /// What the settings share; without the axis where they stand along it.
    pub(crate) case: Case,
    /// Each with its value on the axis, where that is a number.
    pub(crate) settings: Vec<(Option<f64>, &'s StudySetting<'a>)>,
}

impl<'a> Study<'a> {
    /// The axes that differ between settings; [`MODEL`] and [`WORKLOAD`]
    /// stand for what a case's path says.
    pub(crate) fn differing(&self) -> BTreeSet<String> {
        let mut values: BTreeMap<&str, BTreeSet<Option<&str>>> =
            BTreeMap::new();
        for setting in &self.settings {
            for axis in setting.case.axes.keys() {
                values.entry(axis).or_default();
            }
        }
        for (axis, values) in &mut values {
            values.extend(self.settings.iter().map(|s| s.case.axis(axis)));
        }
        let cases = || self.settings.iter().map(|setting| &setting.case);
        let models: BTreeSet<&str> =
            cases().map(|case| case.model.as_str()).collect();
        let workloads: BTreeSet<&str> =
            cases().map(|case| case.workload.as_str()).collect();
        let model = (models.len() > 1).then(|| MODEL.to_owned());
        let workload = (workloads.len() > 1).then(|| WORKLOAD.to_owned());
        values
            .into_iter()
            .filter(|(_, values)| values.len() > 1)
            .map(|(axis, _)| axis.to_owned())
            .chain(model)
            .chain(workload)
            .collect()
    }

    /// What all settings share, in words.
    pub(crate) fn shared(&self) -> String {
        let Some(first) = self.settings.first() else {
            return String::new();
        };
        let differing = self.differing();
        let mut parts = Vec::new();
        if !differing.contains(MODEL) {
            parts.push(first.case.model.clone());
        }
        parts.extend(
            first
                .case
                .axes
                .iter()
                .filter(|(axis, _)| !differing.contains(axis.as_str()))
                .map(|(axis, value)| axis_words(axis, value)),
        );
        printable(&parts.join(", "))
    }

    /// Settings gathered along an axis, in plan order; without an axis, or
    /// where its value is no number, each setting stands alone.
    pub(crate) fn along(&self, axis: Option<&str>) -> Vec<Series<'_, 'a>> {
        let mut series: Vec<Series<'_, 'a>> = Vec::new();
        for setting in &self.settings {
            let at = axis.and_then(|axis| number(setting.case.axis(axis)?));
            let mut case = setting.case.clone();
            if let (Some(axis), Some(_)) = (axis, at) {
                case.axes.remove(axis);
            }
            match series.iter_mut().find(|one| one.case == case) {
                Some(one) => one.settings.push((at, setting)),
                None => {
                    series.push(Series { case, settings: vec![(at, setting)] });
                }
            }
        }
        for one in &mut series {
            one.settings.sort_by(|(a, _), (b, _)| {
                a.unwrap_or_default().total_cmp(&b.unwrap_or_default())
            });
        }
        series
    }

    /// The different numbers that an axis takes.
    pub(crate) fn numbers(&self, axis: &str) -> usize {
        let mut numbers: Vec<f64> = self
            .settings
            .iter()
            .filter_map(|setting| number(setting.case.axis(axis)?))
            .collect();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        numbers.len()
    }
}

/// The experiments of all runs, each in plan order.
pub(crate) fn studies<'a>(runs: &'a [RunFindings<'_>]) -> Vec<Study<'a>> {
    runs.iter().flat_map(of_run).collect()
}

fn of_run<'a>(run: &'a RunFindings<'_>) -> Vec<Study<'a>> {
    let records: BTreeMap<&Case, &Record> = run
        .records
        .iter()
        .filter(|record| record.is_sound())
        .map(|record| (&record.case, *record))
        .collect();
    let mut studies: Vec<Study<'a>> = Vec::new();
    let planned = &run.data.header.plan.cases;
    let mut models: Vec<&str> = Vec::new();
    for one in planned {
        if !models.contains(&one.case.model.as_str()) {
            models.push(&one.case.model);
        }
    }
    let unnamed = [String::new()];
    let mut met: BTreeSet<&str> = BTreeSet::new();
    let trained = |one: &&PlannedCase| one.measure && is_study(&one.case);
    for planned in planned.iter().filter(trained) {
        let experiments = match planned.experiments.as_slice() {
            [] => &unnamed,
            names => names,
        };
        for experiment in experiments {
            let index = match studies
                .iter()
                .position(|study| study.experiment == *experiment)
            {
                Some(index) => index,
                None => {
                    studies.push(Study {
                        experiment: experiment.clone(),
                        machine: &run.machine,
                        settings: Vec::new(),
                        published: &run.data.published,
                        models: models.clone(),
                    });
                    studies.len() - 1
                }
            };
            if run.records.iter().any(|one| one.case == planned.case) {
                met.insert(experiment);
            }
            let record = records.get(&planned.case).copied();
            add(&mut studies[index].settings, &planned.case, record);
        }
    }
    // What nobody started has nothing to say.
    studies.retain(|study| met.contains(study.experiment.as_str()));
    studies
}

fn add<'a>(
    settings: &mut Vec<StudySetting<'a>>,
    case: &Case,
    record: Option<&'a Record>,
) {
    let setting = setting_of(case);
    match settings.iter_mut().find(|one| one.case == setting) {
        Some(one) => {
            one.planned += 1;
            one.records.extend(record);
        }
        None => settings.push(StudySetting {
            case: setting,
            records: record.into_iter().collect(),
            planned: 1,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(case: &str) -> StudySetting<'static> {
        let case: Case = case.parse().unwrap();
        StudySetting { case, records: Vec::new(), planned: 1 }
    }

    fn study(cases: &[&str]) -> Study<'static> {
        Study {
            experiment: "e".into(),
            machine: "m",
            settings: cases.iter().map(|case| setting(case)).collect(),
            published: &[],
            models: Vec::new(),
        }
    }

    #[test]
    fn a_setting_is_named_by_what_differs() {
        let study = study(&[
            "radio/cnn/study band_mhz=2 train_snr_db=10",
            "radio/cnn/study band_mhz=2 train_snr_db=all",
            "radio/lstm/study band_mhz=2 train_snr_db=10",
        ]);
        let differing = study.differing();
        let names: Vec<String> = study
            .settings
            .iter()
            .map(|one| name(&one.case, &differing, &[]))
            .collect();
        assert_eq!(
            names,
            [
                "cnn, training SNR 10 dB",
                "cnn, training SNR all",
                "lstm, training SNR 10 dB"
            ]
        );
        assert_eq!(study.shared(), "band 2 MHz");
    }

    #[test]
    fn settings_gather_along_a_number_and_others_stand_alone() {
        let study = study(&[
            "radio/cnn/study test_snr_db=10",
            "radio/cnn/study test_snr_db=-10",
            "radio/cnn/study test_snr_db=all",
        ]);
        let series = study.along(Some("test_snr_db"));
        let values: Vec<Vec<Option<f64>>> = series
            .iter()
            .map(|one| one.settings.iter().map(|(at, _)| *at).collect())
            .collect();
        assert_eq!(values, [vec![Some(-10.0), Some(10.0)], vec![None]]);
        assert_eq!(study.numbers("test_snr_db"), 2);
    }

    #[test]
    fn a_mean_stands_between_smallest_and_largest() {
        let over = OverSeeds::of([0.3, f64::NAN, 0.1]).unwrap();
        assert_eq!(over.n, 2);
        assert_eq!(over.spread, Spread { point: 0.2, low: 0.1, high: 0.3 });
        assert_eq!(OverSeeds::of([f64::NAN]), None);
    }

    #[test]
    fn a_published_number_fits_by_the_axes_that_it_names() {
        let point = |case: &str| PublishedPoint {
            case: case.into(),
            profile: "p".into(),
            metric: "accuracy".into(),
            value: 0.9,
            unit: "1".into(),
            source: "s".into(),
            trust: "table".into(),
        };
        let points = [
            point("radio/cnn/study keep=0.5"),
            point("radio/cnn/study keep=0.5 other=1"),
            point("radio/lstm/study keep=0.5"),
            point("the paper's best"),
        ];
        let setting = setting("radio/cnn/study keep=0.5 band_mhz=2");
        assert_eq!(setting.published(&points), [&points[0]]);
    }
}
