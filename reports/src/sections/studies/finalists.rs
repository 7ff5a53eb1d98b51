//! Tables of what a search's training and timing gave beside its fronts: its
//! finalists, one shape with several activations, and published shapes beside
//! shapes as large.
//!
//! Any study is told whose metrics stand at a `candidate` or an `activation`;
//! all seeds of the search count, a mean with the smallest and the largest.

use assay_schema::Provenance;

use crate::document::{Cell, Column, Table};
use crate::findings::{OverSeeds, Study, StudySetting, name};

const CANDIDATE: &str = "candidate";
const ACTIVATION: &str = "activation";
const PHASE: &str = "phase";

const LOSS: &str = "quality/heldout_loss";
const ACTIVATION_LOSS: &str = "quality/activation_loss";
const DISTANCE: &str = "quality/front_distance";
const FASTER: &str = "quality/faster_share";

/// A column of numbers: metric, unit, title, key, and how they came to be.
type Measure =
    (&'static str, &'static str, &'static str, &'static str, Provenance);

/// Of a finalist. What skipping closed gates would save is counted from the
/// shares that were measured.
const OF_FINALISTS: [Measure; 8] = [
    (LOSS, "1", "Held-out loss (nat)", "heldout_loss", Provenance::Measured),
    (
        "quality/tokens_per_second",
        "1/s",
        "Training, tokens",
        "tokens_per_second",
        Provenance::Measured,
    ),
    (
        "quality/gate_zeros",
        "1",
        "Gates shut",
        "gate_zeros",
        Provenance::Measured,
    ),
    (
        "quality/sparse_decode_flops",
        "1",
        "FLOPs spared, down",
        "flops_spared_down",
        Provenance::Predicted,
    ),
    (
        "quality/sparse_decode_flops_with_up",
        "1",
        "FLOPs spared, up too",
        "flops_spared_up",
        Provenance::Predicted,
    ),
    (
        "quality/sparse_decode_bytes",
        "1",
        "Bytes spared, down",
        "bytes_spared_down",
        Provenance::Predicted,
    ),
    (
        "quality/sparse_decode_bytes_with_up",
        "1",
        "Bytes spared, up too",
        "bytes_spared_up",
        Provenance::Predicted,
    ),
    (
        "quality/finalist_front",
        "1",
        "On the front",
        "finalist_front",
        Provenance::Predicted,
    ),
];

/// Of an activation.
const OF_ACTIVATIONS: [Measure; 3] = [
    (
        ACTIVATION_LOSS,
        "1",
        "Held-out loss (nat)",
        "heldout_loss",
        Provenance::Measured,
    ),
    (
        "quality/activation_time",
        "s",
        "Decode step, timed here",
        "decode_measured_s",
        Provenance::Measured,
    ),
    (
        "quality/activation_decode",
        "s",
        "Decode step, predicted for the target",
        "decode_predicted_s",
        Provenance::Predicted,
    ),
];

