//! A real PostgreSQL for the tests: one private server for the whole binary, a database for each test.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use kartshoppe::domain::ids::{ProductId, SessionId, UserId};
use kartshoppe::domain::money::Cents;
use kartshoppe::store::private_server::{self, PrivateServer, Status, Urls};
use kartshoppe::store::{CheckoutRequest, Offer, PublishVia, Store, StoreOptions};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// A database of one test.
pub struct TestDatabase {
    pub store: Store,
    /// URL of the shop's role, which owns it.
    pub url: String,
    /// URL of the superuser.
    pub admin_url: String,
    /// URL of the WAL reader's role.
    pub cdc_url: String,
}

/// The configured directory of this machine's PostgreSQL, if any.
pub fn bin_dir() -> Option<PathBuf> {
    std::env::var_os("KARTSHOPPE__POSTGRES__BIN_DIR").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A new database with the current schema.
pub async fn database() -> TestDatabase {
    database_with(StoreOptions::default()).await
}

/// A new database with the current schema, and a store with these options.
pub async fn database_with(options: StoreOptions) -> TestDatabase {
    let database = empty_database(options).await;
    database.store.migrate().await.unwrap();
    database
}

/// A new database without tables.
pub async fn empty_database(options: StoreOptions) -> TestDatabase {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let urls = server();
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&urls.admin).await.unwrap();
    admin.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name} OWNER kartshoppe")))).await.unwrap();
    let own = |url: &str, default: &str| url.replace(&format!("/{default}?"), &format!("/{name}?"));
    let url = own(&urls.database, "kartshoppe");
    TestDatabase {
        store: Store::new(&url, options).unwrap(),
        url,
        admin_url: own(&urls.admin, "postgres"),
        cdc_url: own(&urls.cdc, "kartshoppe"),
    }
}

/// A folder that the server's user can reach, also when the tests run as root.
pub fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("kartshoppe-test-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// PostgreSQL's own files of a data directory, which may lie outside it where the tests run as root.
pub fn cluster_of(data_dir: &Path) -> PathBuf {
    let home = data_dir.join("postgres");
    let elsewhere = std::fs::read_to_string(home.join("location"));
    elsewhere.map_or(home, |place| PathBuf::from(place.trim())).join("cluster")
}

/// The server of this test binary. It runs in its own thread, as each test has its own runtime.
fn server() -> &'static Urls {
    static SERVER: OnceLock<Urls> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = open_folder().keep();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let server = PrivateServer::start(&folder, bin_dir().as_deref()).await.unwrap();
                end_with_us(&folder);
                sender.send(server.urls().clone()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    })
}

/// No code of ours runs when a test binary ends, so a shell waits for its end (by a pipe that then closes), stops the server and
/// deletes the folder.
fn end_with_us(folder: &Path) {
    let script = r#"read -r folder; cat >/dev/null
        pid=$(head -n 1 "$folder/postgres/cluster/postmaster.pid") && kill -INT "$pid"
        socket=$(sed -n 5p "$folder/postgres/cluster/postmaster.pid")
        while [ -e "$folder/postgres/cluster/postmaster.pid" ]; do sleep 0.1; done
        rm -rf "$folder"; rmdir "$socket""#;
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    writeln!(shell.stdin.as_mut().unwrap(), "{}", folder.display()).unwrap();
    std::mem::forget(shell);
}

pub fn session(id: &str) -> SessionId {
    SessionId::new(id).unwrap()
}

pub fn product(id: &str) -> ProductId {
    ProductId::new(id).unwrap()
}

/// A checkout of that session by a guest, through `wal`.
pub fn request(session_id: &str) -> CheckoutRequest {
    CheckoutRequest {
        session_id: session(session_id),
        user_id: UserId::new("guest").unwrap(),
        publish_via: PublishVia::Wal,
        shipping_address: None,
        payment_method: None,
        payment_info: None,
        expected_total: None,
        idempotency_key: None,
        trace: None,
    }
}

/// An offer that sells everything for 10.00.
pub fn ten(product_id: &ProductId) -> Option<Offer> {
    Some(Offer { name: format!("The {product_id}"), price: Cents::new(1_000).unwrap() })
}

/// One number from the database.
pub async fn count(store: &Store, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap()
}

/// Sends a signal to the private server of a data directory and to every process of it.
pub fn signal_all(data_dir: &Path, signal: Signal) {
    let Status::Running { pid, .. } = private_server::status(data_dir).unwrap() else { panic!("no server runs") };
    let parent_of = |process: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let children = all.filter(|process| parent_of(process) == Some(pid)).map(|process| process.parse().unwrap());
    for pid in children.chain([pid]) {
        // A backend may have ended already.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
    }
}
