//! Which answers are right: DroidCall's exact and soft accuracy (facts,
//! section 6.6), each over the same held-out requests.
//!
//! Exact: the tool and every argument, and no other. Soft, as their
//! `result_checker.py` counts: nothing where the tool is another or the
//! answer no JSON; else the share of the tool's parameters, all that it
//! declares, that are as they should be, those left out rightly among them
//! (`null` and `none` count as left out). What the tool does not declare costs
//! the exact point alone: theirs forgives it there too, so that exact here is
//! stricter. Lists are right in any order. Where they compare some texts by
//! meaning, with a language model, texts are compared letter by letter here.

use assay_statistics::wilson;
use serde_json::Value as Json;

use super::language::{Language, glue};
use super::schema::{Tool, ToolCall, Value};
use crate::PhoneLmError;

/// Of the intervals.
const CONFIDENCE: f64 = 0.95;

/// How one answer came out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mark {
    /// Whether it is a call of an offered tool.
    pub(crate) is_well_formed: bool,
    /// Whether it is the right call.
    pub(crate) is_exact: bool,
    /// Soft accuracy, 0 to 1.
    pub(crate) soft: f64,
}

/// Sums over answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Score {
    /// Answers.
    pub(crate) requests: u64,
    /// Those that are calls of offered tools.
    pub(crate) well_formed: u64,
    /// Those that are right.
    pub(crate) exact: u64,
    /// Sum of soft accuracies.
    soft: f64,
}

impl Mark {
    /// Of an answer's tokens, up to the first end.
    pub(crate) fn of(
        language: &Language,
        answer: &[u32],
        tools: &[Tool],
        right: &ToolCall,
    ) -> Self {
        let mut parts = answer.split(|token| *token == glue::END);
        let text = language.render(parts.next().unwrap_or_default());
        let soft = soft(&text, tools, right);
        match ToolCall::from_text(&text, tools) {
            Ok(call) => {
                let is_exact = call.name == right.name
                    && call.arguments.len() == right.arguments.len()
                    && right.arguments.iter().all(|(name, value)| {
                        let given = call.arguments.get(name);
                        given.is_some_and(|given| is_same(given, value))
                    });
                Self { is_well_formed: true, is_exact, soft }
            }
            Err(_) => Self { soft, ..Self::default() },
        }
    }
}

/// Whether an argument says that there is none.
fn is_none(value: &Json) -> bool {
    let said = value.as_str().map(str::trim);
    value.is_null() || said.is_some_and(|s| s.eq_ignore_ascii_case("none"))
}

/// Whether two values are the same; a list in any order.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Items(a), Value::Items(b)) => {
            let (mut a, mut b) = (a.clone(), b.clone());
            a.sort_unstable();
            b.sort_unstable();
            a == b
        }
        _ => a == b,
    }
}

/// The soft accuracy of an answer's text.
fn soft(text: &str, tools: &[Tool], right: &ToolCall) -> f64 {
    let json: Json = serde_json::from_str(text).unwrap_or_default();
    let tool = tools.iter().find(|tool| tool.name == right.name);
    let name = json.get("name").and_then(Json::as_str);
    let Some(tool) = tool.filter(|tool| name == Some(&tool.name)) else {
        return 0.0;
    };
    let given = json.get("arguments");
    let same = tool
        .parameters
        .iter()
        .filter(|parameter| {
            let given = given.and_then(|all| all.get(&parameter.name));
            let given = given.filter(|value| !is_none(value));
            match (given, right.arguments.get(&parameter.name)) {
                (None, None) => true,
                (Some(given), Some(right)) => Value::from_json(given)
                    .is_some_and(|given| is_same(&given, right)),
                (None, Some(_)) | (Some(_), None) => false,
            }
        })
        .count();
    match tool.parameters.len() {
        0 => 1.0,
        all => same as f64 / all as f64,
    }
}

impl Score {
    /// Counts an answer.
    pub(crate) fn add(&mut self, mark: Mark) {
        self.requests += 1;
        self.well_formed += u64::from(mark.is_well_formed);
        self.exact += u64::from(mark.is_exact);
        self.soft += mark.soft;
    }

