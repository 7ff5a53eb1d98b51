//! Smaller plans from a plan: filtered, within a budget, what is left of it.
//! Order and everything else stay.

use assay_schema::{Case, Plan, PlannedCase, Seconds, glob_matches};

/// One condition on the cases of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The path matches the pattern.
    Path(String),
    /// The path does not match the pattern.
    NotPath(String),
    /// The axis has this value; a case without the axis is dropped.
    Axis {
        /// The axis.
        name: String,
        /// Its value, in its one spelling.
        value: String,
    },
    /// It is measured, not only predicted.
    Measured,
}

impl Filter {
    /// Whether a case passes.
    pub fn passes(&self, planned: &PlannedCase) -> bool {
        match self {
            Self::Path(pattern) => glob_matches(pattern, &planned.case.path()),
            Self::NotPath(pattern) => {
                !glob_matches(pattern, &planned.case.path())
            }
            Self::Axis { name, value } => {
                planned.case.axis(name) == Some(value.as_str())
            }
            Self::Measured => planned.measure,
        }
    }
}

/// The plan with only the cases that pass all filters. Filters commute.
pub fn keep(plan: &Plan, filters: &[Filter]) -> Plan {
    with_cases(plan, |planned| {
        filters.iter().all(|filter| filter.passes(planned))
    })
}

/// The plan without the cases that are done, for `--resume`.
pub fn remaining(plan: &Plan, done: &dyn Fn(&Case) -> bool) -> Plan {
    with_cases(plan, |planned| !done(&planned.case))
}

/// The plan with the budgets of its measured cases scaled down, in
/// proportion, so that they add up to at most `total`.
///
/// Budgets never grow: a case that asked for 2 s has enough in 2 s. Budgets
/// are sampling time alone; setting up and verifying come on top.
pub fn split_budget(plan: &Plan, total: Seconds) -> Plan {
    let measured = |planned: &&PlannedCase| planned.measure;
    let asked: Seconds =
        plan.cases.iter().filter(measured).map(|c| c.budget_s).sum();
    let mut plan = plan.clone();
    if asked.value() > total.value() {
        let share = total / asked;
        for planned in plan.cases.iter_mut().filter(|c| c.measure) {
            planned.budget_s = planned.budget_s * share;
        }
    }
    plan
}

fn with_cases(plan: &Plan, keep: impl Fn(&PlannedCase) -> bool) -> Plan {
    Plan {
        cases: plan.cases.iter().filter(|c| keep(c)).cloned().collect(),
        ..plan.clone()
    }
}

#[cfg(test)]
mod tests {
    use assay_schema::Depth;
    use proptest::prelude::*;

    use super::*;

    fn planned() -> impl Strategy<Value = PlannedCase> {
        (
            prop::sample::select(vec!["tiny", "qwen2-0.5b"]),
            prop::sample::select(vec!["prefill", "decode"]),
            1_u64..4,
            0.1_f64..20.0,
            any::<bool>(),
        )
            .prop_map(|(model, phase, batch, budget, measure)| {
                PlannedCase {
                    case: Case::new("slm", model, Some(phase))
                        .with("batch", batch),
                    budget_s: Seconds(budget),
                    measure,
                    given: Vec::new(),
                    why: String::new(),
                    experiments: Vec::new(),
                }
            })
    }

    fn plan() -> impl Strategy<Value = Plan> {
        prop::collection::vec(planned(), 0..20).prop_map(|cases| Plan {
            name: "test".to_owned(),
            depth: Depth::Default,
            seed: 0,
            predict_on: vec!["host".to_owned()],
            cases,
        })
    }

    fn filter() -> impl Strategy<Value = Filter> {
        prop_oneof![
            Just(Filter::Path("*/decode".to_owned())),
            Just(Filter::NotPath("slm/tiny/*".to_owned())),
            Just(Filter::Measured),
            (1_u64..4).prop_map(|batch| Filter::Axis {
                name: "batch".to_owned(),
                value: batch.to_string(),
            }),
        ]
    }

    proptest! {
        #[test]
        fn filters_commute(plan in plan(), a in filter(), b in filter()) {
            let one = std::slice::from_ref;
            let ab = keep(&keep(&plan, one(&a)), one(&b));
            let ba = keep(&keep(&plan, one(&b)), one(&a));
            prop_assert_eq!(&ab, &ba);
            prop_assert_eq!(ab, keep(&plan, &[a, b]));
        }

        #[test]
        fn done_and_remaining_share_the_plan_out(
            plan in plan(), batch in 1_u64..4,
        ) {
            let batch = batch.to_string();
            let done = |case: &Case| case.axis("batch") == Some(&batch);
            let left = remaining(&plan, &done);
            prop_assert!(left.cases.iter().all(|c| !done(&c.case)));
            let finished =
                plan.cases.iter().filter(|c| done(&c.case)).count();
            prop_assert_eq!(left.cases.len() + finished, plan.cases.len());
        }

        #[test]
        fn a_split_budget_is_kept_and_none_grows(
            plan in plan(), total in 0.1_f64..50.0,
        ) {
            let split = split_budget(&plan, Seconds(total));
            let sum: f64 = split
                .cases
                .iter()
                .filter(|c| c.measure)
                .map(|c| c.budget_s.value())
                .sum();
            prop_assert!(sum <= total * (1.0 + 1e-9));
            for (before, after) in plan.cases.iter().zip(&split.cases) {
                prop_assert!(after.budget_s <= before.budget_s);
                prop_assert!(
                    before.measure || after.budget_s == before.budget_s
                );
            }
        }
    }
}
