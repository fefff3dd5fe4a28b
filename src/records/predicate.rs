//! A small predicate over records, as `jq` would write it: `.value.productId == "PROD_0001" and .partition < 2`.
//!
//! Used by `topics tail --where` and by the operators' records route. A record is `{key, value, headers, partition, offset,
//! timestamp}`. Paths (`.a.b`, `.["odd name"]`, `.list[0]`), literals, `== != < <= > >=`, `and`, `or`, `not`, parentheses. A path
//! that leads nowhere is `null`. Order is defined between numbers and between texts; compared across types it is false. A bare
//! path is true unless it is `null` or `false`.

use serde_json::Value;

/// Most nesting of a predicate: it is written by hand.
const MAX_DEPTH: usize = 64;

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

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Literal(Value),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
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
        let mut parser = Parser { text, at: 0, depth: 0 };
        let expr = parser.or()?;
        parser.skip_space();
        if parser.at < text.len() { Err(parser.error("an operator or the end is expected")) } else { Ok(Self(expr)) }
    }

    /// Whether it holds for a record.
    #[must_use]
    pub fn holds(&self, record: &Value) -> bool {
        self.0.holds(record)
    }
}

impl Expr {
    fn holds(&self, record: &Value) -> bool {
        match self {
            Self::Or(any) => any.iter().any(|expr| expr.holds(record)),
            Self::And(all) => all.iter().all(|expr| expr.holds(record)),
            Self::Not(inner) => !inner.holds(record),
            Self::Compare(left, comparison, right) => comparison.holds(left.value(record), right.value(record)),
            Self::Truth(operand) => !matches!(operand.value(record), Value::Null | Value::Bool(false)),
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, record: &'a Value) -> &'a Value {
        match self {
            Self::Literal(value) => value,
            Self::Path(steps) => steps.iter().fold(record, |value, step| {
                let next = match step {
                    Step::Field(name) => value.get(name),
                    Step::Index(index) => value.get(index),
                };
                next.unwrap_or(&Value::Null)
            }),
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
            (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
                // Offsets and times are exact integers; as floats the last digits would go.
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right)),
            },
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            _ => None,
        };
        match self {
            Self::Equal => order.map_or_else(|| left == right, std::cmp::Ordering::is_eq),
            Self::NotEqual => !order.map_or_else(|| left == right, std::cmp::Ordering::is_eq),
            Self::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Self::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, reason: impl Into<String>) -> InvalidPredicate {
        InvalidPredicate { at: self.text[..self.at].chars().count() + 1, reason: reason.into() }
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let follows = self.rest().strip_prefix(word);
        let found = follows.is_some_and(|after| !after.starts_with(is_name_character));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn or(&mut self) -> Result<Expr, InvalidPredicate> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("it is nested too deeply"));
        }
        let first = self.and()?;
        let any = self.more("or", first, Self::and)?;
        self.depth -= 1;
        Ok(one_or(any, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, InvalidPredicate> {
        let first = self.term()?;
        Ok(one_or(self.more("and", first, Self::term)?, Expr::And))
    }

    /// What follows the first, joined by a word.
    fn more(
        &mut self,
        word: &str,
        first: Expr,
        next: impl Fn(&mut Self) -> Result<Expr, InvalidPredicate>,
    ) -> Result<Vec<Expr>, InvalidPredicate> {
        let mut all = vec![first];
        while self.take_word(word) {
            all.push(next(self)?);
        }
        Ok(all)
    }

    fn term(&mut self) -> Result<Expr, InvalidPredicate> {
        let negated = self.take_word("not");
        let term = if self.take("(") {
            let inner = self.or()?;
            if !self.take(")") {
                return Err(self.error("a closing parenthesis is expected"));
            }
            inner
        } else {
            let left = self.operand()?;
            let comparison = Comparison::ALL.into_iter().find(|(token, _)| self.take(token));
            match comparison {
                Some((_, comparison)) => Expr::Compare(left, comparison, self.operand()?),
                None => Expr::Truth(left),
            }
        };
        Ok(if negated { Expr::Not(Box::new(term)) } else { term })
    }

    fn operand(&mut self) -> Result<Operand, InvalidPredicate> {
        self.skip_space();
        if self.rest().starts_with('.') {
            return self.path().map(Operand::Path);
        }
        let literal = self.literal().map(Operand::Literal);
        literal.ok_or_else(|| self.error("a path (.value.x) or a literal (\"text\", 12, true, null) is expected"))
    }

    fn literal(&mut self) -> Option<Value> {
        let length = self.literal_length();
        let value = serde_json::from_str(&self.rest()[..length]).ok()?;
        self.at += length;
        Some(value)
    }

    /// Bytes of the literal that begins here: to its closing quote, or as far as a word or number goes.
    fn literal_length(&self) -> usize {
        let rest = self.rest();
        if !rest.starts_with('"') {
            let goes_on = |character: char| is_name_character(character) || matches!(character, '.' | '+');
            return rest.find(|character| !goes_on(character)).unwrap_or(rest.len());
        }
        let mut escaped = false;
        let closing = rest.char_indices().skip(1).find(|(_, character)| {
            let closes = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            closes
        });
        closing.map_or(rest.len(), |(at, _)| at + 1)
    }

    fn path(&mut self) -> Result<Vec<Step>, InvalidPredicate> {
        let mut steps = Vec::new();
        loop {
            if let Some(after) = self.rest().strip_prefix('.') {
                let name_end = after.find(|character| !is_name_character(character)).unwrap_or(after.len());
                self.at += 1 + name_end;
                if name_end > 0 {
                    steps.push(Step::Field(after[..name_end].to_owned()));
                } else if after.starts_with('.') || !steps.is_empty() && !after.starts_with('[') {
                    return Err(self.error("a name is expected after the dot"));
                }
            } else if self.rest().starts_with('[') {
                self.at += 1;
                steps.push(self.bracket()?);
            } else {
                return Ok(steps);
            }
        }
    }

    /// A name or an index; no path, which could have brackets of its own without end.
    fn bracket(&mut self) -> Result<Step, InvalidPredicate> {
        self.skip_space();
        let start = self.at;
        let step = match self.literal() {
            Some(Value::String(name)) => Some(Step::Field(name)),
            Some(Value::Number(index)) => index.as_u64().and_then(|index| usize::try_from(index).ok()).map(Step::Index),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
        };
        self.at = if step.is_some() { self.at } else { start };
        let step = step.ok_or_else(|| self.error("an index or a quoted name is expected in brackets"))?;
        if self.take("]") { Ok(step) } else { Err(self.error("a closing bracket is expected")) }
    }
}

/// One expression as it is, several joined.
fn one_or(mut all: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    if all.len() == 1 { all.remove(0) } else { join(all) }
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '-'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        for bad in [".[", ".a[", "(.[", "not (", ".a == .["] {
            assert!(Predicate::parse(&bad.repeat(100_000)).is_err(), "{bad}");
        }
        for joined in [" and ", " or ", " and .a == 1 or "] {
            let long = Predicate::parse(&vec![".a"; 100_000].join(joined)).unwrap();
            assert!(long.clone() == long && long.holds(&json!({"a": 1})), "{joined}");
        }
        let nested = |depth: usize| Predicate::parse(&format!("{}.a{}", "(".repeat(depth), ")".repeat(depth)));
        assert!(nested(MAX_DEPTH - 1).is_ok() && nested(MAX_DEPTH).is_err());
    }
}
