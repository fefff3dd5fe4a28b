//! Reading a predicate: recursive descent, its depth bounded.

use serde_json::Value;

use super::functions::{Function, Pattern};
use super::{Comparison, Expr, InvalidPredicate, Operand, OperandSource, PathStep};

/// Most nesting of a predicate: it is written by hand.
pub(super) const MAX_DEPTH: usize = 64;
/// Most regular expressions of a predicate: each goes through the whole text.
const MAX_PATTERNS: usize = 8;

/// Functions of one value.
const PLAIN: [(&str, Function); 4] = [
    ("length", Function::Length),
    ("to-long", Function::ToLong),
    ("to-double", Function::ToDouble),
    ("from-date", Function::FromDate),
];

/// Tests of a value against another.
#[derive(Clone, Copy)]
enum Test {
    Contains,
    StartsWith,
    EndsWith,
    Matches,
}

const TESTS: [(&str, Test); 4] =
    [("contains", Test::Contains), ("startswith", Test::StartsWith), ("endswith", Test::EndsWith), ("test", Test::Matches)];

/// The expression that a text is.
pub(super) fn parse(text: &str) -> Result<Expr, InvalidPredicate> {
    let mut parser = Parser { text, at: 0, depth: 0, patterns: 0 };
    let expr = parser.or()?;
    parser.skip_space();
    if parser.at < text.len() { Err(parser.error("an operator or the end is expected")) } else { Ok(expr) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    patterns: usize,
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
        self.descend()?;
        let first = self.and()?;
        let any = self.more("or", first, Self::and)?;
        self.depth -= 1;
        Ok(one_or(any, Expr::Or))
    }

    fn descend(&mut self) -> Result<(), InvalidPredicate> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.error("it is nested too deeply")) } else { Ok(()) }
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
            let mut left = self.operand()?;
            if let Some(test) = self.take_test() {
                let test = self.test_with(test)?;
                left.through.push(test);
            }
            let comparison = Comparison::ALL.into_iter().find(|(token, _)| self.take(token));
            match comparison {
                Some((_, comparison)) => Expr::Compare(left, comparison, self.operand()?),
                None => Expr::Truth(left),
            }
        };
        Ok(if negated { Expr::Not(Box::new(term)) } else { term })
    }

    /// A value and what it goes through.
    fn operand(&mut self) -> Result<Operand, InvalidPredicate> {
        let mut operand = self.source()?;
        while self.take("|") {
            let function = self.function()?;
            operand.through.push(function);
        }
        Ok(operand)
    }

    fn source(&mut self) -> Result<Operand, InvalidPredicate> {
        self.skip_space();
        let plain = |source| Operand { source, through: Vec::new() };
        if self.rest().starts_with('.') {
            return self.path().map(OperandSource::Path).map(plain);
        }
        let start = self.at;
        if let Some(function) = self.take_plain() {
            return self.call(|_| Ok(function));
        }
        if let Some(test) = self.take_test() {
            return self.call(|parser| {
                let comma = parser.take(",");
                if comma { parser.test_with(test) } else { Err(parser.error("a comma and a second argument are expected")) }
            });
        }
        self.at = start;
        self.skip_space();
        let literal = self.literal().map(|literal| plain(OperandSource::Literal(literal)));
        literal.ok_or_else(|| self.error("a path (.value.x), a literal (\"text\", 12, true, null) or a function is expected"))
    }

    /// A function around its argument, whose own name was read already.
    fn call(
        &mut self,
        function: impl FnOnce(&mut Self) -> Result<Function, InvalidPredicate>,
    ) -> Result<Operand, InvalidPredicate> {
        if !self.take("(") {
            return Err(self.error("a parenthesis is expected after the function"));
        }
        self.descend()?;
        let mut operand = self.operand()?;
        let function = function(self)?;
        operand.through.push(function);
        self.depth -= 1;
        if self.take(")") { Ok(operand) } else { Err(self.error("a closing parenthesis is expected")) }
    }

    /// What stands after a bar: a function, or a test with what it compares with.
    fn function(&mut self) -> Result<Function, InvalidPredicate> {
        if let Some(function) = self.take_plain() {
            return Ok(function);
        }
        let test = self.take_test().ok_or_else(|| {
            let names = PLAIN.iter().map(|(name, _)| *name).chain(TESTS.iter().map(|(name, _)| *name));
            self.error(format!("a function is expected after the bar: {}", names.collect::<Vec<_>>().join(", ")))
        })?;
        if !self.take("(") {
            return self.test_with(test);
        }
        let function = self.test_with(test)?;
        if self.take(")") { Ok(function) } else { Err(self.error("a closing parenthesis is expected")) }
    }

    fn take_plain(&mut self) -> Option<Function> {
        PLAIN.into_iter().find(|(name, _)| self.take_word(name)).map(|(_, function)| function)
    }

    fn take_test(&mut self) -> Option<Test> {
        TESTS.into_iter().find(|(name, _)| self.take_word(name)).map(|(_, test)| test)
    }

    /// A test with the argument that follows.
    fn test_with(&mut self, test: Test) -> Result<Function, InvalidPredicate> {
        self.skip_space();
        let start = self.at;
        if let Test::Matches = test {
            let Some(Value::String(text)) = self.literal() else {
                return Err(self.error("a quoted regular expression is expected"));
            };
            self.patterns += 1;
            let pattern = if self.patterns > MAX_PATTERNS {
                Err(format!("a predicate may have {MAX_PATTERNS} regular expressions"))
            } else {
                Pattern::new(&text)
            };
            return pattern.map(Function::Test).map_err(|reason| {
                self.at = start;
                self.error(reason)
            });
        }
        self.descend()?;
        let argument = Box::new(self.source()?);
        self.depth -= 1;
        Ok(match test {
            Test::Contains => Function::Contains(argument),
            Test::StartsWith => Function::StartsWith(argument),
            Test::EndsWith | Test::Matches => Function::EndsWith(argument),
        })
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

    fn path(&mut self) -> Result<Vec<PathStep>, InvalidPredicate> {
        let mut steps = Vec::new();
        loop {
            if let Some(after) = self.rest().strip_prefix('.') {
                let name_end = after.find(|character| !is_name_character(character)).unwrap_or(after.len());
                self.at += 1 + name_end;
                if name_end > 0 {
                    steps.push(PathStep::Field(after[..name_end].to_owned()));
                } else if after.starts_with('.') || !steps.is_empty() && !after.starts_with('[') {
                    return Err(self.error("a name is expected after the dot"));
                }
            } else if self.rest().starts_with('[') {
                self.at += 1;
                steps.push(self.bracket()?);
            } else {
                // The other name of the headers, as other consoles have it.
                if let Some(PathStep::Field(first)) =
                    steps.first_mut().filter(|first| **first == PathStep::Field("header".to_owned()))
                {
                    "headers".clone_into(first);
                }
                return Ok(steps);
            }
        }
    }

    /// A name or an index; no path, which could have brackets of its own without end.
    fn bracket(&mut self) -> Result<PathStep, InvalidPredicate> {
        self.skip_space();
        let start = self.at;
        let step = match self.literal() {
            Some(Value::String(name)) => Some(PathStep::Field(name)),
            Some(Value::Number(index)) => index.as_u64().and_then(|index| usize::try_from(index).ok()).map(PathStep::Index),
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
