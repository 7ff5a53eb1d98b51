//! The product of axes: a plan file to a plan.

use std::collections::HashMap;

use assay_schema::{Case, Catalogue, Plan, PlannedCase, glob_matches};

use crate::case::{complete, find_axis, unknown_axis, workload};
use crate::{PlanEntry, PlanFile, SweepError, select};

/// Most cases of a plan: a slip in an axis list must not fill the memory.
pub const MOST_CASES: usize = 100_000;

/// Multiplies the axes of each entry out, in the order written, with defaults
/// filled in.
///
/// An entry makes, for each path that its pattern matches, one case for each
/// combination of its axes; the alphabetically last axis varies fastest. An
/// axis that a matched path does not have is left out for that path, so that
/// `slm/*` may set `prompt` and `context` at once; one that no matched path
/// has is an error. A case that two entries name is run once, in its first
/// place: it is measured if either says so, with the longer budget, and
/// belongs to the experiments of both.
///
/// # Errors
/// Unknown workload, model, phase, axis or value with the nearest valid one,
/// and the place in the plan file; more than [`MOST_CASES`] cases.
pub fn expand(
    file: &PlanFile,
    catalogue: &Catalogue,
) -> Result<Plan, SweepError> {
    let mut cases: Vec<PlannedCase> = Vec::new();
    let mut places: HashMap<Case, usize> = HashMap::new();
    for entry in &file.entries {
        let room = MOST_CASES - cases.len();
        let expanded = expand_entry(entry, catalogue, room).map_err(
            |error| match &entry.origin {
                Some(origin) => SweepError::Entry {
                    origin: origin.clone(),
                    fault: Box::new(error),
                },
                None => error,
            },
        )?;
        for case in expanded {
            if let Some(&place) = places.get(&case) {
                let earlier = &mut cases[place];
                earlier.measure |= entry.measure;
                earlier.budget_s = earlier.budget_s.max(entry.budget_s);
                for experiment in &entry.experiments {
                    if !earlier.experiments.contains(experiment) {
                        earlier.experiments.push(experiment.clone());
                    }
                }
                continue;
            }
            places.insert(case.clone(), cases.len());
            cases.push(PlannedCase {
                case,
                budget_s: entry.budget_s,
                measure: entry.measure,
                given: entry.axes.keys().cloned().collect(),
                why: entry.why.clone(),
                experiments: entry.experiments.clone(),
            });
        }
    }
    Ok(Plan {
        name: file.name.clone(),
        depth: file.depth,
        seed: file.seed,
        predict_on: file.predict_on.clone(),
        cases,
    })
}

fn expand_entry(
    entry: &PlanEntry,
    catalogue: &Catalogue,
    room: usize,
) -> Result<Vec<Case>, SweepError> {
    for (axis, values) in &entry.axes {
        if values.is_empty() {
            return Err(SweepError::NoValues {
                case: entry.case.clone(),
                axis: axis.clone(),
            });
        }
    }
    let mut paths = select(std::slice::from_ref(&entry.case), catalogue)?;
    for pattern in &entry.except {
        let before = paths.len();
        paths.retain(|path| !glob_matches(pattern, path));
        if paths.len() == before || paths.is_empty() {
            return Err(SweepError::Except {
                case: entry.case.clone(),
                pattern: pattern.clone(),
                left: if paths.is_empty() { "nothing" } else { "all" },
            });
        }
    }
    check_axes_used(entry, &paths, catalogue)?;
    let mut cases = Vec::new();
    for path in paths {
        for case in product(entry, bare_case(&path, entry)?, catalogue)? {
            if cases.len() == room {
                return Err(too_many(entry));
            }
            cases.push(case);
        }
    }
    Ok(cases)
}

fn too_many(entry: &PlanEntry) -> SweepError {
    SweepError::TooMany { case: entry.case.clone(), most: MOST_CASES }
}

