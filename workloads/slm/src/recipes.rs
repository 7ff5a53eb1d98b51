//! How models were trained, as published (`claims/recipes.toml`): tokens seen,
//! and the algorithm where it is stated.
//!
//! Of most of the survey's models our sources give neither; those are not in
//! the table, and nothing is filled in from memory.

use assay_schema::{PublishedPoint, TextError};
use serde::Deserialize;

use crate::SlmError;

const NAME: &str = "claims/recipes.toml";
const TABLE: &str = include_str!("../claims/recipes.toml");

/// How a model was trained.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    recipe: Vec<Recipe>,
}

/// The recipes that are published of models of this crate.
///
/// # Errors
///
/// The embedded table does not read: a bug of this crate.
pub fn recipes() -> Result<Vec<Recipe>, SlmError> {
    let table: Table = toml::from_str(TABLE).map_err(|error| {
        TextError::new(NAME, TABLE, error.span(), error.message())
    })?;
    Ok(table.recipe)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

    use super::*;

    #[test]
    fn every_recipe_is_of_a_shipped_model_and_says_where_from() {
        let all = recipes().unwrap();
        for recipe in &all {
            assert!(crate::model_config(&recipe.model).is_ok(), "{recipe:?}");
            let tokens = recipe.training_tokens;
            assert!(tokens.is_finite() && tokens > 0.0, "{recipe:?}");
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
}
