//! The three files of a criterion baseline, as text.
//!
//! Times are nanoseconds for all iterations of a sample, as criterion's own
//! clock writes them; a custom `Measurement` writes its own unit, and the
//! files do not say which. criterion writes NaN as `null`.

use std::path::Path;

use assay_schema::{Better, Case, Metric, SampleBatch, Warning};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::ImportError;
use super::super::names::escape;

/// Seconds in a nanosecond.
const NANO: f64 = 1e-9;

/// Whole numbers up to here are exact in an `f64`.
const MOST_ITERATIONS: f64 = 9_007_199_254_740_992.0;

/// A median of the samples and criterion's may differ by rounding alone.
const SAME_MEDIAN: f64 = 1e-6;

/// Who a benchmark is, and what an iteration of it works through.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) case: Case,
    pub(super) work: Vec<Metric>,
}

#[derive(Deserialize)]
struct BenchmarkFile {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
    throughput: Option<Throughput>,
}

/// What an iteration works through, as the benchmark's author declared it.
#[derive(Deserialize)]
enum Throughput {
    Bits(u64),
    Bytes(u64),
    /// Bytes too: criterion prints them with prefixes of a thousand.
    BytesDecimal(u64),
    Elements(u64),
    ElementsAndBytes {
        elements: u64,
        bytes: u64,
    },
}

/// Reads `benchmark.json`.
pub(super) fn identity(
    path: &Path,
    text: &str,
) -> Result<Identity, ImportError> {
    let expected = "expected criterion's benchmark (group_id, function_id, \
                    value_str, throughput)";
    let file: BenchmarkFile = from_value(path, json(path, text)?, expected)?;
    let function = file.function_id.as_deref().map(escape);
    let mut case =
        Case::new("criterion", escape(&file.group_id), function.as_deref());
    if let Some(value) = &file.value_str {
        case = case.with("value", escape(value));
    }
    let amount = |name: &str, unit: &str, amount: u64| {
        let name = format!("{name}_per_iteration");
        Metric::value(name, unit, Better::Neither, amount as f64)
    };
    let elements = |n| amount("elements", "1", n);
    let bytes = |n| amount("bytes", "B", n);
    let work = match file.throughput {
        None => Vec::new(),
        Some(Throughput::Bits(n)) => vec![amount("bits", "bit", n)],
        Some(Throughput::Bytes(n) | Throughput::BytesDecimal(n)) => {
            vec![bytes(n)]
        }
        Some(Throughput::Elements(n)) => vec![elements(n)],
        Some(Throughput::ElementsAndBytes { elements: n, bytes: b }) => {
            vec![elements(n), bytes(b)]
        }
    };
    Ok(Identity { case, work })
}

#[derive(Deserialize)]
struct SampleFile {
    iters: Vec<Option<f64>>,
    times: Vec<Option<f64>>,
}

/// Reads `sample.json`, old ones that are a bare `[iters, times]` too.
/// Consecutive samples of as many iterations are one batch.
pub(super) fn samples(
    path: &Path,
    text: &str,
) -> Result<Vec<SampleBatch>, ImportError> {
    let expected = "expected criterion's sample: an object with iters and \
                    times, or in old files the array [iters, times]";
    let value = json(path, text)?;
    let SampleFile { iters, times } = if value.is_array() {
        let [iters, times] = from_value(path, value, expected)?;
        SampleFile { iters, times }
    } else {
        from_value(path, value, expected)?
    };
    let problem = |text: String| ImportError::file(path, text);
    if iters.len() != times.len() || iters.is_empty() {
        return Err(problem(format!(
            "{} iters and {} times; expected as many of each, at least one",
            iters.len(),
            times.len()
        )));
    }
    let mut batches: Vec<SampleBatch> = Vec::new();
    for (index, (&iterations, &time)) in iters.iter().zip(&times).enumerate() {
        let is_count =
            |n: &f64| *n >= 1.0 && *n <= MOST_ITERATIONS && n.fract() == 0.0;
        let iterations = iterations.filter(is_count).ok_or_else(|| {
            problem(format!(
                "iters[{index}] is {}; expected a whole number from 1",
                shown(iterations)
            ))
        })?;
        let is_time = |t: &f64| t.is_finite() && *t > 0.0;
        let time = time.filter(is_time).ok_or_else(|| {
            problem(format!(
                "times[{index}] is {}; expected nanoseconds above 0",
                shown(time)
            ))
        })?;
        let seconds = time / iterations * NANO;
        let iterations = iterations as u64;
        match batches.last_mut() {
            Some(batch) if batch.iterations == iterations => {
                batch.seconds.push(seconds);
            }
            Some(_) | None => batches.push(SampleBatch {
                part: "step".to_owned(),
                rank: None,
                // criterion throws its own warm-up away.
                warm_up: false,
                iterations,
                seconds: vec![seconds],
            }),
        }
    }
    Ok(batches)
}

