//! A Kafka that grants permissions one by one: a missing one is named with advice, the process stays up, and resumes by itself
//! once the permission is granted. At start and while running.

use std::time::Duration;

use kartshoppe::log::EventLog;
use kartshoppe::log::kafka::{KafkaConfig, KafkaLog};
use kartshoppe::telemetry::alarms::Cause;
use kartshoppe::wire::topics::Topic;
use serde_json::Value;

use crate::support::alarm::{is_over, stands};
use crate::support::engine::{Ledger, ids, order, product, until_committed};
use crate::support::java::Permissions;
use crate::support::kafka::prefix;
use crate::support::kafka_secured::{CLERK, PASSWORD, Secured, USER, secured};
use crate::support::log::append;
use crate::support::postgres;
use crate::support::server::{Options, Server};

const PRODUCTS: usize = 8;
const STOCK: i64 = 1_000;
const SLOT: &str = "rights_of_the_reader";
/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(90);

/// The log as a user with every permission sees it.
async fn log(secured: &Secured, prefix: &str) -> KafkaLog {
    let authority = secured.authority.display().to_string();
    let properties = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", &authority),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", USER),
        ("sasl.password", PASSWORD),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (bootstrap_servers, topic_prefix) = (secured.broker.address.clone(), prefix.to_owned());
    KafkaLog::open(KafkaConfig { bootstrap_servers, topic_prefix, properties: properties.into(), partitions: 4 }).await.unwrap()
}

