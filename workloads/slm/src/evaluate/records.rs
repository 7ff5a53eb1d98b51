//! How published sets of questions write a line, told apart by their keys.
//!
//! The prompts are those that the usual evaluation harness puts to them
//! (`Question: ... Answer:`), so that numbers compare. None of the sets is
//! shipped: `--data` brings one.

use serde_json::{Map, Value};

use super::question::{Choice, Question};

type Object = Map<String, Value>;

/// A published form: the keys that tell it, and its reader.
struct Form {
    name: &'static str,
    keys: &'static [&'static str],
    read: fn(&Object) -> Option<Question>,
}

/// The first whose keys are all there is taken.
const FORMS: [Form; 8] = [
    Form { name: "HellaSwag", keys: &["ctx", "endings"], read: hella_swag },
    Form { name: "PIQA", keys: &["goal", "sol1", "sol2"], read: piqa },
    Form {
        name: "WinoGrande",
        keys: &["sentence", "option1", "option2"],
        read: wino_grande,
    },
    Form { name: "BoolQ", keys: &["passage", "question"], read: bool_q },
    Form {
        name: "SciQ",
        keys: &["correct_answer", "distractor1"],
        read: sci_q,
    },
    Form { name: "OpenBookQA", keys: &["question_stem"], read: lettered },
    Form { name: "ARC", keys: &["question", "answerKey"], read: lettered },
    Form { name: "MMLU", keys: &["question", "choices"], read: mmlu },
];

/// Reads a line of a published set.
pub(super) fn read(object: &Object) -> Result<Question, String> {
    let form = FORMS
        .iter()
        .find(|form| form.keys.iter().all(|key| object.contains_key(*key)))
        .ok_or_else(|| {
            let known: Vec<String> = FORMS
                .iter()
                .map(|form| format!("{} ({})", form.name, form.keys.join(", ")))
                .collect();
            let found: Vec<&str> =
                object.keys().map(String::as_str).take(8).collect();
            format!(
                "found the keys {}; expected `prompt`, `choices`, `answer`, \
                 or those of {}",
                found.join(", "),
                known.join(", ")
            )
        })?;
    (form.read)(object).ok_or_else(|| {
        format!("a line of {}, but with values of another kind", form.name)
    })
}

fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str().map(str::trim)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array()?.iter();
    list.map(|item| Some(item.as_str()?.trim().to_owned())).collect()
}

/// A number, or a text that is one.
fn index(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => usize::try_from(other.as_u64()?).ok(),
    }
}

