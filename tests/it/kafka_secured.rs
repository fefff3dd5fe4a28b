//! A Kafka with TLS and passwords: the right password and a trusted certificate open it; any other start fails and says what is
//! wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use kartshoppe::log::kafka::{KafkaConfig, KafkaLog};
use kartshoppe::log::{EventLog, LogError};
use kartshoppe::wire::topics::Topic;
use tokio::time::Instant;

use crate::support::kafka::prefix;
use crate::support::kafka_secured::{PASSWORD, Secured, USER, secured};
use crate::support::log::{append, read_all, record, text};
use crate::support::postgres;
use crate::support::server::{Options, Server};

/// A start that cannot succeed ends with the reason after a few seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
const GUESSED: &str = "xyzzy-guessed";

fn config(secured: &Secured, mechanism: &str, change: (&str, &str)) -> KafkaConfig {
    let authority = secured.authority.display().to_string();
    let mut properties: BTreeMap<String, String> = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", &authority),
        ("sasl.mechanism", mechanism),
        ("sasl.username", USER),
        ("sasl.password", PASSWORD),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    properties.insert(change.0.to_owned(), change.1.to_owned());
    KafkaConfig { bootstrap_servers: secured.broker.address.clone(), topic_prefix: prefix("secured"), properties, partitions: 4 }
}

/// Why a log with this configuration does not open.
async fn refusal(config: KafkaConfig) -> String {
    let started = Instant::now();
    let Err(LogError::Refused(text)) = KafkaLog::open(config).await else { panic!("the log was opened, or waits") };
    assert!(started.elapsed() < ENDS_WITHIN, "after {:?}", started.elapsed());
    assert!(!text.contains(GUESSED) && !text.contains(PASSWORD), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_opens_with_the_right_password_and_says_what_is_wrong_otherwise() {
    let Some(secured) = secured() else { return };
    let unknown_ca = secured.unknown_ca.display().to_string();
    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        let right = config(&secured, mechanism, ("client.id", "right"));
        let log = KafkaLog::open(right).await.unwrap();
        log.create_topics(&[Topic::OrderEvents]).await.unwrap();
        append(&log, vec![record(Topic::OrderEvents, "P1", "by a friend")]).await;
        assert_eq!(read_all(&log, Topic::OrderEvents).await.iter().map(text).collect::<Vec<_>>(), ["by a friend"]);

        let said = refusal(config(&secured, mechanism, ("sasl.password", GUESSED))).await;
        println!("wrong password, {mechanism}: {said}");
        assert!(said.to_lowercase().contains("authentication"), "{said}");
        let said = refusal(config(&secured, mechanism, ("ssl.ca.location", &unknown_ca))).await;
        println!("unknown authority, {mechanism}: {said}");
        assert!(said.contains("certificate verify failed") && said.contains("ssl.ca.location"), "{said}");
    }
    let said = refusal(config(&secured, "SCRAM-SHA-256", ("client.id", "other"))).await;
    println!("a mechanism that the broker does not have: {said}");
    assert!(said.contains("SCRAM-SHA-512"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_managed_profile_opens_the_shop_or_ends_the_start_with_the_reason() {
    let Some(secured) = secured() else { return };
    let database = postgres::database().await;
    let options = |password: &str| {
        let options = Options::default()
            .set("DATABASE_URL", &database.url)
            .set("KARTSHOPPE__CDC__DATABASE_URL", &database.cdc_url)
            .set("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS", &secured.broker.address)
            .set("KARTSHOPPE__KAFKA__TOPIC_PREFIX", prefix("managed"))
            .set("KARTSHOPPE__KAFKA__PROPERTIES__SASL_USERNAME", USER)
            .set("KARTSHOPPE__KAFKA__PROPERTIES__SASL_PASSWORD", password)
            .set("KARTSHOPPE__KAFKA__PROPERTIES__SSL_CA_LOCATION", secured.authority.display());
        Options { arguments: ["--profile", "managed", "--roles", "api,inventory"].map(str::to_owned).to_vec(), ..options }
    };
    let started = Instant::now();
    let mut refused = Server::launch(options(GUESSED));
    assert_eq!(refused.wait().await, Some(1));
    assert!(started.elapsed() < ENDS_WITHIN * 2, "after {:?}", started.elapsed());
    let said = refused.log_tail();
    println!("{said}");
    assert!(said.to_lowercase().contains("authentication") && !said.contains(GUESSED), "{said}");

    let server = Server::start(options(PASSWORD)).await;
    server.until_products(200).await;
}
