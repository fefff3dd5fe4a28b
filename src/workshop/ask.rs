//! What a check asks of the shop, and what it finds. Every answer is bounded in size and time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::time::Instant;

use super::judge::{State, Verdict};
use super::progress::Moment;
use crate::log::{EventLog, LogError, PartitionInfo, Start, Stop, TopicPartition};
use crate::records::Predicate;
use crate::wire::topics::Topic;

/// An answer of HTTP comes within this time, and has at most so many bytes.
const HTTP_PATIENCE: Duration = Duration::from_secs(10);
const BODY_MAX_BYTES: usize = 8 << 20;
/// A search of topics ends after so many records, or this time.
const RECORDS_MAX: u64 = 500_000;
const SEARCH_TIME: Duration = Duration::from_secs(15);
const CHUNK: usize = 1_000;
const READ_WAIT: Duration = Duration::from_millis(300);
/// How much of a value is shown.
const SHOWN_CHARS: usize = 60;
const SQL_PATIENCE: Duration = Duration::from_secs(10);

/// GET of a path.
pub(super) async fn http(server: SocketAddr, token: Option<&str>, path: &str, predicate: Option<&Predicate>) -> Verdict {
    let asked = tokio::time::timeout(HTTP_PATIENCE, get(server, token, path)).await;
    let (status, body) = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Verdict::red(format!("GET {path}: {error}")),
        Err(_) => return Verdict::red(format!("GET {path}: no answer within {HTTP_PATIENCE:?}")),
    };
    let holds = match predicate {
        None => (200..300).contains(&status),
        Some(predicate) => predicate.holds(&json!({"value": body, "status": status})),
    };
    Verdict::of(holds, || {
        let unmet = predicate.map_or_else(Vec::new, |predicate| predicate.unmet(&json!({"value": body, "status": status})));
        let unmet: Vec<String> = unmet.iter().filter_map(|(path, value)| found(path, value)).collect();
        let answers = format!("GET {path} answers {status}");
        if unmet.is_empty() { answers } else { format!("{} ({answers})", unmet.join(", ")) }
    })
}

/// What stands at a path of the answer, for people; the status is said anyway.
fn found(path: &str, value: &Value) -> Option<String> {
    let name = path.replacen(".value.", "", 1);
    let text = value.to_string();
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let dots = if shown.len() < text.len() { "..." } else { "" };
    let name = if name == ".value" { "the answer" } else { &name };
    (path != ".status").then(|| if value.is_null() { format!("there is no {name}") } else { format!("{name} is {shown}{dots}") })
}

async fn get(server: SocketAddr, token: Option<&str>, path: &str) -> Result<(u16, Value), String> {
    let words = |error: reqwest::Error| {
        if error.is_connect() { "nothing listens there".to_owned() } else { error.without_url().to_string() }
    };
    let mut request = reqwest::Client::new().get(format!("http://{server}{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut answer = request.send().await.map_err(words)?;
    let (status, mut body) = (answer.status().as_u16(), Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(words)? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_MAX_BYTES {
            return Err(format!("the answer has more than {BODY_MAX_BYTES} bytes"));
        }
    }
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    Ok((status, value))
}

/// What is looked for in topics.
pub(super) struct Sought<'a> {
    pub topics: &'a [Topic],
    pub predicate: Option<&'a Predicate>,
    pub count: u64,
    /// `None`: all records.
    pub since: Option<&'a Moment>,
}

/// Counts records that fit, until there are enough.
pub(super) async fn topics(log: &Arc<dyn EventLog>, sought: &Sought<'_>) -> Verdict {
    match tokio::time::timeout(SEARCH_TIME, search(&**log, sought)).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => Verdict::red(error.to_string()),
        Err(_) => Verdict::unchecked(format!("the search was not finished within {SEARCH_TIME:?}")),
    }
}

async fn search(log: &dyn EventLog, sought: &Sought<'_>) -> Result<Verdict, LogError> {
    let starts = starts(log, sought).await?;
    let mut reader = log.reader(&starts, Stop::AtEnd).await?;
    let (mut read, mut fitting) = (0_u64, 0_u64);
    let until = Instant::now() + SEARCH_TIME;
    loop {
        let records = reader.read(CHUNK, READ_WAIT).await?;
        for record in &records {
            read += 1;
            fitting += u64::from(sought.predicate.is_none_or(|predicate| predicate.holds_for(record)));
        }
        if fitting >= sought.count {
            return Ok(Verdict::of(true, String::new));
        }
        if reader.caught_up() {
            return Ok(Verdict::of(false, || format!("{fitting} records fit and {} are needed; {read} were read", sought.count)));
        }
        if read >= RECORDS_MAX || Instant::now() >= until {
            return Ok(Verdict::unchecked(format!(
                "{read} records were read and {fitting} of {} fit; not all were read",
                sought.count
            )));
        }
        tokio::task::yield_now().await;
    }
}

