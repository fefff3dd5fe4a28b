//! What values go through in a predicate. Every function takes every value, and makes none larger than the one it was given.

use regex::{Regex, RegexBuilder};
use serde_json::{Number, Value, json};

use super::Operand;

/// Longest regular expression in bytes, and what one may take in memory when it is compiled.
const PATTERN_MAX_BYTES: usize = 200;
const PATTERN_MAX_MEMORY: usize = 1 << 20;

/// A function of one value; tests have something to compare it with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Function {
    Length,
    ToLong,
    ToDouble,
    FromDate,
    Contains(Box<Operand>),
    StartsWith(Box<Operand>),
    EndsWith(Box<Operand>),
    Test(Pattern),
}

/// A regular expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN_MAX_BYTES {
            return Err(format!("a regular expression may have {PATTERN_MAX_BYTES} bytes"));
        }
        let compiled = RegexBuilder::new(text).size_limit(PATTERN_MAX_MEMORY).dfa_size_limit(PATTERN_MAX_MEMORY).build();
        compiled.map(Self).map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the regular expression cannot be used: {reason}")
        })
    }
}

impl Function {
    /// The value of the function.
    pub(super) fn of(&self, value: &Value, record: &Value) -> Value {
        match self {
            Self::Length => length(value).map_or(Value::Null, |length| json!(length)),
            Self::ToLong => to_long(value).map_or(Value::Null, |number| json!(number)),
            Self::ToDouble => to_double(value).map_or(Value::Null, Value::Number),
            Self::FromDate => from_date(value).map_or(Value::Null, |time_ms| json!(time_ms)),
            Self::Contains(part) => Value::Bool(contains(value, &part.value(record))),
            Self::StartsWith(start) => Value::Bool(texts(value, &start.value(record), |text, start| text.starts_with(start))),
            Self::EndsWith(end) => Value::Bool(texts(value, &end.value(record), |text, end| text.ends_with(end))),
            Self::Test(Pattern(regex)) => Value::Bool(value.as_str().is_some_and(|text| regex.is_match(text))),
        }
    }

    pub(super) fn argument(&self) -> Option<&Operand> {
        match self {
            Self::Contains(argument) | Self::StartsWith(argument) | Self::EndsWith(argument) => Some(argument),
            Self::Length | Self::ToLong | Self::ToDouble | Self::FromDate | Self::Test(_) => None,
        }
    }
}

fn texts(value: &Value, other: &Value, test: impl Fn(&str, &str) -> bool) -> bool {
    value.as_str().zip(other.as_str()).is_some_and(|(text, other)| test(text, other))
}

/// A text in a text, or an element of a list.
fn contains(value: &Value, part: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.contains(part),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            texts(value, part, |text, part| text.contains(part))
        }
    }
}

/// Characters of a text, elements of a list or object; nothing has none.
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Null => Some(0),
        Value::String(text) => Some(text.chars().count()),
        Value::Array(elements) => Some(elements.len()),
        Value::Object(fields) => Some(fields.len()),
        Value::Bool(_) | Value::Number(_) => None,
    }
}

/// An integer; what is behind the point is cut off.
fn to_long(value: &Value) -> Option<i64> {
    if let Some(exact) = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok()) {
        return Some(exact);
    }
    let number = to_double(value)?.as_f64()?.trunc();
    // Every float between these bounds is an i64.
    ((-9.2e18..=9.2e18).contains(&number)).then_some(number as i64)
}

fn to_double(value: &Value) -> Option<Number> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Number::from_f64(number)
}

/// Milliseconds since 1970 of a date and time with its offset from UTC; a number is taken for such milliseconds.
fn from_date(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
        Value::Number(number) => number.as_i64(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
