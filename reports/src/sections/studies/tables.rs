//! The settings of an experiment in numbers, and what others published.

use assay_schema::Provenance;

use super::accuracy::{ACCURACY, TRAINING_TIME, over};
use super::file_word;
use crate::document::{Cell, Column, Table};
use crate::findings::{Study, StudySetting, axis_name, name};

/// The coordinate of accuracies of one technology each.
const TECHNOLOGY: &str = "technology";
/// Longer tables are left to CSV by Markdown and LaTeX.
const LONG: usize = 60;

/// Metric, unit, title and key of the columns after the accuracies.
const COSTS: [(&str, &str, &str, &str); 5] = [
    ("quality/best_epoch", "1", "Best epoch", "best_epoch"),
    ("quality/epoch_time", "s", "Time an epoch", "epoch_time_s"),
    (TRAINING_TIME, "s", "Training time", "training_time_s"),
    ("quality/training_examples", "1", "Training examples", "examples"),
    ("quality/search_time", "s", "Search time", "search_time_s"),
];

/// One row a setting.
pub(super) fn settings(study: &Study<'_>, id: &str) -> Table {
    let differing = study.differing();
    let mut technologies: Vec<String> = Vec::new();
    for setting in &study.settings {
        for place in setting.places(ACCURACY, TECHNOLOGY) {
            if !technologies.contains(&place) {
                technologies.push(place);
            }
        }
    }
    let authors = has_authors(study);
    let lost = study
        .settings
        .iter()
        .any(|setting| setting.records.len() < setting.planned);
    let costs: Vec<_> =
        COSTS.iter().filter(|(metric, ..)| has(study, metric)).collect();
    let mut columns = vec![
        Column::words("Setting", "setting"),
        Column::counts("Seeds", "seeds"),
    ];
    if lost {
        columns.push(Column::counts("Not charted", "not_charted"));
    }
    let judged = has(study, ACCURACY);
    if judged {
        columns.push(Column::numbers("Accuracy", "accuracy"));
    }
    if authors {
        columns.push(Column::numbers("Authors' protocol", "accuracy_authors"));
    }
    columns.extend(
        costs.iter().map(|(_, _, title, key)| Column::numbers(title, key)),
    );
    columns.extend(technologies.iter().map(|technology| {
        let key = format!("accuracy_{}", file_word(technology));
        Column::numbers(technology, &key)
    }));
    let mut table = Table::new(
        format!("{id}-settings"),
        "Settings: mean over seeds (smallest to largest); accuracies are \
         fractions",
        columns,
    );
    table.bulk = study.settings.len() > LONG;
    for setting in &study.settings {
        let metric = |name: &str, unit: &str| match setting.metric(name) {
            Some(found) => over(&found, unit),
            None => gap(setting),
        };
        let mut row = vec![
            Cell::text(&name(&setting.case, &differing, &[])),
            Cell::Count(setting.records.len()),
        ];
        if lost {
            let lost = setting.planned.saturating_sub(setting.records.len());
            row.push(Cell::Count(lost));
        }
        if judged {
            row.push(metric(ACCURACY, "1"));
        }
        if authors {
            row.push(metric(AUTHORS, "1"));
        }
        row.extend(costs.iter().map(|(name, unit, ..)| metric(name, unit)));
        row.extend(technologies.iter().map(|technology| {
            match setting.metric_at(ACCURACY, TECHNOLOGY, technology) {
                Some(found) => over(&found, "1"),
                None => gap(setting),
            }
        }));
        table.rows.push(row);
    }
    table
}

/// The authors' way to choose a model.
const AUTHORS: &str = "quality/accuracy_authors";

/// Whether any setting has it.
pub(super) fn has_authors(study: &Study<'_>) -> bool {
    has(study, AUTHORS)
}

/// Whether any setting has an accuracy or a cost.
pub(super) fn has_costs(study: &Study<'_>) -> bool {
    // What never finished is listed too.
    let nothing = study.settings.iter().all(|one| one.records.is_empty());
    nothing
        || has(study, ACCURACY)
        || COSTS.iter().any(|(metric, ..)| has(study, metric))
}

pub(super) fn has(study: &Study<'_>, metric: &str) -> bool {
    study.settings.iter().any(|setting| setting.metric(metric).is_some())
}

fn gap(setting: &StudySetting<'_>) -> Cell {
    Cell::Gap(if setting.records.is_empty() {
        "no seed finished".into()
    } else {
        String::new()
    })
}

/// Measured numbers with published ones beside them; `None` where no
/// published number fits a setting.
pub(super) fn beside_published(study: &Study<'_>, id: &str) -> Option<Table> {
    let differing = study.differing();
    let mut table = Table::new(
        format!("{id}-published"),
        "What others published of the same settings, beside what was \
         measured here (mean over seeds, smallest to largest)",
        vec![
            Column::words("Setting", "setting"),
            Column::words("Quantity", "quantity"),
            Column::numbers("Here", "measured"),
            Column::exact("Published", "published"),
            Column::words("Where", "where"),
            Column::words("Source", "source"),
            Column::words("Trust", "trust"),
        ],
    );
    for setting in &study.settings {
        let mut points = setting.published(study.published);
        points.sort_by(|a, b| {
            (&a.metric, &a.profile, &a.source)
                .cmp(&(&b.metric, &b.profile, &b.source))
                .then_with(|| a.value.total_cmp(&b.value))
        });
        points.dedup();
        for point in points {
            let (metric, unit) = match point.metric.as_str() {
                "accuracy" => (ACCURACY, "1"),
                "training_time" => (TRAINING_TIME, "s"),
                _ => continue,
            };
            table.rows.push(vec![
                Cell::text(&name(&setting.case, &differing, &[])),
                Cell::text(&axis_name(&point.metric).0),
                match setting.metric(metric) {
                    Some(found) => over(&found, unit),
                    None => gap(setting),
                },
                Cell::value(point.value, &point.unit, Provenance::Published),
                Cell::text(&point.profile),
                Cell::text(&point.source),
                Cell::text(&point.trust),
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
