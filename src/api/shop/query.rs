//! Parameters after the question mark, each checked by name.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;

use crate::api::problem::Problem;

/// What the framework gives for a query string.
pub type Parsed = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The parameters of one request. Unknown ones are ignored; a repeated one counts with its last value, but where a list is asked
/// for.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// What the framework has read.
    ///
    /// # Errors
    /// 400 if it could not be read.
    pub fn new(parsed: Parsed) -> Result<Self, Problem> {
        match parsed {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", "the query cannot be read")),
        }
    }

    /// A text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All texts of a parameter that may be repeated, but for empty ones.
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// An integer within bounds.
    ///
    /// # Errors
    /// 400 that names it.
    pub fn number(&self, name: &str, least: i64, most: i64) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or_else(|| Problem::field(name, format!("expected an integer from {least} to {most}")))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// 400 that names it.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.text(name) {
            None | Some("") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::field(name, "expected true or false")),
        }
    }
}
