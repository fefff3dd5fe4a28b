//! The shapes of the document, out of the wire types' own descriptions, and a check of values against them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;

/// Schemas by their names.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A reference to the schema of a type, which is added with all that it refers to.
    pub(super) fn reference<T: ToSchema>(&mut self) -> Value {
        let mut found = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        for (name, schema) in found {
            // Times go by the name of the number that they are.
            let text = serde_json::to_string(&schema).unwrap().replace("schemas/i64\"", "schemas/EpochMs\"");
            let name = if name == "i64" { "EpochMs".to_owned() } else { name };
            self.0.entry(name).or_insert_with(|| serde_json::from_str(&text).unwrap());
        }
        reference_to(&T::name())
    }

    /// Adds a schema that no type has.
    pub(super) fn put(&mut self, name: &str, schema: Value) -> Value {
        self.0.insert(name.to_owned(), schema);
        reference_to(name)
    }

    pub(super) fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("there is no schema {name}"))
    }

    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(Value) -> Value) {
        let schema = self.0.remove(name).unwrap_or_else(|| panic!("there is no schema {name}"));
        self.0.insert(name.to_owned(), change(schema));
    }

    pub(super) fn into_json(self) -> Value {
        json!(self.0)
    }
}

fn reference_to(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// What a decoder takes, out of what is written: fields without which a whole sample is refused are required, those that it takes
/// as null may be null.
pub(super) fn accepted(mut schema: Value, sample: &Value, decodes: impl Fn(&[u8]) -> bool) -> Value {
    assert!(decodes(sample.to_string().as_bytes()), "{sample}");
    let mut required = Vec::new();
    for (name, property) in schema["properties"].as_object_mut().unwrap() {
        assert!(sample.get(name).is_some(), "the sample has no {name}");
        let mut without = sample.clone();
        without.as_object_mut().unwrap().remove(name);
        if !decodes(without.to_string().as_bytes()) {
            required.push(name.clone());
        }
        let mut null = sample.clone();
        null[name] = Value::Null;
        if !decodes(null.to_string().as_bytes()) {
            continue;
        }
        if property["type"].is_string() {
            property["type"] = json!([property["type"], "null"]);
        } else if property["$ref"].is_string() {
            *property = json!({"oneOf": [property, {"type": "null"}]});
        }
    }
    schema["required"] = json!(required);
    schema
}

/// In what a value is not as a schema of the document says. Knows the words that the document uses. A field that no part of an
/// object's schema describes counts, too, unless the schema lets others in.
pub(super) fn violations(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "", &mut found);
    if let Some(object) = value.as_object() {
        let (mut named, mut open) = (Vec::new(), false);
        described(document, schema, &mut named, &mut open);
        let stray = object.keys().filter(|name| !open && !named.is_empty() && !named.contains(name));
        found.extend(stray.map(|name| format!("{name} is not described")));
    }
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let there = document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return check(document, there, value, at, found);
    }
    let fits = |option: &Value| {
        let mut wrong = Vec::new();
        check(document, option, value, at, &mut wrong);
        wrong.is_empty()
    };
    for word in ["oneOf", "anyOf"] {
        if let Some(options) = schema[word].as_array()
            && !options.iter().any(fits)
        {
            found.push(format!("{at}: {value} fits none of {word}"));
        }
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(document, part, value, at, found);
    }
    let types = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    if !schema["type"].is_null() && !types.iter().any(|name| is_of(value, name.as_str().unwrap_or_default())) {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    let is_named = schema["enum"].as_array().is_none_or(|names| names.contains(value));
    if !is_named || schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: {value} is none of its names"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            found.push(format!("{at}/{name} is missing"));
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(inner) = value.get(name) {
            check(document, property, inner, &format!("{at}/{name}"), found);
        }
    }
    for item in value.as_array().into_iter().flatten().filter(|_| schema["items"].is_object()) {
        check(document, &schema["items"], item, at, found);
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// The names of all fields that a schema describes, and whether it lets others in.
fn described<'a>(document: &'a Value, schema: &'a Value, named: &mut Vec<&'a String>, open: &mut bool) {
    if let Some(reference) = schema["$ref"].as_str() {
        let there = document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return described(document, there, named, open);
    }
    *open |= schema.get("additionalProperties").is_some_and(|others| *others != json!(false));
    named.extend(schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys()));
    for word in ["allOf", "oneOf", "anyOf"] {
        schema[word].as_array().into_iter().flatten().for_each(|part| described(document, part, named, open));
    }
}
