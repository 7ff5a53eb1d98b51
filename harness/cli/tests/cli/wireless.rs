//! The two wireless workloads from the command line.

use assay_schema::Ruling;

use crate::place::Place;

const STUDY: &str = "size=tiny batch=32 per_cell=12 epochs=2";

#[test]
fn a_study_becomes_a_report_with_its_claims_and_can_be_published() {
    let place = Place::new();
    place.ok(&format!(
        "run interference/cnn/study {STUDY} train_snr_db=all,10 seed=1,2 \
         --out r"
    ));
    let page = place.read("r/report/index.html");
    assert!(page.contains("Accuracy against test SNR"), "no figure of studies");
    assert!(page.contains("1905.08054"), "no claims");
    // Too few seeds to rule on anything.
    let claims = place.run("r").claims().unwrap();
    assert!(!claims.is_empty());
    for claim in claims {
        assert_eq!(claim.ruling, Ruling::NotTested, "{}", claim.claim.id);
    }
    place.ok("export published r --out p");
    assert_eq!(place.run("p").records().unwrap().len(), 4);
    place.ok("report p --out again");
    place.refused(2, "export published r --out p", &["p"]);
    place.refused(2, "export publishe r --out q", &["nearest", "published"]);
}

#[test]
fn boosting_reports_what_its_search_cost() {
    let place = Place::new();
    place.ok(&format!(
        "run snr/ci-cnn/study {STUDY} strategy=boosted test_snr_db=10 \
         reach_db=2 --out r"
    ));
    let records = place.run("r").records().unwrap();
    assert!(records[0].metric("quality/search_time").unwrap() > 0.0);
}

#[test]
fn the_papers_networks_are_predicted_on_their_card() {
    let place = Place::new();
    let said = place.json(
        "predict interference/cnn/train-step --on nvidia-p100-pcie-16gb \
         --format json",
    );
    assert_eq!(said[0]["parameters"], 32_916_751);
    assert!(said[0]["latency_s"]["point"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_pickle_that_would_run_code_is_refused_by_name() {
    let place = Place::new();
    let pickle = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../workloads/radio/tests/data/evil_reduce.pkl"
    );
    let said = place.assay(&format!(
        "run interference/cnn/study {STUDY} --data {pickle} --out r"
    ));
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("system"), "{}", said.err);
}
