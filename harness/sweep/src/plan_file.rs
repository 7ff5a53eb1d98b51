//! The plan file: TOML to values, with file and line in every error. The
//! specification is in this crate's README.

use std::collections::BTreeMap;

use assay_schema::{Depth, Seconds, TextError, line_of};
use serde::Deserialize;
use toml::Spanned;

use crate::SweepError;

/// Sampling time of a case whose plan says nothing.
pub const DEFAULT_BUDGET: Seconds = Seconds(10.0);

/// A plan before its axes are multiplied out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanFile {
    /// A short name, e.g. `tour`.
    pub name: String,
    /// How deep.
    pub depth: Depth,
    /// Seed of everything random.
    pub seed: u64,
    /// Hardware profiles to predict for, by name.
    pub predict_on: Vec<String>,
    /// What to run, in order.
    pub entries: Vec<PlanEntry>,
}

/// Cases that share their axes: a `[[case]]` of a plan file.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanEntry {
    /// A path or a pattern, as [`crate::select`] takes it.
    pub case: String,
    /// Patterns of paths that `case` matches and that are left out.
    pub except: Vec<String>,
    /// Axis to the values that it takes.
    pub axes: BTreeMap<String, Vec<String>>,
    /// Measure on the device (else only predict).
    pub measure: bool,
    /// Time that the sampling of each of its cases may take.
    pub budget_s: Seconds,
    /// Why it is in the plan.
    pub why: String,
    /// The experiments of the study that its cases belong to.
    pub experiments: Vec<String>,
    /// Where it stands (`plan.toml:12`), for errors; `None` for an entry that
    /// no file holds.
    pub origin: Option<String>,
}

impl PlanEntry {
    /// An entry without axes that is measured with the default budget.
    pub fn new(case: impl Into<String>) -> Self {
        Self {
            case: case.into(),
            except: Vec::new(),
            axes: BTreeMap::new(),
            measure: true,
            budget_s: DEFAULT_BUDGET,
            why: String::new(),
            experiments: Vec::new(),
            origin: None,
        }
    }
}

/// The file's shape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePlan {
    name: String,
    #[serde(default)]
    depth: Depth,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    predict_on: Vec<String>,
    budget_s: Option<Spanned<f64>>,
    case: Vec<WireEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    case: Spanned<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    axes: BTreeMap<String, Vec<Spanned<toml::Value>>>,
    measure: Option<bool>,
    budget_s: Option<Spanned<f64>>,
    #[serde(default)]
    why: String,
    #[serde(default)]
    experiments: Vec<String>,
}

/// Reads a plan file's text; `file_name` is only for messages.
///
/// # Errors
/// Malformed TOML, an unknown or missing key, a value of the wrong kind or a
/// budget that is no time: each with file and line.
pub fn parse_plan_file(
    text: &str,
    file_name: &str,
) -> Result<PlanFile, SweepError> {
    let error_at = |span, message: &str| {
        SweepError::File(TextError::new(file_name, text, span, message))
    };
    let wire: WirePlan = toml::from_str(text)
        .map_err(|error| error_at(error.span(), error.message()))?;
    let budget = |written: Option<Spanned<f64>>, default: Seconds| {
        let Some(written) = written else { return Ok(default) };
        let seconds = *written.get_ref();
        if seconds.is_finite() && seconds > 0.0 {
            return Ok(Seconds(seconds));
        }
        Err(error_at(
            Some(written.span()),
            &format!("budget_s: found {seconds}, expected seconds above 0"),
        ))
    };

    let plan_budget = budget(wire.budget_s, DEFAULT_BUDGET)?;
    let mut entries = Vec::with_capacity(wire.case.len());
    for entry in wire.case {
        let mut axes = BTreeMap::new();
        for (axis, values) in entry.axes {
            let words = values.iter().map(|value| {
                word(value.get_ref()).ok_or_else(|| {
                    let message = format!(
                        "axis `{axis}`: found {}, expected a text, a number, \
                         true or false",
                        value.get_ref().type_str()
                    );
                    error_at(Some(value.span()), &message)
                })
            });
            let words = words.collect::<Result<Vec<String>, _>>()?;
            axes.insert(axis, words);
        }
        let line = line_of(text, entry.case.span().start);
        entries.push(PlanEntry {
            case: entry.case.into_inner(),
            except: entry.except,
            axes,
            measure: entry.measure.unwrap_or(true),
            budget_s: budget(entry.budget_s, plan_budget)?,
            why: entry.why,
            experiments: entry.experiments,
            origin: Some(format!("{file_name}:{line}")),
        });
    }
    Ok(PlanFile {
        name: wire.name,
        depth: wire.depth,
        seed: wire.seed,
        predict_on: wire.predict_on,
        entries,
    })
}

/// A value as a case writes it.
fn word(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse_plan_file(text, "plan.toml").unwrap_err().to_string()
    }

    #[test]
    fn a_plan_file_reads_as_its_specification_says() {
        let plan = parse_plan_file(
            r#"
name = "tour"
depth = "quick"
predict_on = ["nvidia-a100-sxm4-80gb"]
budget_s = 2

[[case]]
case = "slm/*/prefill"
axes = { batch = [1], prompt = [32, 128], precision = ["f32"] }
why = "The first token."

[[case]]
case = "operators"
measure = false
budget_s = 0.5
"#,
            "plan.toml",
        )
        .unwrap();
        assert_eq!(plan.depth, Depth::Quick);
        assert_eq!(plan.seed, 0);
        let [first, second] = &plan.entries[..] else { panic!("{plan:?}") };
        assert_eq!(first.axes["prompt"], ["32", "128"]);
        assert_eq!(first.axes["precision"], ["f32"]);
        assert_eq!(first.budget_s, Seconds(2.0));
        assert_eq!(first.origin.as_deref(), Some("plan.toml:8"));
        assert!(first.measure && !second.measure);
        assert_eq!(second.budget_s, Seconds(0.5));
    }

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest_key() {
        let message =
            refused("name = \"x\"\n[[case]]\ncase = \"slm\"\naxis = 1");
        assert!(message.starts_with("plan.toml:4: unknown field `axis`"));
        assert!(message.ends_with("nearest valid: `axes`"), "{message}");
    }

    #[test]
    fn malformed_texts_name_file_and_line() {
        for (text, start) in [
            ("name = \"x\"\nseed = ", "plan.toml:2: "),
            ("name = \"x\"\ncase = []\nseed = -1", "plan.toml:3: "),
            ("case = []", "plan.toml:1: missing field `name`"),
            ("name = \"x\"", "plan.toml:1: missing field `case`"),
            ("name = \"x\"\ncase = []\ndepth = \"qick\"", "plan.toml:3: "),
            (
                "name = \"x\"\n[[case]]\ncase = \"a\"\nbudget_s = 0.0",
                "plan.toml:4: budget_s: found 0, expected seconds above 0",
            ),
            (
                "name = \"x\"\n[[case]]\ncase = \"a\"\naxes.m = [[1]]",
                "plan.toml:4: axis `m`: found array, expected a text",
            ),
        ] {
            let message = refused(text);
            assert!(message.starts_with(start), "{message}");
        }
    }
}