async fn starts(log: &dyn EventLog, sought: &Sought<'_>) -> Result<Vec<(TopicPartition, Start)>, LogError> {
    let known = log.topics().await?;
    let id = log.id().await?;
    let mut starts = Vec::new();
    for topic in sought.topics {
        let info =
            known.iter().find(|info| info.topic == *topic).ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))?;
        for (number, partition) in (0..).zip(&info.partitions) {
            let at = TopicPartition::new(*topic, number);
            starts.push((at, sought.since.map_or(Start::Beginning, |since| start(since, at, partition, &id))));
        }
    }
    Ok(starts)
}

/// Where a moment lies in a partition. Another log, or a partition made since, has only records since then.
fn start(since: &Moment, at: TopicPartition, partition: &PartitionInfo, id: &str) -> Start {
    match &since.log {
        None => Start::Time(since.at_ms),
        Some(log) if log.id != id => Start::Beginning,
        Some(log) => match log.ends.get(&at.to_string()) {
            Some(end) if *end >= partition.start && *end <= partition.end => Start::Offset(*end),
            Some(_) | None => Start::Beginning,
        },
    }
}

/// A query that returns one boolean, in a transaction that can only read.
pub(super) async fn sql(url: &str, query: &str) -> Verdict {
    match tokio::time::timeout(SQL_PATIENCE, truth(url, query)).await {
        Ok(Ok(Some(true))) => Verdict::of(true, String::new),
        Ok(Ok(Some(false))) => Verdict::red("the database says no"),
        Ok(Ok(None)) => Verdict::red("the database has no such row"),
        Ok(Err(error)) => Verdict::red(format!("PostgreSQL: {}", reason(&error))),
        Err(_) => Verdict::red(format!("PostgreSQL: no answer within {SQL_PATIENCE:?}")),
    }
}

async fn truth(url: &str, query: &str) -> Result<Option<bool>, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '8s'").execute(&mut *transaction).await?;
    sqlx::raw_sql(crate::store::PIN_SCHEMA).execute(&mut *transaction).await?;
    let row = sqlx::query(AssertSqlSafe(query.to_owned())).fetch_optional(&mut *transaction).await?;
    let answer = row.map(|row| row.try_get::<Option<bool>, _>(0)).transpose()?.flatten();
    transaction.rollback().await?;
    connection.close().await?;
    Ok(answer)
}

/// What PostgreSQL says, without the client's own words where there are better ones.
fn reason(error: &sqlx::Error) -> String {
    if let sqlx::Error::Database(error) = error {
        return error.message().to_owned();
    }
    if let sqlx::Error::Io(error) = error { format!("cannot be reached ({error})") } else { error.to_string() }
}

impl Verdict {
    pub(super) fn of(holds: bool, detail: impl FnOnce() -> String) -> Self {
        if holds { Self { state: State::Green, detail: None, is_closed: false } } else { Self::red(detail()) }
    }

    pub(super) fn red(detail: impl Into<String>) -> Self {
        Self { state: State::Red, detail: Some(detail.into()), is_closed: false }
    }

    /// It cannot be so, since no shop is open.
    pub(super) fn closed(place: &str) -> Self {
        Self { is_closed: true, ..Self::red(format!("no shop is running on {place}")) }
    }

    pub(super) fn unchecked(detail: impl Into<String>) -> Self {
        Self { state: State::Unchecked, detail: Some(detail.into()), is_closed: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::LogEnds;

    #[test]
    fn a_moment_of_another_log_or_place_takes_all_records() {
        let at = TopicPartition::new(Topic::Products, 1);
        let partition = PartitionInfo { start: 5, end: 9 };
        let since = |id: &str, end: i64| Moment {
            at_ms: 7,
            log: Some(LogEnds { id: id.to_owned(), ends: [("products/1".to_owned(), end)].into() }),
        };
        let found = |moment: &Moment| start(moment, at, &partition, "now");
        assert_eq!(found(&since("now", 8)), Start::Offset(8));
        assert_eq!(found(&since("now", 9)), Start::Offset(9));
        assert_eq!(found(&since("before", 8)), Start::Beginning);
        for gone in [4, 10] {
            assert_eq!(found(&since("now", gone)), Start::Beginning);
        }
        assert_eq!(found(&Moment { at_ms: 7, log: None }), Start::Time(7));
        assert_eq!(start(&since("now", 8), TopicPartition::new(Topic::Products, 2), &partition, "now"), Start::Beginning);
    }
}