async fn options(secured: &Secured, prefix: &str, catalogue: &std::path::Path) -> Options {
    let products: Vec<_> =
        ids(PRODUCTS).map(|id| String::from_utf8(product(&id, STOCK).value.unwrap().to_vec()).unwrap()).collect();
    std::fs::write(catalogue, format!("[{}]", products.join(","))).unwrap();
    let database = postgres::database().await;
    let options = Options::default()
        .set("DATABASE_URL", &database.url)
        .set("KARTSHOPPE__CDC__DATABASE_URL", &database.cdc_url)
        .set("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS", &secured.broker.address)
        .set("KARTSHOPPE__KAFKA__TOPIC_PREFIX", prefix)
        .set("KARTSHOPPE__KAFKA__PROPERTIES__SASL_USERNAME", CLERK)
        .set("KARTSHOPPE__KAFKA__PROPERTIES__SASL_PASSWORD", PASSWORD)
        .set("KARTSHOPPE__KAFKA__PROPERTIES__SSL_CA_LOCATION", secured.authority.display())
        .set("KARTSHOPPE__CDC__SLOT", SLOT)
        .set("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE", catalogue.display());
    Options { arguments: ["--profile", "managed", "--roles", "api,inventory"].map(str::to_owned).to_vec(), ..options }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_named_and_work_resumes_once_it_is_granted() {
    let Some(secured) = secured() else { return };
    let mut permissions = Permissions::of(&format!("User:{CLERK}"), &secured.broker.internal_address());
    let prefix = prefix("permissions");
    let (group, id) = (format!("{prefix}kartshoppe-inventory"), format!("{prefix}kartshoppe-inventory-"));
    let files = tempfile::tempdir().unwrap();
    let mut server = Server::launch(options(&secured, &prefix, &files.path().join("products.json")).await);

    // Nothing is granted at first; then one permission after the other, each named before it is granted.
    let missing = |operation: &str, resource: &str| format!("--operation {operation} {resource}");
    let topic = format!("--topic {prefix}");
    server.until_not_ready_because(&missing("CREATE", &topic)).await;
    let pid = server.info.pid;
    permissions.grant("TOPIC", &prefix, "CREATE,DESCRIBE,DESCRIBE_CONFIGS");
    server.until_not_ready_because(&missing("WRITE", &format!("--transactional-id {id}"))).await;
    permissions.grant("TRANSACTIONAL_ID", &id, "WRITE");
    server.until_not_ready_because(&missing("READ", &format!("--group {group}"))).await;
    permissions.grant("GROUP", &group, "READ");
    server.until_not_ready_because(&missing("READ", &topic)).await;
    permissions.grant("TOPIC", &prefix, "READ");
    server.until_not_ready_because(&missing("WRITE", &topic)).await;
    permissions.grant("TOPIC", &prefix, "WRITE");
    server.wait_until_ready().await;
    server.until_products(PRODUCTS).await;
    // The WAL reader writes under the name of its slot.
    let slot = format!("{prefix}cdc-{SLOT}");
    let (status, body) = server.operate("/admin/roles/cdc/start", &Value::Null).await;
    assert_eq!(status, 200, "{body}");
    server.until_not_ready_because(&missing("WRITE", &format!("--transactional-id {slot}"))).await;
    permissions.grant("TRANSACTIONAL_ID", &slot, "WRITE");
    server.wait_until_ready().await;

    // The same with a shop that has work.
    let log = log(&secured, &prefix).await;
    let later = [
        ("TRANSACTIONAL_ID", &id, "WRITE", missing("WRITE", &format!("--transactional-id {id}"))),
        ("GROUP", &group, "READ", missing("READ", &format!("--group {group}"))),
        ("TOPIC", &prefix, "READ", missing("READ", &topic)),
        ("TOPIC", &prefix, "WRITE", missing("WRITE", &topic)),
    ];
    let mut orders = 0;
    for (kind, name, operation, said) in &later {
        permissions.revoke(kind, name, operation);
        orders += order_of_each(&log, orders).await;
        let told = server.until_not_ready_because(said).await;
        println!("{kind} {operation}: {told}");
        permissions.grant(kind, name, operation);
        orders += order_of_each(&log, orders).await;
        let served = tokio::time::timeout(PATIENCE, until_committed(&log)).await;
        assert!(served.is_ok(), "it does not go on after {kind} {operation}\n{}", server.log_tail());
        server.wait_until_ready().await;
    }
    assert_eq!(server.info.pid, pid, "one process all the time");
    Ledger::read(&log).await.check_conservation(PRODUCTS, STOCK, orders);
}

/// Orders one of each product, numbered from here on; how many that were.
async fn order_of_each(log: &dyn EventLog, from: usize) -> usize {
    append(log, ids(PRODUCTS).enumerate().map(|(n, id)| order(from + n, &id, 1)).collect()).await;
    PRODUCTS
}

/// A permission that only checks need: without it the shop is ready, and reports what it cannot check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_only_checks_need_is_a_warning() {
    let Some(secured) = secured() else { return };
    let mut permissions = Permissions::of(&format!("User:{CLERK}"), &secured.broker.internal_address());
    let prefix = prefix("looks");
    let (group, id) = (format!("{prefix}kartshoppe-inventory"), format!("{prefix}kartshoppe-inventory-"));
    permissions.grant("TRANSACTIONAL_ID", &id, "WRITE");
    permissions.grant("GROUP", &group, "READ");
    for topic in Topic::ALL.into_iter().filter(|topic| *topic != Topic::Health) {
        permissions.grant("TOPIC", &format!("{prefix}{}", topic.name()), "CREATE,DESCRIBE,DESCRIBE_CONFIGS,READ,WRITE");
    }
    let health = format!("{prefix}{}", Topic::Health.name());
    permissions.grant("TOPIC", &health, "CREATE,DESCRIBE,DESCRIBE_CONFIGS,READ");
    let files = tempfile::tempdir().unwrap();
    let options = options(&secured, &prefix, &files.path().join("products.json")).await;
    let options = options.set("KARTSHOPPE__HEALTH__TRIAL_WRITE_AFTER", "1s");
    let server = Server::start(options).await;
    stands(&server, Cause::TrialWriteRefused, &["the topic health cannot be created or written to"]).await;
    permissions.grant("TOPIC", &health, "WRITE");
    is_over(&server, Cause::TrialWriteRefused).await;
    let products = format!("{prefix}{}", Topic::Products.name());
    permissions.revoke("TOPIC", &products, "DESCRIBE_CONFIGS");
    let words = ["the settings of products cannot be read", "--operation DESCRIBE_CONFIGS"];
    stands(&server, Cause::TopicPolicyUnknown, &words).await;
    permissions.grant("TOPIC", &products, "DESCRIBE_CONFIGS");
    is_over(&server, Cause::TopicPolicyUnknown).await;
}
