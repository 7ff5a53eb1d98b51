//! Rows that are not scored, by reason.

use std::collections::BTreeMap;

use crate::document::{Block, Cell, Column, Section, Table};
use crate::sections::counted;
use crate::{LeftOut, LeftOutBy, Validation};

/// The section; `None` where every row is scored.
pub(super) fn section(validation: &Validation) -> Option<Section> {
    let left = &validation.left_out;
    if left.is_empty() {
        return None;
    }
    let of = |by: LeftOutBy| left.iter().filter(|row| row.by == by).count();
    Some(Section {
        id: "left-out".into(),
        title: "Rows that are not scored".into(),
        blocks: vec![
            Block::Paragraph(format!(
                "Set aside by a note in the table: {}. Without a prediction: \
                 {}. Each of them is in the CSV.",
                counted(of(LeftOutBy::Note), "row"),
                counted(of(LeftOutBy::Predictor), "row"),
            )),
            Block::Table(reasons(left)),
        ],
    })
}

fn by(by: LeftOutBy) -> &'static str {
    match by {
        LeftOutBy::Note => "set aside",
        LeftOutBy::Predictor => "no prediction",
    }
}

fn reasons(left: &[LeftOut]) -> Table {
    let mut groups: BTreeMap<(LeftOutBy, &str), Vec<&LeftOut>> =
        BTreeMap::new();
    for row in left {
        groups.entry((row.by, &row.why)).or_default().push(row);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((by, why), rows)| {
        (*by, usize::MAX - rows.len(), why.to_owned())
    });
    let mut table = Table::new(
        "left-out",
        "Reasons, each with the first line of the table that it is about",
        vec![
            Column::words("Reason", "reason"),
            Column::words("Outcome", "by"),
            Column::counts("Rows", "rows"),
            Column::counts("First line", "line"),
            Column::words("E.g.", "example"),
        ],
    );
    for ((by, why), mut rows) in groups {
        rows.sort_by_key(|row| row.line);
        let Some(first) = rows.first() else { continue };
        table.rows.push(vec![
            Cell::text(why),
            Cell::text(self::by(by)),
            Cell::Count(rows.len()),
            Cell::Count(first.line),
            match first.case.as_str() {
                "" => Cell::none(),
                case => Cell::name(&format!("{case} on {}", first.profile)),
            },
        ]);
    }
    table.long = Some(Box::new(each(left)));
    table
}

/// Every row, for CSV.
fn each(left: &[LeftOut]) -> Table {
    let mut rows: Vec<&LeftOut> = left.iter().collect();
    rows.sort_by_key(|row| row.line);
    let mut table = Table::new(
        "left-out",
        "Rows that are not scored",
        ["line", "by", "reason", "case", "device", "source"]
            .map(|name| Column::words(name, name))
            .to_vec(),
    );
    for row in rows {
        table.rows.push(vec![
            Cell::Count(row.line),
            Cell::text(by(row.by)),
            Cell::text(&row.why),
            Cell::name(&row.case),
            Cell::name(&row.profile),
            Cell::text(&row.source),
        ]);
    }
    table
}
