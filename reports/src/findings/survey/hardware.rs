//! The same case at several places: which machine takes how long for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Case, Provenance};

use super::{Reading, by_phase};

/// Places that make a comparison of hardware.
const LEAST_PLACES: usize = 3;
/// Cases of a workload's phase that are shown.
const MOST_CASES: usize = 2;

/// One case at several places.
#[derive(Clone, Debug)]
pub(crate) struct AcrossPlaces {
    pub(crate) case: Case,
    /// By place; of a place what was measured, predicted, published.
    pub(crate) readings: Vec<Reading>,
}

/// The cases with the most provenances, then with the most readings: a few
/// of each workload and phase, and how many more there are.
pub(crate) fn across_places(
    readings: &[Reading],
) -> (Vec<AcrossPlaces>, usize) {
    let mut shown = Vec::new();
    let mut left_out = 0;
    for own in by_phase(readings).into_values() {
        let mut cases: BTreeMap<&Case, Vec<&Reading>> = BTreeMap::new();
        for one in own {
            cases.entry(&one.case).or_default().push(one);
        }
        let mut counted: Vec<(usize, &Case, Vec<&Reading>)> = cases
            .into_iter()
            .filter(|(_, own)| machines(own) >= LEAST_PLACES)
            .map(|(case, own)| (provenances(&own), case, own))
            .collect();
        // Stable: of which as much is known, the first case by name.
        counted.sort_by_key(|(kinds, _, own)| Reverse((*kinds, own.len())));
        left_out += counted.len().saturating_sub(MOST_CASES);
        for (_, case, own) in counted.into_iter().take(MOST_CASES) {
            let mut readings: Vec<Reading> = own.into_iter().cloned().collect();
            readings.sort_by(|a, b| {
                let key = |one: &Reading| {
                    let machine = machine(&one.place).to_owned();
                    (one.rank, machine, one.provenance, one.place.clone())
                };
                key(a).cmp(&key(b))
            });
            shown.push(AcrossPlaces { case: case.clone(), readings });
        }
    }
    (shown, left_out)
}

/// How many provenances some readings have.
fn provenances(own: &[&Reading]) -> usize {
    let met: BTreeSet<Provenance> =
        own.iter().map(|one| one.provenance).collect();
    met.len()
}

/// On how many machines some readings were had.
fn machines(own: &[&Reading]) -> usize {
    let met: BTreeSet<&str> =
        own.iter().map(|one| machine(&one.place)).collect();
    met.len()
}

/// A place without its unit and runtime, which a publication does not name:
/// `nvidia-t4:gpu` and `nvidia-t4` are one machine, as are `bench` and
/// `bench (host)`.
fn machine(place: &str) -> &str {
    let name = place.split([':', ',']).next().unwrap_or(place);
    name.strip_suffix(" (host)").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::super::exact;
    use super::*;

    fn reading(provenance: Provenance, place: &str, case: &str) -> Reading {
        Reading {
            provenance,
            rank: 0,
            place: place.into(),
            case: case.parse().unwrap(),
            value: exact(1.0, "made up"),
        }
    }

    #[test]
    fn a_machine_is_one_whatever_is_said_of_its_unit() {
        assert_eq!(machine("nvidia-t4:gpu, graph"), "nvidia-t4");
        assert_eq!(machine("bench (host)"), "bench");
        assert_eq!(machine("bench"), "bench");
    }

    #[test]
    fn three_machines_make_a_comparison_and_two_do_not() {
        let predicted = Provenance::Predicted;
        let mut readings = vec![
            reading(predicted, "a:cpu", "w/m/decode"),
            reading(predicted, "b:cpu", "w/m/decode"),
            reading(Provenance::Published, "a", "w/m/decode"),
        ];
        assert!(across_places(&readings).0.is_empty());
        readings.push(reading(predicted, "c:gpu", "w/m/decode"));
        let (shown, left_out) = across_places(&readings);
        let places: Vec<&str> =
            shown[0].readings.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(places, ["a:cpu", "a", "b:cpu", "c:gpu"]);
        assert_eq!(left_out, 0);
    }

    #[test]
    fn a_case_that_is_published_too_comes_first() {
        let mut readings = Vec::new();
        for case in ["w/a/decode", "w/b/decode", "w/c/decode"] {
            for place in ["a:cpu", "b:cpu", "c:cpu"] {
                readings.push(reading(Provenance::Predicted, place, case));
            }
        }
        readings.push(reading(Provenance::Published, "a", "w/c/decode"));
        let (shown, left_out) = across_places(&readings);
        assert_eq!(shown[0].case.model, "c");
        assert_eq!(shown[1].case.model, "a");
        assert_eq!(left_out, 1);
    }
}
