//! Which processes may open the log, and the errors of the others.

use std::path::Path;

use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::{EventLog, LogError};
use kartshoppe::wire::topics::Topic;
use rusqlite::Connection;

use super::{file, open};
use crate::support::child::{Worker, task};

async fn refusal(folder: &Path, partitions: i32) -> LogError {
    EmbeddedLog::open(EmbeddedConfig::new(folder, partitions), Clock::system()).await.err().unwrap()
}

#[tokio::test]
async fn a_second_server_is_refused_with_the_name_of_the_holder() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    let mut child = Worker::start("embedded_log::opening::second_server", folder.path().to_str().unwrap());
    let said = child.next("refused: ").unwrap();
    assert!(said.contains(&format!("in use by process {}", std::process::id())), "{said}");
    assert!(child.wait());
    log.close().await;
    let mut child = Worker::start("embedded_log::opening::second_server", folder.path().to_str().unwrap());
    assert_eq!(child.next("opened").as_deref(), Some(""));
    assert!(child.wait());
}

#[tokio::test]
#[ignore = "a child's part"]
async fn second_server() {
    match EmbeddedLog::open(EmbeddedConfig::new(task(), 4), Clock::system()).await {
        Ok(_) => println!("opened"),
        Err(error) => println!("refused: {error}"),
    }
}

#[tokio::test]
async fn another_number_of_partitions_needs_an_empty_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    log.close().await;
    let error = refusal(folder.path(), 8).await;
    assert!(matches!(error, LogError::Refused(_)), "{error}");
    assert!(
        error.to_string().contains("KARTSHOPPE__INVENTORY__PARTITIONS=4") && error.to_string().contains("make reset"),
        "{error}"
    );
    assert!(matches!(refusal(folder.path(), 0).await, LogError::Refused(_)));

    let log = open(folder.path()).await;
    log.delete_topics(&Topic::ALL).await.unwrap();
    log.close().await;
    let log = EmbeddedLog::open(EmbeddedConfig::new(folder.path(), 8), Clock::system()).await.unwrap();
    log.create_topics(&[Topic::Products]).await.unwrap();
    assert_eq!((log.partitions(), log.topics().await.unwrap()[0].partitions.len()), (8, 8));
    log.close().await;
}

#[tokio::test]
async fn an_older_binary_refuses_a_newer_file() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.close().await;
    Connection::open(file(folder.path())).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for error in [refusal(folder.path(), 4).await, EmbeddedLog::open_read_only(folder.path()).await.err().unwrap()] {
        assert!(matches!(error, LogError::Refused(_)));
        assert!(error.to_string().contains("newer KartShoppe (format 99"), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_a_log_stays_untouched() {
    let folder = tempfile::tempdir().unwrap();
    Connection::open(file(folder.path())).unwrap().execute_batch("CREATE TABLE somebody (elses)").unwrap();
    let error = refusal(folder.path(), 4).await;
    assert!(error.to_string().contains("is not an event log of KartShoppe"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(file(folder.path()), "this was never a database, and is long enough to be looked at as one".repeat(100))
        .unwrap();
    let error = refusal(folder.path(), 4).await;
    assert!(matches!(error, LogError::Unusable { .. }) && error.to_string().contains("damaged"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_gives_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.close().await;
    let bytes = std::fs::read(file(folder.path())).unwrap();
    let mut broken = bytes.clone();
    broken[8192..].fill(0x5a);
    std::fs::write(file(folder.path()), broken).unwrap();
    let opened = EmbeddedLog::open(EmbeddedConfig::new(folder.path(), 4), Clock::system()).await;
    assert!(matches!(&opened, Err(LogError::Unusable { reason, .. }) if reason.contains("damaged")), "{opened:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for place in [file.join("log"), Path::new("/proc/kartshoppe/log").to_owned()] {
        let error = refusal(&place, 4).await;
        assert!(matches!(&error, LogError::Unusable { path, .. } if *path == place.display().to_string()), "{error}");
    }
    let nothing = EmbeddedLog::open_read_only(&folder.path().join("nothing")).await.err().unwrap();
    assert!(matches!(nothing, LogError::Unusable { .. }), "{nothing}");
}

#[tokio::test]
async fn a_closed_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    let session = crate::support::log::session(&log, "worker", "inventory", &[Topic::Products]).await;
    log.close().await;
    let record = crate::support::log::record(Topic::Products, "a", "x");
    assert!(matches!(log.append(vec![record], crate::support::log::PATIENCE).await, Err(LogError::Closed)));
    assert!(matches!(session.poll(1, crate::support::log::PATIENCE).await, Err(LogError::Closed)));
    assert!(matches!(log.keep_house().await, Err(LogError::Closed)));
    log.close().await;
}
