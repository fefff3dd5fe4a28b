//! What the system and the runtime say of this process, read when `/metrics` is asked. Names are those of Prometheus' client
//! libraries. Where there is no `/proc`, those figures are absent.

use std::fs;

use super::families as family;
use super::metrics::Metrics;

/// Clock ticks of a second in `/proc`: 100 for user space, whatever the kernel's own timer does (`proc(5)`, USER_HZ).
const TICKS: f64 = 100.0;

/// Registers everything once, on the runtime that runs the shop.
pub fn register(metrics: &Metrics, log: &'static str) {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    metrics.observe(&family::BUILD_INFO, move || {
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("profile", profile), ("log", log)];
        vec![(labels.map(|(name, value)| (name, value.to_owned())).to_vec(), 1.0)]
    });
    metrics.observe_one(&family::PROCESS_CPU, || Stat::read().map(|stat| stat.cpu_ticks / TICKS));
    // It does not change.
    let started = Stat::read().and_then(|stat| Some(booted_at()? + stat.start_ticks / TICKS));
    metrics.observe_one(&family::PROCESS_START, move || started);
    metrics.observe_one(&family::PROCESS_RESIDENT, || status_kib("VmRSS:").map(|kib| kib * 1024.0));
    metrics.observe_one(&family::PROCESS_VIRTUAL, || status_kib("VmSize:").map(|kib| kib * 1024.0));
    metrics.observe_one(&family::PROCESS_THREADS, || status_kib("Threads:"));
    metrics.observe_one(&family::PROCESS_FDS, || Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64));
    metrics.observe_one(&family::PROCESS_MAX_FDS, max_fds);
    register_runtime(metrics);
}

fn register_runtime(metrics: &Metrics) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let asked = runtime.clone();
    metrics.observe_one(&family::RUNTIME_WORKERS, move || Some(asked.metrics().num_workers() as f64));
    let asked = runtime.clone();
    metrics.observe_one(&family::RUNTIME_TASKS, move || Some(asked.metrics().num_alive_tasks() as f64));
    let asked = runtime.clone();
    metrics.observe_one(&family::RUNTIME_QUEUE, move || Some(asked.metrics().global_queue_depth() as f64));
    metrics.observe_one(&family::RUNTIME_BUSY, move || {
        let figures = runtime.metrics();
        let busy = (0..figures.num_workers()).map(|worker| figures.worker_total_busy_duration(worker).as_secs_f64());
        Some(busy.sum())
    });
}

struct Stat {
    cpu_ticks: f64,
    /// Since the machine was booted.
    start_ticks: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The name of the program may hold anything, so fields are counted from its end.
    fn parse(text: &str) -> Option<Self> {
        const USER: usize = 11;
        const SYSTEM: usize = 12;
        const START: usize = 19;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Self { cpu_ticks: field(USER)? + field(SYSTEM)?, start_ticks: field(START)? })
    }
}

fn booted_at() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn status_kib(key: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// The soft limit; absent where there is none.
fn max_fds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 4200 1 2 3";
        let stat = Stat::parse(text).expect("fields");
        assert!((stat.cpu_ticks - 200.0).abs() < 0.1 && (stat.start_ticks - 4200.0).abs() < 0.1);
        assert!(Stat::parse("7 (a) S 1").is_none());
    }
}
