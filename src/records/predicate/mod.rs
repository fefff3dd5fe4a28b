//! A small predicate over records, as `jq` would write it: `.value.productId == "PROD_0001" and .partition < 2`.
//!
//! Used by `topics tail --where` and by the operators' searches. A record is `{topic, partition, offset, timestamp, key, value,
//! headers}`; `.header` is `.headers`.
//!
//! - Paths (`.a.b`, `.["odd name"]`, `.list[0]`), literals, `== != < <= > >=`, `and`, `or`, `not`, parentheses. A path that leads
//!   nowhere is `null`. Order is defined between numbers and between texts; compared across types it is false. A bare path is true
//!   unless it is `null` or `false`.
//! - Functions, after a bar (`.value.name | startswith("Mug")`), around their argument (`length(.value.tags) > 2`), and the tests
//!   also between their arguments (`.value.name contains "Mug"`): `contains`, `startswith`, `endswith`, `test` (a regular
//!   expression), `length`, `to-long`, `to-double`, `from-date` (a date and time in milliseconds). What a function cannot take
//!   gives `null`, a test of it `false`.
//!
//! A predicate always ends: it has no loops, its depth and its regular expressions are bounded when it is read, and those take
//! time linear in the text.

mod functions;
mod parse;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::{Number, Value};

use super::view;
use crate::log::Record;
use functions::Function;

/// A predicate, ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate(Expr);

#[derive(Debug, Clone, PartialEq)]
enum Expr {
    /// Any of them. A list and no chain of pairs: a chain as long as the text would be walked, and dropped, by recursion.
    Or(Vec<Expr>),
    /// All of them.
    And(Vec<Expr>),
    Not(Box<Expr>),
    Compare(Operand, Comparison, Operand),
    Truth(Operand),
}

/// Where a value comes from, and the functions that it goes through.
#[derive(Debug, Clone, PartialEq)]
struct Operand {
    source: OperandSource,
    through: Vec<Function>,
}

#[derive(Debug, Clone, PartialEq)]
enum OperandSource {
    Path(Vec<PathStep>),
    Literal(Value),
}

#[derive(Debug, Clone, PartialEq)]
enum PathStep {
    Field(String),
    Index(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a predicate cannot be read, with the place (characters from 1) where reading stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the predicate at character {at}: {reason}; example: .value.productId == \"PROD_0001\"")]
pub struct InvalidPredicate {
    pub at: usize,
    pub reason: String,
}

impl Predicate {
    /// Reads a predicate.
    ///
    /// # Errors
    /// [`InvalidPredicate`].
    pub fn parse(text: &str) -> Result<Self, InvalidPredicate> {
        parse::parse(text).map(Self)
    }

    /// Whether it holds for a record.
    #[must_use]
    pub fn holds(&self, record: &Value) -> bool {
        self.0.holds(record)
    }

    /// What a record has where it does not fit: paths as they are written, each with its value.
    #[must_use]
    pub fn unmet(&self, record: &Value) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        if !self.holds(record) {
            self.0.unmet(record, true, &mut found);
        }
        found
    }

    /// Whether it holds for a record of the log.
    #[must_use]
    pub fn holds_for(&self, record: &Record) -> bool {
        // Parsing the value is most of the work, and often not needed.
        self.holds(&view::subject(record, |field| self.0.needs(field)))
    }
}

impl Expr {
    fn holds(&self, record: &Value) -> bool {
        match self {
            Self::Or(any) => any.iter().any(|expr| expr.holds(record)),
            Self::And(all) => all.iter().all(|expr| expr.holds(record)),
            Self::Not(inner) => !inner.holds(record),
            Self::Compare(left, comparison, right) => comparison.holds(&left.value(record), &right.value(record)),
            Self::Truth(operand) => !matches!(*operand.value(record), Value::Null | Value::Bool(false)),
        }
    }

    /// What stands against `wanted`, the value that this would have to have.
    fn unmet(&self, record: &Value, wanted: bool, found: &mut Vec<(String, Value)>) {
        match self {
            Self::And(all) | Self::Or(all) => {
                let differs = all.iter().filter(|expr| expr.holds(record) != wanted);
                differs.for_each(|expr| expr.unmet(record, wanted, found));
            }
            Self::Not(inner) => inner.unmet(record, !wanted, found),
            Self::Compare(left, _, right) => found.extend([left, right].into_iter().filter_map(|side| side.shown(record))),
            Self::Truth(operand) => found.extend(operand.shown(record)),
        }
    }

