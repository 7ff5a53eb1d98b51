//! Tools with typed parameters, and calls of them, as JSON.
//!
//! A tool is read from the schema that function calling has everywhere
//! (`name`, `description`, `parameters` as a JSON schema of type `object`);
//! DroidCall (facts, section 6.6) describes Android's intents that way. A
//! call is `{"name":"..","arguments":{..}}`.
//!
//! Not here: how a prompt writes a tool (`language.rs`), and which calls are
//! right (`judge.rs`).

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::PhoneLmError;

/// What a parameter takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any words.
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A time of the day, `HH:MM`: a string of format `time`.
    Time,
    /// One of these words.
    Choice(Vec<String>),
    /// A list of words.
    List,
}

/// A parameter of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Lower-case words joined by `_`.
    pub(crate) name: String,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Whether a call must give it.
    pub(crate) required: bool,
}

/// A tool that a prompt offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Lower-case words joined by `_`.
    pub(crate) name: String,
    /// In the order in which a call gives them.
    pub(crate) parameters: Vec<Parameter>,
}

/// The value of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Words, a choice, or a time.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A truth.
    Boolean(bool),
    /// Several words.
    Items(Vec<String>),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolCall {
    /// Of which tool.
    pub(crate) name: String,
    /// By parameter; their order means nothing.
    pub(crate) arguments: BTreeMap<String, Value>,
}

/// Whether a name is of lower-case words and numbers joined by `_`: all that
/// a prompt of this small language can write.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let all = |is: fn(&u8) -> bool| part.as_bytes().iter().all(is);
        let word = all(u8::is_ascii_lowercase) || all(u8::is_ascii_digit);
        word && !part.is_empty()
    };
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('_').all(is_part)
}

/// Whether a text is a time of the day, `HH:MM`.
pub(crate) fn is_time(text: &str) -> bool {
    let below = |part: &str, bound: u32| {
        part.len() == 2
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u32>().is_ok_and(|n| n < bound)
    };
    text.split_once(':')
        .is_some_and(|(hour, minute)| below(hour, 24) && below(minute, 60))
}

impl Kind {
    /// From a property's JSON schema.
    fn from_json(schema: &Json) -> Result<Self, String> {
        let object =
            schema.as_object().ok_or("its schema is no JSON object")?;
        if let Some(options) = object.get("enum") {
            let words = |options: &Json| -> Option<Vec<String>> {
                let options = options.as_array()?.iter();
                options.map(|o| Some(o.as_str()?.to_owned())).collect()
            };
            let words = words(options)
                .ok_or("`enum` is no list of strings, which it must be")?;
            return Ok(Self::Choice(words));
        }
        let kind = object
            .get("type")
            .and_then(Json::as_str)
            .ok_or("it has neither a `type` nor an `enum`")?;
        let format = object.get("format").and_then(Json::as_str);
        match (kind, format) {
            ("string", Some("time")) => Ok(Self::Time),
            ("string", _) => Ok(Self::String),
            ("integer", _) => Ok(Self::Integer),
            ("boolean", _) => Ok(Self::Boolean),
            ("array", _) => {
                let of =
                    object.get("items").and_then(|items| items.get("type"));
                match of.and_then(Json::as_str) {
                    Some("string") => Ok(Self::List),
                    found => Err(format!(
                        "an array of {}; lists of strings are known",
                        found.unwrap_or("nothing that it says")
                    )),
                }
            }
            (other, _) => {
                let known = ["string", "integer", "boolean", "array"];
                let nearest = assay_schema::nearest(other, known);
                Err(format!(
                    "unknown type `{other}`; nearest valid: `{}`",
                    nearest.unwrap_or("string")
                ))
            }
        }
    }

    /// Whether a value is one of this kind.
    pub(crate) fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::String, Value::Text(_))
            | (Self::Integer, Value::Integer(_))
            | (Self::Boolean, Value::Boolean(_))
            | (Self::List, Value::Items(_)) => true,
            (Self::Time, Value::Text(text)) => is_time(text),
            (Self::Choice(options), Value::Text(text)) => {
                options.contains(text)
            }
            _ => false,
        }
    }
}

