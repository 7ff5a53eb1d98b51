//! Tables with typed cells: a number in a cell knows its unit, its interval
//! and where it comes from.

use assay_schema::{Estimate, Provenance};

use super::{Shown, Spread, printable, show};

/// A number in a cell or in a sentence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantity {
    /// In `unit`, without prefix.
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// Lower end, upper end, confidence; without one it is a range, from the
    /// smallest observation to the largest.
    pub(crate) interval: Option<(f64, f64, Option<f64>)>,
    /// Observations behind it.
    pub(crate) n: Option<u64>,
    pub(crate) provenance: Provenance,
}

impl Quantity {
    /// Point and interval with the unit that suits them.
    pub(crate) fn shown(&self) -> Shown {
        // A range of equal numbers says no more than its mean.
        let interval = self.interval.filter(|(low, high, confidence)| {
            confidence.is_some() || low < high
        });
        let interval = interval.map(|(low, high, _)| (low, high));
        show(self.value, interval, &self.unit)
    }

    /// The interval as text, `23.9 to 24.4`, with its confidence where that
    /// is not the usual one (too few samples).
    pub(crate) fn interval_text(&self) -> Option<String> {
        let (low, high) = self.shown().interval?;
        let (_, _, confidence) = self.interval?;
        let usual = usual_confidence(self.provenance);
        Some(match confidence {
            Some(confidence) if (confidence - usual).abs() >= 0.005 => {
                format!("{low} to {high}, {:.0} %", confidence * 100.0)
            }
            Some(_) | None => format!("{low} to {high}"),
        })
    }

    /// Point and unit, without the unit where a caption said it. Bare per
    /// cents stand under one another, so each has one decimal.
    pub(crate) fn value_text(&self, said_unit: Option<&str>) -> String {
        if said_unit == Some("%") && self.unit == "%" {
            return format!("{:.1}", self.value);
        }
        let text = self.shown().value();
        match said_unit.and_then(|unit| text.strip_suffix(unit)) {
            Some(bare) => bare.trim_end().to_owned(),
            None => text,
        }
    }

    /// Point, unit and interval: `24.1 ms (23.9 to 24.4)`.
    pub(crate) fn text(&self, said_unit: Option<&str>) -> String {
        let value = self.value_text(said_unit);
        match self.interval_text() {
            Some(interval) => format!("{value} ({interval})"),
            None => value,
        }
    }
}

/// The confidences that need no mention: of measured and of predicted
/// intervals.
fn usual_confidence(provenance: Provenance) -> f64 {
    match provenance {
        Provenance::Measured => 0.95,
        Provenance::Predicted | Provenance::Published => 0.8,
    }
}

/// How a status reads at a glance; the word always stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Unsure,
    Neutral,
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    /// A name that is typed: a case, a profile.
    Name(String),
    Quantity(Quantity),
    /// How many.
    Count(usize),
    /// A relative difference, as a fraction.
    Change(f64),
    Status {
        word: String,
        tone: Tone,
    },
    /// Nothing, and why (empty: not applicable).
    Gap(String),
}

