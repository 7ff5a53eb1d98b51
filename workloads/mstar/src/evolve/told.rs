//! What a stage tells the record: times of its parts, metrics, pictures. It
//! stands in the stage's file, so that a resumed study tells it again.

use std::time::Duration;

use assay_measure::Watch;
#[cfg(test)]
use assay_schema::Reading;
use assay_schema::{Better, Metric, Pictures, Seconds};
use serde::{Deserialize, Serialize};

/// Parts that stages may time.
const PARTS: [&str; 8] = [
    "warm-up",
    "blanked",
    "labels",
    "reward-model",
    "rollout",
    "reward",
    "update",
    "judge",
];

/// What a stage told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    parts: Vec<(String, f64)>,
    metrics: Vec<Metric>,
    pictures: Vec<Pictures>,
    /// Seconds that the stage took when it was made; files of before have 0.
    #[serde(default)]
    took: f64,
    /// Whether an earlier run made it.
    #[serde(skip)]
    earlier: bool,
}

/// A place on a metric's own axes.
pub(crate) type At<'a> = (&'a str, &'a str);

impl Told {
    /// A part of [`PARTS`] took so many seconds.
    pub(crate) fn part(&mut self, name: &str, seconds: f64) {
        self.parts.push((name.to_owned(), seconds));
    }

    /// A quality at a place.
    pub(crate) fn quality(
        &mut self,
        name: &str,
        unit: &str,
        better: Better,
        value: f64,
        at: &[At<'_>],
    ) {
        let at = at.iter().map(|(axis, place)| (*axis, *place));
        let metric = Metric::value(name, unit, better, value).at(at);
        self.metrics.push(metric);
    }

    /// A share: higher is better.
    pub(crate) fn share(&mut self, name: &str, value: f64, at: &[At<'_>]) {
        self.quality(name, "1", Better::Higher, value, at);
    }

    /// A count or a setting: neither way is better.
    pub(crate) fn plain(&mut self, name: &str, value: f64, at: &[At<'_>]) {
        self.quality(name, "1", Better::Neither, value, at);
    }

    /// A time.
    pub(crate) fn time(&mut self, name: &str, seconds: f64, at: &[At<'_>]) {
        self.quality(name, "s", Better::Lower, seconds, at);
    }

    /// A rate of tokens; nothing where no time passed.
    pub(crate) fn rate(
        &mut self,
        name: &str,
        tokens: u64,
        seconds: f64,
        at: &[At<'_>],
    ) {
        if tokens > 0 && seconds > 0.0 {
            let rate = tokens as f64 / seconds;
            self.quality(name, "1/s", Better::Higher, rate, at);
        }
    }

    /// A picture strip.
    pub(crate) fn picture(&mut self, pictures: Pictures) {
        self.pictures.push(pictures);
    }

    /// The stage was made in so long.
    pub(crate) fn made_in(self, took: Duration) -> Self {
        Self { took: took.as_secs_f64(), ..self }
    }

    /// The stage was read back.
    pub(crate) fn read_back(self) -> Self {
        Self { earlier: true, ..self }
    }

    /// All of it, into the record.
    pub(crate) fn report(self, watch: &mut Watch<'_>) {
        if self.earlier && self.took > 0.0 {
            watch.took_earlier(Seconds(self.took));
        }
        for (name, seconds) in self.parts {
            if let Some(part) = PARTS.into_iter().find(|part| *part == name) {
                watch.record(part, Seconds(seconds));
            }
        }
        for metric in self.metrics {
            watch.tell(metric);
        }
        for drawn in self.pictures {
            watch.pictures(drawn);
        }
    }

    /// The value of a metric at a place, for tests.
    #[cfg(test)]
    pub(crate) fn value(&self, name: &str, at: &[At<'_>]) -> Option<f64> {
        let found = self.metrics.iter().find(|metric| {
            metric.name == name
                && at.iter().all(|(axis, place)| {
                    metric.at.get(*axis).is_some_and(|own| own == place)
                })
        })?;
        match found.reading {
            Reading::Value(value) => Some(value),
            Reading::Unavailable(_) => None,
        }
    }

    /// Labels of the picture strips, for tests.
    #[cfg(test)]
    pub(crate) fn labels(&self) -> Vec<&str> {
        self.pictures.iter().map(|drawn| drawn.label.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_comes_back_from_text() {
        let mut told = Told::default();
        told.part("rollout", 0.5);
        let at = [("arm", "rft"), ("iteration", "2")];
        told.share("pass_at_k", 0.75, &at);
        told.rate("decode_rate", 10, 0.0, &at);
        told.rate("prefill_rate", 10, 0.5, &at);
        let text = serde_json::to_string(&told).unwrap();
        let again: Told = serde_json::from_str(&text).unwrap();
        assert_eq!(again.value("pass_at_k", &at), Some(0.75));
        assert_eq!(again.value("prefill_rate", &at), Some(20.0));
        assert_eq!(again.value("decode_rate", &at), None);
        assert_eq!(again.value("pass_at_k", &[("arm", "rest-em")]), None);
        assert!(again.labels().is_empty());
        assert_eq!(again.parts, [("rollout".to_owned(), 0.5)]);
    }
}
