//! Raw appends to the embedded log by themselves, fsync on: `make bench ARGS=parts`. The table of `make bench` has its own
//! reference.
//!
//! `cargo bench --bench log_append [FOLDER]` writes to a folder that it makes below FOLDER (default: the system's for temporary
//! files; name the disk that counts). Figures: records a second by batch size, one append at a time and eight at once; the time
//! of one small append beside one bare fsync; how fast a follower reads what it finds.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::{EventLog, Headers, NewRecord, Start, Stop, read_topics};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::headers;
use tokio::time::Instant;

/// Records of about 300 bytes, as order and inventory events are.
const VALUE_BYTES: usize = 300;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<()> {
    let parent = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let parent = parent.map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(parent)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(folder.path()))
}

async fn run(folder: &Path) -> anyhow::Result<()> {
    let log = Arc::new(EmbeddedLog::open(EmbeddedConfig::new(folder.join("log"), 4), Clock::system()).await?);
    log.create_topics(&Topic::ALL).await?;
    for (batch, total) in [(100, 100_000), (2_000, 600_000), (10_000, 600_000)] {
        for writers in [1, 8] {
            let rate = append(&log, batch, total, writers).await?;
            println!("append   batch {batch:>6}  writers {writers}  {:>9.0} records/s", rate);
        }
    }
    let (count, rate) = read(&*log).await?;
    println!("read     {count} records  {rate:>9.0} records/s");
    print_times("append   one record", small_appends(&*log).await?);
    print_times("fsync    4 KiB", fsyncs(&folder.join("fsync"))?);
    log.close().await;
    Ok(())
}

/// Records a second with so many appends under way at a time.
async fn append(log: &Arc<EmbeddedLog>, batch: usize, total: usize, writers: usize) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let log = Arc::clone(log);
        tasks.spawn(async move {
            for _ in 0..total / batch / writers {
                log.append((0..batch).map(|number| record(writer + number)).collect(), PATIENCE).await?;
            }
            anyhow::Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect::<anyhow::Result<()>>()?;
    Ok(per_second(total / batch / writers * batch * writers, began.elapsed()))
}

/// Everything that was appended, from the file.
async fn read(log: &dyn EventLog) -> anyhow::Result<(usize, f64)> {
    let began = Instant::now();
    let mut reader = read_topics(log, &[Topic::InventoryEvents], Start::Beginning, Stop::AtEnd).await?;
    let mut count = 0;
    while !reader.caught_up() {
        count += reader.read(10_000, PATIENCE).await?.len();
    }
    Ok((count, per_second(count, began.elapsed())))
}

async fn small_appends(log: &dyn EventLog) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..1_000 {
        let began = Instant::now();
        log.append(vec![record(number)], PATIENCE).await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn fsyncs(path: &Path) -> anyhow::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let began = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn record(number: usize) -> NewRecord {
    let mut headers = Headers::none();
    headers.push(headers::CAUSE, "order-events/2/1234567/0");
    let key = format!("PROD_{:04}", number % 200).into_bytes();
    let value = Some(Bytes::from(vec![b'x'; VALUE_BYTES]));
    NewRecord { topic: Topic::InventoryEvents, partition: None, key: Some(key.into()), value, headers }
}

fn per_second(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!("{what}  p50 {:?}  p99 {:?}", at(50), at(99));
}
