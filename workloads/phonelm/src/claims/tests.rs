//! Every claim through every ruling, and what may judge what.

use assay_schema::{ClaimData, Moment, Record, Ruling};
use assay_statistics::rule;
use assay_statistics::testing::{
    Trial, doubtful, drill, is_printed, unmatched,
};

use super::predicted::{OWN, OfPredictions, SAME_SIZE, SMALL, as_good};
use super::sketches::{
    bands, beside, case_of, made, metric, of_predictions, of_records,
    predictions_for, record, studied,
};
use super::table::{JUDGEMENTS, Judgement, Statistic};
use super::{SEARCH, TUNING, claims, evidence, published};
use crate::Request;

fn judgement(claim: &str) -> &'static Judgement {
    JUDGEMENTS.iter().find(|one| one.claim == claim).unwrap()
}

/// Whether records judge it, seed by seed.
fn is_seeded(judgement: &Judgement) -> bool {
    matches!(judgement.statistic, Statistic::Searched(_) | Statistic::Tuned(_))
}

#[test]
fn every_claim_has_an_id_of_its_own_and_one_judgement_or_a_reason() {
    let judged =
        JUDGEMENTS.iter().map(|one| (one.claim, Some(one.statistic.data())));
    assert_eq!(unmatched(&claims().unwrap(), judged), [""; 0]);
}

#[test]
fn every_claim_meets_every_ruling() {
    let faults = drill(&claims().unwrap(), |claim| {
        let own = JUDGEMENTS.iter().find(|one| one.claim == claim.id)?;
        Some(if is_seeded(own) {
            // Shares stand on so many requests that their interval is wide.
            let is_share = ["%", "points"].contains(&claim.unit.as_str());
            let apart = if is_share { 15.0 } else { 0.3 };
            Trial::over_seeds(apart, move |values| studied(own, values))
        } else {
            Trial::at_values(move |x, spread, _| made(own, x, spread))
        })
    });
    assert_eq!(faults, [""; 0]);
}

#[test]
fn every_number_of_a_claim_is_published_with_its_source_and_trust() {
    let points = published().unwrap();
    let text = include_str!("../../claims/published.csv");
    assert_eq!(points.len(), text.lines().count() - 1);
    let doubts = doubtful(&points, "phonelm", |point| {
        [&point.case, &point.metric, &point.source]
    });
    assert_eq!(doubts, [""; 0]);
    for claim in claims().unwrap().claim {
        assert!(is_printed(&claim, &points), "{}", claim.id);
    }
}

#[test]
fn published_sums_come_out_as_their_authors_wrote_them_but_for_the_card() {
    let file = claims().unwrap();
    let mut found = evidence(&[], &[]);
    found.retain(|one| one.data == ClaimData::Published);
    let judged = JUDGEMENTS
        .iter()
        .filter(|one| matches!(one.statistic, Statistic::Published { .. }));
    assert_eq!(found.len(), judged.count());
    for one in &found {
        let claim = file.claim.iter().find(|claim| claim.id == one.claim);
        let ruling = rule(&file.paper, claim.unwrap(), &found).ruling;
        let expected = if one.claim == "pre-training-tokens-card" {
            Ruling::Contradicted
        } else {
            Ruling::Supported
        };
        assert_eq!(ruling, expected, "{one:?}");
    }
}

#[test]
fn a_difference_that_is_derived_follows_from_its_cells() {
    let points = published().unwrap();
    let value = |case: &str, metric: &str| {
        let own = points.iter().find(|point| {
            point.case == format!("phonelm/{case}") && point.metric == metric
        });
        own.unwrap_or_else(|| panic!("{case} {metric}")).value
    };
    let call = |stage: &str, metric: &str| {
        value(&format!("phonelm-1.5b/droidcall stage={stage}"), metric)
    };
    let (after, before) = ("fine-tuned", "before");
    for (name, metric, expected) in [
        ("call-gain", "exact", call(after, "exact") - call(before, "exact")),
        ("call-soft-gain", "soft", call(after, "soft") - call(before, "soft")),
        (
            "soft-over-exact",
            "difference",
            call(after, "soft") - call(after, "exact"),
        ),
    ] {
        let printed = value(&format!("compared/{name}"), metric);
        assert!((printed - expected).abs() < 1e-9, "{name}: {printed}");
    }
    // What is no claim, but stands in the table as a row of its own.
    let average = |model: &str| value(model, "accuracy_average");
    for other in [
        "stablelm-2-zephyr-1.6b",
        "smollm-1.7b",
        "minicpm-1b-sft-bf16",
        "qwen1.5-1.8b",
        "openelm-1.1b",
    ] {
        let case = format!("compared/average-less-{other}");
        let printed = value(&case, "difference");
        let expected = average(OWN) - average(other);
        assert!((printed - expected).abs() < 1e-9, "{other}: {printed}");
    }
    for (name, metric, expected, digit) in [
        (
            "json-over-code-short",
            "ratio",
            value("prompts/droidcall format=json", "prompt_tokens")
                / value("prompts/droidcall format=code-short", "prompt_tokens"),
            0.005,
        ),
        (
            "over-gpt-4o-mini",
            "difference",
            call("fine-tuned", "exact")
                - value("gpt-4o-mini/droidcall stage=before", "exact"),
            1e-9,
        ),
        (
            "gemma-gain",
            "difference",
            value("gemma-2-2b/droidcall-paper stage=fine-tuned", "exact")
                - value("gemma-2-2b/droidcall-paper stage=before", "exact"),
            1e-9,
        ),
    ] {
        let printed = value(&format!("compared/{name}"), metric);
        assert!((printed - expected).abs() < digit, "{name}: {printed}");
    }
}

