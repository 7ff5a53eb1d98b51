//! The part of JSON Schema (draft 2020-12) that `docs/schemas/` uses, checked:
//! `type`, `enum`, `const`, `required`, `properties`,
//! `additionalProperties`, `items`, `minItems`, `minimum`, `$ref` to `$defs`.
//! Any other keyword is itself a fault, so that none is passed over.

use serde_json::Value;

/// Where a document is not as its schema says; empty when it is.
pub(crate) fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let mut check = Check { root: schema, faults: Vec::new() };
    check.value(schema, document, "$");
    check.faults
}

struct Check<'a> {
    root: &'a Value,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, at: &str) {
        let Some(keywords) = schema.as_object() else {
            return self.fault(at, &format!("no schema: {schema}"));
        };
        for (keyword, rule) in keywords {
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" => {}
                "$ref" => self.reference(rule, value, at),
                "type" => self.kind(rule, value, at),
                "enum" => {
                    let allowed = rule.as_array().into_iter().flatten();
                    if !allowed.into_iter().any(|one| one == value) {
                        self.fault(at, &format!("{value} is none of {rule}"));
                    }
                }
                "const" if rule != value => {
                    self.fault(at, &format!("{value} is not {rule}"));
                }
                "const" => {}
                "minimum" => {
                    let ends = (value.as_f64(), rule.as_f64());
                    if let (Some(found), Some(least)) = ends
                        && found < least
                    {
                        self.fault(at, &format!("{found} is below {least}"));
                    }
                }
                "minItems" => {
                    let count = value.as_array().map(Vec::len);
                    if count.is_some_and(|n| Some(n as u64) < rule.as_u64()) {
                        self.fault(at, &format!("fewer than {rule} items"));
                    }
                }
                "items" => {
                    for (i, item) in
                        value.as_array().into_iter().flatten().enumerate()
                    {
                        self.value(rule, item, &format!("{at}[{i}]"));
                    }
                }
                "required" => {
                    for name in rule.as_array().into_iter().flatten() {
                        let name = name.as_str().unwrap_or_default();
                        if value.is_object() && value.get(name).is_none() {
                            self.fault(at, &format!("no `{name}`"));
                        }
                    }
                }
                "properties" => {}
                "additionalProperties" => {
                    self.others(schema, rule, value, at);
                }
                other => self.fault(at, &format!("keyword `{other}`?")),
            }
        }
        let properties = schema["properties"].as_object();
        for (name, rule) in properties.into_iter().flatten() {
            if let Some(part) = value.get(name) {
                self.value(rule, part, &format!("{at}.{name}"));
            }
        }
    }

    fn reference(&mut self, rule: &Value, value: &Value, at: &str) {
        let pointer = rule.as_str().and_then(|text| text.strip_prefix('#'));
        match pointer.and_then(|pointer| self.root.pointer(pointer)) {
            Some(target) => self.value(target, value, at),
            None => self.fault(at, &format!("{rule} leads nowhere")),
        }
    }

    fn kind(&mut self, rule: &Value, value: &Value, at: &str) {
        let is = |kind: &Value| match kind.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("null") => value.is_null(),
            Some("number") => value.is_number(),
            Some("integer") => value.as_f64().is_some_and(|n| n % 1.0 == 0.0),
            _ => false,
        };
        let fits = match rule {
            Value::Array(kinds) => kinds.iter().any(is),
            kind => is(kind),
        };
        if !fits {
            self.fault(at, &format!("{value} is no {rule}"));
        }
    }

    /// Keys that `properties` does not name.
    fn others(
        &mut self,
        schema: &'a Value,
        rule: &'a Value,
        value: &Value,
        at: &str,
    ) {
        for (name, part) in value.as_object().into_iter().flatten() {
            if schema["properties"].get(name).is_some() {
                continue;
            }
            match rule {
                Value::Bool(true) => {}
                Value::Bool(false) => {
                    self.fault(at, &format!("unknown key `{name}`"));
                }
                rule => self.value(rule, part, &format!("{at}.{name}")),
            }
        }
    }

    fn fault(&mut self, at: &str, what: &str) {
        self.faults.push(format!("{at}: {what}"));
    }
}

#[test]
fn each_keyword_finds_its_fault() {
    use serde_json::json;
    let schema = json!({
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/n"}},
            "b": {"enum": ["x", "y"]},
            "c": {"const": 1},
        },
        "additionalProperties": {"type": "string"},
        "$defs": {"n": {"type": ["integer", "null"], "minimum": 0}},
    });
    let good = json!({"a": [1, null], "b": "x", "c": 1, "d": "text"});
    assert_eq!(faults(&schema, &good), Vec::<String>::new());
    for bad in [
        json!([]),
        json!({"b": "x"}),
        json!({"a": []}),
        json!({"a": [1.5]}),
        json!({"a": [-1]}),
        json!({"a": [1], "b": "z"}),
        json!({"a": [1], "c": 2}),
        json!({"a": [1], "d": 3}),
    ] {
        assert!(!faults(&schema, &bad).is_empty(), "{bad}");
    }
    let unknown = json!({"typo": 1});
    assert!(!faults(&unknown, &good).is_empty());
}
