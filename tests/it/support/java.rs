//! Java's own Kafka clients, run from source: other programs that use our topics.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A record for a Java producer to write.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// `None` leaves the choice to the client's partitioner.
    pub partition: Option<i32>,
    pub key: Option<&'a str>,
    pub value: &'a str,
}

/// A record as a Java consumer reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub partition: i32,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: BTreeMap<String, String>,
}

/// Writes these records; returns the partition of each.
pub fn produce(address: &str, topic: &str, records: &[Written<'_>]) -> Vec<i32> {
    let mut input = String::new();
    for record in records {
        let partition = record.partition.map(|partition| partition.to_string()).unwrap_or_default();
        input += &format!("{partition}\t{}\t{}\n", record.key.unwrap_or_default(), record.value);
    }
    let printed = run("Produce.java", &[address, topic], &input);
    let partitions: Vec<_> = printed.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(partitions.len(), records.len());
    partitions
}

/// Everything that is committed in a topic.
pub fn consume(address: &str, topic: &str) -> Vec<Read> {
    run("Consume.java", &[address, topic], "").lines().map(parse).collect()
}

fn parse(line: &str) -> Read {
    let mut parts = line.split('\t');
    let mut part = || parts.next().unwrap();
    let (partition, key, value) = (part().parse().unwrap(), part(), part());
    let text = |text: &str| (text != "null").then(|| text.to_owned());
    let headers = parts.map(|header| header.split_once('=').unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Read { partition, key: text(key), value: text(value), headers: headers.collect() }
}

/// An administrator who grants and revokes permissions of one principal.
pub struct Permissions {
    administrator: Child,
    answers: BufReader<ChildStdout>,
}

impl Permissions {
    /// `address` is the listener on which the administrator is allowed.
    pub fn of(principal: &str, address: &str) -> Self {
        let mut java = program("Acls.java", &[address, principal]);
        let mut administrator = java.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(administrator.stdout.take().unwrap());
        Self { administrator, answers }
    }

    /// These operations, separated by commas, on all resources of the type (`TOPIC`, `GROUP`, `TRANSACTIONAL_ID`) with this name
    /// prefix.
    pub fn grant(&mut self, kind: &str, name: &str, operations: &str) {
        self.change(&format!("grant\t{kind}\t{name}\t{operations}"));
    }

    /// Revokes what was granted with the same arguments.
    pub fn revoke(&mut self, kind: &str, name: &str, operations: &str) {
        self.change(&format!("revoke\t{kind}\t{name}\t{operations}"));
    }

    fn change(&mut self, line: &str) {
        writeln!(self.administrator.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), line, "the administrator has ended");
    }
}

impl Drop for Permissions {
    fn drop(&mut self) {
        drop(self.administrator.stdin.take());
        self.administrator.wait().unwrap();
    }
}

/// Compiles and runs a program of `tests/it/java`; returns its output.
fn run(name: &str, arguments: &[&str], input: &str) -> String {
    output(program(name, arguments), input)
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let libs = output(Command::new(root().join("tools/kafka/fetch.sh")), "");
    let mut java = Command::new(jdk("java"));
    java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Dfile.encoding=UTF-8", "-Dkartshoppe.level=ERROR"]);
    java.arg(format!("-Dlog4j2.configurationFile={}", root().join("tools/kafka/log4j2.xml").display()));
    java.args(["-cp", &format!("{}/*", libs.trim())]).arg(root().join("tests/it/java").join(name)).args(arguments);
    java
}

/// A program of the JDK.
pub fn jdk(program: &str) -> PathBuf {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin").join(program));
    home.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(program))
}

fn output(mut command: Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
