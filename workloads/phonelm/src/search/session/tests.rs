//! Searches of shapes of a few ten thousand parameters, by the tests'
//! machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use super::*;
use crate::score::tests::Roofline;

fn search() -> Search {
    Search {
        target: "host".to_owned(),
        budget: 60_000,
        candidates: 30,
        measured: 0,
        finalists: 2,
        train_tokens: 2_048,
        seeds: 1,
        seed: 1,
        prompt: 8,
        context: 8,
        precision: Precision::F32,
    }
}

fn session(search: Search, context: &Context) -> SearchSession {
    SearchSession::with_scorer(search, context, &Roofline).unwrap()
}

#[test]
fn graphs_are_verified_against_whole_traces() {
    let mut own = session(search(), &Context::new("cpu", 1));
    let verified = own.verify().unwrap();
    assert_eq!(verified.largest_difference, 0.0);
}

#[test]
fn a_search_made_again_half_way_tells_the_same() {
    let own = format!("assay-search-study-{}", std::process::id());
    let base = std::env::temp_dir().join(own);
    let mut context = Context::new("cpu", 1);
    context.scratch = Some(base.clone());
    let all = Vec::from(stages(&search()));
    assert_eq!(all.len(), 1 + 2 + 3 + 1 + 1);
    let run = |own: &mut SearchSession, stages: &[Stage]| -> Vec<Told> {
        let made = stages.iter().map(|stage| own.advance(*stage));
        made.collect::<Result<_, _>>().unwrap()
    };
    run(&mut session(search(), &context), &all[..3]);
    let mut resumed = session(search(), &context);
    let told = run(&mut resumed, &all);
    let mut again = session(search(), &context);
    let same = run(&mut again, &all);
    let losses = |told: &[Told], name: &str| -> Vec<f64> {
        told.iter().flat_map(|one| values(&one.metrics, name, &[])).collect()
    };
    for (name, count) in [
        ("heldout_loss", 2),
        ("activation_loss", 3),
        ("activation_decode", 3),
        ("activation_time", 3),
        ("finalist_front", 2),
        ("gate_zeros", 2),
        ("sparse_decode_bytes_with_up", 2),
    ] {
        let found = losses(&told, name);
        assert_eq!(found.len(), count, "{name}");
        // Read back from text: to the last digit but one.
        for (a, b) in found.iter().zip(losses(&same, name)) {
            assert!((a - b).abs() <= 1e-12 * b.abs(), "{name}: {a} {b}");
        }
    }
    // The first finalist has ReLU: its losses stand for that activation.
    let relu = |told: &[Told]| -> Vec<f64> {
        let at = [("activation", "relu")];
        let own = told.iter();
        own.flat_map(|one| values(&one.metrics, "activation_loss", &at))
            .collect()
    };
    assert_eq!(relu(&told), losses(&told, "heldout_loss")[..1]);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn timings_are_ranked_against_predictions() {
    let few = Search { measured: 3, finalists: 0, ..search() };
    let mut own = session(few.clone(), &Context::new("cpu", 1));
    assert_eq!(Vec::from(stages(&few)), [Stage::Predict, Stage::Measure]);
    own.advance(Stage::Predict).unwrap();
    let told = own.advance(Stage::Measure).unwrap();
    let count = |name| values(&told.metrics, name, &[]).len();
    assert_eq!(count("measured_time"), 6);
    assert_eq!(count("predicted_time"), 6);
    let at = [("phase", "decode")];
    let found = values(&told.metrics, "rank_correlation", &at);
    assert!((-1.0..=1.0).contains(&found[0]), "{found:?}");
    assert_eq!(values(&told.metrics, "ranked", &[]), [3.0]);
}

#[test]
fn what_cannot_be_searched_is_refused_before_anything_starts() {
    let context = Context::new("cpu", 1);
    let refused = |search: Search, context: &Context| {
        let made = SearchSession::with_scorer(search, context, &Roofline);
        made.err().unwrap().to_string()
    };
    let none = Search { budget: 10, ..search() };
    let message = refused(none, &context);
    assert!(message.contains("no candidate meets it"), "{message}");
    let elsewhere = Context::new("wgpu:0", 1);
    let message = refused(search(), &elsewhere);
    assert!(message.contains("wgpu:0"), "{message}");
    let mut short = Context::new("cpu", 1);
    let own = format!("assay-short-{}.txt", std::process::id());
    let path = std::env::temp_dir().join(own);
    std::fs::write(&path, "Down the rabbit hole.").unwrap();
    short.data = Some(path.clone());
    let message = refused(search(), &short);
    assert!(message.contains("tokens"), "{message}");
    std::fs::remove_file(path).unwrap();
}
