//! A real Kafka broker for the tests: one for the whole binary, with a topic prefix for each test; a separate one for a test that
//! stops it or needs a password.
//!
//! A broker ends with this process, even if that is killed: `tools/kafka/broker.sh hold` waits on a pipe of ours. Where Java or
//! Maven is missing a test that needs a broker prints a line with `SKIPPED`, which `tools/count-tests.mjs` counts; on CI it
//! fails.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A running broker.
pub struct Broker {
    /// `host:port` for clients.
    pub address: String,
    folder: PathBuf,
    /// Ends with its standard input: the pipe closes when this is dropped, or with this process.
    holder: Child,
}

impl Broker {
    /// The broker of this test binary; `None` where it is not available, with a message.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        is_there().then(|| SHARED.get_or_init(|| Self::hold(&[])))
    }

    /// A broker for one test, with these settings (`name=value`) and options of `kafka-storage format` (`--name=value`); `None`
    /// where it is not available, with a message.
    pub fn own(settings: &[&str]) -> Option<Self> {
        is_there().then(|| Self::hold(settings))
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.script("kill");
    }

    /// Stops it in order.
    pub fn stop(&self) {
        self.script("stop");
    }

    /// Restarts it at the same address with its data on disk, and waits until it serves.
    pub fn resume(&self) {
        self.script("start");
    }

    /// `host:port` of the listener for the broker's own traffic.
    pub fn internal_address(&self) -> String {
        let settings = std::fs::read_to_string(self.folder.join("server.properties")).unwrap();
        let (_, from) = settings.split_once("INTERNAL://").unwrap();
        from.split([',', '\n']).next().unwrap().to_owned()
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn hold(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("kartshoppe-kafka-").tempdir().unwrap().keep();
        let mut holder = Command::new(script())
            .arg("hold")
            .arg(&folder)
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "the broker did not start: {:?}", holder.wait());
        Self { address: address.trim().to_owned(), folder, holder }
    }

    fn script(&self, command: &str) {
        let ran = Command::new(script()).arg(command).arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(ran.unwrap().success(), "broker.sh {command}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        self.holder.wait().unwrap();
    }
}

/// A prefix for topics, groups and identities that is unique across tests and brokers.
pub fn prefix(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{test}-{}-{}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Whether a broker is available here; prints a message if not.
pub fn is_there() -> bool {
    static FETCHED: OnceLock<bool> = OnceLock::new();
    let fetch =
        || Command::new(script().with_file_name("fetch.sh")).arg("--check").stdout(Stdio::null()).status().unwrap().success();
    let there = *FETCHED.get_or_init(fetch);
    if !there {
        say_skipped();
    }
    there
}

fn say_skipped() {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no Kafka: apt-get install default-jdk-headless maven");
    let test = std::thread::current().name().unwrap_or("of a thread").to_owned();
    let line = format!("kartshoppe: SKIPPED test {test}: no Kafka; apt-get install default-jdk-headless maven\n");
    // Bypasses the test harness, which hides the output of passing tests.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/kafka/broker.sh")
}
