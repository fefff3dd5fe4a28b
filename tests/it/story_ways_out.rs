//! Every exit of the real binary stops its private PostgreSQL: any stop signal, a second signal, a start that fails. The advice
//! of a start's errors is followed here, and helps.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use kartshoppe::data_dir::running_server;
use kartshoppe::store::private_server::{Status, status};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::postgres::cluster_of;
use crate::support::server::{Options, Server};

/// What Linux buffers in a pipe that is not read.
const PIPE_BYTES: u64 = 65_536;

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = tokio::time::Instant::now() + std::time::Duration::from_secs(120);
    while !condition() {
        assert!(tokio::time::Instant::now() < give_up, "gave up waiting until {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn until_stopped(data_dir: &Path) {
    until("PostgreSQL is stopped", || status(data_dir).unwrap() == Status::Stopped).await;
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn each_stop_signal_causes_an_orderly_shutdown() {
    let mut server = Server::start(Options::default()).await;
    for signal in [Signal::HUP, Signal::QUIT, Signal::INT, Signal::TERM] {
        server.signal(signal);
        assert_eq!(server.wait().await, Some(0), "{signal:?}\n{}", server.log_tail());
        assert_eq!(status(server.data()).unwrap(), Status::Stopped, "{signal:?}");
        server.resume().await;
    }
}

/// A balancer sees that the process stops while both listeners still answer; a second signal does not wait for it.
#[tokio::test]
async fn a_drain_delay_lets_a_balancer_notice() {
    let mut server = Server::start_filled(Options::default().set("KARTSHOPPE__HTTP__DRAIN_DELAY", "5m")).await;
    server.signal(Signal::TERM);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    for url in [server.url("/readyz"), server.admin("/readyz")] {
        loop {
            let answer = server.http.get(&url).send().await.unwrap();
            if answer.status() == 503 {
                let body: serde_json::Value = answer.json().await.unwrap();
                assert_eq!(body["listener"], "closing", "{body}");
                assert_eq!(body["reasons"], serde_json::json!(["the process is stopping"]), "{body}");
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{url} never says that the process stops");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    server.get("/api/ecommerce/products?limit=1").await;
    server.signal(Signal::TERM);
    assert!(server.wait().await.is_some());
    until_stopped(server.data()).await;
}

#[tokio::test]
async fn an_ignored_hangup_has_no_effect() {
    let mut server = Server::start(Options::default()).await;
    server.terminate();
    // As nohup does.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    let serve = server.command(&["serve"]);
    shell.arg(serve.get_program()).args(serve.get_args()).current_dir(env!("CARGO_MANIFEST_DIR"));
    shell.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("KARTSHOPPE__HTTP__LISTEN", "127.0.0.1:0").env("KARTSHOPPE__ADMIN__LISTEN", "127.0.0.1:0");
    let mut child = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("the shop is open", || running_server(server.data()).is_some_and(|info| info.pid == child.id())).await;
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    let mut said = String::new();
    for _ in 0..20 {
        let admin = running_server(server.data()).unwrap().admin;
        assert!(server.http.get(format!("http://{admin}/livez")).send().await.unwrap().status().is_success());
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert_eq!(status(server.data()).unwrap(), Status::Stopped);
}

/// A PostgreSQL process that does not end delays the orderly stop.
#[tokio::test]
async fn a_second_signal_ends_a_stop_that_hangs() {
    let mut server = Server::start(Options::default()).await;
    let mut admin = PgConnection::connect(&admin_url(&server)).await.unwrap();
    let writer: i32 = sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    kill_process(Pid::from_raw(writer).unwrap(), Signal::STOP).unwrap();
    server.signal(Signal::TERM);
    until("the stop is under way", || server.log_tail().contains("a second signal ends at once")).await;
    server.signal(Signal::TERM);
    assert_eq!(server.wait().await, Some(128 + Signal::TERM.as_raw()), "{}", server.log_tail());
    until_stopped(server.data()).await;
    server.resume().await;
}

/// The log pipe is no longer read, and every task that writes a line blocks.
#[tokio::test]
async fn an_unread_log_does_not_block_the_exit() {
    let mut server = Server::start(Options::default()).await;
    server.terminate();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let mut serve = server.command(&["serve"]);
    serve.env("KARTSHOPPE__HTTP__LISTEN", "127.0.0.1:0").env("KARTSHOPPE__ADMIN__LISTEN", "127.0.0.1:0");
    serve.env("RUST_LOG", "kartshoppe=info");
    let mut child = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer.try_clone().unwrap()).spawn().unwrap();
    let mut said = String::new();
    while !said.contains("the listeners are open") {
        let mut piece = [0; 4096];
        let length = reader.read(&mut piece).unwrap();
        said.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    std::thread::spawn(move || while writer.write_all(&[b'x'; 1024]).is_ok() {});
    until("the pipe is full", || rustix::io::ioctl_fionread(&reader).unwrap() >= PIPE_BYTES).await;
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).unwrap();
    // It may stop in order by itself; but if it does not, the second signal ends it.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let _ = kill_process(pid, Signal::TERM);
    let mut ended = None;
    until("the shop has ended", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    let code = ended.unwrap().code();
    assert!([Some(0), Some(128 + Signal::TERM.as_raw())].contains(&code), "{ended:?}");
    until_stopped(server.data()).await;
}

#[tokio::test]
async fn a_start_that_fails_stops_the_database_and_says_what_to_do() {
    let mut server = Server::start(Options::default()).await;
    let mut shop = PgConnection::connect(&server.database_url()).await.unwrap();
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', true, '', 0)";
    shop.execute(newer).await.unwrap();
    drop(shop);
    server.terminate();
    for command in [&["serve"][..], &["db", "migrate"]] {
        let output = server.command(command).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(status(server.data()).unwrap(), Status::Stopped, "{command:?}");
        let told = words(&output);
        let told = told.lines().last().unwrap();
        assert!(told.contains("a newer KartShoppe") && told.contains("`kartshoppe db reset`"), "{told}");
    }
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = server.command(&["serve"]).env("KARTSHOPPE__ADMIN__LISTEN", other.local_addr().unwrap().to_string()).output();
    assert_eq!(taken.unwrap().status.code(), Some(1));
    assert_eq!(status(server.data()).unwrap(), Status::Stopped);
    follow_the_advice(&mut server).await;
}

/// Clusters that no PostgreSQL here can start: each error advises `db reset`, and that helps.
#[tokio::test]
async fn a_cluster_that_cannot_start_is_reset_as_the_error_advises() {
    let mut server = Server::start(Options::default()).await;
    server.terminate();
    let ruins: [(&str, &[u8]); 3] = [("PG_VERSION", b"14\n"), ("PG_VERSION", b""), ("PG_VERSION", b"9.6\n")];
    for (name, text) in ruins {
        std::fs::write(cluster_of(server.data()).join(name), text).unwrap();
        let told = words(&server.command(&["serve"]).output().unwrap());
        assert!(told.contains("`kartshoppe db reset`"), "{told}");
        follow_the_advice(&mut server).await;
        server.terminate();
    }
    std::fs::remove_file(cluster_of(server.data()).join("PG_VERSION")).unwrap();
    let told = words(&server.command(&["serve"]).output().unwrap());
    assert!(told.contains("`kartshoppe db reset`"), "nothing is made over what is there: {told}");
    follow_the_advice(&mut server).await;
    server.terminate();
    // This one starts and ends at once; PostgreSQL says why.
    std::fs::write(cluster_of(server.data()).join("global/pg_control"), "").unwrap();
    let told = words(&server.command(&["serve"]).output().unwrap());
    assert!(told.contains("pg_control"), "{told}");
    follow_the_advice(&mut server).await;
}

/// A failure of the system is reported as such, and not as another version's files.
#[tokio::test]
async fn too_few_file_descriptors_are_no_reason_to_reset() {
    let mut server = Server::start(Options::default()).await;
    server.terminate();
    let mut refused = 0;
    for files in 8..32 {
        let mut shell = Command::new("sh");
        let limited = server.command(&["db", "migrate"]);
        let script = format!("ulimit -n {files}; exec \"$@\"");
        shell.args(["-c", &script, "sh"]).arg(limited.get_program()).args(limited.get_args());
        shell.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("KARTSHOPPE__POSTGRES__BIN_DIR");
        shell.envs(limited.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let told = words(&shell.output().unwrap());
        refused += usize::from(told.contains("Too many open files"));
        assert!(!told.contains("db reset") && !told.contains("panicked"), "{files}: {told}");
        until_stopped(server.data()).await;
    }
    assert!(refused > 0);
}

async fn follow_the_advice(server: &mut Server) {
    for advised in [&["topics", "delete", "--all"][..], &["db", "reset"]] {
        let output = server.command(advised).output().unwrap();
        assert!(output.status.success(), "{advised:?}: {}", words(&output));
        assert_eq!(status(server.data()).unwrap(), Status::Stopped);
    }
    server.resume().await;
    server.until_products(200).await;
}

fn admin_url(server: &Server) -> String {
    kartshoppe::store::private_server::urls(server.data()).unwrap().unwrap().admin
}
