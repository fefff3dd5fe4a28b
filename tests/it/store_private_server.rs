//! The private PostgreSQL: created, stopped, adopted after a crash, restarted when it dies, as root and as a normal user.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kartshoppe::store::private_server::{self, PrivateServer, PrivateServerError, Status};
use kartshoppe::store::{Store, StoreOptions};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;

use crate::support::postgres::{bin_dir, open_folder, product, session};

/// Says to a child process of this test binary where to hold a server; once it does, it creates the file `held`.
const HOLD: &str = "KARTSHOPPE_TEST_HOLD";

/// The same for a server that ends without being reaped.
const COLLECT: &str = "KARTSHOPPE_TEST_COLLECT";

pub fn pid_of(data_dir: &Path) -> i32 {
    match private_server::status(data_dir).unwrap() {
        Status::Running { pid, .. } => pid,
        other @ (Status::Absent | Status::Stopped) => panic!("{other:?}"),
    }
}

/// Waits for a condition of another process, limited only by the test's own time-out.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < give_up, "gave up waiting until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn store(server: &PrivateServer) -> Store {
    let store = Store::new(&server.urls().database, StoreOptions::default()).unwrap();
    let give_up = Instant::now() + Duration::from_secs(120);
    // A killed and restarted server recovers first, which takes long on a loaded machine.
    while let Err(error) = store.migrate().await {
        assert!(error.is_retryable() && Instant::now() < give_up, "{error:?}");
    }
    store
}

