//! The overlays of the survey's board and phones, on the models that they were
//! not fitted on: the errors that the project claims, and the bands.

use std::collections::BTreeMap;

use assay_hardware_profiles::{Overlay, load, overlay_for};

use crate::place::Place;

/// The half of the published times that no overlay has seen.
const JUDGED: &str = include_str!(
    "../../../../hardware-profiles/measurements/survey-judged.csv"
);

/// The most that the median of the absolute errors of a machine may be, a
/// share: decode, then prefill. `docs/prediction-fits.md` and the workload's
/// README say what they are.
const CLAIMED: [(&str, f64, f64); 4] = [
    ("google-tensor-g2:cpu", 0.08, 0.10),
    ("nvidia-jetson-orin-nx-16gb", 0.10, 0.18),
    ("snapdragon-8-gen-3:cpu", 0.10, 0.04),
    ("snapdragon-888:cpu", 0.04, 0.06),
];

/// The least share of the judged rows that lie in their bands of 80 %: over
/// all machines, and on each. A few rows of a few shapes stray from 80.
const COVERED: (f64, f64) = (0.75, 0.5);

/// A judged row.
pub(crate) struct Row {
    /// `|predicted / measured - 1|`.
    pub(crate) off: f64,
    /// Whether the band holds what was measured.
    pub(crate) within: bool,
}

/// The rows of `judged.csv` in `place` by profile and phase.
pub(crate) fn judged(
    place: &Place,
    calibration: &str,
) -> BTreeMap<[String; 2], Vec<Row>> {
    let words = format!("predict --from judged.csv --format csv {calibration}");
    let text = place.ok(&words);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading = reader.headers().unwrap().clone();
    let at = |name: &str| heading.iter().position(|h| h == name).unwrap();
    let [case, profile, error] = ["case", "profile", "error"].map(at);
    let [measured, point, low, high] =
        ["latency_s", "latency_s_point", "latency_s_low", "latency_s_high"]
            .map(at);
    let mut rows: BTreeMap<[String; 2], Vec<Row>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.unwrap();
        assert_eq!(&row[error], "", "{row:?}");
        let seconds = |cell: usize| row[cell].parse::<f64>().unwrap();
        let phase = row[case].split('/').nth(2).unwrap();
        let phase = phase.split(' ').next().unwrap().to_owned();
        let true_time = seconds(measured);
        let found = Row {
            off: (seconds(point) / true_time - 1.0).abs(),
            within: (seconds(low)..=seconds(high)).contains(&true_time),
        };
        rows.entry([row[profile].to_owned(), phase]).or_default().push(found);
    }
    rows
}

/// The median of the rows' errors.
pub(crate) fn median(rows: &[Row]) -> f64 {
    let mut offs: Vec<f64> = rows.iter().map(|row| row.off).collect();
    offs.sort_by(f64::total_cmp);
    let n = offs.len();
    f64::midpoint(offs[(n - 1) / 2], offs[n / 2])
}

/// The share of the rows that lie in their bands.
pub(crate) fn coverage<'a>(rows: impl Iterator<Item = &'a Row>) -> f64 {
    let (mut within, mut all) = (0_u32, 0_u32);
    for row in rows {
        within += u32::from(row.within);
        all += 1;
    }
    f64::from(within) / f64::from(all)
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
        (judged(&place, ""), judged(&place, "--calibration none"));
    let machines: Vec<&str> = CLAIMED.iter().map(|(name, ..)| *name).collect();
    let mut seen: Vec<&str> = own.keys().map(|[p, _]| p.as_str()).collect();
    seen.dedup();
    assert_eq!(seen, machines, "a claim for each machine of the table");
    for (profile, decode, prefill) in CLAIMED {
        assert!(overlay(profile).source.contains("survey-fit.csv"));
        for (phase, most) in [("decode", decode), ("prefill", prefill)] {
            let key = [profile.to_owned(), phase.to_owned()];
            let (own, bare) = (median(&own[&key]), median(&bare[&key]));
            assert!(own <= most, "{profile} {phase}: {own} is over {most}");
            assert!(own < bare, "{profile} {phase}: {own}, {bare} without");
        }
    }
}

#[test]
fn bands_hold_the_models_that_the_overlays_were_not_fitted_on() {
    let place = Place::new();
    place.write("judged.csv", JUDGED);
    let rows = judged(&place, "");
    let (together, each) = COVERED;
    let all = coverage(rows.values().flatten());
    assert!(all >= together, "{all} of the rows are in their bands");
    for (profile, ..) in CLAIMED {
        let own = rows.iter().filter(|([p, _], _)| p == profile);
        let share = coverage(own.flat_map(|(_, rows)| rows));
        assert!(share >= each, "{profile}: {share} are in their bands");
    }
}