impl Cell {
    /// Text from anywhere.
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(printable(text))
    }

    /// A name from anywhere.
    pub(crate) fn name(text: &str) -> Self {
        Self::Name(printable(text))
    }

    /// A status.
    pub(crate) fn status(word: &str, tone: Tone) -> Self {
        Self::Status { word: printable(word), tone }
    }

    /// Not applicable.
    pub(crate) fn none() -> Self {
        Self::Gap(String::new())
    }

    /// A number without an interval; one that is not finite is a gap that
    /// says so.
    pub(crate) fn value(
        value: f64,
        unit: &str,
        provenance: Provenance,
    ) -> Self {
        if !value.is_finite() {
            return Self::Gap("not a finite number".into());
        }
        let unit = printable(unit);
        Self::Quantity(Quantity {
            value,
            unit,
            interval: None,
            n: None,
            provenance,
        })
    }

    /// A number with its interval.
    pub(crate) fn estimate(
        estimate: &Estimate,
        unit: &str,
        provenance: Provenance,
    ) -> Self {
        let ends = [estimate.point, estimate.low, estimate.high];
        if !ends.iter().all(|end| end.is_finite()) {
            return Self::Gap("not a finite number".into());
        }
        Self::Quantity(Quantity {
            value: estimate.point,
            unit: printable(unit),
            interval: Some((
                estimate.low,
                estimate.high,
                Some(estimate.confidence),
            )),
            n: (estimate.n > 0).then_some(estimate.n),
            provenance,
        })
    }

    /// A mean with the smallest and the largest of `n` observations; of one
    /// observation, that.
    pub(crate) fn range(
        spread: Spread,
        n: usize,
        unit: &str,
        provenance: Provenance,
    ) -> Self {
        let Spread { point, low, high } = spread;
        if ![point, low, high].iter().all(|end| end.is_finite()) {
            return Self::Gap("not a finite number".into());
        }
        Self::Quantity(Quantity {
            value: point,
            unit: printable(unit),
            interval: (n > 1).then_some((low, high, None)),
            n: Some(n as u64),
            provenance,
        })
    }
}

/// What a column's cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Words,
    /// How many.
    Counts,
    /// Numbers without intervals.
    Exact,
    /// Numbers with intervals.
    Estimates,
}

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// As the reader sees it.
    pub(crate) title: String,
    /// As CSV names it.
    pub(crate) key: String,
    pub(crate) kind: ColumnKind,
    /// A unit that the caption names, so that its cells do not.
    pub(crate) said_unit: Option<&'static str>,
}

impl Column {
    fn new(title: &str, key: &str, kind: ColumnKind) -> Self {
        Self { title: printable(title), key: key.into(), kind, said_unit: None }
    }

    /// A column of words.
    pub(crate) fn words(title: &str, key: &str) -> Self {
        Self::new(title, key, ColumnKind::Words)
    }

    /// A column of counts.
    pub(crate) fn counts(title: &str, key: &str) -> Self {
        Self::new(title, key, ColumnKind::Counts)
    }

    /// A column of numbers without intervals.
    pub(crate) fn exact(title: &str, key: &str) -> Self {
        Self::new(title, key, ColumnKind::Exact)
    }

    /// A column of numbers with intervals.
    pub(crate) fn numbers(title: &str, key: &str) -> Self {
        Self::new(title, key, ColumnKind::Estimates)
    }

    /// Whether it is aligned right.
    pub(crate) fn is_numeric(&self) -> bool {
        self.kind != ColumnKind::Words
    }
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// File name of its CSV and anchor, e.g. `measured-and-predicted`.
    pub(crate) id: String,
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Long enough to want a filter on the page, and to be left to CSV by
    /// Markdown and LaTeX.
    pub(crate) bulk: bool,
    /// So long that every format but CSV only says where it is.
    pub(crate) aside: bool,
    /// The same cells in long form, for CSV, where the shown table spreads
    /// one axis over its columns.
    pub(crate) long: Option<Box<Table>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(
        id: impl Into<String>,
        caption: impl Into<String>,
        columns: Vec<Column>,
    ) -> Self {
        Self {
            id: id.into(),
            caption: caption.into(),
            columns,
            rows: Vec::new(),
            bulk: false,
            aside: false,
            long: None,
        }
    }

    /// The provenances of a column's numbers, each once, in a fixed order.
    pub(crate) fn provenances(&self, column: usize) -> Vec<Provenance> {
        let mut met: Vec<Provenance> = self
            .rows
            .iter()
            .filter_map(|row| match row.get(column) {
                Some(Cell::Quantity(quantity)) => Some(quantity.provenance),
                _ => None,
            })
            .collect();
        met.sort();
        met.dedup();
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_finite_is_a_gap_with_a_reason() {
        let cell = Cell::value(f64::NAN, "s", Provenance::Measured);
        assert_eq!(cell, Cell::Gap("not a finite number".into()));
    }
}
