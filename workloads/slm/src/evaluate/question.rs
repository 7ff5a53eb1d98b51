//! Questions with choices, and files of them.

use assay_schema::TextError;
use serde_json::{Map, Value};

use crate::SlmError;

use super::records;

/// Questions at the head of every task that are shown as examples and never
/// judged, so that any number of shots judges the same questions.
pub const EXAMPLES: usize = 5;

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What comes before; given, not judged.
    pub prompt: String,
    /// What is judged; a space stands between the two.
    pub continuation: String,
}

/// A question: of its choices, the model takes the likeliest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// At least two.
    pub choices: Vec<Choice>,
    /// Index of the right one.
    pub answer: usize,
}

impl Question {
    /// A question whose choices share their prompt.
    pub fn new(
        prompt: &str,
        continuations: impl IntoIterator<Item = String>,
        answer: usize,
    ) -> Self {
        let choices = continuations
            .into_iter()
            .map(|continuation| Choice {
                prompt: prompt.to_owned(),
                continuation,
            })
            .collect();
        Self { choices, answer }
    }

    /// The question with its right answer, as an example.
    pub fn solved(&self) -> String {
        let right = &self.choices[self.answer];
        format!("{} {}", right.prompt, right.continuation)
    }

    /// Whether it can be asked.
    fn check(&self) -> Result<(), String> {
        let count = self.choices.len();
        if count < 2 {
            return Err(format!(
                "found {count} choice(s), expected at least 2"
            ));
        }
        if self.answer >= count {
            return Err(format!(
                "the answer is choice {}, but there are {count} from 0",
                self.answer
            ));
        }
        let is_blank = |text: &str| text.trim().is_empty();
        if self.choices.iter().any(|choice| {
            is_blank(&choice.prompt) || is_blank(&choice.continuation)
        }) {
            return Err(
                "found an empty prompt or choice, expected some text".into()
            );
        }
        Ok(())
    }
}

/// A set of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name in results.
    pub name: String,
    /// Who may use it, and where it comes from.
    pub licence: String,
    /// The first [`EXAMPLES`] are examples, the others are judged.
    pub questions: Vec<Question>,
}

impl Task {
    /// A set with enough questions to judge one.
    ///
    /// # Errors
    ///
    /// Fewer.
    pub fn new(
        name: impl Into<String>,
        licence: impl Into<String>,
        questions: Vec<Question>,
    ) -> Result<Self, SlmError> {
        let name = name.into();
        if questions.len() <= EXAMPLES {
            let message = format!(
                "found {} question(s), expected more than the {EXAMPLES} that \
                 are kept as examples",
                questions.len()
            );
            return Err(TextError::new(name, "", None, &message).into());
        }
        Ok(Self { name, licence: licence.into(), questions })
    }

    /// Reads JSON lines: one object a line, of our own form (`prompt`,
    /// `choices`, `answer`) or of a published set, known by its keys.
    ///
    /// # Errors
    ///
    /// A line that is no question, with file, line and what was expected; too
    /// few questions.
    pub fn from_json_lines(
        name: &str,
        licence: &str,
        file: &str,
        text: &str,
    ) -> Result<Self, SlmError> {
        let mut questions = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let at = start..start + line.len();
            start = at.end;
            if line.trim().is_empty() {
                continue;
            }
            let question = read(line.trim()).map_err(|message| {
                TextError::new(file, text, Some(at), &message)
            })?;
            questions.push(question);
        }
        Self::new(name, licence, questions).map_err(|error| match error {
            SlmError::Text(inner) => {
                TextError::new(file, "", None, &inner.message).into()
            }
            other => other,
        })
    }

    /// The questions that are judged.
    pub fn judged(&self) -> &[Question] {
        &self.questions[EXAMPLES..]
    }

    /// The first `shots` examples as text, a blank line after each.
    pub fn examples(&self, shots: usize) -> String {
        let mut text = String::new();
        for question in &self.questions[..shots.min(EXAMPLES)] {
            text.push_str(&question.solved());
            text.push_str("\n\n");
        }
        text
    }
}

fn read(line: &str) -> Result<Question, String> {
    let value: Value =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Value::Object(object) = value else {
        return Err("found no JSON object, expected one a line".to_owned());
    };
    let question = own(&object).unwrap_or_else(|| records::read(&object))?;
    question.check()?;
    Ok(question)
}

/// Our own form: `prompt`, `choices`, `answer` (an index from 0).
fn own(object: &Map<String, Value>) -> Option<Result<Question, String>> {
    let prompt = object.get("prompt")?;
    let read = || -> Option<Question> {
        let continuations = object
            .get("choices")?
            .as_array()?
            .iter()
            .map(|choice| choice.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()?;
        let answer = usize::try_from(object.get("answer")?.as_u64()?).ok()?;
        Some(Question::new(prompt.as_str()?, continuations, answer))
    };
    Some(read().ok_or_else(|| {
        "expected `prompt` (text), `choices` (a list of texts) and `answer` \
         (a number from 0)"
            .to_owned()
    }))
}
