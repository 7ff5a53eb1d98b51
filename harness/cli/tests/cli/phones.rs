//! Language models on phones' NPUs and CPUs as published: the errors that the
//! project claims, and the shapes that graphs have on an NPU.

use crate::place::Place;
use crate::survey::{coverage, judged, median};

/// What Qualcomm AI Hub published of four machines.
const PUBLISHED: &str =
    include_str!("../../../../hardware-profiles/measurements/npu.csv");

/// What was published of all machines.
const ALL: &str =
    include_str!("../../../../hardware-profiles/measurements/published.csv");

/// The most that the median of the absolute errors of a machine may be, a
/// share: decode, then the first token. `docs/prediction-fits.md` says why the
/// machines differ so.
const CLAIMED: [(&str, f64, f64); 4] = [
    ("snapdragon-8-elite-gen-5:npu", 0.52, 0.43),
    ("snapdragon-8-elite:npu", 0.33, 0.11),
    ("snapdragon-8-gen-3:npu", 0.05, 0.05),
    ("snapdragon-x-elite:npu", 0.50, 0.25),
];

#[test]
fn published_language_models_on_npus_are_as_far_off_as_is_claimed() {
    let place = Place::new();
    place.write("judged.csv", PUBLISHED);
    let rows = judged(&place, "");
    assert_eq!(rows.len(), 2 * CLAIMED.len(), "a claim for each machine");
    for (profile, decode, prefill) in CLAIMED {
        for (phase, most) in [("decode", decode), ("prefill", prefill)] {
            let off = median(&rows[&[profile.to_owned(), phase.to_owned()]]);
            assert!(off <= most, "{profile} {phase}: {off} is over {most}");
        }
    }
    let held = coverage(rows.values().flatten());
    assert!((0.75..=0.95).contains(&held), "{held} are in their bands");
}

#[test]
fn published_decoding_on_cpus_that_nothing_was_fitted_to_is_within_an_eighth() {
    let of_cpus = |line: &&str| {
        line.starts_with("case,")
            || line.contains("/decode,raspberry-pi-5-bcm2712,llama-cpp,")
            || line.contains("/decode,snapdragon-8-gen-3,graph,")
    };
    let place = Place::new();
    let lines: Vec<&str> = ALL.lines().filter(of_cpus).collect();
    assert_eq!(lines.len(), 1 + 4, "a heading and the rows");
    place.write("judged.csv", &(lines.join("\n") + "\n"));
    for (key, rows) in judged(&place, "--calibration none") {
        for row in rows {
            assert!(row.off <= 0.125 && row.within, "{key:?}: {}", row.off);
        }
    }
}

#[test]
fn a_prompt_takes_as_many_calls_as_it_has_chunks() {
    let place = Place::new();
    let seconds = |prompt: u64| {
        place.write(
            "one.csv",
            &format!(
                "case,profile,runtime,precision,prompt\n\
                 slm/llama-3.2-1b/prefill,snapdragon-8-elite:npu,qnn,int4,\
                 {prompt}\n"
            ),
        );
        let text = place.ok("predict --from one.csv --format csv");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let heading = reader.headers().unwrap().clone();
        let at = heading.iter().position(|h| h == "latency_s_point").unwrap();
        let row = reader.records().next().unwrap().unwrap();
        row[at].parse::<f64>().unwrap()
    };
    let one = seconds(128);
    for (prompt, calls) in [(7, 1.0), (129, 2.0), (4096, 32.0)] {
        let times = seconds(prompt) / one;
        assert!((times / calls - 1.0).abs() < 5e-3, "{prompt}: {times}");
    }
}
