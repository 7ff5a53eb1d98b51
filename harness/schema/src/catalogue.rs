//! The catalogue: what can be run. Workloads, their models and phases, and
//! the axes that a case fixes, with allowed values and defaults.
//!
//! Each workload describes itself with a [`WorkloadInfo`]; `sweep` checks and
//! completes cases against it and `assay workloads` prints it. Plain data: a
//! catalogue says nothing of how a case is run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::glob_matches;

/// Everything that can be run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The workloads, in the order in which they are listed.
    pub workloads: Vec<WorkloadInfo>,
}

/// One workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadInfo {
    /// E.g. `slm`.
    pub workload: String,
    /// One line: what it is.
    pub doc: String,
    /// Models; of `operators`, the operators.
    pub models: Vec<String>,
    /// Phases; empty where a case has none.
    pub phases: Vec<String>,
    /// Model (or a glob over models) to its phases, where a model lacks some
    /// of [`WorkloadInfo::phases`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases_by_model: BTreeMap<String, Vec<String>>,
    /// Axes. A name may stand twice when the two apply to different models or
    /// phases; the first that applies counts.
    pub axes: Vec<AxisSpec>,
}

/// One axis of a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AxisSpec {
    /// E.g. `batch`.
    pub name: String,
    /// The values that it may take.
    pub values: AxisValues,
    /// The value that a case without the axis takes.
    pub default: String,
    /// Phase or model (or a glob over `model`, `phase` or `model/phase`) to
    /// another default. An exact name counts before a glob.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub default_by: BTreeMap<String, String>,
    /// Phases or models (or globs, as in `default_by`) that have this axis;
    /// empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applies_to: Vec<String>,
    /// The axis whose value this one takes when it is not given itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// Values worth listing, where the allowed ones, or the words, are too
    /// many to list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// One line: what it is, with its unit.
    pub doc: String,
}

/// The values that an axis may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum AxisValues {
    /// A whole number between two ends, both included.
    Integer {
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// A finite number between two ends, both included.
    Number {
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// One of these words.
    Word {
        /// The words.
        words: Vec<String>,
    },
}

/// What `assay workloads --format json` prints of a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadListing {
    /// E.g. `slm`.
    pub workload: String,
    /// Models.
    pub models: Vec<String>,
    /// Phases.
    pub phases: Vec<String>,
    /// Axis to values: the default first, then the examples or the words.
    pub axes: BTreeMap<String, Vec<String>>,
}

impl Catalogue {
    /// The workload of that name.
    pub fn workload(&self, name: &str) -> Option<&WorkloadInfo> {
        self.workloads.iter().find(|info| info.workload == name)
    }

    /// `workload/model/phase` of everything that can be run, in order.
    pub fn paths(&self) -> Vec<String> {
        self.workloads.iter().flat_map(WorkloadInfo::paths).collect()
    }
}

impl WorkloadInfo {
    /// The phases of a model; empty where a case has none.
    pub fn phases_of(&self, model: &str) -> &[String] {
        by_name(&self.phases_by_model, |pattern| glob_matches(pattern, model))
            .unwrap_or(&self.phases)
    }

    /// The axes that a case of this model and phase has.
    pub fn axes_of(&self, model: &str, phase: Option<&str>) -> Vec<&AxisSpec> {
        let mut axes: Vec<&AxisSpec> = Vec::new();
        for axis in &self.axes {
            let taken = axes.iter().any(|other| other.name == axis.name);
            if !taken && axis.applies(model, phase) {
                axes.push(axis);
            }
        }
        axes
    }

    /// `workload/model/phase` of every case, in order, without axes.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for model in &self.models {
            let phases = self.phases_of(model);
            if phases.is_empty() {
                paths.push(format!("{}/{model}", self.workload));
            }
            for phase in phases {
                paths.push(format!("{}/{model}/{phase}", self.workload));
            }
        }
        paths
    }

    /// What is printed of it.
    pub fn listing(&self) -> WorkloadListing {
        let mut axes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for axis in &self.axes {
            let listed = axes.entry(axis.name.clone()).or_default();
            for value in axis.listed_values() {
                if !listed.contains(value) {
                    listed.push(value.clone());
                }
            }
        }
        WorkloadListing {
            workload: self.workload.clone(),
            models: self.models.clone(),
            phases: self.phases.clone(),
            axes,
        }
    }
}

