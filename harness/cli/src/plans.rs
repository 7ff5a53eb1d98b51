//! What a run runs: the tour, a workload's own plans, a plan file, or cases
//! named on the command line.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use assay_schema::{Catalogue, Depth, Plan, Precision, Seconds, TextError};
use assay_sweep::{PlanEntry, PlanFile, expand, parse_plan_file, select};

use crate::arguments::RunArgs;
use crate::predictions::On;
use crate::{defaults, registry};

const SHIPPED: [(&str, &str); 26] = [
    ("tour", include_str!("../plans/tour.toml")),
    ("operators-quick", include_str!("../plans/operators-quick.toml")),
    ("operators-default", include_str!("../plans/operators-default.toml")),
    ("operators-full", include_str!("../plans/operators-full.toml")),
    ("slm-quick", include_str!("../plans/slm-quick.toml")),
    ("slm-default", include_str!("../plans/slm-default.toml")),
    ("slm-full", include_str!("../plans/slm-full.toml")),
    ("slm-survey", include_str!("../plans/slm-survey.toml")),
    ("interference-quick", include_str!("../plans/interference-quick.toml")),
    (
        "interference-default",
        include_str!("../plans/interference-default.toml"),
    ),
    ("interference-full", include_str!("../plans/interference-full.toml")),
    ("snr-quick", include_str!("../plans/snr-quick.toml")),
    ("snr-default", include_str!("../plans/snr-default.toml")),
    ("snr-full", include_str!("../plans/snr-full.toml")),
    ("fastfold-quick", include_str!("../plans/fastfold-quick.toml")),
    ("fastfold-default", include_str!("../plans/fastfold-default.toml")),
    ("fastfold-full", include_str!("../plans/fastfold-full.toml")),
    ("instaflow-quick", include_str!("../plans/instaflow-quick.toml")),
    ("instaflow-default", include_str!("../plans/instaflow-default.toml")),
    ("instaflow-full", include_str!("../plans/instaflow-full.toml")),
    ("phonelm-quick", include_str!("../plans/phonelm-quick.toml")),
    ("phonelm-default", include_str!("../plans/phonelm-default.toml")),
    ("phonelm-full", include_str!("../plans/phonelm-full.toml")),
    ("mstar-quick", include_str!("../plans/mstar-quick.toml")),
    ("mstar-default", include_str!("../plans/mstar-default.toml")),
    ("mstar-full", include_str!("../plans/mstar-full.toml")),
];

/// The plan that the arguments ask for, every case complete.
pub(crate) fn plan(args: &RunArgs) -> Result<Plan> {
    let (patterns, axes) = words(&args.words)?;
    let depth = if args.quick {
        Depth::Quick
    } else if args.full {
        Depth::Full
    } else {
        Depth::Default
    };
    let first = patterns.first().and_then(|p| p.parse().ok());
    let catalogue = match &first {
        Some(case) => registry::catalogue_for(case, args.model.as_deref()),
        None => registry::catalogue(),
    };
    let mut file = match (&args.plan, &patterns[..]) {
        (Some(name), [workload]) if is_plan_of(workload, name) => {
            shipped(&format!("{workload}-{name}"))?
        }
        (Some(_), [_, ..]) => {
            bail!("--plan and cases exclude each other: name one")
        }
        (Some(name), []) => named_or_file(name)?,
        (None, []) if args.full => {
            bail!("--full needs a workload, e.g. `assay run slm --full`")
        }
        (None, []) => shipped("tour")?,
        (None, patterns) => requested(patterns, &axes, depth, &catalogue)?,
    };
    file.seed = args.seed;
    if !args.on.is_empty() {
        file.predict_on.clone_from(&args.on);
    }
    if let Some(budget) = args.budget {
        for entry in &mut file.entries {
            entry.budget_s = Seconds(budget);
        }
    }
    for entry in &mut file.entries {
        for (axis, values) in &axes {
            entry.axes.insert(axis.clone(), values.clone());
        }
    }
    complete(expand(&file, &catalogue)?, args.model.as_deref())
}

/// Cases keep their place; what the defaults of this machine add is filled in.
fn complete(mut plan: Plan, model: Option<&Path>) -> Result<Plan> {
    for planned in &mut plan.cases {
        planned.case =
            registry::complete(&planned.case, model, Precision::F32)?;
    }
    Ok(plan)
}

