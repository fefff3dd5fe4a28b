//! Percentiles, rates, and what a process has used.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A page of the log's file, as its commits write them.
const PAGE: usize = 4096;
const FSYNCS: usize = 300;

/// Times in their order.
pub struct Times(Vec<Duration>);

impl Times {
    /// Sorts them.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// So many percent took at most this long.
    pub fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {}, p99 {}", millis(self.at(50)), millis(self.at(99)))
    }
}

/// As `1.23 ms`.
pub fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// As `1.2 s`.
pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A number with its thousands apart.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// So many in this time, as a rate.
pub fn per_second(count: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let count = count as f64;
    count / took.as_secs_f64()
}

/// What part one is of the other.
pub fn percent(part: f64, whole: f64) -> String {
    format!("{:.0} %", 100.0 * part / whole)
}

/// User and system time of a process so far.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // The 14th and 15th field of the line, in ticks of 10 ms (proc(5)).
    let ticks: u64 = [11, 12].iter().map(|place: &usize| fields[*place].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// What one small write and its fsync take on the disk of this folder.
#[expect(clippy::disallowed_methods, reason = "the disk's own time, on a thread of its own")]
pub fn fsyncs(folder: &Path) -> Times {
    let mut file = std::fs::File::create(folder.join("fsync")).unwrap();
    let page = [7_u8; PAGE];
    let sync = |_| {
        let began = std::time::Instant::now();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        began.elapsed()
    };
    Times::new((0..FSYNCS).map(sync).collect())
}
