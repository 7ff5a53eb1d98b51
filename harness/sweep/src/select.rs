//! Names and globs of the command line to case paths.

use assay_schema::{Catalogue, glob_matches};

use crate::SweepError;
use crate::case::{check_path, nearest_of, workload};

/// The paths (`workload/model/phase`, no axes) that the patterns name, in the
/// catalogue's order, each once.
///
/// A pattern is a path, a path with `*` and `?`, `workload/model` for all
/// phases of a model, or the bare name of a workload for all of it.
///
/// # Errors
/// A pattern that matches nothing, with the nearest valid name.
pub fn select(
    patterns: &[String],
    catalogue: &Catalogue,
) -> Result<Vec<String>, SweepError> {
    let paths = catalogue.paths();
    let mut wanted = vec![false; paths.len()];
    for pattern in patterns {
        let mut found = false;
        for (path, wanted) in paths.iter().zip(&mut wanted) {
            if means(pattern, path) {
                *wanted = true;
                found = true;
            }
        }
        if !found {
            return Err(nothing_matched(pattern, &paths, catalogue));
        }
    }
    Ok(paths
        .into_iter()
        .zip(wanted)
        .filter_map(|(path, wanted)| wanted.then_some(path))
        .collect())
}

fn means(pattern: &str, path: &str) -> bool {
    // A name that ends early means all that is below it.
    glob_matches(pattern, path) || glob_matches(&format!("{pattern}/*"), path)
}

/// The first part of the pattern that is at fault, or the pattern itself.
fn nothing_matched(
    pattern: &str,
    paths: &[String],
    catalogue: &Catalogue,
) -> SweepError {
    let whole = || SweepError::NothingMatched {
        pattern: pattern.to_owned(),
        nearest: nearest_of(pattern, paths.iter().map(String::as_str)),
    };
    let is_glob = |part: &str| part.contains(['*', '?']);
    let parts: Vec<&str> = pattern.split('/').collect();
    let (first, rest) = match parts[..] {
        [first] if !is_glob(first) => (first, None),
        [first, model] if !is_glob(first) => (first, Some((model, None))),
        [first, model, phase] if !is_glob(first) => {
            (first, Some((model, Some(phase))))
        }
        _ => return whole(),
    };
    let info = match workload(first, catalogue) {
        Ok(info) => info,
        Err(error) => return error,
    };
    let (models, phase): (Vec<&str>, _) = match rest {
        None => return whole(),
        Some((model, phase)) if is_glob(model) => (
            info.models
                .iter()
                .map(String::as_str)
                .filter(|known| glob_matches(model, known))
                .collect(),
            phase,
        ),
        Some((model, phase)) => (vec![model], phase),
    };
    let phase = phase.filter(|phase| !is_glob(phase));
    models
        .into_iter()
        .find_map(|model| check_path(info, model, phase).err())
        .unwrap_or_else(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::catalogue;

    fn selected(patterns: &[&str]) -> Result<Vec<String>, String> {
        let patterns: Vec<String> =
            patterns.iter().map(|&p| p.to_owned()).collect();
        select(&patterns, &catalogue()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_workloads_name_means_all_of_it_and_a_models_name_all_its_phases() {
        assert_eq!(
            selected(&["operators"]).unwrap(),
            ["operators/matmul", "operators/softmax"]
        );
        assert_eq!(
            selected(&["slm/tiny"]).unwrap(),
            ["slm/tiny/prefill", "slm/tiny/decode"]
        );
    }

    #[test]
    fn patterns_that_overlap_name_a_case_once_in_the_catalogues_order() {
        assert_eq!(
            selected(&["slm/*/decode", "*/tiny/*", "operators/s*"]).unwrap(),
            [
                "operators/softmax",
                "slm/tiny/prefill",
                "slm/tiny/decode",
                "slm/qwen2-0.5b/decode",
            ]
        );
    }

    #[test]
    fn a_pattern_that_matches_nothing_names_its_first_fault() {
        for (pattern, message) in [
            ("sln", "unknown workload `sln`; nearest valid: `slm`"),
            (
                "operators/matmull",
                "unknown model `matmull` of `operators`; nearest valid: `matmul`",
            ),
            (
                "slm/*/prefil",
                "unknown phase `prefil` of `slm/tiny`; nearest valid: `prefill`",
            ),
            (
                "*/tiny/prefil",
                "`*/tiny/prefil` matches no case; nearest valid: \
                 `slm/tiny/prefill`",
            ),
        ] {
            assert_eq!(selected(&[pattern]), Err(message.to_owned()));
        }
    }
}
