//! `kartshoppe config print`: every key with its value and origin, secrets hidden.
//!
//! A value is shown only if it is known to be harmless: for an unknown name or format this hides too much rather than too little.

use std::fmt::Write;

use serde::Serialize;
use toml::Value;

use super::Loaded;
use super::layers::OPEN_SECTION;

const HIDDEN: &str = "***";
/// Substrings of key names whose values are never shown.
const SECRET_PARTS: [&str; 6] = ["password", "passphrase", "secret", "token", "credential", "private"];
/// Kafka properties that hold no secret, in addition to those ending in one of [`HARMLESS_ENDS`].
const HARMLESS: [&str; 24] = [
    "acks",
    "api.version.request",
    "auto.offset.reset",
    "bootstrap.servers",
    "broker.address.family",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.type",
    "debug",
    "enable.idempotence",
    "enable.ssl.certificate.verification",
    "group.protocol",
    "isolation.level",
    "log_level",
    "retries",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.method",
    "sasl.username",
    "security.protocol",
    "ssl.endpoint.identification.algorithm",
    "statistics.interval.ms",
];
const HARMLESS_ENDS: [&str; 5] = [".bytes", ".kbytes", ".location", ".messages", ".ms"];
/// Parameters of a database URL that hold no secret.
const HARMLESS_PARAMETERS: [&str; 19] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "port",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// One key as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownKey {
    /// With dots: `http.listen`.
    pub key: String,
    /// As TOML writes it; a secret is hidden.
    pub value: String,
    pub origin: String,
}

/// The effective configuration, key by key.
#[must_use]
pub fn shown_keys(loaded: &Loaded) -> Vec<ShownKey> {
    let key = |(key, (value, origin)): (&String, &(Value, String))| ShownKey {
        key: key.clone(),
        value: shown(key, value),
        origin: origin.clone(),
    };
    loaded.origins.iter().map(key).collect()
}

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
    let Some(text) = value.as_str() else {
        return if is_secret(key) { format!("{HIDDEN:?}") } else { value.to_string() };
    };
    let text = match text {
        "" => String::new(),
        _ if is_secret(key) => HIDDEN.to_owned(),
        text if key.ends_with("_url") || (text.contains("://") && text.contains('@')) => without_secrets(text),
        text => text.to_owned(),
    };
    format!("{text:?}")
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    if let Some(property) = key.strip_prefix(OPEN_SECTION) {
        let harmless = HARMLESS.contains(&property) || HARMLESS_ENDS.iter().any(|end| property.ends_with(end));
        return !harmless || ["password", "token"].iter().any(|part| property.contains(part));
    }
    SECRET_PARTS.iter().any(|part| key.contains(part))
}

/// A URL without its secrets: `postgres://user:***@host/db?sslmode=require&password=***`. A URL that cannot be parsed with
/// certainty is hidden completely: a password with an unescaped `/`, `?` or `#` ends the address early and is then part of what
/// follows.
fn without_secrets(url: &str) -> String {
    parts(url).unwrap_or_else(|| HIDDEN.to_owned())
}

fn parts(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c)) {
        return None;
    }
    let (address, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, parameters) = rest.split_once('?').map_or((rest, None), |(path, parameters)| (path, Some(parameters)));
    if path.contains(['@', '#', ':']) || !is_server(address.rsplit_once('@').map_or(address, |(_, server)| server)) {
        return None;
    }
    let address = match address.rsplit_once('@') {
        Some((who, server)) => match who.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{server}"),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    let parameters = match parameters {
        Some(parameters) => format!("?{}", parameters.split('&').map(parameter).collect::<Option<Vec<_>>>()?.join("&")),
        None => String::new(),
    };
    Some(format!("{scheme}://{address}{path}{parameters}"))
}

/// Host names with ports, separated by commas.
fn is_server(text: &str) -> bool {
    text.split(',').all(|one| {
        let (name, port) = match one.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (one, ""),
        };
        let good = |c: char| c.is_ascii_alphanumeric() || "-._%[]:".contains(c);
        name.chars().all(good) && port.chars().all(|c| c.is_ascii_digit())
    })
}

fn parameter(pair: &str) -> Option<String> {
    let (name, value) = pair.split_once('=')?;
    let name_is_one = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if !name_is_one || value.contains(['@', '#']) {
        return None;
    }
    let value = if HARMLESS_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) { value } else { HIDDEN };
    Some(format!("{name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_show_where_and_who_and_nothing_that_lets_anybody_in() {
        for (url, shown) in [
            ("postgres://db/shop", "postgres://db/shop"),
            ("postgres://u:hunter2@db:5433/shop?sslmode=require", "postgres://u:***@db:5433/shop?sslmode=require"),
            ("postgres://h/db?user=u&password=hunter2", "postgres://h/db?user=u&password=***"),
            ("postgres://h/db?PASSWORD=hunter2&sslpassword=hunter2", "postgres://h/db?PASSWORD=***&sslpassword=***"),
            ("postgres://h/db?options=-c%20hunter2", "postgres://h/db?options=***"),
            ("postgres://u:hun@ter2@db/shop", "postgres://u:***@db/shop"),
            ("postgres://u:hun/ter2@db/shop", "***"),
            ("postgres://u:12/hunter2@db/shop", "***"),
            ("postgres://u:hun?ter2@db/shop", "***"),
            ("postgres://u:12?hunter2@db/shop", "***"),
            ("postgres://u:1?hunter2=3@db/shop", "***"),
            ("postgres://u:hun#ter2@db/shop", "***"),
            ("postgres://u:12#hunter2@db/shop", "***"),
            ("host=db user=u password=hunter2", "***"),
            ("hunter2", "***"),
            ("postgres://u@[::1]:5432/db", "postgres://u@[::1]:5432/db"),
            ("postgres://u:hunter2@a:1,b:2/db", "postgres://u:***@a:1,b:2/db"),
            ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql"),
        ] {
            assert_eq!(without_secrets(url), shown, "{url}");
        }
    }

    #[test]
    fn only_properties_that_are_known_to_be_harmless_are_shown() {
        let text = |text: &str| Value::String(text.to_owned());
        for property in [
            "ssl.key.pem",
            "ssl.certificate.pem",
            "ssl.key.password",
            "ssl.keystore.password",
            "sasl.password",
            "sasl.jaas.config",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.token.endpoint.url",
            "sasl.kerberos.kinit.cmd",
            "sasl.pasword",
            "anything.new",
        ] {
            assert_eq!(shown(&format!("kafka.properties.{property}"), &text("hunter2")), "\"***\"", "{property}");
            assert_eq!(shown(&format!("kafka.properties.{property}"), &text("")), "\"\"", "{property}");
        }
        for property in
            ["sasl.username", "sasl.mechanism", "security.protocol", "ssl.ca.location", "socket.timeout.ms", "message.max.bytes"]
        {
            assert_eq!(shown(&format!("kafka.properties.{property}"), &text("x")), "\"x\"", "{property}");
        }
        assert_eq!(shown("kafka.bootstrap_servers", &text("SSL://a:1,SSL://b:2")), "\"SSL://a:1,SSL://b:2\"");
        assert_eq!(shown("http.max_connections", &Value::Integer(7)), "7");
    }
}
