//! What a person reads of one benchmark: a line, and warnings below it.

use crate::routine::Throughput;
use crate::session::Measured;

/// Names longer than this push their line to the right.
const WIDEST_NAME: usize = 60;

/// The width of the names' column.
pub(crate) fn name_width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    width.min(WIDEST_NAME)
}

/// The lines of one measured benchmark, each with its end.
pub(crate) fn measured(name: &str, width: usize, found: &Measured) -> String {
    let mut line = format!("{name:width$}  {}", time(found));
    for &work in &found.throughputs {
        if let Some(seconds) = typical(found) {
            line.push_str(&format!("  {:>14}", rate(work, seconds)));
        }
    }
    for named in &found.metrics {
        let value = named.metric.value;
        let text = match named.name.as_str() {
            "allocations" if (value - 1.0).abs() < 1e-12 => {
                "1 allocation".to_owned()
            }
            "allocations" => format!("{} allocations", number(value)),
            "instructions" => format!("{} instructions", scaled(value, "")),
            name => match name.strip_prefix("quality/") {
                Some(name) => match named.metric.unit.as_str() {
                    "1" | "" => format!("{name} {}", number(value)),
                    unit => format!("{name} {} {unit}", number(value)),
                },
                None => continue,
            },
        };
        line.push_str("  ");
        line.push_str(&text);
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    for warning in &found.warnings {
        line.push_str(&format!("    {}: {}\n", warning.kind, warning.message));
    }
    line
}

/// The median, or the only sample.
fn typical(found: &Measured) -> Option<f64> {
    let median = found.estimate.as_ref().map(|estimate| estimate.point);
    median.or(found.seconds.first().copied())
}

/// Median and interval in one unit, with digits that the interval bears out.
fn time(found: &Measured) -> String {
    let Some(estimate) = &found.estimate else {
        return match typical(found) {
            Some(seconds) => {
                let (factor, unit) = unit_of(seconds);
                format!("{:>9} {unit} (one sample)", number(seconds * factor))
            }
            None => "no sample".to_owned(),
        };
    };
    let (factor, unit) = unit_of(estimate.point);
    let [point, low, high] =
        [estimate.point, estimate.low, estimate.high].map(|s| s * factor);
    let digits = decimals(point, (high - low) / 2.0);
    let range = format!("[{low:.digits$}, {high:.digits$}]");
    format!("{point:>9.digits$} {unit} {range:<20}")
}

/// Decimals that show two digits of the half width; three significant digits
/// at least, five at most.
fn decimals(point: f64, half_width: f64) -> usize {
    let places = |value: f64, digits: i32| {
        if value > 0.0 {
            digits - 1 - value.log10().floor() as i32
        } else {
            i32::MAX
        }
    };
    let (least, most) = (places(point, 3), places(point, 5));
    if point <= 0.0 {
        return 0;
    }
    usize::try_from(places(half_width, 2).clamp(least, most)).unwrap_or(0)
}

/// The factor from seconds, and the unit.
fn unit_of(seconds: f64) -> (f64, &'static str) {
    match seconds {
        s if s < 1e-6 => (1e9, "ns"),
        s if s < 1e-3 => (1e6, "us"),
        s if s < 1.0 => (1e3, "ms"),
        _ => (1.0, "s "),
    }
}

fn rate(work: Throughput, seconds: f64) -> String {
    match work {
        Throughput::Bytes(bytes) => scaled(bytes / seconds, "B/s"),
        Throughput::Elements(count) => scaled(count / seconds, "elem/s"),
        Throughput::Flops(flops) => scaled(flops / seconds, "FLOP/s"),
    }
}

/// Three digits and a decimal prefix: `83.0 Melem/s`.
fn scaled(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 5] =
        [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (factor, prefix) = PREFIXES
        .into_iter()
        .find(|(factor, _)| value.abs() >= *factor)
        .unwrap_or((1.0, ""));
    let text = format!("{} {prefix}{unit}", number(value / factor));
    text.trim_end().to_owned()
}

/// Three digits, or all of those before the point; a whole number as such.
fn number(value: f64) -> String {
    if value.fract().abs() < 1e-12 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let magnitude = value.abs().log10().floor() as i32;
    if magnitude < -4 {
        return format!("{value:.2e}");
    }
    let digits = usize::try_from(2 - magnitude).unwrap_or(0);
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use assay_schema::{Better, Estimate, LockstepMetric, Warning};

    use super::*;
    use crate::prepared::Named;

    fn named(name: &str, unit: &str, value: f64) -> Named {
        let (unit, better) = (unit.to_owned(), Better::Lower);
        let metric = LockstepMetric { value, unit, better };
        Named { name: name.to_owned(), metric }
    }

    fn found(point: f64, low: f64, high: f64) -> Measured {
        Measured {
            seconds: vec![point; 100],
            estimate: Some(Estimate {
                point,
                low,
                high,
                confidence: 0.95,
                n: 100,
                method: String::new(),
            }),
            metrics: Vec::new(),
            fingerprint: None,
            throughputs: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_benchmark_is_a_line_with_its_warnings_below() {
        let mut sort = found(12.3456e-6, 12.31e-6, 12.40e-6);
        sort.throughputs = vec![Throughput::Elements(1024.0)];
        sort.metrics = vec![
            named("allocations", "1", 2.0),
            named("quality/recall", "1", 0.9731),
            named("quality/size", "B", 1234.5),
            named("instructions", "1", 40_312.0),
            named("page_faults_minor", "1", 3.0),
        ];
        let mut slow = found(2.5, 2.4, 2.6);
        slow.warnings = vec![Warning {
            kind: "steal".to_owned(),
            message: "3 % was stolen".to_owned(),
        }];
        let mut one = found(0.25, 0.25, 0.25);
        one.estimate = None;
        let lines: String = [
            measured("sort n=1024", 12, &sort),
            measured("train", 12, &slow),
            measured("once", 12, &one),
            measured("add", 12, &found(0.3e-9, 0.2999e-9, 0.3001e-9)),
        ]
        .concat();
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn digits_stop_where_the_interval_says_so() {
        assert_eq!(decimals(12.3456, 0.05), 3);
        assert_eq!(decimals(12.3456, 5.0), 1);
        assert_eq!(decimals(123.456, 50.0), 0);
        assert_eq!(decimals(1.0, 0.0), 4);
        assert_eq!(decimals(0.0, 0.0), 0);
    }
}
