//! The workshop against the real binary: checks that are false and then true, progress, the console's routes.

use std::io::{BufRead, BufReader};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use kartshoppe::config::{Config, LoadOptions};
use kartshoppe::log::EventLog;
use kartshoppe::log::embedded::EmbeddedLog;
use kartshoppe::workshop::{self, Chapter, Judge, Progress, Report, Stand, State};
use serde_json::{Value, json};

use super::support::server::{Options, Server};

/// A chapter with a check of each kind that needs no browser.
const CHAPTER: &str = "# 3 · Test

```toml check
name = \"The stock is 7\"
missing = \"Set it.\"
shop = \"/api/ecommerce/product/PROD_0003\"
where = '.status == 200 and .value.inventory == 7'
```

```toml check
name = \"The record was written since\"
missing = \"Write it.\"
topics = [\"product-updates\"]
where = '.value.productId == \"PROD_0003\"'
```

```toml check
name = \"Every product was there\"
missing = \"Start the shop.\"
topics = [\"products\"]
since = \"start\"
count = 200
```

```toml check
name = \"There is an order table\"
missing = \"Start the shop.\"
sql = \"SELECT count(*) >= 0 FROM orders\"
```

```toml check
name = \"Nothing can be written\"
missing = \"Never.\"
sql = \"WITH gone AS (DELETE FROM orders RETURNING 1) SELECT count(*) = 0 FROM gone\"
```

```toml check
name = \"The shop is ready\"
missing = \"Start it.\"
operators = \"/readyz\"
```

```toml check
name = \"There is no such page\"
missing = \"Never.\"
shop = \"/api/ecommerce/product/NO_SUCH\"
```

```toml check
name = \"The page shows it\"
missing = \"Look.\"
page = \"/\"
sees = \"KartShoppe\"
```
";

async fn judge(server: &Server) -> Judge {
    let environment = vec![("KARTSHOPPE__DATA_DIR".to_owned(), server.data().display().to_string())];
    let config = Config::load(&LoadOptions { environment, ..LoadOptions::default() }).unwrap().config;
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open_read_only(&server.data().join("log")).await.unwrap());
    Judge::of(&config, Ok(log))
}