#[test]
fn what_is_predicted_is_a_case_of_this_workload() {
    for judgement in JUDGEMENTS {
        let Statistic::Predicted(statistic) = &judgement.statistic else {
            continue;
        };
        let (setting, models) = match statistic {
            OfPredictions::Rate { model, setting, .. } => {
                (setting, vec![*model])
            }
            OfPredictions::FasterAtLeast { setting }
            | OfPredictions::FasterAtMost { setting } => {
                (setting, SAME_SIZE.to_vec())
            }
            OfPredictions::AgainstTheAsGood { setting } => {
                (setting, SMALL.to_vec())
            }
            OfPredictions::Millions { .. } => continue,
        };
        for model in models.into_iter().chain([OWN]) {
            let case = case_of(setting, model);
            assert!(Request::new(&case, None).is_ok(), "{case}");
        }
    }
}

#[test]
fn a_prediction_counts_for_its_own_unit_and_axes_alone() {
    let own = judgement("decode-cpu");
    let Statistic::Predicted(statistic) = &own.statistic else {
        unreachable!()
    };
    let right = predictions_for(statistic, 58.0, 0.1);
    let found = of_predictions(own, &right, &[]).remove(0).estimate;
    assert!((found.point - 58.0).abs() < 1e-9, "{found:?}");
    // The band turns over with the reciprocal.
    assert!((found.low - 58.0 / 1.1).abs() < 1e-9, "{found:?}");
    let change = |what: fn(&mut assay_schema::Prediction)| {
        let mut others = right.clone();
        others.iter_mut().for_each(what);
        of_predictions(own, &others, &[]).len()
    };
    assert_eq!(change(|one| one.unit = "gpu".to_owned()), 0);
    assert_eq!(change(|one| one.profile = "apple-a17-pro".to_owned()), 0);
    assert_eq!(
        change(|one| {
            one.axes.insert("precision".to_owned(), "f16".to_owned());
        }),
        0
    );
    assert_eq!(
        change(|one| {
            one.axes.insert("longest".to_owned(), "2048".to_owned());
        }),
        1
    );
}

#[test]
fn only_the_models_that_answer_as_well_count_against_it() {
    let points = published().unwrap();
    assert_eq!(Vec::from_iter(as_good(&points)), ["dclm-1b"]);
    let own = judgement("capability-decode-cpu");
    let Statistic::Predicted(statistic) = &own.statistic else {
        unreachable!()
    };
    let twice = predictions_for(statistic, 2.0, 0.0);
    let found = of_predictions(own, &twice, &points).remove(0).estimate;
    assert!((found.point - 2.0).abs() < 1e-9, "{found:?}");
    assert!(found.method.contains("dclm-1b"), "{}", found.method);
    // Nothing published, nothing compared.
    assert!(of_predictions(own, &twice, &[]).is_empty());
}

/// A search of so many shapes for the phone's CPU, PhoneLM-0.5B at this
/// distance from its front.
fn searched(axes: &str, candidates: f64, distance: f64) -> Record {
    let shape = [("candidate", "phonelm-0.5b")];
    let case = format!("{SEARCH} target=snapdragon-8-gen-3:cpu {axes}");
    record(
        &case,
        vec![
            metric("quality/candidates", candidates, &[]),
            metric("quality/front_distance", distance, &shape),
        ],
    )
}

#[test]
fn a_front_is_that_of_the_shapes_own_target_and_of_many_candidates() {
    let own = judgement("front-0.5b-cpu");
    let points = |records: &[Record]| -> Vec<f64> {
        let found = of_records(own, records);
        found.into_iter().map(|one| one.estimate.point).collect()
    };
    let mut records = vec![
        searched("budget=510000000 seed=1", 1e4, 0.5),
        searched("budget=510000000 seed=1", 1e4, 0.1),
        searched("budget=510000000 seed=2", 2e4, 0.3),
        // Of too few.
        searched("budget=510000000 seed=3", 500.0, 9.0),
    ];
    // The later of two runs of a seed counts.
    records[1].started = Moment(5);
    let found = points(&records);
    assert_eq!(found.len(), 1);
    assert!((found[0] - 0.2).abs() < 1e-12, "{found:?}");
    assert!(of_records(judgement("front-0.5b-npu"), &records).is_empty());
    // A wrong answer says nothing.
    for record in &mut records {
        record.verification = None;
    }
    assert!(points(&records).is_empty());
}

