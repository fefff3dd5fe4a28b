//! `kartshoppe workshop solve N` for chapters: the real program with a real PostgreSQL, from an empty data directory.

use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use kartshoppe::data_dir;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::Instant;

use super::support::server::{Options, Server};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The command lines of processes that know the data directory, by arguments or environment.
fn left_on(data: &Path) -> Vec<String> {
    let needle = data.as_os_str().as_bytes();
    let knows = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let folder = entry.unwrap().path();
        let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
        let arguments = read("cmdline");
        (knows(&arguments) || knows(&read("environ"))).then(|| String::from_utf8_lossy(&arguments).replace('\0', " "))
    });
    processes.collect()
}

/// Ends a solve that a failed assertion leaves behind, as Ctrl-C does.
struct Solving(Option<Child>);

impl Solving {
    fn start(mut command: Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    fn interrupt(&mut self) -> Option<Output> {
        let child = self.0.take()?;
        let _ = kill_process(Pid::from_child(&child), Signal::INT);
        child.wait_with_output().ok()
    }
}

impl Drop for Solving {
    fn drop(&mut self) {
        self.interrupt();
    }
}

#[tokio::test]
async fn a_latecomer_is_brought_to_a_chapter_and_nothing_is_left_running() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Those with which `solve` says that the shop is opened afterwards.
    let arguments = vec!["--roles".to_owned(), "api,inventory".to_owned()];
    let options = Options { arguments, ..Options::default() }
        .set("KARTSHOPPE__HTTP__LISTEN", free())
        .set("KARTSHOPPE__ADMIN__LISTEN", free());
    let mut server = Server::unstarted(options);
    let data = server.data().to_owned();
    let run = |arguments: &[&str]| server.command(&[&["workshop"], arguments].concat()).output().unwrap();
    let stands = || {
        let rows: Value = serde_json::from_slice(&run(&["status", "--json"]).stdout).unwrap();
        let stand = |row: &Value| row["state"].as_str().unwrap().to_owned();
        rows.as_array().unwrap().iter().take(5).map(stand).collect::<Vec<_>>()
    };
    let refused = run(&["solve", "12"]);
    assert!(!refused.status.success() && text(&refused).contains("chapter 12 empties the shop"), "{}", text(&refused));
    assert!(!data.join("lock").exists());

    // Ctrl-C while a chapter has the shop open.
    let mut solving = Solving::start(server.command(&["workshop", "solve", "3"]));
    let limit = Instant::now() + Duration::from_secs(120);
    while !data_dir::is_locked(&data) {
        assert!(Instant::now() < limit, "{}", text(&solving.interrupt().unwrap()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = run(&["solve", "3"]);
    assert!(!refused.status.success() && text(&refused).contains("close it in terminal 1 first (Ctrl-C)"), "{}", text(&refused));
    let interrupted = solving.interrupt().unwrap();
    assert_eq!(interrupted.status.code(), Some(130), "{}", text(&interrupted));
    assert_eq!(left_on(&data), Vec::<String>::new());
    assert_eq!(stands(), ["done", "begun", "new", "new", "new"]);

    let solved = run(&["solve", "3"]);
    let shown = text(&solved);
    assert!(solved.status.success(), "{shown}");
    assert!(shown.contains("done before") && shown.contains("chapters 0 to 3 are done"), "{shown}");
    assert!(shown.contains("terminal 1: make run ARGS='--roles api,inventory'"), "{shown}");
    assert_eq!(left_on(&data), Vec::<String>::new());
    assert_eq!(stands(), ["done", "done", "done", "done", "new"]);
    let again = run(&["solve", "2"]);
    assert!(again.status.success() && text(&again).contains("chapters 0 to 2 are done already"), "{}", text(&again));

    // The shop, opened with these roles, holds what the chapters did.
    server.resume().await;
    let check = |number: &str, wait: &str| -> Value {
        let output = server.command(&["workshop", "check", number, "--wait", wait, "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for number in ["2", "3"] {
        let report = check(number, "20s");
        let is_red = |check: &&Value| check["state"] == "red";
        assert_eq!(report["checks"].as_array().unwrap().iter().find(is_red), None, "{report}");
    }
    let next = check("4", "0s");
    assert_eq!((&next["done"], &next["checks"][0]["state"]), (&Value::Bool(false), &Value::String("red".to_owned())));
    assert_eq!(server.terminate(), Some(0));
}