#[tokio::test]
async fn committed_data_survives_a_stop_and_a_start() {
    let folder = open_folder();
    assert_eq!(private_server::status(folder.path()).unwrap(), Status::Absent);
    assert_eq!(private_server::urls(folder.path()).unwrap(), None);
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    store(&server).await.add_to_cart(&session("s"), None, &product("P"), 3).await.unwrap();
    assert!(matches!(
        PrivateServer::start(folder.path(), bin_dir().as_deref()).await,
        Err(PrivateServerError::InUse { pid, .. }) if pid == std::process::id().to_string()
    ));
    assert_eq!(private_server::urls(folder.path()).unwrap().as_ref(), Some(server.urls()));
    server.stop().await.unwrap();
    assert_eq!(private_server::status(folder.path()).unwrap(), Status::Stopped);
    let started = Instant::now();
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    println!("second start: {:?}", started.elapsed());
    assert_eq!(store(&server).await.cart(&session("s")).await.unwrap().lines[0].quantity.units(), 3);
    let secret = std::fs::metadata(folder.path().join("postgres/credentials")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    server.stop().await.unwrap();
    private_server::delete(folder.path()).await.unwrap();
    assert_eq!(private_server::status(folder.path()).unwrap(), Status::Absent);
}

#[tokio::test]
async fn the_server_wants_passwords_and_can_feed_a_wal_reader() {
    let folder = open_folder();
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    let wrong = server.urls().database.replace("//kartshoppe:", "//kartshoppe:x");
    PgConnection::connect(&wrong).await.unwrap_err();
    let mut own = PgConnection::connect(&server.urls().database).await.unwrap();
    let wal_level: String = sqlx::query_scalar("SHOW wal_level").fetch_one(&mut own).await.unwrap();
    let superuser: bool =
        sqlx::query_scalar("SELECT rolsuper OR rolreplication OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
            .fetch_one(&mut own)
            .await
            .unwrap();
    assert_eq!((wal_level.as_str(), superuser), ("logical", false));
    let mut cdc = PgConnection::connect(&server.urls().cdc).await.unwrap();
    cdc.execute("SELECT pg_create_logical_replication_slot('probe', 'pgoutput'), pg_drop_replication_slot('probe')")
        .await
        .unwrap();
    server.stop().await.unwrap();
}

/// No other user can be where the passwords are sent, wherever the data directory is.
#[tokio::test]
async fn it_listens_on_a_socket_in_a_folder_of_its_owners_alone() {
    let folder = open_folder();
    let deep = folder.path().join("d".repeat(120)).join("data");
    std::fs::create_dir_all(&deep).unwrap();
    let server = PrivateServer::start(&deep, bin_dir().as_deref()).await.unwrap();
    let mut admin = PgConnection::connect(&server.urls().admin).await.unwrap();
    let listens: String = sqlx::query_scalar("SHOW listen_addresses").fetch_one(&mut admin).await.unwrap();
    assert_eq!(listens, "");
    let Status::Running { pid, socket } = private_server::status(&deep).unwrap() else { panic!("it runs") };
    let (owner, runs_as) = (std::fs::metadata(&socket).unwrap(), std::fs::metadata(format!("/proc/{pid}")).unwrap());
    assert_eq!((owner.permissions().mode() & 0o7777, owner.uid()), (0o700, runs_as.uid()), "{}", socket.display());
    // As a clean-up of temporary files does.
    std::fs::remove_dir_all(&socket).unwrap();
    let replaced = || matches!(private_server::status(&deep), Ok(Status::Running { pid: now, .. }) if now != pid);
    until("another process serves", replaced).await;
    store(&server).await.add_to_cart(&session("s"), None, &product("P"), 1).await.unwrap();
    server.stop().await.unwrap();
    assert!(!socket.exists(), "nothing is left");
}

/// A link, another user's folder, or another server: each is named, and gets no password.
#[tokio::test]
async fn a_foreign_socket_folder_is_refused_by_name() {
    let folder = open_folder();
    let data_dir = folder.path().join("data");
    let server = PrivateServer::start(&data_dir, bin_dir().as_deref()).await.unwrap();
    let Status::Running { socket, .. } = private_server::status(&data_dir).unwrap() else { panic!("it runs") };
    server.stop().await.unwrap();
    let other_folder = open_folder();
    std::os::unix::fs::symlink(other_folder.path(), &socket).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(other_folder.path().join(".s.PGSQL.5432")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let refused = async || {
        let told = PrivateServer::start(&data_dir, bin_dir().as_deref()).await.unwrap_err();
        let asked = private_server::urls(&data_dir).unwrap_err();
        for told in [told, asked] {
            assert!(matches!(&told, PrivateServerError::ForeignFolder { path, .. } if Path::new(path) == socket), "{told}");
        }
        assert!(listener.accept().is_err(), "no connection was made");
    };
    refused().await;
    std::fs::remove_file(&socket).unwrap();
    if rustix::process::geteuid().is_root() {
        std::fs::create_dir(&socket).unwrap();
        chown(&socket, Some(54_321), Some(54_321)).unwrap();
        refused().await;
        std::fs::remove_dir(&socket).unwrap();
    }
    let server = PrivateServer::start(&data_dir, bin_dir().as_deref()).await.unwrap();
    let mut other = PgConnection::connect(&server.urls().admin).await.unwrap();
    other.execute("SELECT 1").await.unwrap();
    // Files of a killed server do not block the start.
    let lock = std::fs::read_to_string(socket.join(".s.PGSQL.5432.lock")).unwrap();
    server.stop().await.unwrap();
    std::fs::create_dir(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(socket.join(".s.PGSQL.5432.lock"), lock.replacen(lock.lines().next().unwrap(), "1", 1)).unwrap();
    std::fs::write(socket.join(".s.PGSQL.5432"), "").unwrap();
    let server = PrivateServer::start(&data_dir, bin_dir().as_deref()).await.unwrap();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o700);
    server.stop().await.unwrap();
}

/// Previous versions had a port, and wrote no folder; a server that such a shop left behind is replaced.
#[tokio::test]
async fn a_shop_of_a_version_with_a_port_gets_a_socket_by_itself() {
    let folder = open_folder();
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    store(&server).await.add_to_cart(&session("s"), None, &product("P"), 3).await.unwrap();
    server.stop().await.unwrap();
    let path = folder.path().join("postgres/credentials");
    let mut known: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    known["port"] = port.into();
    known.as_object_mut().unwrap().remove("socket");
    std::fs::write(&path, known.to_string()).unwrap();
    assert!(matches!(private_server::urls(folder.path()), Err(PrivateServerError::FormerVersion { .. })));
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    assert_eq!(store(&server).await.cart(&session("s")).await.unwrap().lines[0].quantity.units(), 3);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "nothing listens there");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_comes_back_at_the_same_socket_with_everything_committed() {
    let folder = open_folder();
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    let store = store(&server).await;
    for round in 1..=3 {
        store.add_to_cart(&session("s"), None, &product("P"), 1).await.unwrap();
        let killed = pid_of(folder.path());
        kill_process(Pid::from_raw(killed).unwrap(), Signal::KILL).unwrap();
        let died = Instant::now();
        // Processes of the dead server may still answer; only the new one counts.
        let replaced = || matches!(private_server::status(folder.path()), Ok(Status::Running { pid, .. }) if pid != killed);
        until("another process serves", replaced).await;
        let cart = loop {
            match store.cart(&session("s")).await {
                Ok(cart) => break cart,
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        };
        println!("killed postmaster to the next answer: {:?}", died.elapsed());
        assert_eq!(cart.lines[0].quantity.units(), round);
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_whose_process_was_killed_is_adopted() {
    let folder = open_folder();
    let mut holder = hold(folder.path(), Command::new(std::env::current_exe().unwrap()));
    until("the child has its server", || folder.path().join("held").exists()).await;
    let pid = pid_of(folder.path());
    assert!(matches!(
        PrivateServer::start(folder.path(), bin_dir().as_deref()).await,
        Err(PrivateServerError::InUse { pid, .. }) if pid == holder.id().to_string()
    ));
    assert!(matches!(private_server::delete(folder.path()).await, Err(PrivateServerError::InUse { .. })));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    assert_eq!(pid_of(folder.path()), pid, "the same process");
    assert_eq!(store(&server).await.cart(&session("held")).await.unwrap().lines[0].quantity.units(), 1);
    server.stop().await.unwrap();
    assert_eq!(private_server::status(folder.path()).unwrap(), Status::Stopped);
}

#[tokio::test]
async fn an_orphaned_server_is_stopped_before_it_is_deleted() {
    let folder = open_folder();
    let mut holder = hold(folder.path(), Command::new(std::env::current_exe().unwrap()));
    until("the child has its server", || folder.path().join("held").exists()).await;
    let pid = Pid::from_raw(pid_of(folder.path())).unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    private_server::delete(folder.path()).await.unwrap();
    assert!(rustix::process::test_kill_process(pid).is_err(), "it is gone");
    assert_eq!(private_server::status(folder.path()).unwrap(), Status::Absent);
}

#[tokio::test]
async fn as_root_its_files_are_where_its_user_can_reach_them() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root has to switch users");
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = closed.path().join("data");
    let server = PrivateServer::start(&data_dir, bin_dir().as_deref()).await.unwrap();
    let place = PathBuf::from(std::fs::read_to_string(data_dir.join("postgres/location")).unwrap().trim());
    assert!(place.starts_with("/var/lib") && place.join("cluster/PG_VERSION").exists(), "{}", place.display());
    store(&server).await.add_to_cart(&session("s"), None, &product("P"), 2).await.unwrap();
    server.stop().await.unwrap();
    let server = PrivateServer::start(&data_dir, bin_dir().as_deref()).await.unwrap();
    assert_eq!(store(&server).await.cart(&session("s")).await.unwrap().lines.len(), 1, "the place is remembered");
    server.stop().await.unwrap();
    private_server::delete(&data_dir).await.unwrap();
    assert!(!place.exists());
}

#[tokio::test]
async fn a_normal_user_needs_nothing_else() {
    let folder = open_folder();
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(&program);
    if rustix::process::geteuid().is_root() {
        // A copy, as the build's folder may be closed to other users.
        let copy = folder.path().join("tests");
        std::fs::copy(&program, &copy).unwrap();
        chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(copy);
    }
    let mut holder = hold(folder.path(), command);
    until("the user has a server", || folder.path().join("held").exists()).await;
    assert!(!folder.path().join("postgres/location").exists());
    let pid = Pid::from_raw(pid_of(folder.path())).unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    kill_process(pid, Signal::INT).unwrap();
    until("its server is gone", || private_server::status(folder.path()).unwrap() == Status::Stopped).await;
}

/// A panic, or a forgotten stop, leaves no server behind.
#[test]
fn a_server_that_is_only_dropped_ends() {
    let folder = open_folder();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let start = async || PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime().block_on(async {
            let _server = start().await;
            panic!("on the main path");
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(private_server::status(folder.path()).unwrap(), Status::Stopped);
    runtime().block_on(async {
        drop(start().await);
        until("it is stopped", || private_server::status(folder.path()).unwrap() == Status::Stopped).await;
        let starting = tokio::time::timeout(Duration::from_millis(20), start());
        assert!(starting.await.is_err(), "a start takes longer than that");
        until("it is stopped", || private_server::status(folder.path()).unwrap() == Status::Stopped).await;
        // A thread of an interrupted start may hold the directory a little longer.
        let again = loop {
            match PrivateServer::start(folder.path(), bin_dir().as_deref()).await {
                Err(PrivateServerError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                started => break started.unwrap(),
            }
        };
        again.stop().await.unwrap();
    });
}

/// As under a container's init process that reaps nothing: the adopted server's end leaves a zombie.
#[tokio::test]
async fn a_zombie_is_detected_and_replaced_and_does_not_block_a_stop() {
    let folder = open_folder();
    let test = "store_private_server::reaps_no_children";
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(COLLECT, folder.path()).stdin(Stdio::null());
    let output = program.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert_eq!(private_server::status(folder.path()).unwrap(), Status::Stopped);
}

/// Has an effect only in a child process of the test above.
#[tokio::test]
async fn reaps_no_children() {
    let Some(data_dir) = std::env::var_os(COLLECT).map(PathBuf::from) else { return };
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let mut holder = hold(&data_dir, Command::new(std::env::current_exe().unwrap()));
    until("the child has its server", || data_dir.join("held").exists()).await;
    holder.kill().unwrap();
    holder.wait().unwrap();
    let pid = Pid::from_raw(pid_of(&data_dir)).unwrap();
    let server = PrivateServer::start(&data_dir, bin_dir().as_deref()).await.unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let replaced =
        || matches!(private_server::status(&data_dir), Ok(Status::Running { pid: now, .. }) if now != pid.as_raw_nonzero().get());
    until("another process serves", replaced).await;
    assert!(rustix::process::test_kill_process(pid).is_ok(), "a zombie");
    assert_eq!(store(&server).await.cart(&session("held")).await.unwrap().lines[0].quantity.units(), 1);
    server.stop().await.unwrap();
}

pub fn hold(data_dir: &Path, mut program: Command) -> Child {
    let test = "store_private_server::holds_a_server_until_it_is_killed";
    program.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(HOLD, data_dir);
    program.stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/").spawn().unwrap()
}

/// Has an effect only in a child process of the tests above.
#[tokio::test]
async fn holds_a_server_until_it_is_killed() {
    let Some(data_dir) = std::env::var_os(HOLD).map(PathBuf::from) else { return };
    let server = PrivateServer::start(&data_dir, bin_dir().as_deref()).await.unwrap();
    store(&server).await.add_to_cart(&session("held"), None, &product("P"), 1).await.unwrap();
    std::fs::write(data_dir.join("held"), "").unwrap();
    std::future::pending::<()>().await;
}
