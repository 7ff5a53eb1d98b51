//! A record: the view of one case's events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Case, Event, Metric, Moment, Pictures, Reading, SampleBatch, StopReason,
    Warning, WorkSummary,
};

/// How an answer was checked. Finite output is no answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Where the right answer comes from: `golden file llama-tiny`, `closed
    /// form`, `plain twin`.
    pub against: String,
    /// Largest absolute difference.
    #[serde(with = "crate::number")]
    pub largest_difference: f64,
    /// Largest difference over the answer's largest magnitude.
    #[serde(with = "crate::number")]
    pub relative_difference: f64,
    /// The relative tolerance.
    pub tolerance: f64,
}

impl Verification {
    /// Whether the answer is right. NaN is wrong.
    pub fn passed(&self) -> bool {
        self.relative_difference <= self.tolerance
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Well.
    Finished(StopReason),
    /// Badly, and why.
    Failed(String),
    /// Not run, and why.
    Skipped(String),
    /// No end was written: the run was killed, or goes on.
    Unfinished,
}

/// The view of one case's events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The case.
    pub case: Case,
    /// When it started.
    pub started: Moment,
    /// Device.
    pub device: String,
    /// Its work, from the trace.
    pub work: Option<WorkSummary>,
    /// How its answer was checked.
    pub verification: Option<Verification>,
    /// Raw samples in order.
    pub samples: Vec<SampleBatch>,
    /// Meter readings in order, with the step where there is one.
    pub metrics: Vec<(Option<u64>, Metric)>,
    /// What was drawn, in order.
    #[serde(default)]
    pub pictures: Vec<Pictures>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Record {
    /// Folds events into a record; `None` without a `started` event.
    ///
    /// A case that was started again (after a kill, with `--resume`) counts
    /// from its last start: the samples of a torn attempt stay in the file
    /// but not in the view.
    pub fn from_events(events: &[Event]) -> Option<Self> {
        let start = events
            .iter()
            .rposition(|event| matches!(event, Event::Started { .. }))?;
        let mut events = events[start..].iter().cloned();
        let Some(Event::Started { case, at, device, work }) = events.next()
        else {
            return None;
        };
        let mut record = Self {
            case,
            started: at,
            device,
            work,
            verification: None,
            samples: Vec::new(),
            metrics: Vec::new(),
            pictures: Vec::new(),
            warnings: Vec::new(),
            outcome: Outcome::Unfinished,
        };
        for event in events {
            match event {
                Event::Started { .. } => {}
                Event::Verified(v) => record.verification = Some(v),
                Event::Sample(batch) => record.samples.push(batch),
                Event::Meter { step, metric } => {
                    record.metrics.push((step, metric));
                }
                Event::Pictures(drawn) => record.pictures.push(drawn),
                Event::Warning(warning) => record.warnings.push(warning),
                Event::Finished { stop, .. } => {
                    record.outcome = Outcome::Finished(stop);
                }
                Event::Failed { error, skipped: true, .. } => {
                    record.outcome = Outcome::Skipped(error);
                }
                Event::Failed { error, skipped: false, .. } => {
                    record.outcome = Outcome::Failed(error);
                }
            }
        }
        Some(record)
    }

    /// Samples of a part past the warm-up, in order, seconds an iteration.
    pub fn steady_samples(&self, part: &str) -> Vec<f64> {
        self.samples
            .iter()
            .filter(|batch| !batch.warm_up && batch.part == part)
            .flat_map(|batch| batch.seconds.iter().copied())
            .collect()
    }

    /// The names of the parts that have samples, in the order met.
    pub fn parts(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = Vec::new();
        for batch in &self.samples {
            if !parts.contains(&batch.part.as_str()) {
                parts.push(&batch.part);
            }
        }
        parts
    }

    /// Whether it may be charted: finished, and its answer was right.
    pub fn is_sound(&self) -> bool {
        matches!(self.outcome, Outcome::Finished(_))
            && self.verification.as_ref().is_some_and(Verification::passed)
    }

    /// The last value of a metric.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().rev().find_map(|(_, metric)| {
            match &metric.reading {
                Reading::Value(value)
                    if metric.name == name && metric.at.is_empty() =>
                {
                    Some(*value)
                }
                Reading::Value(_) | Reading::Unavailable(_) => None,
            }
        })
    }

    /// The values of a metric that has axes of its own, in order, each with
    /// its place on them. A place that was read twice stands twice.
    pub fn metric_values<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a BTreeMap<String, String>, f64)> + 'a {
        self.metrics.iter().filter_map(move |(_, metric)| {
            match &metric.reading {
                Reading::Value(value)
                    if metric.name == name && !metric.at.is_empty() =>
                {
                    Some((&metric.at, *value))
                }
                Reading::Value(_) | Reading::Unavailable(_) => None,
            }
        })
    }

    /// The last value of a metric at one place on its own axes.
    pub fn metric_at(&self, name: &str, at: &[(&str, &str)]) -> Option<f64> {
        self.metric_values(name)
            .filter(|(place, _)| {
                place.len() == at.len()
                    && at.iter().all(|(axis, value)| {
                        place.get(*axis).is_some_and(|found| found == value)
                    })
            })
            .last()
            .map(|(_, value)| value)
    }
}