/// 2^53: the largest range in which a JSON reader keeps integers.
const LARGEST: u64 = 1 << 53;

impl AxisSpec {
    /// An axis of whole numbers from `min`, for all models and phases.
    pub fn integer(
        name: impl Into<String>,
        min: u64,
        default: u64,
        doc: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            values: AxisValues::Integer { min, max: LARGEST },
            default: default.to_string(),
            default_by: BTreeMap::new(),
            applies_to: Vec::new(),
            follows: None,
            examples: Vec::new(),
            doc: doc.into(),
        }
    }

    /// An axis of finite numbers from `min` to `max`.
    pub fn number(
        name: impl Into<String>,
        min: f64,
        max: f64,
        default: f64,
        doc: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            values: AxisValues::Number { min, max },
            default: default.to_string(),
            default_by: BTreeMap::new(),
            applies_to: Vec::new(),
            follows: None,
            examples: Vec::new(),
            doc: doc.into(),
        }
    }

    /// An axis of words whose default is the first, for all models and
    /// phases.
    pub fn words<W: Into<String>>(
        name: impl Into<String>,
        words: impl IntoIterator<Item = W>,
        doc: impl Into<String>,
    ) -> Self {
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        Self {
            name: name.into(),
            default: words.first().cloned().unwrap_or_default(),
            values: AxisValues::Word { words },
            default_by: BTreeMap::new(),
            applies_to: Vec::new(),
            follows: None,
            examples: Vec::new(),
            doc: doc.into(),
        }
    }

    /// The same axis for these phases or models alone.
    #[must_use]
    pub fn only_for<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.applies_to = names.into_iter().map(Into::into).collect();
        self
    }

    /// The same axis with these values listed.
    #[must_use]
    pub fn listing<V: ToString>(
        mut self,
        examples: impl IntoIterator<Item = V>,
    ) -> Self {
        self.examples =
            examples.into_iter().map(|value| value.to_string()).collect();
        self
    }

    /// The same axis with another default for a phase or model.
    #[must_use]
    pub fn defaulting(
        mut self,
        name: impl Into<String>,
        default: impl ToString,
    ) -> Self {
        self.default_by.insert(name.into(), default.to_string());
        self
    }

    /// The same axis, taking another's value when it is not given itself.
    #[must_use]
    pub fn following(mut self, axis: impl Into<String>) -> Self {
        self.follows = Some(axis.into());
        self
    }

    /// Whether a case of this model and phase has the axis.
    pub fn applies(&self, model: &str, phase: Option<&str>) -> bool {
        self.applies_to.is_empty()
            || self.applies_to.iter().any(|name| names(name, model, phase))
    }

    /// The value that a case of this model and phase takes without the axis.
    pub fn default_of(&self, model: &str, phase: Option<&str>) -> &str {
        by_name(&self.default_by, |name| names(name, model, phase))
            .unwrap_or(&self.default)
    }

    /// The default first, then the other defaults, the examples, and without
    /// any the words.
    fn listed_values(&self) -> impl Iterator<Item = &String> {
        let words: &[String] = match &self.values {
            AxisValues::Word { words } if self.examples.is_empty() => words,
            AxisValues::Word { .. }
            | AxisValues::Integer { .. }
            | AxisValues::Number { .. } => &[],
        };
        std::iter::once(&self.default)
            .chain(self.default_by.values())
            .chain(words)
            .chain(&self.examples)
    }
}

