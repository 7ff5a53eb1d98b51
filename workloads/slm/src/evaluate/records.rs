//! How published sets of questions write a line, told apart by their keys.
//!
//! The prompts are those that EleutherAI's evaluation harness puts to them, so
//! that numbers compare, but for two things. A sentence in front of all
//! examples, which of the forms here only MMLU has (it names the subject), is
//! not put. And OpenBookQA as its authors wrote it down cannot be told from
//! ARC, whose prompt it gets; in the form with a `question_stem` it gets its
//! own. None of the sets is shipped: `--data` brings one.

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
    Form { name: "OpenBookQA", keys: &["question_stem"], read: open_book_qa },
    Form { name: "ARC", keys: &["question", "answerKey"], read: arc },
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

/// The end of a context is a beginning of a sentence: its first letter is made
/// a capital, the others small.
fn hella_swag(object: &Object) -> Option<Question> {
    let raw = |key: &str| object.get(key).and_then(Value::as_str);
    let context = match (raw("ctx_a"), raw("ctx_b")) {
        (Some(a), Some(b)) => format!("{a} {}", capitalised(b)),
        _ => raw("ctx")?.to_owned(),
    };
    let prompt = match raw("activity_label") {
        Some(label) => format!("{label}: {context}"),
        None => context,
    };
    let endings = texts(object.get("endings")?)?;
    Some(Question::new(
        &without_marks(&prompt),
        endings.iter().map(|ending| without_marks(ending)),
        index(object.get("label")?)?,
    ))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => {
            let rest = letters.as_str().to_lowercase();
            first.to_uppercase().chain(rest.chars()).collect()
        }
        None => String::new(),
    }
}

/// Without the marks in brackets that pages of WikiHow left in HellaSwag: a
/// title ends a sentence, others go, and so does one of two spaces.
fn without_marks(text: &str) -> String {
    let text = text.trim().replace(" [title]", ". ");
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, inside)) = rest.split_once('[') {
        kept.push_str(before);
        // A mark does not reach over a line's end.
        match inside.split_once(']') {
            Some((mark, after)) if !mark.contains('\n') => rest = after,
            _ => {
                kept.push('[');
                rest = inside;
            }
        }
    }
    kept.push_str(rest);
    kept.replace("  ", " ")
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
    // A line without its passage keeps the line's end.
    let support = text(object, "support").unwrap_or_default();
    let prompt = format!("{support}\n{question}");
    let keys = ["correct_answer", "distractor1", "distractor2", "distractor3"];
    let choices =
        keys.iter().filter_map(|key| text(object, key)).map(str::to_owned);
    Some(Question::new(&prompt, choices, 0))
}

/// A question, its choices and which of them is right.
struct Lettered<'a> {
    question: &'a str,
    choices: Vec<String>,
    answer: usize,
}

/// Choices with letters: ARC and OpenBookQA, in the form of their authors
/// (`question.stem`, a list of text and label) or of two lists.
fn lettered(object: &Object) -> Option<Lettered<'_>> {
    let nested = object.get("question").and_then(Value::as_object);
    let question = match nested {
        Some(inner) => text(inner, "stem")?,
        None => text(object, "question_stem")
            .or_else(|| text(object, "question"))?,
    };
    let choices = nested
        .and_then(|inner| inner.get("choices"))
        .or_else(|| object.get("choices"))?;
    let (labels, choices) = match choices {
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
    Some(Lettered { question, choices, answer })
}

fn arc(object: &Object) -> Option<Question> {
    let read = lettered(object)?;
    Some(Question::new(&asked(read.question), read.choices, read.answer))
}

/// The stem is the beginning of a sentence, and the choices go on with it.
fn open_book_qa(object: &Object) -> Option<Question> {
    let read = lettered(object)?;
    Some(Question::new(read.question, read.choices, read.answer))
}

/// The choices stand in the prompt, a letter before each; letters are judged.
fn mmlu(object: &Object) -> Option<Question> {
    let choices = texts(object.get("choices")?)?;
    let letters: Vec<char> = ('A'..='Z').take(choices.len()).collect();
    if letters.len() < choices.len() {
        return None;
    }
    let mut prompt = text(object, "question")?.to_owned();
    for (letter, choice) in letters.iter().zip(&choices) {
        prompt.push_str(&format!("\n{letter}. {choice}"));
    }
    prompt.push_str("\nAnswer:");
    Some(Question::new(
        &prompt,
        letters.iter().map(char::to_string),
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
                "\nQuestion: q\nAnswer:",
                "c",
            ),
            (
                r#"{"question_stem": "q", "answerKey": "B",
                    "choices": {"text": ["x", "y"], "label": ["A", "B"]}}"#,
                "q",
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
                "q\nA. x\nB. y\nAnswer:",
                "B",
            ),
        ] {
            let found = question(line).unwrap();
            let choice = &found.choices[found.answer];
            assert_eq!(choice.prompt, prompt, "{line}");
            assert_eq!(choice.continuation, right, "{line}");
        }
    }

    #[test]
    fn marks_of_a_page_leave_no_trace_in_a_context_or_an_ending() {
        let line = r#"{"activity_label": "Knots", "ctx": "unused",
            "ctx_a": "[header] How to tie [title] Take a rope.",
            "ctx_b": "then You", "endings": [
            "[substeps] pull  it [1].", "let [go."], "label": "0"}"#;
        let found = question(line).unwrap();
        assert_eq!(
            found.choices[0].prompt,
            "Knots: How to tie. Take a rope. Then you"
        );
        assert_eq!(found.choices[0].continuation, " pull it .");
        // What is opened and not closed is no mark.
        assert_eq!(found.choices[1].continuation, "let [go.");
        assert_eq!(without_marks("a [b\nc] d"), "a [b\nc] d");
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
