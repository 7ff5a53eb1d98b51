//! Whole networks that others measured: each row is answered, and the errors
//! are those that `docs/prediction.md` claims.

use std::collections::BTreeMap;

use crate::place::Place;

/// The rows: `whole_models.py` makes them.
const ROWS: &str =
    include_str!("../../../../hardware-profiles/measurements/whole-models.csv");

/// What the most mean absolute error of a kind of rows may be, a share.
const CLAIMED: [(&str, f64); 5] = [
    ("decode graph", 0.13),
    ("forward eager", 0.14),
    ("forward graph", 0.15),
    ("prefill eager", 0.15),
    ("train-step eager", 0.16),
];

/// The mean absolute error of each kind of rows without a doubt, decode's
/// apart: all of its rows assume a length.
fn errors(text: &str) -> BTreeMap<String, f64> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading = reader.headers().unwrap().clone();
    let at = |name: &str| heading.iter().position(|h| h == name).unwrap();
    let mut kinds: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for row in reader.records() {
        let row = row.unwrap();
        assert_eq!(&row[at("error")], "", "{row:?}");
        let phase = row[at("case")].rsplit('/').next().unwrap();
        if !row[at("note")].is_empty() && phase != "decode" {
            continue;
        }
        let seconds = |name: &str| row[at(name)].parse::<f64>().unwrap();
        let off = seconds("latency_s_point") / seconds("latency_s") - 1.0;
        let kind = format!("{phase} {}", &row[at("runtime")]);
        let (sum, rows) = kinds.entry(kind).or_default();
        *sum += off.abs();
        *rows += 1.0;
    }
    kinds.into_iter().map(|(kind, (sum, rows))| (kind, sum / rows)).collect()
}

#[test]
fn whole_networks_are_answered_and_as_near_as_is_claimed() {
    let place = Place::new();
    // Model files stand beside the table; paths in it start at the root.
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hardware-profiles/");
    place.write(
        "rows.csv",
        &ROWS.replace(",hardware-profiles/", &format!(",{root}")),
    );
    let found = errors(&place.ok("predict --from rows.csv --format csv"));
    for (kind, most) in CLAIMED {
        let error = found[kind];
        assert!(error <= most, "{kind}: {error} is over {most}");
    }
}
