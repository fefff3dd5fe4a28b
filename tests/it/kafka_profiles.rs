//! The profiles that are shipped for Kafka: they load, they only override, and a librdkafka takes what they say.

use std::path::Path;

use kartshoppe::config::{Config, LoadOptions, Loaded, LogKind};
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;

fn load(profile: &str, environment: &[(&str, &str)]) -> Loaded {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(&LoadOptions { folder, profile: Some(profile.to_owned()), environment, flags: Vec::new() }).unwrap()
}

/// The keys that a profile sets, each of which must differ from its default.
fn overrides(profile: &str) -> Vec<String> {
    let (plain, loaded) = (Config::load(&LoadOptions::default()).unwrap(), load(profile, &[]));
    let from_profile = loaded.origins.iter().filter(|(_, (_, origin))| origin.ends_with(&format!("{profile}.toml")));
    from_profile
        .map(|(key, (value, _))| {
            assert_ne!(plain.origins.get(key).map(|(default, _)| default), Some(value), "{key} is the default's again");
            key.clone()
        })
        .collect()
}

#[test]
fn the_profile_of_a_kafka_of_ones_own_chooses_kafka() {
    assert_eq!(overrides("kafka"), ["log.kind"]);
    assert_eq!(load("kafka", &[]).config.log.kind, LogKind::Kafka);
}

#[test]
fn the_profile_of_a_managed_kafka_needs_only_an_address_and_a_password() {
    assert!(overrides("managed").iter().all(|key| key == "log.kind" || key.starts_with("kafka.properties.")));
    let loaded = load(
        "managed",
        &[
            ("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1"),
            ("KARTSHOPPE__KAFKA__PROPERTIES__SASL_USERNAME", "shop"),
            ("KARTSHOPPE__KAFKA__PROPERTIES__SASL_PASSWORD", "secret"),
        ],
    );
    assert_eq!(loaded.config.log.kind, LogKind::Kafka);
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &loaded.config.kafka.bootstrap_servers);
    for (name, value) in &loaded.config.kafka.properties {
        client.set(name, value);
    }
    // An unknown property, a bad value or a missing password is refused here.
    client.create::<BaseConsumer>().unwrap();
    assert_eq!(client.get("security.protocol"), Some("SASL_SSL"));
    client.remove("sasl.password");
    assert!(client.create::<BaseConsumer>().is_err(), "a client without a password was made");
}
