//! Log lines on their way out: code that logs never waits for what reads.
//!
//! ```text
//!  any thread ─ write ─► queue (bounded in bytes; what does not fit is dropped and counted) ─► one thread ─► standard error, or the file
//! ```
//! A pipe whose reader stops, a terminal that is halted by Ctrl-S and a disk that hangs block the queue's own thread alone. When
//! the reader goes on, one line says how many are missing.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// What waits at most, and as much again may be in the thread's hands: about 5,000 lines each, a second of the most talkative
/// level.
const CAPACITY_BYTES: usize = 1 << 20;
/// A writer that cannot block (as its reader may have set our standard error) is tried again after this.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The way to one writer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LineQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// As in "lines for standard error were dropped".
    target: &'static str,
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// The thread has lines in hand.
    writing: bool,
}

impl LineQueue {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(target: &'static str, writer: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Self(Arc::new(Shared {
            target,
            waiting: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped: AtomicU64::new(0),
        }));
        let shared = Arc::clone(&queue.0);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_all(writer))?;
        Ok(queue)
    }

    /// Where the lines go.
    #[must_use]
    pub fn target(&self) -> &'static str {
        self.0.target
    }

    /// Lines that found no room so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, but no longer than this; whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        let busy = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        let waited = self.0.emptied.wait_timeout_while(self.0.waiting(), patience, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.lines.len() + line.len() > CAPACITY_BYTES {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.lines.extend_from_slice(line);
        self.filled.notify_one();
    }

    fn write_all(&self, mut writer: impl Write) {
        let (mut lines, mut reported) = (Vec::new(), 0);
        loop {
            self.take(&mut lines);
            self.write(&mut writer, &lines);
            let dropped = self.dropped.load(Ordering::Relaxed);
            // It goes the way of every line, behind those that waited; not while there is hardly room for it.
            if dropped > reported && self.waiting().lines.len() < CAPACITY_BYTES / 2 {
                let (count, target) = (dropped - reported, self.target);
                tracing::warn!(
                    kartshoppe.log.dropped = count,
                    "{count} log lines for {target} were dropped: it did not take them"
                );
                reported = dropped;
            }
        }
    }

    /// Waits for lines and takes all of them.
    fn take(&self, lines: &mut Vec<u8>) {
        lines.clear();
        let mut waiting = self.waiting();
        waiting.writing = false;
        if waiting.lines.is_empty() {
            self.emptied.notify_all();
        }
        let mut waiting =
            self.filled.wait_while(waiting, |waiting| waiting.lines.is_empty()).unwrap_or_else(PoisonError::into_inner);
        waiting.writing = true;
        std::mem::swap(&mut waiting.lines, lines);
    }

    /// Lines that the writer refuses (a closed pipe, a full disk) are lost, as there is nowhere to say so.
    fn write(&self, writer: &mut impl Write, mut rest: &[u8]) {
        while !rest.is_empty() {
            match writer.write(rest) {
                Ok(0) => break,
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let waiting = self.waiting();
                    drop(self.emptied.wait_timeout(waiting, TRY_AGAIN));
                }
                Err(_) => break,
            }
        }
        let _ = writer.flush();
    }
}

impl Write for &LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_reader_that_stops_costs_lines_and_no_time_and_what_waited_comes_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = LineQueue::start("a pipe", writer).unwrap();
        let line = [b'x'; 1023];
        for _ in 0..(2 * CAPACITY_BYTES / 1024 + 200) {
            (&queue).write_all(&[&line[..], b"\n"].concat()).unwrap();
        }
        assert!(queue.dropped() > 0);
        assert!(!queue.flush(Duration::from_millis(1)));
        let mut read = vec![0; CAPACITY_BYTES];
        reader.read_exact(&mut read).unwrap();
        assert!(read.chunks(1024).all(|chunk| chunk[..1023] == line && chunk[1023] == b'\n'));
        std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
        assert!(queue.flush(Duration::from_secs(60)));
    }
}
