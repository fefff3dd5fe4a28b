//! Commands whose output pipe is closed or full.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use super::support::server::{Options, Server};

/// Every command that prints, each with the arguments that it needs to reach its output.
const PRINTERS: [&[&str]; 13] = [
    &["--help"],
    &["--version"],
    &["topics", "--help"],
    &["config", "print"],
    &["config", "check"],
    &["check"],
    &["check", "--json"],
    &["cdc", "status"],
    &["cdc", "status", "--json"],
    &["db", "status"],
    &["db", "url"],
    &["topics", "list"],
    &["topics", "tail", "products"],
];
const OTHERS: [&[&str]; 2] = [&["topics", "create", "--all"], &["drill", "--plan", "short", "--show"]];

fn output_to(stdout: Stdio, mut command: Command) -> Output {
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

#[tokio::test]
async fn a_closed_pipe_ends_every_command_quietly_and_a_full_disk_with_a_line() {
    let server = Server::start_filled(Options::default()).await;
    for arguments in PRINTERS.into_iter().chain(OTHERS) {
        let ended = output_to(closed_pipe(), server.command(arguments));
        assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(141), ""), "{arguments:?}");

        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = output_to(full.into(), server.command(arguments));
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(
            told.starts_with("kartshoppe: cannot write to standard output: ") && told.lines().count() == 1,
            "{arguments:?}: {told}"
        );
    }
}

#[tokio::test]
async fn a_reader_that_closes_the_pipe_early_causes_no_error_message() {
    let server = Server::start_filled(Options::default()).await;
    let mut command = server.command(&["topics", "tail", "products", "--follow", "--from", "start"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut first).unwrap();
    drop(output);
    let price = serde_json::json!({"productId": "PROD_0001", "name": "x", "price": 1.0, "inventory": 5});
    let wanted = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    while !wanted.is_finished() {
        let (status, said) = server.operate("/admin/topics/product-updates/records", &serde_json::json!({"value": price})).await;
        assert_eq!(status, 200, "{said}");
    }
    let ended = wanted.await.unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(141), ""));
}

#[tokio::test]
async fn wrong_arguments_and_an_unread_standard_error_end_without_a_panic() {
    let program = || Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
    let mut wrong = program();
    wrong.arg("nothing");
    let ended = output_to(Stdio::piped(), wrong);
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("nothing"));

    for unread in [closed_pipe as fn() -> Stdio, || File::options().write(true).open("/dev/full").unwrap().into()] {
        let mut failing = program();
        failing.args(["db", "url"]).env("KARTSHOPPE__HTTP__LISTEN", "nowhere").stdout(Stdio::null()).stderr(unread());
        assert_eq!(failing.status().unwrap().code(), Some(1));
    }
}

#[test]
fn a_log_that_cannot_be_used_is_told_in_one_line_with_its_place_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    for (property, value) in
        [("SASL_PASWORD", "hunter2"), ("SECURITY_PROTOCOL", "hunter2"), ("SSL_KEY_PEM", "hunter2"), ("CLIENT_ID", "x")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
        command.args(["topics", "list"]).current_dir(env!("CARGO_MANIFEST_DIR")).env("KARTSHOPPE__DATA_DIR", folder.path());
        command.env("KARTSHOPPE__LOG__KIND", "kafka").env("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1");
        command.env(format!("KARTSHOPPE__KAFKA__PROPERTIES__{property}"), value);
        let ended = output_to(Stdio::null(), command);
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), told.lines().count()), (Some(1), 1), "{property}: {told}");
        assert!(told.contains("127.0.0.1:1 (KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS)"), "{property}: {told}");
        assert!(!told.contains("hunter2"), "{property}: {told}");
    }
}

/// Standard output and standard error of a command, and whether it ended well.
fn said(mut command: Command, input: &str) -> (bool, String, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn commands_say_what_they_found_and_what_to_do() {
    let mut server = Server::start_filled(Options::default()).await;
    let (well, status, _) = said(server.command(&["db", "status"]), "");
    let data = server.data().display().to_string();
    assert!(well && status.contains(&data) && status.contains("the tables are up to date"), "{status}");

    // Topics that the shop writes itself accept no records from operators.
    let state = r#"{"productId":"MUG","name":"Mug","price":1,"inventory":1}"#;
    let produce = |topic: &str| said(server.command(&["topics", "produce", topic, "--key", "MUG"]), state);
    for topic in ["products", "inventory-events", "websocket_fanout", "dead-letters"] {
        let (well, _, told) = produce(topic);
        assert!(well && told.contains(topic) && told.contains("written by the shop only"), "{topic}: {told}");
    }
    let (well, _, told) = produce("product-updates");
    assert_eq!((well, told.as_str()), (true, ""));

    let nowhere = server.data().join("no/such/folder");
    let (well, _, told) = said(server.command(&["backup", &nowhere.join("shop.tar").display().to_string()]), "");
    assert!(!well && told.contains(&format!("there is no folder {}", nowhere.display())), "{told}");
    assert!(!told.contains(".part") && told.lines().count() == 1, "{told}");

    let folder = nowhere.display().to_string();
    for command in [&["config", "check"][..], &["db", "status"], &["check"], &["serve"]] {
        let (well, _, told) = said(server.command(&[&["--config-dir", folder.as_str()], command].concat()), "");
        assert!(!well && told.contains(&format!("--config-dir {folder}: there is no such folder")), "{command:?}: {told}");
    }
    server.terminate();
    let (well, status, _) = said(server.command(&["db", "status"]), "");
    assert!(well && status.contains("stopped"), "{status}");
    let mut elsewhere = server.command(&["db", "status"]);
    elsewhere.env("DATABASE_URL", "postgres://shop:secret@127.0.0.1:1/shop");
    let (_, status, _) = said(elsewhere, "");
    assert!(status.contains("127.0.0.1:1") && status.contains("unknown") && !status.contains("secret"), "{status}");
}