/// A path of the catalogue as a case.
fn bare_case(path: &str, entry: &PlanEntry) -> Result<Case, SweepError> {
    // Only a catalogue whose own names are empty or hold a `/` fails here.
    path.parse().map_err(|_| SweepError::NothingMatched {
        pattern: entry.case.clone(),
        nearest: path.to_owned(),
    })
}

/// Each axis of the entry must be of at least one of the paths.
fn check_axes_used(
    entry: &PlanEntry,
    paths: &[String],
    catalogue: &Catalogue,
) -> Result<(), SweepError> {
    let mut known: Vec<&str> = Vec::new();
    for path in paths {
        let case = bare_case(path, entry)?;
        let info = workload(&case.workload, catalogue)?;
        for axis in info.axes_of(&case.model, case.phase.as_deref()) {
            if !known.contains(&axis.name.as_str()) {
                known.push(&axis.name);
            }
        }
    }
    match entry.axes.keys().find(|axis| !known.contains(&axis.as_str())) {
        Some(axis) => Err(unknown_axis(&entry.case, axis, known)),
        None => Ok(()),
    }
}

/// One path times the axes that it has, completed.
fn product(
    entry: &PlanEntry,
    bare: Case,
    catalogue: &Catalogue,
) -> Result<Vec<Case>, SweepError> {
    let info = workload(&bare.workload, catalogue)?;
    let known = info.axes_of(&bare.model, bare.phase.as_deref());
    let mut cases = vec![bare];
    for (axis, values) in &entry.axes {
        if find_axis(&known, axis).is_none() {
            continue;
        }
        if cases.len().saturating_mul(values.len()) > MOST_CASES {
            return Err(too_many(entry));
        }
        cases = cases
            .iter()
            .flat_map(|case| {
                values.iter().map(|value| case.clone().with(axis, value))
            })
            .collect();
    }
    cases.iter().map(|case| complete(case, catalogue)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use assay_schema::{Depth, Seconds};
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::catalogue;
    use crate::parse_plan_file;

    fn plan_of(entries: Vec<PlanEntry>) -> PlanFile {
        PlanFile {
            name: "test".to_owned(),
            depth: Depth::Default,
            seed: 1,
            predict_on: Vec::new(),
            entries,
        }
    }

    fn entry(case: &str, axes: &[(&str, &[u64])]) -> PlanEntry {
        let mut entry = PlanEntry::new(case);
        for (axis, values) in axes {
            let words = values.iter().map(u64::to_string).collect();
            entry.axes.insert((*axis).to_owned(), words);
        }
        entry
    }

    fn cases(plan: &Plan) -> Vec<String> {
        plan.cases.iter().map(|planned| planned.case.to_string()).collect()
    }

    #[test]
    fn axes_multiply_and_the_last_varies_fastest() {
        let file = plan_of(vec![entry(
            "slm/tiny/prefill",
            &[("prompt", &[32, 128]), ("batch", &[1, 2])],
        )]);
        assert_eq!(
            cases(&expand(&file, &catalogue()).unwrap()),
            [
                "slm/tiny/prefill batch=1 precision=f32 prompt=32",
                "slm/tiny/prefill batch=1 precision=f32 prompt=128",
                "slm/tiny/prefill batch=2 precision=f32 prompt=32",
                "slm/tiny/prefill batch=2 precision=f32 prompt=128",
            ]
        );
    }

    #[test]
    fn what_an_entry_excepts_is_left_out_and_must_be_some_of_it() {
        let excepting = |pattern: &str| {
            let mut entry = entry("slm/*/prefill", &[]);
            entry.except = vec![pattern.to_owned()];
            expand(&plan_of(vec![entry]), &catalogue())
        };
        assert_eq!(
            cases(&excepting("slm/tiny/*").unwrap()),
            ["slm/qwen2-0.5b/prefill batch=1 precision=f32 prompt=128"]
        );
        for (pattern, left) in [("slm/tny/*", "all"), ("slm/*", "nothing")] {
            let error = excepting(pattern).unwrap_err().to_string();
            assert!(error.contains(&format!("leaves {left} of")), "{error}");
        }
    }

    #[test]
    fn a_pattern_sets_an_axis_where_it_applies() {
        let file = plan_of(vec![entry(
            "slm/tiny",
            &[("prompt", &[8]), ("context", &[64])],
        )]);
        assert_eq!(
            cases(&expand(&file, &catalogue()).unwrap()),
            [
                "slm/tiny/prefill batch=1 precision=f32 prompt=8",
                "slm/tiny/decode batch=1 context=64 precision=f32",
            ]
        );
    }

    #[test]
    fn a_case_named_twice_is_run_once_and_measured_if_either_says_so() {
        let mut predicted = PlanEntry::new("slm/*/decode");
        predicted.measure = false;
        predicted.budget_s = Seconds(1.0);
        predicted.why = "All of them.".to_owned();
        let measured = PlanEntry::new("slm/tiny/decode");
        let plan =
            expand(&plan_of(vec![predicted, measured]), &catalogue()).unwrap();
        let [tiny, qwen] = &plan.cases[..] else { panic!("{plan:?}") };
        assert!(tiny.measure && !qwen.measure);
        assert_eq!(tiny.budget_s, Seconds(10.0));
        assert_eq!(tiny.why, "All of them.");
    }

    #[test]
    fn an_error_in_a_plan_file_names_its_line() {
        let text = "name = \"x\"\n[[case]]\ncase = \"slm/tiny/prefill\"\n\
                    axes.promt = [1]\n";
        let file = parse_plan_file(text, "plans/x.toml").unwrap();
        assert_eq!(
            expand(&file, &catalogue()).unwrap_err().to_string(),
            "plans/x.toml:3: `slm/tiny/prefill` has no axis `promt`; nearest \
             valid: `prompt`"
        );
    }

    #[test]
    fn an_axis_without_values_is_refused() {
        let file = plan_of(vec![entry("slm", &[("batch", &[])])]);
        assert_eq!(
            expand(&file, &catalogue()).unwrap_err().to_string(),
            "axis `batch` of `slm` has no values; expected at least one"
        );
    }

    #[test]
    fn a_plan_that_explodes_is_refused_before_it_fills_the_memory() {
        let many: Vec<u64> = (1..=1000).collect();
        let file = plan_of(vec![entry(
            "operators/matmul",
            &[("m", &many), ("n", &many)],
        )]);
        assert!(matches!(
            expand(&file, &catalogue()),
            Err(SweepError::TooMany { .. })
        ));
    }

    fn axis_values() -> impl Strategy<Value = BTreeSet<u64>> {
        prop::collection::btree_set(1_u64..1000, 1..5)
    }

    proptest! {
        #[test]
        fn count_is_the_product_of_axis_lengths_and_ids_are_stable_and_distinct(
            batch in axis_values(),
            prompt in axis_values(),
            context in axis_values(),
        ) {
            let words = |values: &BTreeSet<u64>| {
                values.iter().map(u64::to_string).collect::<Vec<_>>()
            };
            let mut entry = PlanEntry::new("slm");
            entry.axes = BTreeMap::from([
                ("batch".to_owned(), words(&batch)),
                ("prompt".to_owned(), words(&prompt)),
                ("context".to_owned(), words(&context)),
            ]);
            let file = plan_of(vec![entry]);
            let plan = expand(&file, &catalogue()).unwrap();
            // Two models; a prefill has no context and a decode no prompt.
            let expected = 2 * batch.len() * (prompt.len() + context.len());
            prop_assert_eq!(plan.cases.len(), expected);

            let stems = |plan: &Plan| -> Vec<String> {
                plan.cases.iter().map(|c| c.case.file_stem()).collect()
            };
            let first = stems(&plan);
            prop_assert_eq!(
                &first,
                &stems(&expand(&file, &catalogue()).unwrap())
            );
            let distinct: BTreeSet<&String> = first.iter().collect();
            prop_assert_eq!(distinct.len(), first.len());
        }
    }
}
