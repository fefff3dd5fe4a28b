use super::*;

fn options(environment: &[(&str, &str)]) -> LoadOptions {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    LoadOptions { folder: "/nonexistent".into(), environment, ..LoadOptions::default() }
}

#[test]
fn defaults_alone_are_a_configuration() {
    let loaded = Config::load(&options(&[])).unwrap();
    assert_eq!(loaded.config.http.listen.port(), 8081);
    assert_eq!(loaded.config.inventory.stale_after, Duration::from_secs(3600));
    assert!(loaded.origins.values().all(|(_, origin)| origin == "default"));
}

#[test]
fn environment_and_flags_win_and_are_named() {
    let mut options = options(&[
        ("KARTSHOPPE__INVENTORY__STALE_AFTER", "500ms"),
        ("KARTSHOPPE__KAFKA__PROPERTIES__SASL_USERNAME", "shop"),
        ("DATABASE_URL", "postgres://shop:hush@db/shop"),
        ("KARTSHOPPE__HTTP__LISTEN", "127.0.0.1:1"),
    ]);
    options.flags.push(("http.listen", "127.0.0.1:2".to_owned()));
    let loaded = Config::load(&options).unwrap();
    assert_eq!(loaded.config.inventory.stale_after, Duration::from_millis(500));
    assert_eq!(loaded.config.kafka.properties["sasl.username"], "shop");
    assert_eq!(loaded.config.http.listen.port(), 2);
    let printed = print(&loaded);
    assert!(printed.contains("DATABASE_URL") && printed.contains("postgres://shop:***@db/shop"), "{printed}");
    assert!(!printed.contains("hush"));
}

#[test]
fn all_problems_are_told_at_once() {
    let wrong = options(&[
        ("KARTSHOPPE__HTTP__LISTEN", "nowhere"),
        ("KARTSHOPPE__HTTP__LISTENN", "127.0.0.1:1"),
        ("KARTSHOPPE__INVENTORY__STALE_AFTER", "an hour"),
        ("KARTSHOPPE__INVENTORY__PARTITIONS", "four"),
        ("KARTSHOPPE__FAULTS__ENABLED", "yes"),
        ("KARTSHOPPE__LOG__KIND", "paper"),
    ]);
    let ConfigError(problems) = Config::load(&wrong).unwrap_err();
    assert_eq!(problems.len(), 6, "{problems:#?}");
    let ConfigError(problems) =
        Config::load(&options(&[("KARTSHOPPE__INVENTORY__PARTITIONS", "0"), ("KARTSHOPPE__CDC__SLOT", "No")])).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].contains("KARTSHOPPE__INVENTORY__PARTITIONS"), "{problems:#?}");
}

#[test]
fn budgets_in_bytes_have_a_least_size() {
    let keys = ["KARTSHOPPE__HTTP__MAX_WAITING_BYTES", "KARTSHOPPE__LOG__TRACKED_RETAINED_BYTES"];
    for (bytes, wrong) in [("1048575", 2), ("0", 2), ("1048576", 0)] {
        let problems = match Config::load(&options(&keys.map(|key| (key, bytes)))) {
            Ok(_) => Vec::new(),
            Err(ConfigError(problems)) => problems,
        };
        assert_eq!(problems.len(), wrong, "{bytes}: {problems:#?}");
        assert!(problems.iter().zip(keys).all(|(problem, key)| problem.contains(key)), "{problems:#?}");
    }
}

#[test]
fn names_of_hosts_and_origins_are_checked() {
    let named = options(&[
        ("KARTSHOPPE__HTTP__ALLOWED_HOSTS", "shop.example, shop.example:8443"),
        ("KARTSHOPPE__HTTP__ALLOWED_ORIGINS", "https://shop.example/"),
    ]);
    assert_eq!(Config::load(&named).unwrap().config.http.allowed_hosts, ["shop.example", "shop.example:8443"]);
    let wrong = options(&[
        ("KARTSHOPPE__HTTP__ALLOWED_HOSTS", "https://shop.example"),
        ("KARTSHOPPE__HTTP__ALLOWED_ORIGINS", "*"),
        ("KARTSHOPPE__ADMIN__ALLOWED_HOSTS", "localhost, ops.example/path"),
        ("KARTSHOPPE__HTTP__TRUSTED_PROXIES", "10.0.0.7, 10.0.0.0/33"),
    ]);
    let ConfigError(problems) = Config::load(&wrong).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    let proxies = problems.iter().find(|problem| problem.contains("KARTSHOPPE__HTTP__TRUSTED_PROXIES"));
    assert!(proxies.is_some_and(|problem| problem.contains("\"10.0.0.0/33\"")), "{problems:#?}");
    assert!(
        problems[0].contains("KARTSHOPPE__HTTP__ALLOWED_HOSTS") && problems[0].contains("https://shop.example"),
        "{problems:#?}"
    );
}

#[test]
fn a_profile_that_is_missing_is_an_error() {
    let mut options = options(&[]);
    options.profile = Some("nothing".to_owned());
    assert!(Config::load(&options).unwrap_err().to_string().contains("nothing.toml"));
}

#[test]
fn every_committed_profile_loads() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let profile = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let options = LoadOptions { folder: folder.clone(), profile: Some(profile), ..LoadOptions::default() };
        Config::load(&options).unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.toml"), "[postgres]\ndatabase_url = \"postgres://u:hunter2@db/shop\n").unwrap();
    let options = LoadOptions { folder: folder.path().into(), profile: Some("own".to_owned()), ..LoadOptions::default() };
    let message = Config::load(&options).unwrap_err().to_string();
    assert!(message.contains("own.toml: line 2: ") && !message.contains("hunter2"), "{message}");
}

#[test]
fn the_address_of_traces_is_empty_or_names_the_trace_once() {
    let load = |url: &str| Config::load(&options(&[("KARTSHOPPE__TELEMETRY__TRACE_URL", url)]));
    for good in
        ["", "http://localhost:16686/trace/{trace_id}", "https://traces.example?id={trace_id}", "http://[::1]:3000/#/{trace_id}"]
    {
        assert_eq!(load(good).unwrap().config.telemetry.trace_url, good);
    }
    for bad in [
        "http://localhost:16686/trace/",
        "http://localhost/{trace_id}/{trace_id}",
        "http://{trace_id}/",
        "http://user@jaeger/{trace_id}",
        "jaeger/{trace_id}",
        "javascript:alert({trace_id})",
        "javascript://x/{trace_id}",
        "http://jaeger/a b/{trace_id}",
        "http://jaeger/\"{trace_id}",
        "http:///{trace_id}",
    ] {
        let ConfigError(problems) = load(bad).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("KARTSHOPPE__TELEMETRY__TRACE_URL"), "{bad}: {problems:#?}");
    }
}
