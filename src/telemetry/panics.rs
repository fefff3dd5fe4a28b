//! Panics as one line each, instead of the four of the standard library, which no log collector can read.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, Write};
use std::panic::PanicHookInfo;

/// Panics become an ERROR of the log, in its format and with the span in which they happened. Called when the log runs.
pub(super) fn to_the_log() {
    std::panic::set_hook(Box::new(|panic| {
        let report = PanicReport::of(panic);
        let (thread, location, message) = (report.thread.as_str(), report.location.as_str(), report.message.as_str());
        // Taken only if RUST_BACKTRACE asks for it, as it takes half a second.
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(
            thread.name = thread,
            code.location = location,
            exception.message = message,
            exception.stacktrace = backtrace,
            "a thread panicked"
        );
    }));
}

/// Panics become one line on standard error: for commands, which have no log.
pub fn to_standard_error() {
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(io::stderr(), "kartshoppe: {}", PanicReport::of(panic));
    }));
}

/// What is known of a panic, each on one line.
struct PanicReport {
    thread: String,
    location: String,
    message: String,
}

impl PanicReport {
    fn of(panic: &PanicHookInfo<'_>) -> Self {
        let message = panic.payload_as_str().unwrap_or("no message");
        Self {
            thread: std::thread::current().name().unwrap_or("unnamed").to_owned(),
            location: panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string),
            message: message.lines().collect::<Vec<_>>().join(" | "),
        }
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a bug ended this: thread {} panicked at {}: {}", self.thread, self.location, self.message)
    }
}
