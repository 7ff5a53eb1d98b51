//! Errors by device and by publisher; the table that both share with the
//! headline.

use assay_schema::Provenance::Predicted;

use crate::ValidationRow;
use crate::document::{Block, Cell, Column, Section, Table, Tone};
use crate::findings::{
    Aim, Constants, Errors, beside, by_device, by_publisher, constants_of,
    errors, judge,
};

/// The section; `None` without rows.
pub(super) fn section(rows: &[&ValidationRow]) -> Option<Section> {
    if rows.is_empty() {
        return None;
    }
    let mut devices = table(
        "error-by-device",
        "Absolute error by device, all classes, in %",
        "Device",
    );
    for (device, rows) in by_device(rows) {
        push(&mut devices, &Cell::name(device), &rows, None);
    }
    let mut sources = table(
        "error-by-source",
        "Absolute error by source, all classes, in %",
        "Source",
    );
    for (publisher, rows) in by_publisher(rows) {
        push(&mut sources, &Cell::text(publisher), &rows, None);
    }
    Some(Section {
        id: "devices".into(),
        title: "By device and by source".into(),
        blocks: vec![Block::Table(devices), Block::Table(sources)],
    })
}

/// A table of errors, a line for a group and the constants that predict it.
pub(super) fn table(id: &str, caption: &str, group: &str) -> Table {
    let percents = |title: &str, key: &str| {
        let mut column = Column::exact(title, key);
        column.said_unit = Some("%");
        column
    };
    Table::new(
        id,
        caption,
        vec![
            Column::words(group, "group"),
            Column::words("Constants", "constants"),
            Column::counts("Rows", "rows"),
            percents("Mean", "mean_error"),
            percents("Median", "median_error"),
            percents("90th", "ninetieth_error"),
            percents("In 20 %", "within_20"),
            percents("3 const.", "three_constants_mean_error"),
            percents("Roofline", "roofline_mean_error"),
        ],
    )
}

/// Where the aim stands in a line that has one: after the mean.
pub(super) const AIMED: usize = 4;

/// A share as a cell in per cent.
pub(super) fn share(fraction: f64) -> Cell {
    Cell::value(fraction * 100.0, "%", Predicted)
}

/// The lines of a group. With a class, its aim and how it came out are added.
pub(super) fn push(
    table: &mut Table,
    group: &Cell,
    rows: &[&ValidationRow],
    class: Option<&str>,
) {
    for constants in constants_of(rows) {
        let Some(found) = errors(rows, constants) else { continue };
        let mut line = vec![
            group.clone(),
            Cell::text(constants.title()),
            Cell::Count(found.n),
            share(found.mean),
            share(found.median),
            share(found.ninetieth),
            share(found.near),
            baseline(rows, constants, found.n, |row| row.three_constants),
            baseline(rows, constants, found.n, |row| row.roofline),
        ];
        if let Some(class) = class {
            line.splice(AIMED..AIMED, aimed(class, constants, rows, &found));
        }
        table.rows.push(line);
    }
}

/// A baseline's mean error; a gap that says so where it is not of all rows.
fn baseline(
    rows: &[&ValidationRow],
    constants: Constants,
    n: usize,
    other: impl Fn(&ValidationRow) -> Option<f64>,
) -> Cell {
    match beside(rows, constants, other) {
        None => Cell::none(),
        Some(found) if found.theirs.n * 2 < n => {
            Cell::Gap(format!("for {} rows", found.theirs.n))
        }
        Some(found) => share(found.theirs.mean),
    }
}

fn aimed(
    class: &str,
    constants: Constants,
    rows: &[&ValidationRow],
    errors: &Errors,
) -> [Cell; 2] {
    match judge(class, constants, rows, errors) {
        None => [Cell::none(), Cell::none()],
        Some(aimed) => {
            let aim = match aimed.aim {
                Aim::AtMost(share) => format!("≤ {:.0}", share * 100.0),
                Aim::NeverWorse => "≤ 3 const.".into(),
            };
            let (word, tone) = match (aimed.met, aimed.missed_on) {
                (true, _) => ("met".into(), Tone::Good),
                (false, None) => ("not met".into(), Tone::Bad),
                (false, Some((missed, of))) => {
                    (format!("not on {missed} of {of}"), Tone::Bad)
                }
            };
            [Cell::text(&aim), Cell::status(&word, tone)]
        }
    }
}
