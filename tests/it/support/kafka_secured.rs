//! A broker that requires TLS and a password and grants permissions one by one, like a managed Kafka.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::java::jdk;
use super::kafka::{Broker, is_there};

/// The user with every permission.
pub const USER: &str = "shop";
/// The user with only granted permissions: none at first.
pub const CLERK: &str = "clerk";
/// The password of both.
pub const PASSWORD: &str = "open-sesame";

/// Password of the key stores, which exist as long as a test.
const STORE_PASSWORD: &str = "changeit";

/// The broker, with files for its clients.
pub struct Secured {
    pub broker: Broker,
    /// The CA of the broker's certificate, which is the certificate itself.
    pub authority: PathBuf,
    /// Another CA with the same name.
    pub unknown_ca: PathBuf,
    _folder: tempfile::TempDir,
}

/// Starts it; `None` where there is no Kafka, with a message.
pub fn secured() -> Option<Secured> {
    if !is_there() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (store, authority) = certificate(folder.path(), "broker");
    let (_, unknown_ca) = certificate(folder.path(), "unknown_ca");
    let module = "org.apache.kafka.common.security";
    let broker = Broker::own(&[
        "listener.security.protocol.map=CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN",
        &format!("listener.name.client.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;"),
        &format!(
            "listener.name.client.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";"
        ),
        "listener.name.client.ssl.keystore.type=PKCS12",
        &format!("listener.name.client.ssl.keystore.location={}", store.display()),
        &format!("listener.name.client.ssl.keystore.password={STORE_PASSWORD}"),
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        // Only the broker itself and a test's administrator use the listeners without authentication.
        &format!("super.users=User:{USER};User:ANONYMOUS"),
        &format!("--add-scram=SCRAM-SHA-512=[name={USER},password={PASSWORD}]"),
        &format!("--add-scram=SCRAM-SHA-512=[name={CLERK},password={PASSWORD}]"),
    ])?;
    Some(Secured { broker, authority, unknown_ca, _folder: folder })
}

/// Creates a key for this machine and its self-signed certificate: the key store with both, and the certificate as PEM.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (store, file) = (folder.join(format!("{name}.p12")), folder.join(format!("{name}.pem")));
    let generate = ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=A broker of the tests"];
    keytool(&store, &[&generate[..], &["-ext", "san=ip:127.0.0.1,dns:localhost", "-ext", "bc:c", "-validity", "2"]].concat());
    keytool(&store, &["-exportcert", "-rfc", "-file", &file.display().to_string()]);
    (store, file)
}

fn keytool(store: &Path, arguments: &[&str]) {
    let mut command = Command::new(jdk("keytool"));
    command.args(arguments).args(["-alias", "key", "-storetype", "PKCS12", "-storepass", STORE_PASSWORD, "-keystore"]).arg(store);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
}
