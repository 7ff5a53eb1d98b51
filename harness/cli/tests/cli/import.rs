//! `assay import`: criterion's folder becomes a run.

use crate::place::Place;

/// Results that criterion wrote, from the tests of `assay-ci`.
const MADE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/tests/criterion/made");

#[test]
fn criterions_baselines_become_runs_of_the_same_cases() {
    let place = Place::new();
    for (baseline, out) in [("first", "a"), ("new", "b")] {
        let said = place.ok(&format!(
            "import criterion {MADE} --baseline {baseline} --out {out}"
        ));
        assert!(said.starts_with("5 cases with 50 samples"), "{said}");
        assert!(said.contains("no answer was checked"), "{said}");
    }
    let cases = |run: &str| -> Vec<String> {
        let records = place.run(run).records().unwrap();
        records.iter().map(|record| record.case.to_string()).collect()
    };
    assert_eq!(cases("a"), cases("b"));
    assert!(cases("a").contains(
        &"criterion/sums%20<b>of<%2Fb>%20größe%2F2/a%20b value=10".to_owned()
    ));
}

#[test]
fn an_import_compared_with_itself_has_rows_and_none_is_slower() {
    let place = Place::new();
    for out in ["a", "b"] {
        place.ok(&format!("import criterion {MADE} --out {out}"));
    }
    let document = place.json("compare a b --format json");
    let rows = document["rows"].as_array().unwrap();
    assert!(!rows.is_empty(), "{document}");
    assert!(rows.iter().all(|row| row["verdict"] != "slower"), "{document}");
}

#[test]
fn what_a_baseline_lacks_is_told_on_standard_error() {
    let place = Place::new();
    let said = place
        .assay(&format!("import criterion {MADE} --baseline base --out a"));
    assert_eq!(said.code, 0);
    assert!(said.out.starts_with("1 case with 10 samples"), "{}", said.out);
    assert_eq!(said.err.matches("has no baseline `base`").count(), 4);
}

#[test]
fn an_import_that_cannot_be_is_refused_with_what_would_do() {
    let place = Place::new();
    place.refused(
        2,
        "import criterio x",
        &["unknown format `criterio`", "known: criterion", "nearest"],
    );
    place.refused(2, "import criterion", &["no PATH", "target/criterion"]);
    place.refused(
        2,
        "import criterion nowhere",
        &["nowhere: there is nothing", "target/criterion"],
    );
    place.refused(
        2,
        &format!("import criterion {MADE} --baseline nwe"),
        &["no benchmark has the baseline `nwe`", "nearest: `new`"],
    );
    assert!(!place.path("runs").exists(), "an error leaves no run behind");
}
