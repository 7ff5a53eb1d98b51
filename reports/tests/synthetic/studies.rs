//! Made-up training studies: every number comes from a formula here.

use std::collections::BTreeMap;

use assay_reports::RunData;
use assay_schema::PublishedPoint;
use assay_schema::{
    Better, Claim, ClaimData, ClaimFinding, Direction, Estimate, Evidence,
    Metric, Outcome, PlannedCase, Provenance, Record, Ruling, Seconds,
    StopReason, Warning,
};

use super::{empty_run, record, seed, wobble};

const EPOCHS: u64 = 10;

/// A training run with the metrics of the contract.
pub(crate) fn training(
    case: &str,
    skill: f64,
    snrs: &[i32],
    classes: usize,
) -> Record {
    let mut run = record(case, 12.0, None);
    run.outcome = Outcome::Finished(StopReason::Completed);
    run.metrics.clear();
    // Epochs: one sample each, no warm-up.
    run.samples.truncate(1);
    run.samples[0].warm_up = false;
    run.samples[0].seconds =
        (0..EPOCHS).map(|e| 12.0 + 0.1 * wobble(seed(case) + e)).collect();
    let noise = |salt: u64| 0.02 * wobble(seed(case) * 31 + salt);
    let at_snr = |snr: i32| {
        let chance = 1.0 / classes as f64;
        let rise = 1.0 / (1.0 + (-(f64::from(snr) + 4.0) / 4.0).exp());
        let wobble = noise((snr + 99).unsigned_abs().into());
        (chance + (skill - chance) * rise + wobble).clamp(0.0, 1.0)
    };
    let mean =
        snrs.iter().map(|snr| at_snr(*snr)).sum::<f64>() / snrs.len() as f64;
    let higher = |name: &str, value: f64| {
        Metric::value(name, "1", Better::Higher, value)
    };
    for epoch in 0..EPOCHS {
        let share = (epoch + 1) as f64 / EPOCHS as f64;
        let each = [
            higher("quality/validation_accuracy", mean * share),
            Metric::value(
                "quality/training_loss",
                "1",
                Better::Lower,
                2.0 - share,
            ),
        ];
        run.metrics.extend(each.map(|metric| (Some(epoch), metric)));
    }
    let mut push = |metric: Metric| run.metrics.push((None, metric));
    push(higher("quality/accuracy", mean));
    push(higher("quality/accuracy_authors", mean + 0.004));
    for snr in snrs {
        push(
            higher("quality/accuracy", at_snr(*snr))
                .at([("snr_db", snr.to_string())]),
        );
    }
    for (index, technology) in
        ["Bluetooth", "WiFi", "Zigbee"].into_iter().enumerate()
    {
        push(
            higher("quality/accuracy", mean - 0.01 * index as f64)
                .at([("technology", technology)]),
        );
    }
    let names: Vec<String> = (0..classes)
        .map(|class| match class * 3 / classes {
            0 => format!("Bluetooth {}", class + 1),
            1 => format!("WiFi {}", class + 1),
            _ => format!("Zigbee {}", class + 1),
        })
        .collect();
    for (row, actual) in names.iter().enumerate() {
        for (column, predicted) in names.iter().enumerate() {
            let count = match row.abs_diff(column) {
                0 => (500.0 * mean).round(),
                1 => (200.0 * (1.0 - mean)).round(),
                2 => 3.0,
                _ => continue,
            };
            push(
                Metric::value("quality/confusion", "1", Better::Neither, count)
                    .at([("true", actual), ("predicted", predicted)]),
            );
        }
    }
    let best = 6.0 + (3.0 * wobble(seed(case))).round();
    let each = 12.0 * (1.0 + 4.0 * skill * skill);
    for (name, unit, value) in [
        ("quality/best_epoch", "1", best),
        ("quality/epoch_time", "s", each),
        ("quality/training_time", "s", best * each),
        ("quality/training_examples", "1", 36_000.0),
        ("quality/classes", "1", classes as f64),
    ] {
        push(Metric::value(name, unit, Better::Lower, value));
    }
    run
}

/// A case of the plan, in experiments.
fn planned(case: &str, experiments: &[&str]) -> PlannedCase {
    PlannedCase {
        case: case.parse().unwrap(),
        budget_s: Seconds(600.0),
        measure: true,
        given: Vec::new(),
        why: String::new(),
        experiments: experiments.iter().map(|e| (*e).to_owned()).collect(),
    }
}

fn add(run: &mut RunData, case: &str, experiments: &[&str], record: Record) {
    run.header.plan.cases.push(planned(case, experiments));
    run.records.push(record);
}

fn published(
    case: &str,
    metric: &str,
    value: f64,
    unit: &str,
) -> PublishedPoint {
    PublishedPoint {
        case: case.into(),
        profile: "GeForce GTX 1080 Ti".into(),
        metric: metric.into(),
        value,
        unit: unit.into(),
        source: "a paper that was made up, table 3".into(),
        trust: "table".into(),
    }
}

