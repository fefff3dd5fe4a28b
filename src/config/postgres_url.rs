//! Rules for PostgreSQL URLs. Two clients read them, sqlx and (for replication) libpq, and each ignores or refuses what it does
//! not know: only what means the same to both is accepted, so that a mistake is found at start.

use std::sync::OnceLock;

/// The parameters that both clients know by the same name.
const KNOWN: [&str; 12] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
];
/// Environment variables that both clients read for what the URL omits. All others that begin with PG affect only one of the
/// clients, or PostgreSQL's own programs, and are removed.
const SHARED: [&str; 11] = [
    "PGHOST",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGAPPNAME",
];

static DROPPED: OnceLock<Vec<String>> = OnceLock::new();

/// Why both clients cannot use this URL. Only names of parameters are shown, as the URL may hold a password.
#[must_use]
pub fn problem(url: &str) -> Option<String> {
    if url.is_empty() {
        return None;
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Some("is no URL: write postgres://user:password@host:port/database".to_owned());
    };
    if !["postgres", "postgresql"].contains(&scheme) {
        return Some(format!("is of the scheme {scheme:?}: only postgres:// is PostgreSQL's"));
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or_default();
    if authority.rsplit('@').next().is_some_and(|hosts| hosts.contains(',')) {
        return Some("names several hosts: name the primary".to_owned());
    }
    let names = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or_default());
    let mut seen = Vec::new();
    for name in names {
        if !KNOWN.contains(&name) {
            return Some(format!("has the parameter {name:?}, {}; those that are taken: {}", instead(name), KNOWN.join(", ")));
        }
        if seen.contains(&name) {
            return Some(format!("has the parameter {name:?} twice"));
        }
        seen.push(name);
    }
    None
}

/// Advice for a parameter of another program.
fn instead(name: &str) -> &'static str {
    match name {
        "schema" | "currentSchema" | "search_path" => "which is another client's: write options=-csearch_path%3DNAME",
        "pgbouncer" | "statement-cache-capacity" | "statement_cache_size" | "prepared_statements" => {
            "which is another client's: through PgBouncer only session pooling works, and that needs no parameter"
        }
        "connection_limit" | "pool_size" | "max_connections" => "which is another client's: set postgres.max_connections",
        "pool_timeout" | "connect_timeout" | "acquire_timeout" => "which is another client's: set postgres.acquire_timeout",
        "ssl-mode" | "ssl" | "tls" => "which is another client's: write sslmode",
        _ => "which is not known to both clients, sqlx and libpq",
    }
}

/// The environment variables to remove before a client is used.
#[must_use]
pub fn unshared_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| is_unshared(name)).collect()
}

fn is_unshared(name: &str) -> bool {
    let is_libpqs = name.strip_prefix("PG").is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_uppercase()));
    is_libpqs && !SHARED.contains(&name)
}

/// Stores which variables were removed, for `config print`.
pub fn note_dropped(mut names: Vec<String>) {
    names.sort();
    let _ = DROPPED.set(names);
}

/// The environment variables that were removed at start.
#[must_use]
pub fn dropped() -> &'static [String] {
    DROPPED.get().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_clients_know_is_taken() {
        for url in [
            "",
            "postgres://u:p@h:5432/d",
            "postgresql://u@[::1]/d?sslmode=require&application_name=a",
            "postgres:///d?host=/run/postgresql&port=5433&user=u&password=p%26q&options=-csearch_path%3Dshop",
            "postgres://h/d?sslmode=verify-full&sslrootcert=/a&sslcert=/b&sslkey=/c&hostaddr=127.0.0.1&dbname=e",
        ] {
            assert_eq!(problem(url), None, "{url}");
        }
        for (url, words) in [
            ("mysql://u:hush@h/d", "mysql"),
            ("h/d", "no URL"),
            ("postgres://u:hush@a,b/d", "several hosts"),
            ("postgres://u:hush@h/d?schema=public", "\"schema\""),
            ("postgres://u:hush@h/d?pgbouncer=true", "session pooling"),
            ("postgres://u:hush@h/d?statement-cache-capacity=0", "\"statement-cache-capacity\""),
            ("postgres://u:hush@h/d?sslmode=disable&connection_limit=5&pool_timeout=2", "postgres.max_connections"),
            ("postgres://u:hush@h/d?target_session_attrs=any", "\"target_session_attrs\""),
            ("postgres://u:hush@h/d?options[a]=b", "\"options[a]\""),
            ("postgres://u:hush@h/d?port=1&port=2", "twice"),
        ] {
            let problem = problem(url).unwrap();
            assert!(problem.contains(words) && !problem.contains("hush"), "{problem}");
        }
    }

    #[test]
    fn variables_that_one_client_alone_obeys_go() {
        for name in ["PGOPTIONS", "PGHOSTADDR", "PGCHANNELBINDING", "PGSERVICE", "PGTARGETSESSIONATTRS", "PGGSSENCMODE", "PGDATA"]
        {
            assert!(is_unshared(name), "{name}");
        }
        for name in ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PG", "PG_key", "PAGER", "pgoptions"]
        {
            assert!(!is_unshared(name), "{name}");
        }
    }
}