    /// Whether this field of the record makes a difference.
    fn needs(&self, field: &str) -> bool {
        match self {
            Self::Or(all) | Self::And(all) => all.iter().any(|expr| expr.needs(field)),
            Self::Not(inner) => inner.needs(field),
            Self::Compare(left, _, right) => left.needs(field) || right.needs(field),
            Self::Truth(operand) => operand.needs(field),
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, record: &'a Value) -> Cow<'a, Value> {
        let value = match &self.source {
            OperandSource::Literal(value) => value,
            OperandSource::Path(steps) => steps.iter().fold(record, |value, step| {
                let next = match step {
                    PathStep::Field(name) => value.get(name),
                    PathStep::Index(index) => value.get(index),
                };
                next.unwrap_or(&Value::Null)
            }),
        };
        self.through.iter().fold(Cow::Borrowed(value), |value, function| Cow::Owned(function.of(&value, record)))
    }

    /// The path and what is there, before any test of it; `None` for a literal.
    fn shown(&self, record: &Value) -> Option<(String, Value)> {
        let OperandSource::Path(steps) = &self.source else { return None };
        let is_length = self.through.first() == Some(&Function::Length);
        let through = if is_length { vec![Function::Length] } else { Vec::new() };
        let value = Self { source: self.source.clone(), through }.value(record).into_owned();
        let path: String = steps.iter().map(PathStep::to_string).collect();
        Some((if is_length { format!("length({path})") } else { path }, value))
    }

    fn needs(&self, field: &str) -> bool {
        let by_path = match &self.source {
            OperandSource::Literal(_) => false,
            OperandSource::Path(steps) => match steps.first() {
                Some(PathStep::Field(name)) => name == field,
                Some(PathStep::Index(_)) => false,
                None => true,
            },
        };
        by_path || self.through.iter().filter_map(Function::argument).any(|argument| argument.needs(field))
    }
}

impl fmt::Display for PathStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) => {
                write!(f, ".{name}")
            }
            Self::Field(name) => write!(f, "[{name:?}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Comparison {
    const ALL: [(&'static str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (left, right) {
            (Value::Number(left), Value::Number(right)) => order_of(left, right),
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            _ => None,
        };
        let equal = || order.map_or_else(|| left == right, Ordering::is_eq);
        match self {
            Self::Equal => equal(),
            Self::NotEqual => !equal(),
            Self::Less => order.is_some_and(Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order.is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

/// Offsets and times are exact integers; as floats the last digits would go.
fn order_of(left: &Number, right: &Number) -> Option<Ordering> {
    let integer = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right)),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};
    use serde_json::json;

    use super::parse::MAX_DEPTH;
    use super::*;

    #[test]
    fn what_does_not_fit_is_named_with_its_value() {
        let record = serde_json::json!({"value": {"inventory": "stopped", "catalog": "live", "list": [1, 2]}, "status": 200});
        for (predicate, unmet) in [
            (".value.inventory == \"running\" and .value.catalog == \"live\"", ".value.inventory \"stopped\""),
            ("length(.value.list) >= 6", "length(.value.list) 2"),
            ("not .value.inventory startswith \"st\"", ".value.inventory \"stopped\""),
            (".value.phase == \"streaming\"", ".value.phase null"),
            (".value.list[1] == 3 or .value.list[0] == 3", ".value.list[1] 2, .value.list[0] 1"),
            ("not (.status == 200 and .value.catalog == \"live\")", ".status 200, .value.catalog \"live\""),
            ("not (.status == 404 or .value.catalog == \"live\")", ".value.catalog \"live\""),
            (".status == 200", ""),
        ] {
            let found = Predicate::parse(predicate).unwrap().unmet(&record);
            let found: Vec<String> = found.iter().map(|(path, value)| format!("{path} {value}")).collect();
            assert_eq!(found.join(", "), unmet, "{predicate}");
        }
    }

    #[test]
    fn asks_records_as_people_write_it() {
        let record = json!({
            "key": "PROD_0001", "partition": 2, "offset": 9_007_199_254_740_993_i64, "timestamp": 1_732_500_000_000_i64,
            "value": {"productId": "PROD_0001", "inventory": 4, "price": 9.5, "tags": ["a", "b"], "odd name": true, "none": null},
            "headers": {"kartshoppe-cause": "file/0"},
        });
        for (text, expected) in [
            (r#".value.productId == "PROD_0001""#, true),
            (r#".value.productId != "PROD_0001""#, false),
            (r#".key=="PROD_0001"and .partition>=2"#, true),
            (".value.inventory < 5 and .value.price > 9", true),
            (".value.inventory < 4 or .partition == 2", true),
            (".value.inventory <= 4 and (.partition == 1 or .partition == 3)", false),
            ("not (.partition == 1)", true),
            (".value.tags[1] == \"b\"", true),
            (".value.tags[7] == null", true),
            (".value[\"odd name\"]", true),
            (".[\"value\"].inventory == 4.0", true),
            (".value.none", false),
            (".nowhere.at.all", false),
            (".headers.kartshoppe-cause == \"file/0\"", true),
            (".offset == 9007199254740993", true),
            (".offset == 9007199254740992", false),
            (".value.inventory < \"5\"", false),
            (".value.inventory > null", false),
            (".", true),
            ("true", true),
            (".value.android == null", true),
            (r#".key=="a \" b" or .value.price==9.50e0"#, true),
        ] {
            let predicate = Predicate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(predicate.holds(&record), expected, "{text}");
        }
    }

    #[test]
    fn functions_are_total_and_come_in_three_forms() {
        let record = json!({
            "key": "PROD_0001", "offset": 18_446_744_073_709_551_615_u64,
            "value": {"name": "Müg \"L\"", "tags": ["a", "b", 3], "n": "42", "d": " 9.5e0 ", "at": "2026-01-31T10:00:00Z", "price": 9.99, "none": null},
            "headers": {"traceparent": "00-abc-01", "kartshoppe-cause": "file/0"},
        });
        for (text, expected) in [
            (r#".value.name | contains("üg")"#, true),
            (r#".value.name | contains "üg""#, true),
            (r#".value.name contains "üg" and .key | startswith("PROD_")"#, true),
            (r#"contains(.value.name, "mug")"#, false),
            (r#".value.tags contains "b""#, true),
            (".value.tags | contains(3)", true),
            (r#".value.tags contains "c""#, false),
            (r#".value.name endswith "\"L\"""#, true),
            (r#"not .key endswith "2""#, true),
            (r#".key | test("^PROD_\\d{4}$")"#, true),
            (r#"test(.key, "(?i)prod_")"#, true),
            (r#".value.tags | test("a")"#, false),
            ("length(.value.tags) == 3", true),
            (".value.name | length == 7", true),
            (".value | length > 6", true),
            (".value.none | length == 0", true),
            (".value.price | length == null", true),
            (".value.n | to-long > 41", true),
            (".value.d | to-double == 9.5", true),
            (".value.price | to-long == 9", true),
            (".value.name | to-long == null", true),
            (".value.name | to-double == null", true),
            (".value.at | from-date == 1769853600000", true),
            (r#"from-date(.value.at) < from-date("2026-02-01T00:00:00+02:00")"#, true),
            (".value.at | from-date | to-double > 1.7e12", true),
            (".value.n | from-date == null", true),
            (".header.kartshoppe-cause == \"file/0\"", true),
            (r#".["header"].traceparent startswith "00-""#, true),
            (".value.name startswith .value.name", true),
            (".offset == 18446744073709551615", true),
            (".offset == 18446744073709551614", false),
        ] {
            let predicate = Predicate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(predicate.holds(&record), expected, "{text}");
        }
    }

    #[test]
    fn regular_expressions_are_bounded_and_without_lookaround() {
        let refused = |text: &str| Predicate::parse(text).unwrap_err();
        for (text, at, words) in [
            (r#".a | test("(?=x)")"#, 11, "look-around"),
            (r#".a | test("(")"#, 11, "unclosed group"),
            (r#".a | test(.b)"#, 11, "quoted"),
            (r#".a | test("(\\w{1000}){1000}")"#, 11, "size limit"),
        ] {
            let error = refused(text);
            assert!(error.at == at && error.reason.contains(words), "{text}: {error:?}");
        }
        assert!(Predicate::parse(&format!(".a | test(\"{}\")", "a".repeat(200))).is_ok());
        assert!(refused(&format!(".a | test(\"{}\")", "a".repeat(201))).reason.contains("200 bytes"));
        let nine = [r#".a test "x""#; 9].join(" or ");
        assert!(refused(&nine).reason.contains("8 regular expressions"));
        // What takes other engines longer than the universe will last.
        let evil = Predicate::parse(r#".a | test("^(a+)+$")"#).unwrap();
        assert!(!evil.holds(&json!({"a": "a".repeat(100_000) + "!"})));
    }

    /// Nothing that is written here makes the parser panic, overflow or hang.
    #[test]
    fn no_input_is_too_strange() {
        const PARTS: [&str; 44] = [
            ".",
            ".value",
            ".a",
            ".header",
            "[0]",
            "[\"x\"]",
            "[",
            "]",
            "(",
            ")",
            "and",
            "or",
            "not",
            "==",
            "!=",
            "<",
            ">=",
            "|",
            ",",
            "contains",
            "startswith(",
            "endswith",
            "test",
            "test(\"a*\")",
            "length",
            "length(",
            "to-long",
            "to-double",
            "from-date",
            "\"text\"",
            "\"",
            "\\",
            "1",
            "-1e999",
            "0.5",
            "true",
            "null",
            "é",
            "\u{0}",
            "\n",
            "🦀",
            "(?=",
            "a{9,}",
            "'",
        ];
        let record = json!({"a": [1, "x"], "value": {"x": "text"}, "headers": {}});
        let mut random = StdRng::seed_from_u64(5);
        let mut readable = 0;
        for _ in 0..100_000 {
            let length = random.random_range(0..12);
            let separator = if random.random_ratio(3, 4) { " " } else { "" };
            let text = (0..length).map(|_| *PARTS.choose(&mut random).unwrap()).collect::<Vec<_>>().join(separator);
            match Predicate::parse(&text) {
                Ok(predicate) => {
                    let _ = predicate.holds(&record);
                    readable += 1;
                }
                Err(error) => assert!(error.at >= 1 && error.at <= text.chars().count() + 1, "{text}: {error:?}"),
            }
        }
        assert!(readable > 100, "{readable}");
    }

    #[test]
    fn says_where_reading_stopped() {
        for (text, at) in [
            ("", 1),
            (".value ==", 10),
            (".value == PROD", 11),
            (".a..b", 4),
            (".a.", 4),
            ("(.a", 4),
            (".a[x]", 4),
            (".a[0", 5),
            (".é == 1 ?", 9),
            (".a == 'x'", 7),
        ] {
            assert_eq!(Predicate::parse(text).unwrap_err().at, at, "{text}");
        }
        assert!(Predicate::parse(&"(".repeat(100_000)).is_err());
        assert!(Predicate::parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn no_text_is_too_deep_to_be_read() {
        for bad in [".[", ".a[", "(.[", "not (", ".a == .[", "length(", "contains(", ".a | contains(", ".a contains contains("] {
            assert!(Predicate::parse(&bad.repeat(100_000)).is_err(), "{bad}");
        }
        for joined in [" and ", " or ", " and .a == 1 or "] {
            let long = Predicate::parse(&vec![".a"; 100_000].join(joined)).unwrap();
            assert!(long.clone() == long && long.holds(&json!({"a": 1})), "{joined}");
        }
        let piped = Predicate::parse(&format!(".a{}", " | to-long".repeat(100_000))).unwrap();
        assert!(piped.holds(&json!({"a": "1"})));
        let nested = |depth: usize| Predicate::parse(&format!("{}.a{}", "(".repeat(depth), ")".repeat(depth)));
        assert!(nested(MAX_DEPTH - 1).is_ok() && nested(MAX_DEPTH).is_err());
    }
}
