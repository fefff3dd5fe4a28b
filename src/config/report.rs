//! `kartshoppe config print`: every key with its value and origin, secrets hidden.

use std::fmt::Write;

use toml::Value;

use super::Loaded;

/// Parts of key names whose values are never shown.
const SECRET_PARTS: [&str; 4] = ["password", "secret", "token", "jaas"];

/// The effective configuration, a line per key.
#[must_use]
pub fn print(loaded: &Loaded) -> String {
    let width = loaded.origins.keys().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (key, (value, origin)) in &loaded.origins {
        let _ = writeln!(text, "{key:width$} = {}   # {origin}", shown(key, value));
    }
    for name in super::postgres_url::dropped() {
        let _ = writeln!(text, "# {name} of the shell is not used: only the database's URL says how PostgreSQL is reached");
    }
    text
}

fn shown(key: &str, value: &Value) -> String {
    if SECRET_PARTS.iter().any(|part| key.to_ascii_lowercase().contains(part)) {
        return "\"***\"".to_owned();
    }
    match value.as_str() {
        Some(text) => format!("{:?}", without_password(text)),
        None => value.to_string(),
    }
}

/// Hides the password of a URL: `postgres://user:***@host`. Text that is no URL with a password stays as it is.
pub(crate) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some(at) = rest[..authority_end].rfind('@') else { return text.to_owned() };
    match rest[..at].split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[at..]),
        None => text.to_owned(),
    }
}