/// The tables that have rows.
pub(super) fn tables(study: &Study<'_>, id: &str) -> Vec<Table> {
    let trained = by_place(
        study,
        (LOSS, CANDIDATE),
        &OF_FINALISTS,
        (format!("{id}-trained"), "Shape", "shape"),
        "Finalists: trained on equal tokens. Of a decode step, as shares of \
         it, what skipping the weights behind closed gates would spare: of \
         the second matrix of the feed-forward layer alone, and of the first \
         too. On the front: the share of searches in which no other finalist \
         beats it in predicted prefill, decode, memory and in loss at once.",
    );
    let activations = by_place(
        study,
        (ACTIVATION_LOSS, ACTIVATION),
        &OF_ACTIVATIONS,
        (format!("{id}-activations"), "Activation", "activation"),
        "One shape with a gate, its activation changed: trained on equal \
         tokens with the same seeds, timed here by turns, and predicted.",
    );
    let equals = beside_equals(study, format!("{id}-equals"));
    let all = [trained, activations, equals];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

/// A label for each setting among the others.
fn labelled<'s, 'a>(
    study: &'s Study<'a>,
) -> impl Iterator<Item = (String, &'s StudySetting<'a>)> {
    let differing = study.differing();
    let settings = study.settings.iter();
    settings.map(move |one| (name(&one.case, &differing, &[]), one))
}

/// The places of a metric on an axis, whatever its other axes, in the order
/// met.
fn places(setting: &StudySetting<'_>, metric: &str, axis: &str) -> Vec<String> {
    let mut met: Vec<String> = Vec::new();
    for record in &setting.records {
        for (at, _) in record.metric_values(metric) {
            match at.get(axis) {
                Some(place) if !met.contains(place) => met.push(place.clone()),
                Some(_) | None => {}
            }
        }
    }
    met
}

/// A metric at places of some of its axes, over all that its other axes and
/// the records have.
fn value(
    setting: &StudySetting<'_>,
    metric: &str,
    at: &[(&str, &str)],
) -> Option<OverSeeds> {
    let mut values = Vec::new();
    for record in &setting.records {
        for (own, value) in record.metric_values(metric) {
            let is_there = at.iter().all(|(axis, place)| {
                own.get(*axis).is_some_and(|found| found == place)
            });
            if is_there {
                values.push(value);
            }
        }
    }
    OverSeeds::of(values)
}

fn cell(found: Option<OverSeeds>, unit: &str, provenance: Provenance) -> Cell {
    found.map_or_else(Cell::none, |found| {
        Cell::range(found.spread, found.n, unit, provenance)
    })
}

/// A row a place of the first metric on its axis, with all measures there.
fn by_place(
    study: &Study<'_>,
    (first, axis): (&str, &str),
    measures: &[Measure],
    (id, title, key): (String, &str, &str),
    caption: &str,
) -> Table {
    let mut columns =
        vec![Column::words("Search", "search"), Column::words(title, key)];
    columns.extend(
        measures
            .iter()
            .map(|(_, _, title, key, _)| Column::numbers(title, key)),
    );
    let mut table = Table::new(id, caption, columns);
    for (label, setting) in labelled(study) {
        for place in places(setting, first, axis) {
            let at = [(axis, place.as_str())];
            let mut row = vec![Cell::text(&label), Cell::name(&place)];
            row.extend(measures.iter().map(
                |(metric, unit, _, _, provenance)| {
                    cell(value(setting, metric, &at), unit, *provenance)
                },
            ));
            table.rows.push(row);
        }
    }
    table
}

/// Published shapes among candidates that have as many parameters.
fn beside_equals(study: &Study<'_>, id: String) -> Table {
    let columns = vec![
        Column::words("Search", "search"),
        Column::words("Shape", "shape"),
        Column::numbers("From the front", "front_distance"),
        Column::numbers("Faster in prefill", "faster_prefill"),
        Column::numbers("Faster in decode", "faster_decode"),
    ];
    let mut table = Table::new(
        id,
        "Published shapes beside shapes of the search with as many \
         parameters, by predictions: the factor, less 1, by which prefill and \
         decode must both shrink to reach their front, and the share of them \
         that is faster.",
        columns,
    );
    for (label, setting) in labelled(study) {
        for shape in places(setting, DISTANCE, CANDIDATE) {
            let own = (CANDIDATE, shape.as_str());
            let told = |metric: &str, at: &[(&str, &str)]| {
                cell(value(setting, metric, at), "1", Provenance::Predicted)
            };
            table.rows.push(vec![
                Cell::text(&label),
                Cell::name(&shape),
                told(DISTANCE, &[own]),
                told(FASTER, &[own, (PHASE, "prefill")]),
                told(FASTER, &[own, (PHASE, "decode")]),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use assay_schema::{Better, Metric, Moment, Outcome, Record, StopReason};

    use super::*;

    /// Name, value, places.
    type Told<'a> = (&'a str, f64, &'a [(&'a str, &'a str)]);

    fn record(metrics: &[Told<'_>]) -> Record {
        let metrics = metrics.iter().map(|(name, value, at)| {
            let one = Metric::value(*name, "1", Better::Neither, *value);
            (None, one.at(at.iter().copied()))
        });
        Record {
            case: "w/candidate/search target=host".parse().unwrap(),
            started: Moment(0),
            device: "cpu".into(),
            work: None,
            verification: None,
            samples: Vec::new(),
            metrics: metrics.collect(),
            pictures: Vec::new(),
            warnings: Vec::new(),
            outcome: Outcome::Finished(StopReason::Completed),
        }
    }

    fn study(records: &[Record]) -> Study<'_> {
        Study {
            experiment: "front".into(),
            machine: "m",
            settings: vec![StudySetting {
                case: records[0].case.clone(),
                records: records.iter().collect(),
                planned: records.len(),
            }],
            published: &[],
            models: Vec::new(),
        }
    }

    #[test]
    fn finalists_of_every_seed_have_a_row() {
        let zeros = "quality/gate_zeros";
        let seed = |candidate, seed| [(CANDIDATE, candidate), ("seed", seed)];
        let records = [
            record(&[
                (LOSS, 4.0, &seed("a", "1")),
                (LOSS, 5.0, &seed("a", "2")),
                (zeros, 0.6, &seed("a", "1")),
            ]),
            record(&[(LOSS, 6.0, &seed("b", "2"))]),
        ];
        let found = tables(&study(&records), "id");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id, "id-trained");
        let rows: Vec<[String; 3]> = found[0]
            .rows
            .iter()
            .map(|row| [1, 2, 4].map(|at| format!("{:?}", row[at])))
            .collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0][0].contains("\"a\""), "{}", rows[0][0]);
        assert!(rows[1][0].contains("\"b\""), "{}", rows[1][0]);
        assert!(rows[0][1].contains("4.5"), "{}", rows[0][1]);
        assert!(rows[0][2].contains("0.6"), "{}", rows[0][2]);
        // What was not counted is a gap.
        assert!(rows[1][2].contains("Gap"), "{}", rows[1][2]);
    }

    #[test]
    fn activations_and_published_shapes_have_tables_of_their_own() {
        let at = |name| [(ACTIVATION, name), ("seed", "1")];
        let own = [(CANDIDATE, "known")];
        let phase = [(CANDIDATE, "known"), (PHASE, "decode")];
        let records = [record(&[
            (ACTIVATION_LOSS, 4.0, &at("relu")),
            (ACTIVATION_LOSS, 4.1, &at("silu")),
            (DISTANCE, 0.25, &own),
            (FASTER, 0.125, &phase),
        ])];
        let found = tables(&study(&records), "id");
        let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["id-activations", "id-equals"]);
        assert_eq!(found[0].rows.len(), 2);
        assert_eq!(found[1].rows.len(), 1);
        let row = format!("{:?}", found[1].rows[0]);
        assert!(row.contains("0.25") && row.contains("0.125"), "{row}");
    }
}