/// Patterns, and axes with their values (`prompt=32,128` is two).
#[allow(clippy::type_complexity, reason = "a list of named lists")]
fn words(
    words: &[String],
) -> Result<(Vec<String>, Vec<(String, Vec<String>)>)> {
    let (axes, patterns): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.contains('='));
    let axes = axes
        .into_iter()
        .map(|word| {
            let (axis, values) = word
                .split_once('=')
                .filter(|(axis, values)| !axis.is_empty() && !values.is_empty())
                .ok_or_else(|| anyhow!("`{word}`: expected axis=value"))?;
            let values = values.split(',').map(str::to_owned).collect();
            Ok((axis.to_owned(), values))
        })
        .collect::<Result<_>>()?;
    Ok((patterns.into_iter().cloned().collect(), axes))
}

/// Whether a workload's name and a plan's are a shipped plan together:
/// `assay run slm --plan survey`.
fn is_plan_of(workload: &str, name: &str) -> bool {
    let whole = format!("{workload}-{name}");
    SHIPPED.iter().any(|(known, _)| *known == whole)
}

fn shipped(name: &str) -> Result<PlanFile> {
    let (_, text) =
        SHIPPED.iter().find(|(n, _)| *n == name).ok_or_else(|| {
            let nearest =
                assay_schema::nearest(name, SHIPPED.iter().map(|(n, _)| *n));
            anyhow!(
                "no plan `{name}`, and no such file; nearest valid: `{}`",
                nearest.unwrap_or("tour")
            )
        })?;
    Ok(parse_plan_file(text, &format!("plans/{name}.toml"))?)
}

fn named_or_file(name: &str) -> Result<PlanFile> {
    let path = Path::new(name);
    if !path.exists() {
        return shipped(name);
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{name}: cannot be read"))?;
    let file = parse_plan_file(&text, name)?;
    check_profiles(&file, &text, name)?;
    Ok(file)
}

/// Every profile that a plan file predicts for is known; else where it
/// stands.
fn check_profiles(file: &PlanFile, text: &str, name: &str) -> Result<()> {
    for profile in &file.predict_on {
        // This machine's may be probed later.
        if profile.starts_with(defaults::HOST) {
            continue;
        }
        if let Err(error) = On::read_all(std::slice::from_ref(profile)) {
            let from = text.find("predict_on").unwrap_or(0);
            let quoted = format!("\"{profile}\"");
            let at = text[from..].find(&quoted).map(|at| from + at..from + at);
            let message = format!("{error:#}");
            bail!(TextError::new(name, text, at, &message));
        }
    }
    Ok(())
}

/// Several workloads' plans as one.
fn joined(plans: Vec<PlanFile>) -> PlanFile {
    let mut plans = plans.into_iter();
    let Some(mut all) = plans.next() else { return PlanFile::default() };
    for plan in plans {
        all.name = format!("{} {}", all.name, plan.name);
        for profile in plan.predict_on {
            if !all.predict_on.contains(&profile) {
                all.predict_on.push(profile);
            }
        }
        all.entries.extend(plan.entries);
    }
    all
}

/// Workloads' names alone, without axes, are their own plans at this depth;
/// anything else is the cases themselves.
fn requested(
    patterns: &[String],
    axes: &[(String, Vec<String>)],
    depth: Depth,
    catalogue: &Catalogue,
) -> Result<PlanFile> {
    let whole = |pattern: &String| catalogue.workload(pattern).is_some();
    if patterns.iter().all(whole) && axes.is_empty() {
        let suffix = match depth {
            Depth::Quick => "quick",
            Depth::Default => "default",
            Depth::Full => "full",
        };
        let plans = patterns
            .iter()
            .map(|pattern| shipped(&format!("{pattern}-{suffix}")))
            .collect::<Result<Vec<_>>>()?;
        return Ok(joined(plans));
    }
    let budget = match depth {
        Depth::Quick => Seconds(1.0),
        Depth::Default => Seconds(10.0),
        Depth::Full => Seconds(60.0),
    };
    let entries = select(patterns, catalogue)?
        .into_iter()
        .map(|path| PlanEntry {
            measure: true,
            budget_s: budget,
            ..PlanEntry::new(path)
        })
        .collect();
    Ok(PlanFile {
        name: patterns.join(" "),
        depth,
        seed: 1,
        predict_on: Vec::new(),
        entries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_plan_names_cases_that_exist() {
        let catalogue = registry::catalogue();
        for (name, _) in SHIPPED {
            let file = shipped(name).unwrap();
            let plan = expand(&file, &catalogue).unwrap();
            assert!(!plan.cases.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_workload_with_a_plan_of_its_own_is_that_plan() {
        assert!(is_plan_of("slm", "survey"));
        assert!(!is_plan_of("slm", "tour"));
        assert!(!is_plan_of("slm/tiny/decode", "survey"));
    }
}