#[test]
fn what_a_search_predicts_has_half_of_the_band_of_its_target() {
    let own = judgement("front-0.5b-cpu");
    let records = [searched("budget=510000000 seed=1", 1e4, 0.2)];
    let found = beside(own, &records, &bands(0.21)).remove(0).estimate;
    assert!((found.point - 0.2).abs() < 1e-12, "{found:?}");
    assert!((found.low - (1.2 / 1.1 - 1.0)).abs() < 1e-12, "{found:?}");
    assert!((found.high - (1.2 * 1.1 - 1.0)).abs() < 1e-12, "{found:?}");
    // Without a band nobody knows how far to trust it; another unit's, or
    // another phase's, is none.
    assert!(beside(own, &records, &[]).is_empty());
    let mut others = bands(0.21);
    others.retain(|one| one.unit == "npu");
    assert!(beside(own, &records, &others).is_empty());
    let mut others = bands(0.21);
    others.iter_mut().for_each(|one| one.case = format!("{SEARCH} x"));
    assert!(beside(own, &records, &others).is_empty());
}

#[test]
fn searches_whose_seeds_of_training_overlap_count_a_seed_once() {
    let name = "quality/gate_zeros";
    let study = |seed: u8, shares: &[(&str, f64)]| {
        let metrics = shares.iter().map(|(trained, share)| {
            metric(name, *share, &[("candidate", "a"), ("seed", *trained)])
        });
        record(&format!("{SEARCH} seed={seed}"), metrics.collect())
    };
    let records = [
        study(1, &[("1", 0.5), ("2", 0.6)]),
        study(2, &[("2", 0.8), ("3", 0.9)]),
    ];
    let own = judgement("relu-sparsity");
    let found = of_records(own, &records).remove(0).estimate;
    assert_eq!(found.n, 3);
    // Of 0.5, 0.7 and 0.9.
    assert!((found.point - 0.7).abs() < 1e-12, "{found:?}");
}

#[test]
fn models_of_its_size_are_those_of_the_table_within_15_percent() {
    let millions = |model: &str| {
        let config = assay_slm::model_config(model).unwrap();
        config.published_params_m.unwrap()
    };
    let own = millions(OWN);
    let mut expected = SMALL.to_vec();
    expected.retain(|model| (millions(model) / own - 1.0).abs() <= 0.15);
    let mut found = SAME_SIZE.to_vec();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn losses_are_compared_seed_by_seed() {
    let name = "quality/activation_loss";
    let at = |activation, seed| [("activation", activation), ("seed", seed)];
    let metrics = vec![
        metric(name, 4.0, &at("relu", "1")),
        metric(name, 2.0, &at("silu", "1")),
        metric(name, 3.0, &at("relu", "2")),
        metric(name, 6.0, &at("silu", "2")),
        // Without its pair it says nothing.
        metric(name, 9.0, &at("relu", "3")),
    ];
    let own = judgement("relu-loss");
    let found = of_records(own, &[record(SEARCH, metrics)]).remove(0).estimate;
    assert_eq!(found.n, 2);
    assert!((found.point - 1.0).abs() < 1e-9, "{found:?}");
}

#[test]
fn an_interval_of_calls_is_no_narrower_than_the_requests_allow() {
    let own = judgement("call-exact");
    let at = [("stage", "adapters"), ("decoding", "free"), ("tools", "all")];
    let study = |seed: u8, more: &[(&str, f64)]| {
        let mut metrics = vec![
            metric("quality/exact", 0.8, &at),
            metric("quality/requests", 200.0, &[("tools", "all")]),
        ];
        // Constrained decoding is reported apart.
        for (decoding, share) in more {
            let mut at = at;
            at[1].1 = *decoding;
            metrics.push(metric("quality/exact", *share, &at));
        }
        record(&format!("{TUNING} seed={seed}"), metrics)
    };
    let seeds: Vec<Record> =
        (1..=3).map(|seed| study(seed, &[("constrained", 0.9)])).collect();
    let found = of_records(own, &seeds).remove(0).estimate;
    assert_eq!(found.n, 3);
    assert!((found.point - 80.0).abs() < 1e-9, "{found:?}");
    // The seeds agree; Wilson's interval of 480 in 600, by hand.
    assert!((found.low - 76.61).abs() < 0.02, "{found:?}");
    assert!((found.high - 83.00).abs() < 0.02, "{found:?}");
}
