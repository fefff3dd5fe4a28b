//! PgBouncer in front of the database: used if it pools by session, refused by name otherwise.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use kartshoppe::store::{Checkout, DatabaseState, MigrationState, Store, StoreError, StoreOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, Row};

use crate::support::log::within;
use crate::support::place::Place;
use crate::support::postgres::{empty_database, open_folder, product, request, session, ten};
use crate::support::wal::WalShop;

/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

/// A running pooler; ends with the test.
struct Bouncer {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
    target: String,
}

/// The program's path, if it is installed; prints a message otherwise.
fn program() -> Option<PathBuf> {
    let found = ["pgbouncer", "/usr/sbin/pgbouncer"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no PgBouncer: apt-get install pgbouncer");
        let test = std::thread::current().name().unwrap_or("of a thread").to_owned();
        let line = format!("kartshoppe: SKIPPED test {test}: no PgBouncer; apt-get install pgbouncer\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    found.map(PathBuf::from)
}

impl Bouncer {
    /// A pooler for the database of this URL, with these settings.
    async fn start(url: &str, settings: &str) -> Option<Self> {
        let program = program()?;
        let options = PgConnectOptions::from_str(url).unwrap();
        let (name, user, server_port) = (options.get_database().unwrap(), options.get_username(), options.get_port());
        let credential = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap().0;
        let password = credential.split_once(':').unwrap().1;
        let socket = options.get_socket();
        let host = socket.map_or_else(|| options.get_host().to_owned(), |folder| folder.display().to_string());
        let target = format!("{name} = host={host} port={server_port} dbname={name} user={user} password={password}");
        let folder = open_folder();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut bouncer = Self { child: Command::new("true").spawn().unwrap(), folder, port, target };
        bouncer.write(settings);
        let mut command = Command::new(program);
        // It refuses to run as root; the owner of the server's socket can reach it.
        if rustix::process::getuid().is_root() {
            let owner = socket.map(|folder| std::fs::metadata(folder).unwrap().uid()).filter(|uid| *uid != 0);
            command.uid(owner.unwrap_or(NOBODY)).gid(NOBODY);
        }
        command.arg(bouncer.file()).stdout(Stdio::null()).stderr(Stdio::null());
        bouncer.child.wait().unwrap();
        bouncer.child = command.spawn().unwrap();
        within(async {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        Some(bouncer)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pgbouncer.ini")
    }

    fn write(&self, settings: &str) {
        let Self { target, port, .. } = self;
        let text = format!(
            "[databases]\n{target}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n"
        );
        std::fs::write(self.file(), text).unwrap();
        std::fs::set_permissions(self.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn url(&self) -> String {
        let name = self.target.split(' ').next().unwrap();
        format!("postgres://anybody@127.0.0.1:{}/{name}?sslmode=disable", self.port)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_pooler_of_transactions_or_statements_is_refused_by_name_and_nothing_is_set_in_its_connections() {
    for (mode, more) in [
        ("transaction", ""),
        ("transaction", "server_round_robin = 1"),
        ("statement", ""),
        ("statement", "default_pool_size = 1"),
    ] {
        let db = empty_database(StoreOptions::default()).await;
        let Some(bouncer) = Bouncer::start(&db.url, &format!("pool_mode = {mode}\n{more}")).await else { return };
        // Other clients have left idle connections behind, an even number of them.
        let mut others = Vec::new();
        for _ in 0..2 {
            let plain = PgConnectOptions::from_str(&bouncer.url()).unwrap().extra_float_digits(None);
            others.push(PgConnection::connect_with(&plain).await.unwrap());
        }
        if mode == "transaction" && more.is_empty() {
            for other in &mut others {
                other.execute(sqlx::raw_sql("BEGIN; SELECT 1")).await.unwrap();
            }
            for other in &mut others {
                other.execute(sqlx::raw_sql("ROLLBACK")).await.unwrap();
            }
        }
        let store = Store::new(&bouncer.url(), StoreOptions::default()).unwrap();
        let refusal = store.migrate().await.unwrap_err();
        let text = refusal.to_string();
        assert!(matches!(refusal, StoreError::Pooled { .. }) && !refusal.is_retryable(), "{text}");
        assert!(text.contains(&format!("pool_mode = {mode}")) && text.contains("pool_mode = session"), "{text}");
        assert!(matches!(store.migration_state(), MigrationState::Failed(_)));
        assert!(matches!(store.cart(&session("s")).await.unwrap_err(), StoreError::Pooled { .. }), "no call is made");
        for other in &mut others {
            for _ in 0..3 {
                let row = other.fetch_one(sqlx::raw_sql("SHOW enable_seqscan")).await.unwrap();
                assert_eq!(row.get::<String, _>(0), "on");
            }
        }
    }
}

/// The mode is corrected while the shop runs, which resumes by itself.
#[tokio::test]
async fn a_pooler_of_sessions_is_used_like_postgresql() {
    let db = empty_database(StoreOptions::default()).await;
    let Some(bouncer) = Bouncer::start(&db.url, "pool_mode = transaction").await else { return };
    let store = Store::new(&bouncer.url(), StoreOptions::default()).unwrap();
    store.migrate().await.unwrap_err();
    bouncer.write("pool_mode = session\ndefault_pool_size = 40");
    rustix::process::kill_process(rustix::process::Pid::from_child(&bouncer.child), rustix::process::Signal::HUP).unwrap();
    within(async {
        while store.migrate().await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    assert_eq!(store.state().await.unwrap(), DatabaseState::Writable);
    for number in 0..20 {
        let name = format!("s{number}");
        store.add_to_cart(&session(&name), None, &product("P"), 1).await.unwrap();
        assert!(matches!(store.checkout(&request(&name), ten).await.unwrap(), Checkout::Placed(..)));
    }
    store.close().await;
}

/// A pool of one server connection cannot be judged, and PostgreSQL itself is never taken for a pooler, with any number of
/// connections.
#[tokio::test]
async fn postgresql_itself_is_never_refused() {
    let db = empty_database(StoreOptions::default()).await;
    let stores = (0..8).map(|_| {
        let url = db.url.clone();
        tokio::spawn(async move { Store::new(&url, StoreOptions::default()).unwrap().migrate().await })
    });
    for store in stores.collect::<Vec<_>>() {
        store.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_whose_url_leads_to_a_pooler_says_so() {
    let place = Place::embedded();
    let mut shop = WalShop::open(&place).await;
    let Some(bouncer) = Bouncer::start(&shop.database.cdc_url, "pool_mode = session").await else { return };
    shop.config.url = bouncer.url();
    let reader = shop.reader().await;
    reader.alarms("points to a pooler").await;
    reader.stop().await;
    shop.database.store.close().await;
}
