//! The first screen: how far each class is off, what the rooflines would have
//! said of the same rows, and whether that is as near as was aimed at.

use super::groups;
use crate::document::{Block, Cell, Column, Section, Table, percent};
use crate::findings::{
    Constants, beside, by_class, class_title, constants_of, errors,
    is_held_out, judge,
};
use crate::sections::counted;
use crate::{Fold, Validation, ValidationRow};

/// The section.
pub(super) fn section(
    validation: &Validation,
    rows: &[&ValidationRow],
    dropped: usize,
) -> Section {
    let mut blocks = Vec::new();
    if rows.is_empty() {
        blocks.push(Block::Paragraph(
            "No row of the table was predicted; the reasons are below.".into(),
        ));
    } else {
        let mut sentences: Vec<String> = constants_of(rows)
            .into_iter()
            .filter_map(|c| sentence(rows, c))
            .collect();
        sentences.extend(aims(rows));
        blocks.push(Block::Headlines(sentences));
    }
    let warnings = warnings(validation, rows, dropped);
    if !warnings.is_empty() {
        blocks.push(Block::Warnings(warnings));
    }
    if !rows.is_empty() {
        blocks.push(Block::Paragraph(explained(rows)));
        blocks.push(Block::Table(table(rows)));
        blocks.extend(folds(validation, rows).map(Block::Table));
    }
    Section { id: "summary".into(), title: "Summary".into(), blocks }
}

/// A share without a sign.
pub(super) fn unsigned(fraction: f64) -> String {
    percent(fraction).replace('+', "")
}

fn sentence(rows: &[&ValidationRow], constants: Constants) -> Option<String> {
    let found = errors(rows, constants)?;
    let what = match constants {
        Constants::HeldOut(Fold::New) => "With the device's family unseen",
        Constants::HeldOut(Fold::Family) => {
            "With the device unseen, its family known"
        }
        Constants::HeldOut(Fold::Calibrated) => {
            "With the family unseen but for 30 rows of the device"
        }
        Constants::HeldOut(Fold::Overlay) => {
            "With an overlay of the device from four fifths of its shapes"
        }
        Constants::Shipped => "With the shipped constants",
    };
    let mut text = format!(
        "{what}, {} are off by {} in the median, {} on average",
        counted(found.n, "row"),
        unsigned(found.median),
        unsigned(found.mean),
    );
    let other = |field: fn(&ValidationRow) -> Option<f64>| {
        beside(rows, constants, field)
    };
    if let (Some(three), Some(plain)) =
        (other(|row| row.three_constants), other(|row| row.roofline))
    {
        text += &format!(
            "; the roofline with three constants by {} and {}, the plain \
             roofline by {} and {}",
            unsigned(three.theirs.median),
            unsigned(three.theirs.mean),
            unsigned(plain.theirs.median),
            unsigned(plain.theirs.mean),
        );
    }
    Some(text + ".")
}

/// How many aims are met, by fold.
fn aims(rows: &[&ValidationRow]) -> Option<String> {
    let mut parts = Vec::new();
    for fold in Fold::ALL {
        let constants = Constants::HeldOut(fold);
        let ruled: Vec<bool> = by_class(rows)
            .into_iter()
            .filter_map(|(class, rows)| {
                let found = errors(&rows, constants)?;
                Some(judge(class, constants, &rows, &found)?.met)
            })
            .collect();
        if !ruled.is_empty() {
            parts.push(format!(
                "{} of {} ({})",
                ruled.iter().filter(|met| **met).count(),
                ruled.len(),
                constants.title()
            ));
        }
    }
    (!parts.is_empty())
        .then(|| format!("Classes that meet their aim: {}.", parts.join(", ")))
}

fn warnings(
    validation: &Validation,
    rows: &[&ValidationRow],
    dropped: usize,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if !rows.is_empty() && !is_held_out(rows) {
        warnings.push(
            "the shipped constants and overlays were fitted to the published \
             measurements that the project ships: of those rows this report \
             is no test. Give --held-out with the predictions of fits that \
             had not seen them"
                .into(),
        );
    }
    if dropped > 0 {
        warnings.push(format!(
            "{} left out: a time that is not a finite number above zero",
            counted(dropped, "row")
        ));
    }
    let left = validation.left_out.len();
    if left > 0 {
        warnings.push(format!(
            "{} of {} not scored; the reasons are below",
            counted(left, "row"),
            validation.table
        ));
    }
    warnings
}

fn table(rows: &[&ValidationRow]) -> Table {
    let mut table = groups::table(
        "error-by-class",
        "Absolute error by class and by what the constants had seen, in %",
        "Class",
    );
    let judged = is_held_out(rows);
    if judged {
        let aim = [Column::words("Aim", "aim"), Column::words("Met", "met")];
        table.columns.splice(groups::AIMED..groups::AIMED, aim);
    }
    for (class, rows) in by_class(rows) {
        let title = Cell::text(class_title(class));
        groups::push(&mut table, &title, &rows, judged.then_some(class));
    }
    table
}

fn explained(rows: &[&ValidationRow]) -> String {
    let mut text = String::from(
        "The error of a row is |predicted / measured - 1|; 90th: its 90th \
         percentile; in 20 %: the share of rows that are off by no more. \
         Roofline: work over peak or bytes over bandwidth, whichever is more. \
         3 const.: the same at 0.8 of both, and 3 µs a kernel. Collectives \
         take the link, or 0.8 of it. Both are means over the rows of their \
         line.",
    );
    if is_held_out(rows) {
        text += " The aim is for the mean; on matmul of a new family it is to \
                 be no worse than 3 constants on any device.";
    }
    text
}

/// What the constants had seen; `None` where nothing was held out.
fn folds(validation: &Validation, rows: &[&ValidationRow]) -> Option<Table> {
    let held_out =
        validation.held_out.as_ref().filter(|_| is_held_out(rows))?;
    let mut table = Table::new(
        "constants",
        format!("What the constants of {held_out} had seen of a row"),
        vec![
            Column::words("Constants", "constants"),
            Column::words("Fitted to", "fitted_to"),
        ],
    );
    let mut line = |constants: Constants, seen: &str| {
        table.rows.push(vec![Cell::text(constants.title()), Cell::text(seen)]);
    };
    for fold in Fold::ALL {
        line(
            Constants::HeldOut(fold),
            match fold {
                Fold::New => {
                    "devices of other architecture families; none of its own"
                }
                Fold::Family => {
                    "other devices of its family and of other families"
                }
                Fold::Calibrated => {
                    "devices of other families; then 30 other rows of its \
                     device"
                }
                Fold::Overlay => {
                    "all devices without a fifth of the shapes, its own among \
                     them; then an overlay of its device from the rest"
                }
            },
        );
    }
    line(
        Constants::Shipped,
        "what the project ships: every row that could be fitted, this one \
         among them; only for classes that were not held out",
    );
    Some(table)
}
