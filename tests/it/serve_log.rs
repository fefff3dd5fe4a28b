//! The log of a running shop: a reader that stops, panics, colours.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::server::{Options, Server};
use super::support::shopper::Shopper;

const DROPPED: &str = "kartshoppe_log_lines_dropped_total{target=\"standard error\"} ";

async fn dropped(server: &Server) -> f64 {
    let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    metrics.lines().find_map(|line| line.strip_prefix(DROPPED)).unwrap().parse().unwrap()
}

async fn buy(server: &Server, name: &str) {
    let shopper = Shopper::new(name);
    shopper.add(server, "PROD_0001", 1).await;
    let (status, order) = shopper.checkout(server, false).await;
    assert_eq!(status, 200, "{order}");
    shopper.settled(server, order["orderId"].as_str().unwrap()).await;
}

#[tokio::test]
async fn an_unread_log_blocks_neither_the_shop_nor_its_shutdown() {
    let (reader, writer) = std::io::pipe().unwrap();
    let options = Options::default().set("RUST_LOG", "trace");
    let mut server = Server::launch_into(options, Some(OwnedFd::from(writer)));
    server.wait_until_ready().await;
    server.until_products(200).await;
    let mut bought = 0;
    while bought < 3 || dropped(&server).await < 1.0 {
        buy(&server, &format!("unread-{bought}")).await;
        bought += 1;
        let products = (0..100).map(|_| server.get("/api/ecommerce/products?limit=1"));
        futures_util::future::join_all(products).await;
    }

    // Reading resumes until a line reports what was dropped; then it stops again.
    let reading = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(reader);
        let mut line = Vec::new();
        while !String::from_utf8_lossy(&line).contains("log lines for standard error were dropped") {
            line.clear();
            assert!(lines.read_until(b'\n', &mut line).unwrap() > 0, "the log ended");
        }
        lines
    });
    let unread = tokio::time::timeout(Duration::from_secs(120), reading).await.unwrap().unwrap();
    for number in 0..3 {
        buy(&server, &format!("again-{number}")).await;
    }
    assert_eq!(tokio::task::spawn_blocking(move || server.terminate()).await.unwrap(), Some(0));
    drop(unread);
}

/// Makes an actor panic and returns the log's lines about it.
async fn panicked(format: &str, backtrace: &str) -> Vec<String> {
    let options = Options::default()
        .set("KARTSHOPPE__FAULTS__ENABLED", true)
        .set("KARTSHOPPE__TELEMETRY__LOG_FORMAT", format)
        .set("RUST_BACKTRACE", backtrace);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut server = Server::launch_into(options, Some(OwnedFd::from(writer)));
    let reading = tokio::task::spawn_blocking(move || BufReader::new(reader).lines().map(Result::unwrap).collect::<Vec<_>>());
    server.wait_until_ready().await;
    server.until_products(200).await;
    let (status, said) = server.operate("/admin/faults", &json!({"target": "product", "fault": "panic", "count": 1})).await;
    assert!(status < 300, "{said}");
    buy(&server, "panic").await;
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    reading.await.unwrap()
}

#[tokio::test]
async fn a_panic_is_one_line_of_the_log() {
    let lines = panicked("json", "0").await;
    let lines: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
    let told: Vec<_> = lines.iter().filter(|line| line["message"] == "a thread panicked").collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert_eq!(told[0]["level"], "ERROR");
    assert!(told[0]["code.location"].as_str().unwrap().contains(".rs:"), "{}", told[0]);
    assert!(!told[0]["exception.message"].as_str().unwrap().is_empty(), "{}", told[0]);
    assert_eq!(told[0]["exception.stacktrace"], Value::Null);

    let lines = panicked("human", "1").await;
    let told: Vec<_> = lines.iter().filter(|line| line.contains("panicked")).collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert!(told[0].contains("exception.stacktrace"), "{told:?}");
    let strays: Vec<_> = lines.iter().filter(|line| !line.starts_with("20")).collect();
    assert!(strays.is_empty(), "every line begins with its time: {strays:#?}");
}

/// The output of `serve` on a terminal, up to a start that fails.
fn on_a_terminal(environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("{} serve 2>&1", env!("CARGO_BIN_EXE_kartshoppe"));
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &missing, "/dev/null"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    terminal.env("KARTSHOPPE__DATA_DIR", folder.path()).env("KARTSHOPPE__POSTGRES__BIN_DIR", "/nonexistent");
    terminal.env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
    let mut said = String::new();
    let mut child = terminal.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(said.contains("the shop cannot go on"), "{said}");
    said
}

#[test]
fn colours_are_used_on_capable_terminals_unless_disabled() {
    let coloured = |environment: &[(&str, &str)]| on_a_terminal(environment).contains('\x1b');
    assert!(coloured(&[]));
    assert!(coloured(&[("NO_COLOR", "")]), "set, but empty, is not set");
    for refused in [("NO_COLOR", "1"), ("NO_COLOR", "false"), ("TERM", "dumb"), ("TERM", "")] {
        assert!(!coloured(&[refused]), "{refused:?}");
    }
}
