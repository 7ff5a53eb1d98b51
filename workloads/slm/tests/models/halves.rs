//! The survey's published times in two halves, to calibrate a machine on and
//! to judge it by: no shape is in both halves of a machine, or the judge would
//! have seen the answer.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::Case;
use assay_slm::model_config;

const FIT: &str =
    include_str!("../../../../hardware-profiles/measurements/survey-fit.csv");
const JUDGED: &str = include_str!(
    "../../../../hardware-profiles/measurements/survey-judged.csv"
);

/// Layers, width, heads, kv-heads, head width, feed-forward width, vocabulary,
/// and whether it is gated.
type Shape = ([usize; 7], bool);

fn shape(model: &str) -> Shape {
    let config = model_config(model).unwrap();
    let sizes = [
        config.layers,
        config.width,
        config.heads,
        config.kv_heads,
        config.head_dim,
        config.ffn,
        config.vocab,
    ];
    (sizes, config.gated)
}

/// Models of each machine.
fn models(table: &str) -> BTreeMap<&str, BTreeSet<String>> {
    let mut models: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let mut cells = line.split(',');
        let case: Case = cells.next().unwrap().parse().unwrap();
        let profile = cells.next().unwrap();
        models.entry(profile).or_default().insert(case.model);
    }
    models
}

#[test]
fn no_shape_is_fitted_and_judged_on_one_machine() {
    let (fit, judged) = (models(FIT), models(JUDGED));
    let names = |of: &BTreeMap<&str, BTreeSet<String>>| -> Vec<String> {
        of.keys().map(|&name| name.to_owned()).collect()
    };
    assert_eq!(names(&fit), names(&judged));
    for (profile, models) in &fit {
        let seen: BTreeSet<Shape> =
            models.iter().map(|model| shape(model)).collect();
        for model in &judged[profile] {
            assert!(!seen.contains(&shape(model)), "{model} on {profile}");
        }
    }
    // The twins are there, and together.
    for twins in [["phi-1", "phi-1.5"], ["qwen-1.8b", "qwen1.5-1.8b"]] {
        assert_eq!(shape(twins[0]), shape(twins[1]), "{twins:?}");
        let has_both = |half: &BTreeMap<&str, BTreeSet<String>>| {
            half.values().any(|of| twins.iter().all(|name| of.contains(*name)))
        };
        assert!(has_both(&fit) || has_both(&judged), "{twins:?}");
    }
}
