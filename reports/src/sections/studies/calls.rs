//! Calls of tools: which share of held-out requests is answered rightly,
//! before and after fine-tuning, with free and with constrained decoding.

use super::accuracy::over;
use crate::document::{
    Cell, Column, Figure, Picture, StackRow, Stacked, Table, printable, show,
};
use crate::findings::{OverSeeds, Study};

const EXACT: &str = "quality/exact";
const SOFT: &str = "quality/soft";
const WELL_FORMED: &str = "quality/well_formed";
/// Where a share stands, in the order in which rows are told apart.
const PLACES: [&str; 3] = ["stage", "decoding", "tools"];

/// Stage, decoding and tools of a share.
type Place = [String; 3];

/// The places of exact shares, in the order met.
fn places(study: &Study<'_>) -> Vec<Place> {
    let mut met: Vec<Place> = Vec::new();
    let records = study.settings.iter().flat_map(|one| &one.records);
    for record in records {
        for (at, _) in record.metric_values(EXACT) {
            let place = PLACES.map(|axis| at.get(axis).cloned());
            if let [Some(stage), Some(decoding), Some(tools)] = place {
                let place = [stage, decoding, tools];
                if !met.contains(&place) {
                    met.push(place);
                }
            }
        }
    }
    met
}

/// A metric there, over the seeds of all settings that have it.
fn value(
    study: &Study<'_>,
    metric: &str,
    place: &[(&str, &str)],
) -> Option<OverSeeds> {
    let records = study.settings.iter().flat_map(|one| &one.records);
    OverSeeds::of(records.filter_map(|record| record.metric_at(metric, place)))
}

fn named(place: &Place) -> [(&'static str, &str); 3] {
    let [stage, decoding, tools] = place;
    [
        (PLACES[0], stage.as_str()),
        (PLACES[1], decoding.as_str()),
        (PLACES[2], tools.as_str()),
    ]
}

/// One row a stage, decoding and kind of tools; `None` without a share.
pub(super) fn table(study: &Study<'_>, id: &str) -> Option<Table> {
    let places = places(study);
    if places.is_empty() {
        return None;
    }
    let mut table = Table::new(
        format!("{id}-calls"),
        "Answers to held-out requests, shares of 1: mean over seeds \
         (smallest to largest). `unseen` tools are in no training request; \
         constrained decoding allows only what the tools' schemas do",
        vec![
            Column::words("Stage", "stage"),
            Column::words("Decoding", "decoding"),
            Column::words("Tools", "tools"),
            Column::numbers("Exact", "exact"),
            Column::numbers("Soft", "soft"),
            Column::numbers("Well formed", "well_formed"),
        ],
    );
    for place in &places {
        let at = named(place);
        let cell = |found: Option<OverSeeds>| {
            found.map_or_else(Cell::none, |found| over(&found, "1"))
        };
        let mut row: Vec<Cell> =
            place.iter().map(|word| Cell::text(word)).collect();
        row.push(cell(value(study, EXACT, &at)));
        row.push(cell(value(study, SOFT, &at)));
        // Of all tools together.
        let whole = (place[2] == "all")
            .then(|| value(study, WELL_FORMED, &at[..2]))
            .flatten();
        row.push(cell(whole));
        table.rows.push(row);
    }
    Some(table)
}

/// A bar a stage and decoding: exact shares, and what soft accuracy adds.
pub(super) fn figure(study: &Study<'_>, id: &str) -> Option<Figure> {
    let rows: Vec<StackRow> = places(study)
        .iter()
        .filter_map(|place| {
            let at = named(place);
            let found = value(study, EXACT, &at)?;
            let exact = found.spread.point * 100.0;
            let soft = value(study, SOFT, &at)?.spread.point * 100.0;
            let [stage, decoding, tools] =
                place.each_ref().map(|word| printable(word));
            Some(StackRow {
                label: format!("{stage}, {decoding} decoding, {tools} tools"),
                remark: format!(
                    "exact {}, soft {}",
                    show(exact, None, "%").value(),
                    show(soft, None, "%").value()
                ),
                values: vec![exact, (soft - exact).max(0.0)],
                provenance: None,
                mark: None,
            })
        })
        .collect();
    (!rows.is_empty()).then(|| Figure {
        id: format!("{id}-calls"),
        title: "Right calls".into(),
        caption: "Shares of held-out requests, measured, means over seeds. \
            An exact answer has the right tool and every parameter right; \
            soft accuracy gives part of the credit for part of a call."
            .into(),
        picture: Picture::Stacked(Stacked {
            parts: vec!["exact".into(), "soft beyond exact".into()],
            rows,
            unit: "%",
            mark: None,
        }),
        // The table of calls holds the numbers.
        data: None,
    })
}

#[cfg(test)]
mod tests {
    use assay_schema::{
        Better, Case, Metric, Moment, Outcome, Record, StopReason,
    };

    use super::*;
    use crate::findings::StudySetting;

    fn record(seed: u8, exact: f64) -> Record {
        let share = |name: &str, value, at: &[(&str, &str)]| {
            let one = Metric::value(name, "1", Better::Higher, value);
            (None, one.at(at.iter().copied()))
        };
        let mut metrics = Vec::new();
        for (stage, gain) in [("before", 0.0), ("adapters", exact)] {
            let at = [("stage", stage), ("decoding", "free"), ("tools", "all")];
            metrics.push(share(EXACT, gain, &at));
            metrics.push(share(SOFT, gain + 0.1, &at));
            metrics.push(share(WELL_FORMED, 0.9, &at[..2]));
        }
        let case = format!("w/intents/fine-tune seed={seed}");
        Record {
            case: case.parse().unwrap(),
            started: Moment(0),
            device: "cpu".into(),
            work: None,
            verification: None,
            samples: Vec::new(),
            metrics,
            pictures: Vec::new(),
            warnings: Vec::new(),
            outcome: Outcome::Finished(StopReason::Completed),
        }
    }

    #[test]
    fn calls_are_told_before_and_after() {
        let records = [record(1, 0.5), record(2, 0.7)];
        let case: Case = "w/intents/fine-tune".parse().unwrap();
        let study = Study {
            experiment: "calls".into(),
            machine: "m",
            settings: vec![StudySetting {
                case,
                records: records.iter().collect(),
                planned: 2,
            }],
            published: &[],
            models: Vec::new(),
        };
        let table = table(&study, "id").unwrap();
        assert_eq!(table.rows.len(), 2);
        let Picture::Stacked(stacked) = figure(&study, "id").unwrap().picture
        else {
            panic!("no bars")
        };
        assert_eq!(stacked.rows[1].label, "adapters, free decoding, all tools");
        let values = &stacked.rows[1].values;
        assert!((values[0] - 60.0).abs() < 1e-9, "{values:?}");
        assert!((values[1] - 10.0).abs() < 1e-9, "{values:?}");
        assert_eq!(stacked.rows[0].values[0], 0.0);
    }
}