fn asked(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

fn hella_swag(object: &Object) -> Option<Question> {
    let prompt = match text(object, "activity_label") {
        Some(label) => format!("{label}: {}", text(object, "ctx")?),
        None => text(object, "ctx")?.to_owned(),
    };
    let endings = texts(object.get("endings")?)?;
    Some(Question::new(&prompt, endings, index(object.get("label")?)?))
}

fn piqa(object: &Object) -> Option<Question> {
    let choices = [text(object, "sol1")?, text(object, "sol2")?];
    Some(Question::new(
        &asked(text(object, "goal")?),
        choices.map(str::to_owned),
        index(object.get("label")?)?,
    ))
}

/// The choices stand in the middle; what follows them is judged.
fn wino_grande(object: &Object) -> Option<Question> {
    let (before, after) = text(object, "sentence")?.split_once('_')?;
    let choices = ["option1", "option2"]
        .map(|key| {
            Some(Choice {
                prompt: format!("{before}{}", text(object, key)?),
                continuation: after.trim().to_owned(),
            })
        })
        .into_iter()
        .collect::<Option<Vec<_>>>()?;
    let answer = index(object.get("answer")?)?.checked_sub(1)?;
    Some(Question { choices, answer })
}

fn bool_q(object: &Object) -> Option<Question> {
    let (passage, question) =
        (text(object, "passage")?, text(object, "question")?);
    let answer = match object.get("answer").or_else(|| object.get("label"))? {
        Value::Bool(answer) => usize::from(*answer),
        other => index(other)?,
    };
    Some(Question::new(
        &format!("{passage}\n{}", asked(&format!("{question}?"))),
        ["no", "yes"].map(str::to_owned),
        answer,
    ))
}

fn sci_q(object: &Object) -> Option<Question> {
    let question = asked(text(object, "question")?);
    let prompt = match text(object, "support").filter(|s| !s.is_empty()) {
        Some(support) => format!("{support}\n{question}"),
        None => question,
    };
    let keys = ["correct_answer", "distractor1", "distractor2", "distractor3"];
    let choices =
        keys.iter().filter_map(|key| text(object, key)).map(str::to_owned);
    Some(Question::new(&prompt, choices, 0))
}

/// Choices with letters: ARC and OpenBookQA, in the form of their authors
/// (`question.stem`, a list of text and label) or of two lists.
fn lettered(object: &Object) -> Option<Question> {
    let nested = object.get("question").and_then(Value::as_object);
    let question = match nested {
        Some(inner) => text(inner, "stem")?,
        None => text(object, "question_stem")
            .or_else(|| text(object, "question"))?,
    };
    let choices = nested
        .and_then(|inner| inner.get("choices"))
        .or_else(|| object.get("choices"))?;
    let (labels, continuations) = match choices {
        Value::Object(lists) => {
            (texts(lists.get("label")?)?, texts(lists.get("text")?)?)
        }
        list => {
            let column = |key: &str| -> Option<Vec<String>> {
                list.as_array()?
                    .iter()
                    .map(|item| text(item.as_object()?, key).map(str::to_owned))
                    .collect()
            };
            (column("label")?, column("text")?)
        }
    };
    let key = text(object, "answerKey")?;
    let answer = labels.iter().position(|label| label == key)?;
    Some(Question::new(&asked(question), continuations, answer))
}

fn mmlu(object: &Object) -> Option<Question> {
    Some(Question::new(
        &asked(text(object, "question")?),
        texts(object.get("choices")?)?,
        index(object.get("answer")?)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(line: &str) -> Result<Question, String> {
        let Value::Object(object) = serde_json::from_str(line).unwrap() else {
            panic!("{line}");
        };
        read(&object)
    }

    #[test]
    fn published_forms_are_told_by_their_keys() {
        for (line, prompt, right) in [
            (
                r#"{"ctx": "A man sits.", "endings": ["a", "b"], "label": "1"}"#,
                "A man sits.",
                "b",
            ),
            (
                r#"{"goal": "g", "sol1": "x", "sol2": "y", "label": 0}"#,
                "Question: g\nAnswer:",
                "x",
            ),
            (
                r#"{"passage": "P.", "question": "is it", "answer": true}"#,
                "P.\nQuestion: is it?\nAnswer:",
                "yes",
            ),
            (
                r#"{"question": "q", "support": "", "correct_answer": "c",
                    "distractor1": "d"}"#,
                "Question: q\nAnswer:",
                "c",
            ),
            (
                r#"{"question_stem": "q", "answerKey": "B",
                    "choices": {"text": ["x", "y"], "label": ["A", "B"]}}"#,
                "Question: q\nAnswer:",
                "y",
            ),
            (
                r#"{"question": {"stem": "q", "choices": [
                    {"text": "x", "label": "1"}, {"text": "y", "label": "2"}
                    ]}, "answerKey": "1"}"#,
                "Question: q\nAnswer:",
                "x",
            ),
            (
                r#"{"question": "q", "choices": ["x", "y"], "answer": 1}"#,
                "Question: q\nAnswer:",
                "y",
            ),
        ] {
            let found = question(line).unwrap();
            let choice = &found.choices[found.answer];
            assert_eq!(choice.prompt, prompt, "{line}");
            assert_eq!(choice.continuation, right, "{line}");
        }
    }

    #[test]
    fn the_rest_of_a_sentence_is_judged_where_a_word_is_missing() {
        let line = r#"{"sentence": "The _ is heavy.", "option1": "box",
            "option2": "pen", "answer": "1"}"#;
        let found = question(line).unwrap();
        assert_eq!(found.answer, 0);
        assert_eq!(found.choices[1].prompt, "The pen");
        assert_eq!(found.choices[1].continuation, "is heavy.");
    }

    #[test]
    fn an_unknown_form_names_its_keys_and_the_known_ones() {
        let message = question(r#"{"frage": 1}"#).unwrap_err();
        assert!(message.contains("frage"), "{message}");
        assert!(message.contains("HellaSwag (ctx, endings)"), "{message}");
        let message = question(r#"{"goal": 1, "sol1": 2, "sol2": 3}"#);
        assert!(message.unwrap_err().contains("PIQA"));
    }
}
