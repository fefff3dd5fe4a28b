//! A managed PostgreSQL: TLS only, a certificate of a CA that this test makes, checked in full by the shop and by its WAL reader.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use kartshoppe::store::private_server::PrivateServer;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::place::{Place, on_each_log};
use crate::support::postgres::{bin_dir, open_folder};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

/// A PostgreSQL that accepts only TLS connections.
struct TlsServer {
    server: PrivateServer,
    certificates: tempfile::TempDir,
    _folder: tempfile::TempDir,
}

impl TlsServer {
    async fn start() -> Self {
        let (folder, certificates) = (open_folder(), open_folder());
        let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
        let mut admin = PgConnection::connect(&server.urls().admin).await.unwrap();
        admin.execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1'").await.unwrap();
        server.stop().await.unwrap();
        // The number in the socket's name is the port, too.
        let credentials = folder.path().join("postgres/credentials");
        let mut known: Value = serde_json::from_slice(&std::fs::read(&credentials).unwrap()).unwrap();
        known["port"] = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().into();
        std::fs::write(&credentials, known.to_string()).unwrap();
        let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
        let mut admin = PgConnection::connect(&server.urls().admin).await.unwrap();
        let cluster: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut admin).await.unwrap();
        make_certificates(certificates.path());
        // PostgreSQL accepts a key only if it belongs to its user and no other can read it.
        let owner = std::fs::metadata(&cluster).unwrap();
        for name in ["server.key", "server.crt"] {
            let to = Path::new(&cluster).join(name);
            std::fs::copy(certificates.path().join(name), &to).unwrap();
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).unwrap();
            chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let access = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(Path::new(&cluster).join("pg_hba.conf"), access).unwrap();
        admin.execute("ALTER SYSTEM SET ssl = on").await.unwrap();
        admin.execute("SELECT pg_reload_conf()").await.unwrap();
        Self { server, certificates, _folder: folder }
    }

    fn ca(&self, name: &str) -> PathBuf {
        self.certificates.path().join(name)
    }

    /// A URL with the certificate checked in full against this CA, under this name of the host.
    fn with_tls(&self, url: &str, host: &str, ca: &str) -> String {
        let (before, rest) = url.split_once('@').unwrap();
        let (_, port_and_rest) = rest.split_once(':').unwrap();
        let url = format!("{before}@{host}:{port_and_rest}");
        url.replace("sslmode=disable", &format!("sslmode=verify-full&sslrootcert={}", self.ca(ca).display()))
    }

    /// One text from the database, as the superuser sees it.
    async fn ask(&self, question: &str) -> Option<String> {
        let url = self.with_tls(&self.server.urls().admin, "127.0.0.1", "ca.crt");
        let mut admin = PgConnection::connect(&url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(question.to_owned())).fetch_one(&mut admin).await.unwrap()
    }
}

/// A CA with a certificate for 127.0.0.1, and another CA that signed nothing.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let made = made.unwrap_or_else(|error| panic!("openssl is needed, install openssl: {error}"));
        assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
    };
    for ca in ["ca", "other"] {
        openssl(&format!("req -x509 -newkey rsa:2048 -nodes -keyout {ca}.key -out {ca}.crt -days 2 -subj /CN={ca}"));
    }
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=database");
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n").unwrap();
    openssl("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt");
}

fn options(place: &Place, database: &str, cdc: &str) -> Options {
    place.options().set("DATABASE_URL", database).set("KARTSHOPPE__CDC__DATABASE_URL", cdc)
}

on_each_log!(at length:
    orders_settle_over_tls_that_is_checked_in_full,
    a_certificate_that_does_not_fit_is_refused_with_the_reason,
);

async fn orders_settle_over_tls_that_is_checked_in_full(place: Place) {
    let tls = TlsServer::start().await;
    let urls = tls.server.urls().clone();
    let plain = tls.with_tls(&urls.database, "127.0.0.1", "ca.crt").replace("sslmode=verify-full", "sslmode=disable");
    let plain = PgConnection::connect(&plain).await;
    assert!(plain.is_err(), "no connection without TLS");
    let (database, cdc) = (tls.with_tls(&urls.database, "127.0.0.1", "ca.crt"), tls.with_tls(&urls.cdc, "127.0.0.1", "ca.crt"));
    let server = Server::start_filled(options(&place, &database, &cdc)).await;
    for (number, use_cdc) in [true, false].into_iter().enumerate() {
        let shopper = Shopper::new(&format!("tls-{number}"));
        shopper.add(&server, "PROD_0003", 1).await;
        let (status, order) = shopper.checkout(&server, use_cdc).await;
        assert_eq!(status, 200, "{order}");
        assert_eq!(shopper.settled(&server, order["orderId"].as_str().unwrap()).await["status"], "CONFIRMED");
    }
    let encrypted = "SELECT string_agg(DISTINCT application_name || ' ' || ssl || ' ' || version, ', ')
                     FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'kartshoppe%'";
    let encrypted = tls.ask(encrypted).await.unwrap();
    assert!(encrypted.contains("kartshoppe true TLSv1.3") && encrypted.contains("kartshoppe-cdc true TLSv1.3"), "{encrypted}");
    assert!(!encrypted.contains("false"), "{encrypted}");
    let reader = "SELECT count(*)::text FROM pg_stat_replication JOIN pg_stat_ssl USING (pid) WHERE ssl";
    assert_eq!(tls.ask(reader).await.as_deref(), Some("1"), "the stream itself is encrypted");
    drop(server);
    tls.server.stop().await.unwrap();
}

/// A certificate of the wrong CA, and the right one under another name: nothing is read, and the reason is on `/readyz`.
async fn a_certificate_that_does_not_fit_is_refused_with_the_reason(place: Place) {
    let tls = TlsServer::start().await;
    let urls = tls.server.urls().clone();
    let good = tls.with_tls(&urls.database, "127.0.0.1", "ca.crt");
    for (host, ca, reason) in [("127.0.0.1", "other.crt", "UnknownIssuer"), ("localhost", "ca.crt", "not valid for name")] {
        let mut server = Server::launch(options(&place, &good, &tls.with_tls(&urls.cdc, host, ca)));
        let told = server.until_not_ready_because("TLS certificate was not accepted").await;
        assert!(told.contains("sslrootcert=FILE") && told.contains(reason), "{told}");
        let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("kartshoppe_cdc_alarm{alarm=\"tls\"} 1"), "{metrics}");
        assert_eq!(server.get("/api/ecommerce/status").await["cdc"], Value::from("running"));
        server.kill();
    }
    tls.server.stop().await.unwrap();
}
