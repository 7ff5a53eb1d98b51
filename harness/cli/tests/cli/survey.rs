//! The overlays of the survey's board and phones, on the models that they were
//! not fitted on: the errors that the project claims.

use std::collections::BTreeMap;

use assay_hardware_profiles::{Overlay, load, overlay_for};

use crate::place::Place;

/// The half of the published times that no overlay has seen.
const JUDGED: &str = include_str!(
    "../../../../hardware-profiles/measurements/survey-judged.csv"
);

/// The most that the median of the absolute errors of a machine may be, a
/// share: decode, then prefill. `docs/prediction.md` and the workload's README
/// say what they are.
const CLAIMED: [(&str, f64, f64); 4] = [
    ("google-tensor-g2:cpu", 0.08, 0.10),
    ("nvidia-jetson-orin-nx-16gb", 0.10, 0.18),
    ("snapdragon-8-gen-3:cpu", 0.10, 0.04),
    ("snapdragon-888:cpu", 0.04, 0.06),
];

/// Medians of `|predicted / measured - 1|` by profile and phase.
fn medians(place: &Place, calibration: &str) -> BTreeMap<[String; 2], f64> {
    let words = format!("predict --from judged.csv --format csv {calibration}");
    let text = place.ok(&words);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading = reader.headers().unwrap().clone();
    let at = |name: &str| heading.iter().position(|h| h == name).unwrap();
    let [case, profile, measured, point, error] =
        ["case", "profile", "latency_s", "latency_s_point", "error"].map(at);
    let mut errors: BTreeMap<[String; 2], Vec<f64>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.unwrap();
        assert_eq!(&row[error], "", "{row:?}");
        let seconds = |cell: usize| row[cell].parse::<f64>().unwrap();
        let phase = row[case].split('/').nth(2).unwrap();
        let phase = phase.split(' ').next().unwrap().to_owned();
        let off = (seconds(point) / seconds(measured) - 1.0).abs();
        errors.entry([row[profile].to_owned(), phase]).or_default().push(off);
    }
    let median = |mut offs: Vec<f64>| {
        offs.sort_by(f64::total_cmp);
        let n = offs.len();
        f64::midpoint(offs[(n - 1) / 2], offs[n / 2])
    };
    errors.into_iter().map(|(key, offs)| (key, median(offs))).collect()
}

/// The shipped overlay of a profile's unit, as `NAME[:UNIT]`.
fn overlay(name: &str) -> Overlay {
    let (profile, unit) = match name.split_once(':') {
        Some((profile, unit)) => (profile, Some(unit)),
        None => (name, None),
    };
    let profile = load(profile).unwrap();
    let (unit, _) = profile.unit(unit).unwrap();
    overlay_for(&profile, unit).unwrap_or_else(|| {
        panic!(
            "{name} has no overlay: hardware-profiles/measurements/\
                overlays.sh makes it"
        )
    })
}

#[test]
fn overlays_predict_the_models_that_they_were_not_fitted_on() {
    let place = Place::new();
    place.write("judged.csv", JUDGED);
    let (own, bare) =
        (medians(&place, ""), medians(&place, "--calibration none"));
    let machines: Vec<&str> = CLAIMED.iter().map(|(name, ..)| *name).collect();
    let mut judged: Vec<&str> = own.keys().map(|[p, _]| p.as_str()).collect();
    judged.dedup();
    assert_eq!(judged, machines, "a claim for each machine of the table");
    for (profile, decode, prefill) in CLAIMED {
        assert!(overlay(profile).source.contains("survey-fit.csv"));
        for (phase, most) in [("decode", decode), ("prefill", prefill)] {
            let key = [profile.to_owned(), phase.to_owned()];
            let (own, bare) = (own[&key], bare[&key]);
            assert!(own <= most, "{profile} {phase}: {own} is over {most}");
            assert!(own < bare, "{profile} {phase}: {own}, {bare} without");
        }
    }
}