/// What criterion computed; nanoseconds an iteration.
#[derive(Debug, Deserialize)]
pub(super) struct Estimates {
    #[serde(alias = "Mean")]
    mean: Estimate,
    #[serde(alias = "Median")]
    median: Estimate,
    #[serde(alias = "MedianAbsDev")]
    median_abs_dev: Estimate,
    #[serde(alias = "Slope")]
    slope: Option<Estimate>,
    #[serde(alias = "StdDev")]
    std_dev: Estimate,
}

#[derive(Debug, Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Debug, Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

/// Reads `estimates.json`, old ones with capital names too.
pub(super) fn estimates(
    path: &Path,
    text: &str,
) -> Result<Estimates, ImportError> {
    let expected = "expected criterion's estimates (mean, median, \
                    median_abs_dev, std_dev, each a number with its interval)";
    from_value(path, json(path, text)?, expected)
}

impl Estimates {
    /// As metrics in seconds, shown beside the samples and never judged.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let named = [
            ("mean", Some(&self.mean)),
            ("median", Some(&self.median)),
            ("median_abs_dev", Some(&self.median_abs_dev)),
            ("slope", self.slope.as_ref()),
            ("std_dev", Some(&self.std_dev)),
        ];
        let seconds = |name: String, nanoseconds: f64| {
            Metric::value(name, "s", Better::Neither, nanoseconds * NANO)
        };
        let mut metrics = Vec::new();
        for (name, estimate) in named {
            let Some(estimate) = estimate else { continue };
            let interval = &estimate.confidence_interval;
            let name = format!("criterion/{name}");
            let ends = [
                (format!("{name}/low"), interval.lower_bound),
                (format!("{name}/high"), interval.upper_bound),
            ];
            metrics.push(seconds(name, estimate.point_estimate));
            metrics.extend(ends.map(|(name, end)| seconds(name, end)));
        }
        metrics
    }

    /// A warning where the samples' median is not criterion's: then the two
    /// files are of different runs.
    pub(super) fn disagreement(
        &self,
        samples: &[SampleBatch],
    ) -> Option<Warning> {
        let mut all: Vec<f64> = samples
            .iter()
            .flat_map(|batch| batch.seconds.iter().copied())
            .collect();
        all.sort_by(f64::total_cmp);
        let middle = all.len() / 2;
        let median = if all.len() % 2 == 1 {
            all[middle]
        } else {
            (all[middle - 1] + all[middle]) / 2.0
        };
        let theirs = self.median.point_estimate * NANO;
        if (theirs / median - 1.0).abs() <= SAME_MEDIAN {
            return None;
        }
        Some(Warning {
            kind: "estimates-differ".to_owned(),
            message: format!(
                "estimates.json has a median of {theirs:.4e} s, the samples \
                 have {median:.4e} s: the files are of different runs; the \
                 samples were taken, run the benchmark again"
            ),
        })
    }
}

/// A number as its file has it.
fn shown(number: Option<f64>) -> String {
    number.map_or("null".to_owned(), |number| number.to_string())
}

/// Text as JSON, or where it stops being JSON.
fn json(path: &Path, text: &str) -> Result<Value, ImportError> {
    serde_json::from_str(text).map_err(|error| {
        ImportError::file(path, format!("expected JSON: {error}"))
    })
}

