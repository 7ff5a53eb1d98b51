//! Which answers are right: DroidCall's exact and soft accuracy (facts,
//! section 6.6), each over the same held-out requests.
//!
//! Exact: the tool and every argument, and no other. Soft: nothing where the
//! tool is another; else the share of arguments that are right among those
//! that are right or given (a call without any has all of them). DroidCall
//! says that a call that is not wholly right counts by its right parameters;
//! that superfluous ones count against it is our reading.

use assay_statistics::wilson;

use super::language::{Language, glue};
use super::schema::{Tool, ToolCall};
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
        match ToolCall::from_text(&text, tools) {
            Ok(call) => Self {
                is_well_formed: true,
                is_exact: call == *right,
                soft: soft(&call, right),
            },
            Err(_) => Self::default(),
        }
    }
}

/// The soft accuracy of a call.
fn soft(call: &ToolCall, right: &ToolCall) -> f64 {
    if call.name != right.name {
        return 0.0;
    }
    let same = right
        .arguments
        .iter()
        .filter(|(name, value)| call.arguments.get(*name) == Some(*value))
        .count();
    let extra = call
        .arguments
        .keys()
        .filter(|name| !right.arguments.contains_key(*name))
        .count();
    match right.arguments.len() + extra {
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
    use crate::intents::schema::Value;

    fn call(name: &str, arguments: &[(&str, &str)]) -> ToolCall {
        let text = |value: &str| Value::Text(value.to_owned());
        ToolCall {
            name: name.to_owned(),
            arguments: arguments
                .iter()
                .map(|(name, value)| ((*name).to_owned(), text(value)))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn soft_accuracy_is_the_share_of_right_arguments() {
        let right = call("a", &[("x", "1"), ("y", "2")]);
        for (found, share) in [
            (right.clone(), 1.0),
            (call("b", &[("x", "1"), ("y", "2")]), 0.0),
            (call("a", &[("x", "1"), ("y", "3")]), 0.5),
            (call("a", &[("x", "1")]), 0.5),
            (call("a", &[("x", "1"), ("z", "2")]), 1.0 / 3.0),
            (call("a", &[]), 0.0),
        ] {
            assert_eq!(soft(&found, &right), share, "{found:?}");
        }
        assert_eq!(soft(&call("a", &[]), &call("a", &[])), 1.0);
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
