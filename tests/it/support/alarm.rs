//! How one alarm is reported: to operators in full, publicly without internal details, once in the log, as a metric; and that all
//! of it is cleared with its cause.

use std::time::Duration;

use kartshoppe::telemetry::alarms::Cause;
use serde_json::Value;
use tokio::time::Instant;

use super::server::Server;

/// A round of checks takes seconds at most, and what is checked may have to recover first.
const PATIENCE: Duration = Duration::from_secs(120);

/// The locations with this cause, as `/metrics` labels them.
pub async fn on_metrics(server: &Server, cause: Cause) -> Vec<String> {
    let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    let label = format!("kartshoppe_alarm{{cause=\"{}\"", cause.as_str());
    metrics.lines().filter(|line| line.starts_with(&label)).map(str::to_owned).collect()
}

/// The answer of a listener's `/readyz`: status, reasons, warnings.
async fn readyz(server: &Server, url: String) -> (u16, Vec<String>, Vec<String>) {
    let answer = server.http.get(url).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let texts = |key: &str| {
        let texts = body[key].as_array().cloned().unwrap_or_default();
        texts.into_iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    (status, texts("reasons"), texts("warnings"))
}

/// Log lines about this cause: that it was raised, and that it was cleared.
fn in_log(server: &Server, cause: Cause) -> (usize, usize) {
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    let about = format!("kartshoppe.cause=\"{}\"", cause.as_str());
    let over = format!("over: {}", cause.as_str());
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&about)).collect();
    let ends = lines.iter().filter(|line| line.contains(&over)).count();
    (lines.len() - ends, ends)
}

async fn until(server: &Server, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        let (_, reasons, warnings) = readyz(server, server.admin("/readyz")).await;
        assert!(Instant::now() < deadline, "never: {what}\n{reasons:#?}\n{warnings:#?}\n{}", server.log_tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the alarm is raised and reported everywhere as required, with all of these words for operators.
pub async fn stands(server: &Server, cause: Cause, words: &[&str]) {
    let name = cause.as_str();
    until(server, &format!("the metric of {name}"), async || !on_metrics(server, cause).await.is_empty()).await;
    let told = async || {
        let (status, reasons, warnings) = readyz(server, server.admin("/readyz")).await;
        let says = |texts: &[String]| texts.iter().any(|text| words.iter().all(|word| text.contains(word)));
        (says(&warnings) && !says(&reasons)) || (status == 503 && says(&reasons))
    };
    until(server, &format!("{name} on the operators' /readyz with {words:?}"), told).await;
    if server.info.http.is_some() {
        let (_, reasons, warnings) = readyz(server, server.url("/readyz")).await;
        assert!(warnings.is_empty(), "warnings are for operators: {warnings:?}");
        let data = server.data().display().to_string();
        let pid = format!("process {}", server.info.pid);
        for secret in [&data, "os error", "127.0.0.1", "localhost", "postgres://", "/tmp/", "/dev/", pid.as_str()] {
            assert!(!reasons.iter().any(|reason| reason.contains(secret)), "{name} shows {secret} in public: {reasons:#?}");
        }
    }
    // Lines take a moment from the queue to the file.
    until(server, &format!("{name} in the log"), async || in_log(server, cause).0 > 0).await;
    let again = on_metrics(server, cause).await.len();
    let (begins, ends) = in_log(server, cause);
    assert!(begins - ends <= again.max(1), "{name} is in the log {begins} times, over {ends} times, and stands {again} times");
}

/// Waits until the alarm is reported nowhere any more.
pub async fn is_over(server: &Server, cause: Cause) {
    let name = cause.as_str();
    until(server, &format!("{name} is over"), async || on_metrics(server, cause).await.is_empty()).await;
    until(server, &format!("{name} is over in the log"), async || {
        let (begins, ends) = in_log(server, cause);
        begins == ends
    })
    .await;
}

/// Waits until all of these are cleared and the process is ready, without a warning.
pub async fn all_over(server: &mut Server, causes: &[Cause]) {
    for cause in causes {
        is_over(server, *cause).await;
    }
    server.wait_until_ready().await;
    until(server, "no warning is left", async || readyz(server, server.admin("/readyz")).await.2.is_empty()).await;
}
