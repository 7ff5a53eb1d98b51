//! CSV: every number that is shown, in full digits and base units.
//!
//! A column of estimates becomes `KEY`, `KEY_low`, `KEY_high`,
//! `KEY_confidence`, `KEY_n`, `KEY_unit`, `KEY_provenance`; one of numbers
//! without intervals `KEY`, `KEY_unit`, `KEY_provenance`; a relative
//! difference is a plain fraction. Without a confidence, low and high are the
//! smallest and largest of n observations, and the value is their mean. A gap is empty, never a zero. A text that a
//! spreadsheet would run as a formula gets a leading apostrophe.

use crate::ReportError;
use crate::document::{Cell, ColumnKind, Quantity, Table};

/// A table as CSV with a header line.
pub(super) fn text(table: &Table) -> Result<String, ReportError> {
    let failed =
        |reason: String| ReportError::Table { table: table.id.clone(), reason };
    let shapes: Vec<Shape> =
        (0..table.columns.len()).map(|index| Shape::of(table, index)).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header =
        table.columns.iter().zip(&shapes).flat_map(|(column, shape)| {
            let parts = shape.parts().iter();
            parts.map(|part| format!("{}{part}", column.key))
        });
    writer.write_record(header).map_err(|e| failed(e.to_string()))?;
    for row in &table.rows {
        let fields =
            row.iter().zip(&shapes).flat_map(|(cell, shape)| match shape {
                Shape::Single => vec![words(cell)],
                Shape::Exact => {
                    let [value, _, _, _, _, unit, provenance] = numbers(cell);
                    vec![value, unit, provenance]
                }
                Shape::Estimate => numbers(cell).to_vec(),
            });
        writer.write_record(fields).map_err(|e| failed(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
}

/// How many fields a column takes.
enum Shape {
    Single,
    Exact,
    Estimate,
}

impl Shape {
    fn of(table: &Table, index: usize) -> Self {
        let is_change =
            |row: &Vec<Cell>| matches!(row.get(index), Some(Cell::Change(_)));
        match table.columns[index].kind {
            ColumnKind::Words | ColumnKind::Counts => Self::Single,
            _ if table.rows.iter().any(is_change) => Self::Single,
            ColumnKind::Exact => Self::Exact,
            ColumnKind::Estimates => Self::Estimate,
        }
    }

    /// What is appended to the column's key.
    fn parts(&self) -> &'static [&'static str] {
        match self {
            Self::Single => &[""],
            Self::Exact => &["", "_unit", "_provenance"],
            Self::Estimate => &[
                "",
                "_low",
                "_high",
                "_confidence",
                "_n",
                "_unit",
                "_provenance",
            ],
        }
    }
}

fn words(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::Name(text) => inert(text),
        Cell::Status { word, .. } => inert(word),
        Cell::Count(count) => count.to_string(),
        Cell::Change(fraction) => fraction.to_string(),
        Cell::Quantity(quantity) => quantity.value.to_string(),
        Cell::Gap(_) => String::new(),
    }
}

fn inert(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// Value, low, high, confidence, n, unit, provenance.
fn numbers(cell: &Cell) -> [String; 7] {
    match cell {
        Cell::Quantity(Quantity { value, unit, interval, n, provenance }) => {
            let (low, high, confidence) = match interval {
                Some((low, high, confidence)) => (
                    low.to_string(),
                    high.to_string(),
                    confidence.map(|c| c.to_string()).unwrap_or_default(),
                ),
                None => Default::default(),
            };
            [
                value.to_string(),
                low,
                high,
                confidence,
                n.map(|n| n.to_string()).unwrap_or_default(),
                unit.clone(),
                provenance.to_string(),
            ]
        }
        // A status among numbers (`does not fit`) stands where the
        // provenance would.
        Cell::Status { word, .. } => {
            let mut fields: [String; 7] = Default::default();
            fields[6] = inert(word);
            fields
        }
        Cell::Text(_)
        | Cell::Name(_)
        | Cell::Count(_)
        | Cell::Change(_)
        | Cell::Gap(_) => Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use assay_schema::{Estimate, Provenance};

    use super::*;
    use crate::document::Column;

    #[test]
    fn numbers_keep_all_their_digits_and_say_where_they_come_from() {
        let mut table = Table::new(
            "t",
            "",
            vec![Column::words("Case", "case"), Column::numbers("T", "t")],
        );
        let estimate = Estimate {
            point: 0.024123456,
            low: 0.0239,
            high: 0.0244,
            confidence: 0.95,
            n: 31,
            method: "median".into(),
        };
        table.rows = vec![
            vec![
                Cell::text("a, \"b\""),
                Cell::estimate(&estimate, "s", Provenance::Measured),
            ],
            vec![Cell::text("=SUM(A1)"), Cell::Gap("why".into())],
        ];
        insta::assert_snapshot!(text(&table).unwrap(), @r#"
        case,t,t_low,t_high,t_confidence,t_n,t_unit,t_provenance
        "a, ""b""",0.024123456,0.0239,0.0244,0.95,31,s,measured
        '=SUM(A1),,,,,,,
        "#);
    }
}
