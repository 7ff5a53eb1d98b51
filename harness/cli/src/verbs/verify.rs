//! `assay verify`: right answers, without timing.

use anyhow::Context as _;
use assay_kit::Checkpoint;
use assay_measure::{Context, Job, verify_case};
use assay_schema::{Precision, Verification};

use crate::arguments::VerifyArgs;
use crate::exit::{Ending, Verdict, print};
use crate::table::aligned;
use crate::{registry, verbs};

pub(crate) fn run(args: &VerifyArgs) -> Verdict {
    if let (Some(weights), Some(golden)) = (&args.weights, &args.golden) {
        return with_files(args, weights, golden);
    }
    registry::check_model(args.model.as_deref())?;
    let context = Context {
        model: args.model.clone(),
        last_level_cache: assay_measure::last_level_cache(),
        ..Context::new("cpu", 1)
    };
    let mut rows = vec![
        ["case", "answer", "largest", "relative", "tolerance", "against"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut failed = false;
    for typed in verbs::run::cases(&args.words, args.model.as_deref())? {
        let case =
            registry::complete(&typed, args.model.as_deref(), Precision::F32)?;
        let workload = registry::workload(&case)?;
        let job = Job { workload, case: &case, context: &context, work: None };
        let row = match verify_case(job) {
            Ok(v) => {
                failed |= !v.passed();
                cells(&case.to_string(), &v)
            }
            Err(error) => {
                failed |= !error.skipped;
                let word = if error.skipped { "skipped" } else { "failed" };
                let mut row = vec![case.to_string(), word.to_owned()];
                row.resize(5, String::new());
                row.push(error.error);
                row
            }
        };
        rows.push(row);
    }
    print(&aligned(&rows));
    Ok(if failed { Ending::Failed } else { Ending::Done })
}

fn cells(case: &str, v: &Verification) -> Vec<String> {
    vec![
        case.to_owned(),
        if v.passed() { "right" } else { "WRONG" }.to_owned(),
        format!("{:.2e}", v.largest_difference),
        format!("{:.2e}", v.relative_difference),
        format!("{:.0e}", v.tolerance),
        v.against.clone(),
    ]
}

/// Anyone's weights against anyone's golden file.
fn with_files(
    args: &VerifyArgs,
    weights: &std::path::Path,
    golden: &std::path::Path,
) -> Verdict {
    let case = match (&args.model, args.words.split_first()) {
        (_, Some((word, axes))) => Some(
            registry::read_case(word, axes)
                .with_context(|| "which model? name a case, or --model FILE")?,
        ),
        (Some(_), None) => None,
        (None, None) => {
            return Err(anyhow::anyhow!(
                "which model do the weights belong to? name a case such as \
                 slm/smollm-135m/prefill, or give --model config.json"
            )
            .into());
        }
    };
    let found = registry::check_golden(
        case.as_ref(),
        args.model.as_deref(),
        &Checkpoint::open(weights)?,
        &Checkpoint::open(golden)?,
        args.tolerance,
    )?;
    print(&format!(
        "{}\nlargest absolute difference  {:.3e}\nlargest difference relative \
         to the output's largest magnitude  {:.3e}\ntolerance  {:.0e}\n{}\n",
        found.against,
        found.largest_difference,
        found.relative_difference,
        found.tolerance,
        if found.passed() { "right" } else { "WRONG" },
    ));
    Ok(if found.passed() { Ending::Done } else { Ending::Failed })
}