impl AxisValues {
    /// The one spelling of a value (`01` is `1`), or `None` where it is not
    /// allowed. Two cases are equal only when their values are spelt alike.
    pub fn canonical(&self, value: &str) -> Option<String> {
        match self {
            Self::Integer { min, max } => {
                let number: u64 = value.parse().ok()?;
                (*min..=*max).contains(&number).then(|| number.to_string())
            }
            Self::Number { min, max } => {
                let number: f64 = value.parse().ok()?;
                (*min..=*max).contains(&number).then(|| number.to_string())
            }
            Self::Word { words } => {
                words.iter().find(|word| *word == value).cloned()
            }
        }
    }

    /// What is expected, for an error: `an integer from 1 to 64`.
    pub fn expected(&self) -> String {
        match self {
            Self::Integer { min, max } if *max == LARGEST => {
                format!("an integer, {min} or more")
            }
            Self::Integer { min, max } => {
                format!("an integer from {min} to {max}")
            }
            Self::Number { min, max } => {
                format!("a number from {min} to {max}")
            }
            Self::Word { words } => format!("one of {}", words.join(", ")),
        }
    }
}

/// Whether a name, or a glob, means this model, phase or both.
fn names(name: &str, model: &str, phase: Option<&str>) -> bool {
    glob_matches(name, model)
        || phase.is_some_and(|phase| {
            glob_matches(name, phase)
                || glob_matches(name, &format!("{model}/{phase}"))
        })
}

/// The entry that matches: an exact name before a glob, then in order.
fn by_name<V>(
    map: &BTreeMap<String, V>,
    matches: impl Fn(&str) -> bool,
) -> Option<&V> {
    let is_glob = |name: &str| name.contains(['*', '?']);
    let found = |glob: bool| {
        map.iter()
            .find(|(name, _)| is_glob(name) == glob && matches(name))
            .map(|(_, value)| value)
    };
    found(false).or_else(|| found(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slm() -> WorkloadInfo {
        WorkloadInfo {
            workload: "slm".to_owned(),
            doc: "Language models.".to_owned(),
            models: vec!["tiny".to_owned(), "tiny-vision".to_owned()],
            phases: vec!["prefill".to_owned(), "decode".to_owned()],
            phases_by_model: BTreeMap::from([(
                "*-vision".to_owned(),
                vec!["encode".to_owned()],
            )]),
            axes: vec![
                AxisSpec::integer("batch", 1, 1, "Rows.").listing([1, 8]),
                AxisSpec::integer("prompt", 1, 128, "Tokens.")
                    .only_for(["prefill"])
                    .defaulting("tiny", 16),
                AxisSpec::words("precision", ["f32", "f16"], "Format."),
            ],
        }
    }

    #[test]
    fn an_axis_applies_to_its_phases_and_takes_the_nearest_default() {
        let slm = slm();
        let axes: Vec<&str> = slm
            .axes_of("tiny", Some("decode"))
            .iter()
            .map(|axis| axis.name.as_str())
            .collect();
        assert_eq!(axes, ["batch", "precision"]);
        let prompt = &slm.axes[1];
        assert_eq!(prompt.default_of("tiny", Some("prefill")), "16");
        assert_eq!(prompt.default_of("other", Some("prefill")), "128");
    }

    #[test]
    fn a_model_may_have_phases_of_its_own() {
        assert_eq!(
            slm().paths(),
            ["slm/tiny/prefill", "slm/tiny/decode", "slm/tiny-vision/encode"]
        );
    }

    #[test]
    fn the_listing_begins_with_the_default_and_names_each_value_once() {
        let listing = slm().listing();
        assert_eq!(listing.axes["batch"], ["1", "8"]);
        assert_eq!(listing.axes["prompt"], ["128", "16"]);
        assert_eq!(listing.axes["precision"], ["f32", "f16"]);
    }

    #[test]
    fn a_value_has_one_spelling() {
        let whole = AxisValues::Integer { min: 1, max: 64 };
        assert_eq!(whole.canonical("08").as_deref(), Some("8"));
        assert_eq!(whole.canonical("65"), None);
        assert_eq!(whole.canonical("-1"), None);
        let real = AxisValues::Number { min: 0.0, max: 1.0 };
        assert_eq!(real.canonical("0.50").as_deref(), Some("0.5"));
        assert_eq!(real.canonical("NaN"), None);
    }
}