async fn judged(judge: &Judge, wait: Duration) -> Vec<State> {
    let chapter = Chapter::read("03-test.md", CHAPTER).unwrap();
    let report = Report::of(&chapter, judge.chapter(&chapter, wait).await);
    report.checks.iter().map(|check| check.state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_are_false_before_a_step_and_true_after_it() {
    use State::{Green, Red, Unchecked};
    let server = Server::start_filled(Options::default()).await;
    let mut judge = judge(&server).await;
    let log = judge.log.clone().unwrap();
    append(&server, 5).await;
    // A log beside the process that writes it learns of new records late.
    while judged(&judge, Duration::ZERO).await[1] != Green {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    judge.since = Some(workshop::moment_now(&kartshoppe::clock::Clock::system(), Some(&*log)).await);
    let before = judged(&judge, Duration::ZERO).await;
    assert_eq!(before, [Red, Red, Green, Green, Red, Green, Red, Unchecked]);
    append(&server, 7).await;
    let after = judged(&judge, Duration::from_secs(60));
    // Two checks stay false for ever: only the first is waited for.
    let reached = async {
        loop {
            if judged(&judge, Duration::ZERO).await[..2] == [Green, Green] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! { _ = after => {}, () = reached => {} }
    assert_eq!(judged(&judge, Duration::ZERO).await, [Green, Green, Green, Green, Red, Green, Red, Unchecked]);
    judge.since = None;
    assert_eq!(judged(&judge, Duration::ZERO).await[1], Green, "without a beginning all records count");
    drop(server);
    let chapter = Chapter::read("03-test.md", CHAPTER).unwrap();
    let gone = judge.check(chapter.checks().next().unwrap()).await;
    assert_eq!(gone.state, Red);
    assert!(gone.detail.unwrap().contains("nothing listens there"));
}

async fn append(server: &Server, stock: i64) {
    let product: Value = server.get("/api/ecommerce/product/PROD_0003").await;
    let mut value = product.clone();
    value["inventory"] = json!(stock);
    let answer = server
        .http
        .post(server.admin("/admin/topics/product-updates/records"))
        .header("x-kartshoppe-operator", "test")
        .json(&json!({"value": value}))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The first chapter that has a check which is not true on an empty machine.
fn some_chapter() -> &'static Chapter {
    let has_open = |chapter: &&Chapter| chapter.checks().any(|check| !check.always && !check.question.is_local());
    workshop::chapters().unwrap().iter().find(has_open).unwrap()
}

#[tokio::test]
async fn the_command_line_keeps_progress_without_a_shop_and_names_what_is_wrong() {
    let mut server = Server::unstarted(Options::default());
    let number = some_chapter().number.to_string();
    let run = |arguments: &[&str]| server.command(&[&["workshop"], arguments].concat()).output().unwrap();
    assert!(run(&["status"]).status.success());
    let opened = run(&["open", &number]);
    assert!(opened.status.success() && text(&opened).contains("read docs/workshop/"), "{}", text(&opened));
    let rows: Value = serde_json::from_slice(&run(&["status", "--json"]).stdout).unwrap();
    let row = |rows: &Value| rows.as_array().unwrap().iter().find(|row| row["place"] == number.as_str()).unwrap().clone();
    assert_eq!(row(&rows)["state"], "begun");
    let checked = run(&["check", &number, "--wait", "0s", "--json"]);
    assert_eq!(checked.status.code(), Some(1), "{}", text(&checked));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(report["done"], false);
    let shown = text(&run(&["check", &number, "--wait", "0s"]));
    assert!(shown.contains('✗') && shown.contains("no shop") || shown.contains("no event log"), "{shown}");
    let shown = text(&run(&["check", "1", "--wait", "0s"]));
    assert_eq!(shown.matches("The shop is not open").count(), 1, "said once: {shown}");
    assert!(shown.contains("make run ARGS='--roles api'") && !shown.contains("inventory-events is missing"), "{shown}");
    assert!(text(&run(&["next"])).contains("kartshoppe workshop check"), "{}", text(&run(&["next"])));
    assert!(run(&["reset", &number]).status.success());
    let rows: Value = serde_json::from_slice(&run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(row(&rows)["state"], "new");
    for (arguments, words) in [
        (["check", "99"], "there is no chapter 99"),
        (["open", "X"], "neither a chapter (3) nor an exercise (E3)"),
        (["check", "E99"], "E99"),
    ] {
        let refused = run(&arguments);
        assert!(!refused.status.success() && text(&refused).contains(words), "{arguments:?}: {}", text(&refused));
    }
    std::fs::write(server.data().join("workshop.json"), "{").unwrap();
    let damaged = run(&["status"]);
    assert!(!damaged.status.success() && text(&damaged).contains("delete it"), "{}", text(&damaged));
    // A learner who began before the first start has a data directory already.
    std::fs::write(server.data().join("workshop.json"), "{}").unwrap();
    server.resume().await;
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn the_console_shows_begins_and_checks_chapters() {
    let server = Server::start_filled(Options::default()).await;
    let chapters = workshop::chapters().unwrap();
    let get = async |path: &str| {
        let answer = server.http.get(server.admin(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let post = async |path: &str, body: Value| {
        let asked = server.http.post(server.admin(path)).header("x-kartshoppe-operator", "test").json(&body);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, rows) = get("/admin/workshop").await;
    assert_eq!((status, rows.as_array().unwrap().len()), (200, chapters.len() + workshop::exercises().len()));
    let chapter = some_chapter();
    let path = format!("/admin/workshop/{}", chapter.number);
    let (status, shown) = get(&path).await;
    assert_eq!((status, &shown["begunAtMs"], &shown["title"]), (200, &Value::Null, &json!(chapter.title)));
    assert_eq!(shown["blocks"].as_array().unwrap().len(), chapter.blocks.len());
    let (status, begun) = post(&format!("{path}/start"), json!({})).await;
    assert_eq!((status, &begun["state"]), (200, &json!("begun")));
    assert_eq!(Stand::of(&Progress::load(server.data()).unwrap(), &chapter.number.to_string()), Stand::Begun);
    let (status, report) = post(&format!("{path}/check"), json!({"waitMs": 0})).await;
    assert_eq!((status, report["checks"].as_array().unwrap().len()), (200, chapter.checks().count()));
    for (check, shown) in chapter.checks().zip(report["checks"].as_array().unwrap()) {
        assert_eq!(check.question.is_local(), shown["state"] == "unchecked", "{shown}");
    }
    for nowhere in ["/admin/workshop/99", "/admin/workshop/x", "/admin/workshop/E99"] {
        assert_eq!(get(nowhere).await.0, 404, "{nowhere}");
    }
    let (status, exercise) = get("/admin/workshop/E4").await;
    let kinds: Vec<_> = exercise["blocks"].as_array().unwrap().iter().map(|block| block["kind"].as_str().unwrap()).collect();
    assert_eq!((status, kinds), (200, vec!["prose", "hint", "hint", "hint"]), "{exercise}");
    assert_eq!((&exercise["state"], &exercise["file"]), (&json!("new"), &json!("exercises/04-price-drop/README.md")));
    let (status, text) = get("/admin/workshop/troubleshooting").await;
    assert_eq!((status, &text["title"]), (200, &json!("Troubleshooting")));
    assert!(text["blocks"][0]["html"].as_str().unwrap().contains("The shop does not start"), "{text}");
    assert_eq!(post("/admin/workshop/troubleshooting/start", json!({})).await.0, 404, "it has no checks");
    assert_eq!(post("/admin/workshop/E4/check", json!({})).await.0, 404, "only the command line checks an exercise");
    assert_eq!(post(&format!("{path}/check"), json!({"waitMs": 30_001})).await.0, 400);
    assert_eq!(post(&format!("{path}/check"), json!({"wait": 1})).await.0, 400);
}

/// A board as `workshop lead` serves it. Dropping it ends the process.
struct Lead {
    child: std::process::Child,
    join: String,
    board: String,
}

impl Lead {
    fn start(server: &Server) -> Self {
        let mut command = server.command(&["workshop", "lead", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut address = || lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
        let (join, board) = (address(), address());
        // The pipe stays open: a later line must not end the process.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, join, board }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn results_reach_the_board_and_nothing_else_does() {
    let server = Server::unstarted(Options::default());
    let lead = Lead::start(&server);
    let run = |arguments: &[&str]| server.command(&[&["workshop"], arguments].concat()).output().unwrap();
    let number = some_chapter().number.to_string();
    for (url, name) in
        [(lead.join.as_str(), ""), (lead.join.as_str(), &"x".repeat(41)), ("ftp://x/j/y", "anna"), (&lead.board, "anna")]
    {
        assert!(!run(&["join", url, "--name", name]).status.success(), "{url} {name}");
    }
    let joined = run(&["join", &lead.join, "--name", "<b>Anna</b>"]);
    assert!(joined.status.success(), "{}", text(&joined));
    assert_eq!(run(&["check", &number, "--wait", "0s"]).status.code(), Some(1));
    let board: Value = server.http.get(format!("{}/data", lead.board)).send().await.unwrap().json().await.unwrap();
    let learner = &board["learners"][0];
    assert_eq!((&learner["name"], &learner["stuck"]), (&json!("<b>Anna</b>"), &json!(number)));
    let keys: Vec<&String> = learner.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["name", "quiet_s", "results", "stuck"]);
    let status = async |address: String| server.http.get(address).send().await.unwrap().status().as_u16();
    // The learners' secret does not show the board, nor the other way round.
    let swapped = (lead.board.replace("/b/", "/j/"), lead.join.replace("/j/", "/b/"));
    for (address, expected) in [
        (lead.board.clone(), 200),
        (lead.join.clone(), 200),
        (swapped.0, 404),
        (swapped.1.clone(), 404),
        (format!("{}/data", swapped.1), 404),
    ] {
        assert_eq!(status(address.clone()).await, expected, "{address}");
    }
    let page = server.http.get(&lead.board).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let large = server.http.post(format!("{}/join", lead.join)).json(&json!({"name": "x".repeat(5_000)})).send().await.unwrap();
    assert_eq!(large.status(), 413);
    // A board that is gone disturbs no learner.
    drop(lead);
    let checked = run(&["check", &number, "--wait", "0s", "--json"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(serde_json::from_slice::<Value>(&checked.stdout).is_ok() && text(&checked).contains("workshop leave"));
    assert!(run(&["leave"]).status.success());
    assert!(!text(&run(&["check", &number, "--wait", "0s"])).contains("board"));
}
