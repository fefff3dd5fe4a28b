//! CPU times of other processes, rates and percentiles.

use std::time::Duration;

/// User and system time of a process so far, in seconds.
pub fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(|text| text.parse().unwrap_or(0.0)).collect();
    // utime and stime in ticks of 10 ms (proc(5)), the 14th and 15th field of the line.
    fields.get(11).zip(fields.get(12)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}

/// So many in so many seconds.
pub fn rate(count: usize, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let count = count as f64;
    count / seconds
}

/// Prints p50, p95 and p99.
pub fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!("{what:<52} p50 {:>8.1} ms  p95 {:>8.1} ms  p99 {:>8.1} ms  n {}", at(50), at(95), at(99), times.len());
}
