//! The worst decile of each class, row by row, and where it comes from.

use assay_schema::Provenance::{Predicted, Published};

use crate::ValidationRow;
use crate::document::{Block, Cell, Column, Section, Table};
use crate::findings::{
    Constants, by_class, by_device, by_publisher, class_title, constants_of,
};
use crate::sections::counted;

/// A row with what was predicted of it.
struct Far<'a> {
    row: &'a ValidationRow,
    constants: Constants,
    predicted: f64,
    error: f64,
}

/// The section; `None` without rows.
pub(super) fn section(rows: &[&ValidationRow]) -> Option<Section> {
    let far: Vec<Far<'_>> =
        by_class(rows).into_iter().flat_map(|(_, rows)| worst(&rows)).collect();
    if far.is_empty() {
        return None;
    }
    let rows: Vec<&ValidationRow> = far.iter().map(|far| far.row).collect();
    let shares = |groups: Vec<(&str, usize)>| -> String {
        let mut groups = groups;
        groups.sort_by_key(|(name, n)| (usize::MAX - n, name.to_owned()));
        let named: Vec<String> = groups
            .iter()
            .take(4)
            .map(|(name, n)| format!("{name} ({n})"))
            .collect();
        named.join(", ")
    };
    let sizes = |groups: std::collections::BTreeMap<_, Vec<_>>| {
        groups.into_iter().map(|(name, rows)| (name, rows.len())).collect()
    };
    let text = format!(
        "{}, the tenth of each class with the largest errors{}. Most are of \
         {}; most come from {}.",
        counted(far.len(), "row"),
        match far[0].constants {
            Constants::Shipped => "",
            Constants::HeldOut(_) =>
                " under the constants that knew least of the class",
        },
        shares(sizes(by_device(&rows))),
        shares(sizes(by_publisher(&rows))),
    );
    Some(Section {
        id: "worst".into(),
        title: "The worst decile".into(),
        blocks: vec![Block::Paragraph(text), Block::Table(table(&far))],
    })
}

/// The worst tenth of a class, worst first; at least one row.
fn worst<'a>(rows: &[&'a ValidationRow]) -> Vec<Far<'a>> {
    let constants = constants_of(rows)[0];
    let mut far: Vec<Far<'_>> = rows
        .iter()
        .filter_map(|row| {
            let predicted = constants.predicted(row)?;
            let error = predicted / row.observed.point() - 1.0;
            Some(Far { row, constants, predicted, error })
        })
        .collect();
    far.sort_by(|a, b| b.error.abs().total_cmp(&a.error.abs()));
    far.truncate(far.len().div_ceil(10));
    far
}

fn table(far: &[Far<'_>]) -> Table {
    let ratio = |seconds: Option<f64>, far: &Far<'_>| {
        seconds.map_or_else(Cell::none, |seconds| {
            Cell::value(seconds / far.row.observed.point(), "1", Predicted)
        })
    };
    let mut table = Table::new(
        "worst-decile",
        "The worst tenth of each class, worst first; ratios are predicted \
         over measured",
        vec![
            Column::words("Case", "case"),
            Column::words("Class", "class"),
            Column::words("Device", "device"),
            Column::exact("Measured", "measured_s"),
            Column::exact("Predicted", "predicted_s"),
            Column::exact("Ratio", "ratio"),
            Column::exact("3 const.", "three_constants_ratio"),
            Column::words("Source", "source"),
        ],
    );
    table.bulk = far.len() > 30;
    for far in far {
        table.rows.push(vec![
            Cell::name(&far.row.case.to_string()),
            Cell::text(class_title(&far.row.class)),
            Cell::text(&far.row.profile),
            Cell::value(far.row.observed.point(), "s", Published),
            Cell::value(far.predicted, "s", Predicted),
            ratio(Some(far.predicted), far),
            ratio(far.row.three_constants, far),
            Cell::text(&far.row.source),
        ]);
    }
    table
}