/// Three settings, three seeds, five SNRs, three classes; one seed failed.
pub(crate) fn small_study() -> RunData {
    let mut run = empty_run("bench-1");
    run.header.plan.name = "synthetic study".into();
    for (model, keep, skill) in
        [("cnn", "1", 0.93), ("cnn", "0.5", 0.86), ("lstm", "1", 0.9)]
    {
        for seed in 1..=3 {
            let case = format!("radio/{model}/study keep={keep} seed={seed}");
            let record = training(&case, skill, &[-20, -10, 0, 10, 20], 3);
            add(&mut run, &case, &["architecture"], record);
        }
    }
    run.records[8].outcome =
        Outcome::Failed("the loss grew without bound at epoch 4".into());
    run.published = vec![
        published("radio/cnn/study keep=1", "accuracy", 0.91, "1"),
        published("radio/cnn/study", "training_time", 840.0, "s"),
        published("radio/cnn/study keep=0.25", "accuracy", 0.7, "1"),
        published("the best of the paper", "accuracy", 0.99, "1"),
    ];
    run
}

/// A hundred training runs in six experiments with 25 claims.
pub(crate) fn large_study() -> RunData {
    let mut run = empty_run("bench-1");
    run.header.plan.name = "synthetic wireless".into();
    let snrs: Vec<i32> = (-10..=9).map(|step| step * 2).collect();
    let mut skills: BTreeMap<String, f64> = BTreeMap::new();
    let mut train =
        |run: &mut RunData, case: String, skill: f64, seeds, e: &str| {
            skills.insert(case.clone(), skill);
            for seed in 1..=seeds {
                let case = format!("{case} seed={seed}");
                let record = training(&case, skill, &snrs, 15);
                add(run, &case, &[e], record);
            }
        };
    let models =
        ["cnn", "cldnn", "resnet", "lstm", "densenet", "inception", "mlp"];
    for (index, model) in models.into_iter().enumerate() {
        let skill = 0.97 - 0.05 * index as f64;
        for features in ["fft", "iq"] {
            if model == "mlp" && features == "iq" {
                continue;
            }
            let skill = skill - if features == "iq" { 0.07 } else { 0.0 };
            let case = format!("radio/{model}/study features={features}");
            train(&mut run, case, skill, 3, "architecture");
        }
    }
    for (index, band) in [1, 2, 5, 10].into_iter().enumerate() {
        let case = format!("radio/resnet/study band_mhz={band} features=fft");
        train(&mut run, case, 0.7 + 0.07 * index as f64, 3, "band");
    }
    for model in ["cnn", "resnet"] {
        for (index, keep) in
            ["0.0625", "0.125", "0.25", "0.5", "1"].into_iter().enumerate()
        {
            for way in ["random", "uniform"] {
                let extra = if way == "random" { 0.0 } else { 0.03 };
                let skill = 0.55 + 0.08 * index as f64 + extra;
                let case = format!("radio/{model}/study keep={keep} way={way}");
                train(&mut run, case, skill, 1, "sub-sampling");
            }
        }
    }
    for trained in ["-10", "0", "10", "all"] {
        for tested in [-20, -10, 0, 10, 18] {
            let case = format!(
                "radio/cnn/study test_snr_db={tested} train_snr_db={trained}"
            );
            let gap = match trained.parse::<i32>() {
                Ok(trained) => f64::from((trained - tested).abs()) / 40.0,
                Err(_) => 0.1,
            };
            let base = f64::from(tested + 24) / 45.0;
            train(&mut run, case, (base - gap).max(0.1), 2, "training-snr");
        }
    }
    for record in &mut run.records {
        record.warnings.push(Warning {
            kind: "steal".into(),
            message: "the hypervisor took 4.1 % of the time".into(),
        });
    }
    run.published = vec![
        published("radio/cnn/study features=fft", "accuracy", 0.95, "1"),
        published("radio/cnn/study features=fft", "training_time", 4200.0, "s"),
        published("radio/resnet/study features=iq", "accuracy", 0.82, "1"),
    ];
    run.claims = (0..25).map(claim).collect();
    run
}

fn claim(index: u32) -> ClaimFinding {
    let ruling = match index % 4 {
        0 => Ruling::Supported,
        1 => Ruling::Contradicted,
        2 => Ruling::InsideNoise,
        _ => Ruling::NotTested,
    };
    let id = format!("architecture-order-at-high-snr-{index}");
    let tested = ruling != Ruling::NotTested;
    ClaimFinding {
        paper: "arXiv 1905.08054, made up".into(),
        claim: Claim {
            id: id.clone(),
            statement: "A residual network that was trained on the \
                        amplitude and phase of the spectrum classifies the \
                        15 channels at least as well as a convolutional \
                        network of the same depth that was trained on \
                        in-phase and quadrature samples, averaged over all \
                        signal-to-noise ratios from -20 to 18 dB"
                .into(),
            source: "section 5.2, table 4, figures 7 and 8".into(),
            value: 0.07,
            unit: "1".into(),
            statistic: "difference of mean accuracies".into(),
            direction: Direction::AtLeast,
            margin: 0.01,
            noise: 0.005,
            null: 0.0,
            least_seeds: 3,
            data: vec![ClaimData::Generated],
            untestable: None,
        },
        evidence: tested.then(|| Evidence {
            claim: id,
            estimate: Estimate {
                point: 0.081,
                low: 0.072,
                high: 0.09,
                confidence: 0.95,
                n: 5,
                method: "mean difference over seeds".into(),
            },
            data: ClaimData::Generated,
            provenance: Provenance::Measured,
        }),
        ruling,
        reason: if tested {
            "0.072 to 0.090 lies above 0.06; judged on generated data, on \
             which the paper's own numbers were not had"
                .into()
        } else {
            "the real recordings are not in the data folder; `assay data` \
             says how to fetch them"
                .into()
        },
    }
}