    /// Mean soft accuracy.
    pub(crate) fn soft(&self) -> f64 {
        self.soft / self.requests as f64
    }

    /// The share of well-formed answers.
    pub(crate) fn well_formed(&self) -> f64 {
        self.well_formed as f64 / self.requests as f64
    }

    /// Exact accuracy with the ends of its Wilson interval: point, low, high.
    ///
    /// # Errors
    /// No answer was counted.
    pub(crate) fn exact(&self) -> Result<[f64; 3], PhoneLmError> {
        let share = wilson(self.exact, self.requests, CONFIDENCE)?;
        Ok([share.point, share.low, share.high])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::intents::generator::Generator;
    use crate::intents::schema::{Kind, Parameter};

    #[test]
    fn soft_accuracy_is_the_share_of_parameters_that_are_right() {
        let parameter = |name: &str| Parameter {
            name: name.to_owned(),
            kind: Kind::String,
            required: name == "x",
        };
        let tool = |name: &str, parameters: &[&str]| Tool {
            name: name.to_owned(),
            parameters: parameters.iter().map(|p| parameter(p)).collect(),
        };
        let tools = [tool("a", &["x", "y", "z", "w"]), tool("b", &[])];
        let arguments = [("x", "1"), ("y", "2")].map(|(name, value)| {
            (name.to_owned(), Value::Text(value.to_owned()))
        });
        let right =
            ToolCall { name: "a".into(), arguments: BTreeMap::from(arguments) };
        for (arguments, share) in [
            (r#"{"x":"1","y":"2"}"#, 1.0),
            (r#"{"x":"1","y":"3"}"#, 0.75),
            (r#"{"x":"1"}"#, 0.75),
            // Not well formed, and yet three of four.
            (r#"{"y":"2"}"#, 0.75),
            (r#"{"x":"1","y":"2","v":"5"}"#, 1.0),
            (r#"{"x":1,"y":"2","z":null}"#, 0.75),
            (r#"{"x":"1","y":"2","w":"None"}"#, 1.0),
            ("{}", 0.5),
            ("7", 0.5),
        ] {
            let text = format!(r#"{{"name":"a","arguments":{arguments}}}"#);
            assert_eq!(soft(&text, &tools, &right), share, "{text}");
        }
        let other = r#"{"name":"b","arguments":{}}"#;
        assert_eq!(soft(other, &tools, &right), 0.0);
        assert_eq!(soft("no", &tools, &right), 0.0);
        let bare = ToolCall { name: "b".into(), arguments: BTreeMap::new() };
        assert_eq!(soft(other, &tools, &bare), 1.0);
    }

    #[test]
    fn a_list_is_right_in_any_order() {
        let list = |words: &[&str]| {
            Value::Items(words.iter().map(|w| (*w).to_owned()).collect())
        };
        assert!(is_same(&list(&["tea", "rice"]), &list(&["rice", "tea"])));
        assert!(!is_same(&list(&["tea", "tea"]), &list(&["rice", "tea"])));
        assert!(!is_same(&list(&["tea"]), &list(&["tea", "tea"])));
    }

    #[test]
    fn right_answers_are_exact_and_others_are_not() {
        let generator = Generator::new(4).unwrap();
        let texts = generator.texts();
        let language = Language::new(&texts, "").unwrap();
        let held = generator.held_out(1, 40).unwrap();
        let mut score = Score::default();
        for example in &held.examples {
            let (tools, right) = (&example.tools, &example.call);
            let mut tokens = language.call(&tools[example.right], right);
            // Whatever stands behind the end counts for nothing.
            tokens.push(glue::OPEN);
            let mark = Mark::of(&language, &tokens, tools, right);
            assert!(mark.is_exact && mark.soft == 1.0, "{example:?}");
            let cut = Mark::of(&language, &tokens[..2], tools, right);
            assert_eq!(cut, Mark::default());
            score.add(mark);
            score.add(cut);
        }
        let [point, low, high] = score.exact().unwrap();
        assert_eq!((point, score.soft(), score.well_formed()), (0.5, 0.5, 0.5));
        assert!(0.35 < low && low < 0.5 && 0.5 < high && high < 0.65);
        assert!(Score::default().exact().is_err());
    }
}