impl Tool {
    /// Reads a tool's schema.
    ///
    /// # Errors
    /// A schema that lacks a name or parameters, names that are not of
    /// lower-case words joined by `_`, a name that stands twice, a type that
    /// is not known, a `required` parameter that is none.
    pub(crate) fn from_json(schema: &Json) -> Result<Self, PhoneLmError> {
        let name = schema.get("name").and_then(Json::as_str);
        let named = name.unwrap_or("(without a name)").to_owned();
        let bad = |reason: String| PhoneLmError::Schema {
            tool: named.clone(),
            reason,
        };
        let Some(name) = name else {
            return Err(bad("`name` is missing or no string".to_owned()));
        };
        let parameters = schema
            .get("parameters")
            .and_then(Json::as_object)
            .ok_or_else(|| bad("`parameters` is no JSON object".to_owned()))?;
        if parameters.get("type").and_then(Json::as_str) != Some("object") {
            let reason = "the `type` of `parameters` is not `object`";
            return Err(bad(reason.to_owned()));
        }
        let none = Map::new();
        let properties = match parameters.get("properties") {
            None => &none,
            Some(found) => found.as_object().ok_or_else(|| {
                bad("`properties` is no JSON object".to_owned())
            })?,
        };
        let required = match parameters.get("required") {
            None => Vec::new(),
            Some(found) => {
                let names = found.as_array().map(|names| {
                    names.iter().map(Json::as_str).collect::<Option<Vec<_>>>()
                });
                names.flatten().ok_or_else(|| {
                    bad("`required` is no list of names".to_owned())
                })?
            }
        };
        let known = || properties.keys().map(String::as_str);
        for name in &required {
            if !properties.contains_key(*name) {
                let nearest = assay_schema::nearest(name, known());
                return Err(bad(format!(
                    "`required` names `{name}`, which is no parameter{}",
                    nearest
                        .map(|n| format!("; nearest valid: `{n}`"))
                        .unwrap_or_default()
                )));
            }
        }
        let parameters = properties
            .iter()
            .map(|(name, schema)| {
                let kind = Kind::from_json(schema)
                    .map_err(|why| bad(format!("parameter `{name}`: {why}")))?;
                let required = required.contains(&name.as_str());
                Ok(Parameter { name: name.clone(), kind, required })
            })
            .collect::<Result<Vec<_>, PhoneLmError>>()?;
        let tool = Self { name: name.to_owned(), parameters };
        tool.check()?;
        Ok(tool)
    }

    /// Whether the tool can be offered.
    ///
    /// # Errors
    /// As [`Tool::from_json`].
    pub(crate) fn check(&self) -> Result<(), PhoneLmError> {
        let bad = |reason: String| {
            Err(PhoneLmError::Schema { tool: self.name.clone(), reason })
        };
        let form = "expected lower-case words and numbers joined by `_`";
        if !is_name(&self.name) {
            return bad(format!("the name is `{}`, {form}", self.name));
        }
        for (i, parameter) in self.parameters.iter().enumerate() {
            let name = &parameter.name;
            if !is_name(name) {
                return bad(format!("a parameter is named `{name}`, {form}"));
            }
            if self.parameters[..i].iter().any(|other| other.name == *name) {
                return bad(format!("parameter `{name}` stands twice"));
            }
            let Kind::Choice(options) = &parameter.kind else { continue };
            let is_option = |option: &String| {
                option.split(' ').all(is_name) && !option.contains('_')
            };
            if options.is_empty() || !options.iter().all(is_option) {
                return bad(format!(
                    "the choices of `{name}` are {options:?}, expected one or \
                     more of lower-case words"
                ));
            }
        }
        Ok(())
    }

    /// The parameter of that name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|one| one.name == name)
    }
}

impl Value {
    pub(super) fn from_json(value: &Json) -> Option<Self> {
        match value {
            Json::String(text) => Some(Self::Text(text.clone())),
            Json::Bool(truth) => Some(Self::Boolean(*truth)),
            Json::Number(number) => number.as_i64().map(Self::Integer),
            Json::Array(items) => {
                let words = items.iter().map(|i| Some(i.as_str()?.to_owned()));
                words.collect::<Option<Vec<_>>>().map(Self::Items)
            }
            Json::Null | Json::Object(_) => None,
        }
    }

    /// The value in words, as an answer that is no call has it.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(truth) => truth.to_string(),
            Self::Items(items) => items.join(" , "),
        }
    }
}