fn from_value<T: DeserializeOwned>(
    path: &Path,
    value: Value,
    expected: &str,
) -> Result<T, ImportError> {
    serde_json::from_value(value).map_err(|error| {
        ImportError::file(path, format!("{expected}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<SampleBatch>, String> {
        samples(Path::new("sample.json"), text)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn growing_counts_stay_with_their_samples_and_equal_ones_share_a_batch() {
        let linear = r#"{"sampling_mode":"Linear","iters":[1.0,2.0,2.0],"times":[10.0,22.0,24.0]}"#;
        let batches = read(linear).unwrap();
        let shape: Vec<(u64, Vec<f64>)> = batches
            .into_iter()
            .map(|batch| (batch.iterations, batch.seconds))
            .collect();
        assert_eq!(
            shape,
            [(1, vec![10.0 * NANO]), (2, vec![11.0 * NANO, 12.0 * NANO])]
        );
    }

    proptest! {
        #[test]
        fn an_old_bare_array_reads_like_the_object(
            rows in prop::collection::vec((1_u32..9, 1e-3_f64..1e12), 1..20),
        ) {
            let iters: Vec<f64> =
                rows.iter().map(|row| f64::from(row.0)).collect();
            let times: Vec<f64> = rows.iter().map(|row| row.1).collect();
            let new = serde_json::json!({"iters": iters, "times": times});
            let old = serde_json::json!([iters, times]);
            let batches = read(&new.to_string()).unwrap();
            prop_assert_eq!(&batches, &read(&old.to_string()).unwrap());
            let back: Vec<(f64, f64)> = batches
                .iter()
                .flat_map(|b| {
                    b.seconds.iter().map(|s| (b.iterations as f64, *s))
                })
                .collect();
            prop_assert_eq!(back.len(), rows.len());
            for ((n, s), (iters, time)) in back.iter().zip(&rows) {
                prop_assert_eq!(*n, f64::from(*iters));
                prop_assert!((s * n / NANO / time - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let wrong = [
            r#"{"iters":[1.0],"times":[null]}"#,
            r#"{"iters":[0.0],"times":[1.0]}"#,
            r#"{"iters":[0.5],"times":[1.0]}"#,
            r#"{"iters":[1.0],"times":[-3.0]}"#,
            r#"{"iters":[1.0,1.0],"times":[1.0,0.0]}"#,
            r#"{"iters":[],"times":[]}"#,
            r#"{"iters":[1.0,2.0],"times":[1.0]}"#,
            r#"{"iters":[1.0],"times":[NaN]}"#,
            r#"{"iters":[1.0],"tim"#,
            r#"{"iters":[1.0]}"#,
            "[[1.0]]",
            "3",
        ];
        let errors: Vec<String> =
            wrong.iter().map(|text| read(text).unwrap_err()).collect();
        insta::assert_snapshot!(errors.join("\n"), @"
        sample.json: times[0] is null; expected nanoseconds above 0
        sample.json: iters[0] is 0; expected a whole number from 1
        sample.json: iters[0] is 0.5; expected a whole number from 1
        sample.json: times[0] is -3; expected nanoseconds above 0
        sample.json: times[1] is 0; expected nanoseconds above 0
        sample.json: 0 iters and 0 times; expected as many of each, at least one
        sample.json: 2 iters and 1 times; expected as many of each, at least one
        sample.json: expected JSON: expected value at line 1 column 25
        sample.json: expected JSON: EOF while parsing a string at line 1 column 19
        sample.json: expected criterion's sample: an object with iters and times, or in old files the array [iters, times]: missing field `times`
        sample.json: expected criterion's sample: an object with iters and times, or in old files the array [iters, times]: invalid length 1, expected an array of length 2
        sample.json: expected criterion's sample: an object with iters and times, or in old files the array [iters, times]: invalid type: integer `3`, expected struct SampleFile
        ");
    }

    #[test]
    fn all_ways_to_say_throughput_are_read() {
        let work = |throughput: &str| {
            let text = format!(
                r#"{{"group_id":"g","function_id":null,"value_str":null,"throughput":{throughput}}}"#
            );
            let identity = identity(Path::new("b.json"), &text).unwrap();
            let named = identity.work.into_iter().map(|metric| {
                format!("{} {:?} {}", metric.name, metric.reading, metric.unit)
            });
            named.collect::<Vec<_>>().join(", ")
        };
        let all = [
            "null",
            r#"{"Bits":8}"#,
            r#"{"Bytes":16}"#,
            r#"{"BytesDecimal":16}"#,
            r#"{"Elements":3}"#,
            r#"{"ElementsAndBytes":{"elements":3,"bytes":24}}"#,
        ];
        insta::assert_snapshot!(all.map(work).join("\n"), @"

        bits_per_iteration Value(8.0) bit
        bytes_per_iteration Value(16.0) B
        bytes_per_iteration Value(16.0) B
        elements_per_iteration Value(3.0) 1
        elements_per_iteration Value(3.0) 1, bytes_per_iteration Value(24.0) B
        ");
    }

    #[test]
    fn old_capital_names_are_the_same_estimates() {
        let one = r#"{"confidence_interval":{"confidence_level":0.95,"lower_bound":1.0,"upper_bound":3.0},"point_estimate":2.0,"standard_error":0.5}"#;
        let of = |names: [&str; 5]| {
            let fields = names.map(|name| format!("\"{name}\":{one}"));
            let text = format!("{{{}}}", fields.join(","));
            estimates(Path::new("e.json"), &text).unwrap().metrics()
        };
        let new = of(["mean", "median", "median_abs_dev", "slope", "std_dev"]);
        let old = of(["Mean", "Median", "MedianAbsDev", "Slope", "StdDev"]);
        assert_eq!(new, old);
        assert_eq!(new.len(), 15);
    }

    #[test]
    fn estimates_of_another_run_are_told() {
        let one = |n: f64| {
            format!(
                r#"{{"confidence_interval":{{"lower_bound":1.0,"upper_bound":3.0}},"point_estimate":{n}}}"#
            )
        };
        let text = format!(
            r#"{{"mean":{0},"median":{1},"median_abs_dev":{0},"slope":null,"std_dev":{0}}}"#,
            one(1.0),
            one(11.0)
        );
        let estimates = estimates(Path::new("e.json"), &text).unwrap();
        let fits = read(r#"{"iters":[1,1],"times":[10.0,12.0]}"#).unwrap();
        assert_eq!(estimates.disagreement(&fits), None);
        let other = read(r#"{"iters":[1,1],"times":[10.0,13.0]}"#).unwrap();
        let warning = estimates.disagreement(&other).unwrap();
        assert_eq!(warning.kind, "estimates-differ");
    }
}
