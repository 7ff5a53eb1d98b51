//! Values for this crate's tests: events of all kinds, a header, and one each
//! of the derived things.

use std::collections::BTreeMap;

use assay_schema::*;
use proptest::prelude::*;

/// Events as a file's bytes.
pub(crate) fn file_of(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        serde_json::to_writer(&mut bytes, event).unwrap();
        bytes.push(b'\n');
    }
    bytes
}

fn number() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("JSON has no NaN", |x| x.is_finite())
}

fn stop() -> impl Strategy<Value = StopReason> {
    prop_oneof![
        number().prop_map(|relative_half_width| StopReason::Precise {
            relative_half_width
        }),
        (number(), prop::option::of(number())).prop_map(|(budget, width)| {
            StopReason::BudgetSpent {
                budget_s: Seconds(budget),
                relative_half_width: width,
            }
        }),
        Just(StopReason::Completed),
        Just(StopReason::Interrupted),
    ]
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        number().prop_map(Reading::Value),
        Just(Reading::Value(f64::INFINITY)),
        any::<String>().prop_map(Reading::Unavailable),
    ]
}

/// Any event but a `torn-line` warning; texts hold newlines, quotes and
/// letters of several bytes.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    let at = any::<u64>().prop_map(Moment);
    let case = (1_u64..100)
        .prop_map(|b| Case::new("slm", "tiny", Some("decode")).with("b", b));
    prop_oneof![
        (case, at.clone(), any::<String>()).prop_map(|(case, at, device)| {
            Event::Started {
                case,
                at,
                device,
                work: Some(WorkSummary::default()),
            }
        }),
        (number(), number()).prop_map(|(largest, relative)| {
            Event::Verified(Verification {
                against: "closed form".to_owned(),
                largest_difference: largest,
                relative_difference: relative,
                tolerance: 1e-4,
            })
        }),
        (
            any::<String>(),
            prop::option::of(any::<u32>()),
            any::<bool>(),
            prop::collection::vec(number(), 0..6),
        )
            .prop_map(|(part, rank, warm_up, seconds)| {
                Event::Sample(SampleBatch {
                    part,
                    rank,
                    warm_up,
                    iterations: 1,
                    seconds,
                })
            }),
        (prop::option::of(any::<u64>()), any::<String>(), reading()).prop_map(
            |(step, name, reading)| Event::Meter {
                step,
                metric: Metric {
                    name,
                    unit: "B".to_owned(),
                    better: Better::Lower,
                    at: [("snr_db".to_owned(), "-10".to_owned())].into(),
                    reading,
                },
            }
        ),
        any::<String>().prop_map(|message| {
            Event::Warning(Warning { kind: "steal".to_owned(), message })
        }),
        (at.clone(), stop())
            .prop_map(|(at, stop)| Event::Finished { at, stop }),
        (at, any::<String>(), any::<bool>()).prop_map(
            |(at, error, skipped)| Event::Failed { at, error, skipped }
        ),
    ]
}

/// A few of them.
pub(crate) fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 0..5)
}

/// A header whose plan has these cases.
pub(crate) fn header(cases: &[&Case]) -> RunHeader {
    RunHeader {
        format_version: FORMAT_VERSION,
        started: Moment(1_700_000_000_000),
        command: vec!["assay".to_owned(), "run".to_owned()],
        assay_version: "0.1.0".to_owned(),
        commit: "unknown".to_owned(),
        dirty: None,
        toolchain: "rustc 1.95.0".to_owned(),
        device: "cpu".to_owned(),
        hardware_profile: "host".to_owned(),
        host: Host { name: "box".to_owned(), ..Host::default() },
        plan: Plan {
            name: "test".to_owned(),
            depth: Depth::Quick,
            seed: 7,
            predict_on: vec!["nvidia-t4".to_owned()],
            cases: cases
                .iter()
                .map(|&case| PlannedCase {
                    case: case.clone(),
                    budget_s: Seconds(1.0),
                    measure: true,
                    given: Vec::new(),
                    why: String::new(),
                    experiments: Vec::new(),
                })
                .collect(),
        },
    }
}

fn estimate(point: f64) -> Estimate {
    Estimate {
        point,
        low: point,
        high: point,
        confidence: 0.8,
        n: 0,
        method: "roofline".to_owned(),
    }
}

/// A prediction of this latency, seconds.
pub(crate) fn prediction(latency: f64) -> Prediction {
    Prediction {
        case: "slm/tiny/decode".to_owned(),
        axes: BTreeMap::from([("batch".to_owned(), "1".to_owned())]),
        profile: "nvidia-t4".to_owned(),
        unit: "gpu".to_owned(),
        runtime: Runtime::Graph,
        latency_s: estimate(latency),
        time_by_class: BTreeMap::new(),
        flops: Flops(1.0),
        bytes: Bytes(2.0),
        parameters: 3,
        memory_peak_bytes: Bytes(4.0),
        memory_parts: Vec::new(),
        fits: Some(true),
        energy_j: None,
        bound: Bound::Memory,
        provenance: Provenance::Predicted,
    }
}

/// A profile's summary.
pub(crate) fn profile() -> ProfileSummary {
    ProfileSummary {
        profile: "nvidia-t4".to_owned(),
        unit: "gpu".to_owned(),
        title: "NVIDIA T4".to_owned(),
        peaks: BTreeMap::from([("f32".to_owned(), FlopsPerSecond(8.1e12))]),
        memory_bandwidth: BytesPerSecond(320e9),
        memory_bytes: Some(Bytes(16e9)),
        provenance: Provenance::Published,
    }
}

/// A claim that nothing judged.
pub(crate) fn finding() -> ClaimFinding {
    ClaimFinding {
        paper: "A survey".to_owned(),
        claim: Claim {
            id: "prefill".to_owned(),
            statement: "Prefill is faster.".to_owned(),
            source: "Fig. 1".to_owned(),
            value: 1.5,
            unit: "1".to_owned(),
            statistic: "ratio".to_owned(),
            direction: Direction::AtLeast,
            margin: 0.1,
            noise: 0.0,
            null: 1.0,
            least_seeds: 1,
            data: vec![ClaimData::Predicted],
            untestable: None,
        },
        evidence: None,
        ruling: Ruling::NotTested,
        reason: "Nothing ran.".to_owned(),
    }
}