impl ToolCall {
    /// Reads a call, for one of these tools.
    ///
    /// # Errors
    /// A sentence: text that is no call, a tool that is not offered, an
    /// argument that is no parameter or of another type, a required one that
    /// is missing.
    pub(crate) fn from_text(
        text: &str,
        tools: &[Tool],
    ) -> Result<Self, String> {
        let json: Json = serde_json::from_str(text)
            .map_err(|error| format!("no JSON ({error})"))?;
        let name = json.get("name").and_then(Json::as_str);
        let name = name.ok_or("`name` is missing or no string")?;
        let tool = tools.iter().find(|tool| tool.name == name);
        let tool =
            tool.ok_or_else(|| format!("no tool `{name}` is offered"))?;
        let arguments = json.get("arguments").and_then(Json::as_object);
        let arguments = arguments.ok_or("`arguments` is no JSON object")?;
        let mut read = BTreeMap::new();
        for (name, value) in arguments {
            let parameter = tool.parameter(name).ok_or_else(|| {
                format!("`{}` has no parameter `{name}`", tool.name)
            })?;
            let value = Value::from_json(value)
                .filter(|value| parameter.kind.takes(value))
                .ok_or_else(|| {
                    format!("`{name}` is {value}, not a {:?}", parameter.kind)
                })?;
            read.insert(name.clone(), value);
        }
        let missing = tool
            .parameters
            .iter()
            .find(|one| one.required && !read.contains_key(&one.name));
        match missing {
            Some(one) => Err(format!("`{}` is missing", one.name)),
            None => Ok(Self { name: name.to_owned(), arguments: read }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alarm() -> Json {
        json!({
            "name": "set_alarm",
            "description": "Rings at a time.",
            "parameters": {
                "type": "object",
                "properties": {
                    "label": {"type": "string"},
                    "days": {"type": "array", "items": {"type": "string"}},
                    "sound": {"enum": ["bell", "bird"]},
                    "time": {"type": "string", "format": "time"},
                    "volume": {"type": "integer"},
                    "vibrate": {"type": "boolean"},
                },
                "required": ["time"],
            },
        })
    }

    #[test]
    fn a_schema_is_read() {
        let tool = Tool::from_json(&alarm()).unwrap();
        assert_eq!(tool.parameters.len(), 6);
        let time = tool.parameter("time").unwrap();
        assert!(time.required && time.kind == Kind::Time);
        assert!(!tool.parameter("label").unwrap().required);
    }

    #[test]
    fn malformed_schemas_are_refused_by_name() {
        let object = |properties: Json, required: Json| {
            json!({
                "name": "set_alarm",
                "parameters": {
                    "type": "object",
                    "properties": properties,
                    "required": required,
                },
            })
        };
        let text = json!({"time": {"type": "string"}});
        for (schema, words) in [
            (json!({"parameters": {}}), "`name` is missing"),
            (json!({"name": "a"}), "`parameters` is no"),
            (json!({"name": "a", "parameters": {"type": "list"}}), "`object`"),
            (
                json!({"name": "setAlarm", "parameters": {"type": "object"}}),
                "`setAlarm`, expected lower-case",
            ),
            (object(json!([1]), json!([])), "`properties`"),
            (object(text.clone(), json!("time")), "`required` is no list"),
            (object(text, json!(["tme"])), "nearest valid: `time`"),
            (object(json!({"a": {}}), json!([])), "parameter `a`: it has"),
            (
                object(json!({"a": {"type": "integr"}}), json!([])),
                "nearest valid: `integer`",
            ),
            (
                object(json!({"a": {"type": "array"}}), json!([])),
                "lists of strings",
            ),
            (object(json!({"a": {"enum": []}}), json!([])), "choices of `a`"),
            (object(json!({"a": {"enum": [1]}}), json!([])), "`enum`"),
            (
                object(json!({"a b": {"type": "string"}}), json!([])),
                "named `a b`",
            ),
        ] {
            let error = Tool::from_json(&schema).unwrap_err().to_string();
            assert!(error.contains(words), "{schema}: {error}");
            assert!(error.starts_with("tool `"), "{error}");
        }
    }

    #[test]
    fn a_call_is_read_for_the_tools_that_are_offered() {
        let tools = [Tool::from_json(&alarm()).unwrap()];
        let read = |arguments: &str| {
            let text =
                format!("{{\"name\":\"set_alarm\",\"arguments\":{arguments}}}");
            ToolCall::from_text(&text, &tools)
        };
        let call = read(
            r#"{"time":"07:30","vibrate":true,"volume":3,"days":["monday"]}"#,
        );
        let call = call.unwrap();
        assert_eq!(call.arguments["volume"], Value::Integer(3));
        assert_eq!(call.arguments["days"], Value::Items(vec!["monday".into()]));
        for (arguments, words) in [
            (r#"{"time":"7:30"}"#, "`time` is"),
            (r#"{"time":"24:00"}"#, "`time` is"),
            (r#"{"label":"tea"}"#, "`time` is missing"),
            (r#"{"time":"07:30","sound":"horn"}"#, "`sound` is"),
            (r#"{"time":"07:30","volume":"3"}"#, "`volume` is"),
            (r#"{"time":"07:30","tone":"a"}"#, "no parameter `tone`"),
            ("3", "`arguments`"),
            ("{", "no JSON"),
        ] {
            let error = read(arguments).unwrap_err();
            assert!(error.contains(words), "{arguments}: {error}");
        }
        let other = r#"{"name":"open","arguments":{}}"#;
        let error = ToolCall::from_text(other, &tools).unwrap_err();
        assert!(error.contains("`open`"), "{error}");
    }
}
