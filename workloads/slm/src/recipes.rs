//! How models were trained, as published (`claims/recipes.csv`): tokens seen,
//! and the algorithm where it is stated.
//!
//! Of most of the survey's models our sources give neither; those are not in
//! the table, and nothing is filled in from memory.

use assay_schema::{PublishedPoint, TextError};

use crate::SlmError;

const NAME: &str = "claims/recipes.csv";
const TABLE: &str = include_str!("../claims/recipes.csv");

/// How a model was trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Our name of the model.
    pub model: String,
    /// Tokens that it was trained on, repetitions counted, all stages
    /// together.
    pub training_tokens: f64,
    /// Optimizer, rates and stages; `None` where our sources say nothing.
    pub algorithm: Option<String>,
    /// Where it was published.
    pub source: String,
    /// How far to trust it, in words.
    pub trust: String,
}

/// The recipes that are published of models of this crate.
///
/// # Errors
///
/// The embedded table does not read: a bug of this crate.
pub fn recipes() -> Result<Vec<Recipe>, SlmError> {
    read(NAME, TABLE)
}

/// The training tokens as points of a model as a whole.
///
/// # Errors
///
/// As [`recipes`].
pub(crate) fn points() -> Result<Vec<PublishedPoint>, SlmError> {
    let points = recipes()?
        .into_iter()
        .map(|recipe| PublishedPoint {
            case: format!("slm/{}", recipe.model),
            profile: "none".to_owned(),
            metric: "training_tokens".to_owned(),
            value: recipe.training_tokens,
            unit: "tokens".to_owned(),
            source: recipe.source,
            trust: recipe.trust,
        })
        .collect();
    Ok(points)
}

/// Reads a line of titles, then a line a recipe. Cells hold no commas.
fn read(file: &str, text: &str) -> Result<Vec<Recipe>, SlmError> {
    let mut all = Vec::new();
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let at = start..start + line.len();
        start = at.end;
        if number == 0 || line.trim().is_empty() {
            continue;
        }
        all.push(recipe(line.trim_end()).ok_or_else(|| {
            let expected = "expected \
                model,training_tokens,algorithm,source,trust, the tokens a \
                number above 0";
            TextError::new(file, text, Some(at), expected)
        })?);
    }
    Ok(all)
}

fn recipe(line: &str) -> Option<Recipe> {
    let cells: Vec<&str> = line.split(',').collect();
    let [model, tokens, algorithm, source, trust] = cells[..] else {
        return None;
    };
    let tokens: f64 = tokens.parse().ok()?;
    (tokens.is_finite() && tokens > 0.0).then(|| Recipe {
        model: model.to_owned(),
        training_tokens: tokens,
        algorithm: (!algorithm.is_empty()).then(|| algorithm.to_owned()),
        source: source.to_owned(),
        trust: trust.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

    use super::*;

    #[test]
    fn every_recipe_is_of_a_shipped_model_and_says_where_from() {
        let all = recipes().unwrap();
        assert_eq!(all.len(), TABLE.lines().count() - 1);
        for recipe in &all {
            assert!(crate::model_config(&recipe.model).is_ok(), "{recipe:?}");
            assert!(!recipe.source.is_empty(), "{recipe:?}");
            assert!(!recipe.trust.is_empty(), "{recipe:?}");
        }
        let tokens = |name: &str| {
            let of = all.iter().find(|one| one.model == name).unwrap();
            of.training_tokens
        };
        // The smaller of the two saw more.
        assert!(tokens("qwen2-0.5b") > tokens("qwen2-1.5b"));
        assert_eq!(points().unwrap().len(), all.len());
    }

    #[test]
    fn a_line_that_is_no_recipe_is_named() {
        let title = TABLE.lines().next().unwrap();
        for bad in ["tiny,many,,a,b", "tiny,0,,a,b", "tiny,1,a,b"] {
            let text = format!("{title}\n{bad}\n");
            let error = read("r.csv", &text).unwrap_err().to_string();
            assert!(error.starts_with("r.csv:2: "), "{error}");
            assert!(error.contains("training_tokens"), "{error}");
        }
    }
}
