//! Shapes of the survey's 59 models (`claims/shapes.csv`), all dates together.

use assay_schema::{Estimate, PublishedPoint};

use super::readings::exact;

const TABLE: &str = include_str!("../../claims/shapes.csv");

/// What is computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfShapes {
    /// The smallest value of a metric.
    Smallest(&'static str),
    /// The largest.
    Largest(&'static str),
    /// Share of the models above a value, percent.
    ShareAbove(&'static str, f64),
}

/// The table; empty where it does not read, which a test notices.
pub(super) fn points() -> Vec<PublishedPoint> {
    PublishedPoint::table("claims/shapes.csv", TABLE).unwrap_or_default()
}

/// Its value; `None` for a metric that the table lacks.
pub(super) fn of(statistic: OfShapes) -> Option<Estimate> {
    let points = points();
    let values = |metric: &str| -> Vec<f64> {
        points
            .iter()
            .filter(|point| point.metric == metric)
            .map(|point| point.value)
            .collect()
    };
    let found = match statistic {
        OfShapes::Smallest(metric) => {
            values(metric).into_iter().reduce(f64::min)?
        }
        OfShapes::Largest(metric) => {
            values(metric).into_iter().reduce(f64::max)?
        }
        OfShapes::ShareAbove(metric, least) => {
            let all = values(metric);
            if all.is_empty() {
                return None;
            }
            let above = all.iter().filter(|value| **value > least).count();
            100.0 * above as f64 / all.len() as f64
        }
    };
    Some(exact(found, "over the 59 models"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_59_models() {
        let points = points();
        assert_eq!(points.len(), TABLE.lines().count() - 1);
        let models =
            points.iter().filter(|point| point.metric == "vocabulary").count();
        assert_eq!(models, 59);
        let share = of(OfShapes::ShareAbove("vocabulary", 50e3)).unwrap();
        assert!((share.point - 71.186).abs() < 1e-2, "{share:?}");
    }
}
