//! What a connection or page is doing, since when, and how fast: written by the task that serves it, read when seats run out.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Doing {
    /// No request.
    Idle,
    /// Part of a request's head has arrived.
    ReadingHead,
    /// A request's body is arriving.
    Receiving,
    /// A request is being answered: its own limits apply.
    Answering,
    /// An answer, or frames, wait for the client to read them.
    Sending,
}

/// Why it was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Ending {
    /// Its seat was needed.
    Seat = 1,
    /// Too many bytes wait for slow readers.
    Memory = 2,
}

/// `counted_from` of an answer that has not had to wait for the client yet.
const NOT_YET: u64 = u64::MAX;

/// What a connection is doing and since when. The state is one word, as it is written at every read.
#[derive(Debug)]
pub(in crate::api) struct ConnectionProgress {
    born: Instant,
    /// Milliseconds since `born`, shifted by three bits, and the kind of work in those bits.
    word: AtomicU64,
    /// Bytes that the client sent of a body or took of an answer since `counted_from`, in milliseconds since `born`.
    moved: AtomicU64,
    counted_from: AtomicU64,
    /// When a page last sent something, in milliseconds since `born` plus one; 0: never.
    page_sent: AtomicU64,
    /// The answer is a stream of events, so long silence is normal.
    streams: AtomicBool,
    ending: AtomicU8,
    ended: Notify,
}

impl Default for ConnectionProgress {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            word: AtomicU64::new(Doing::Idle as u64),
            moved: AtomicU64::new(0),
            counted_from: AtomicU64::new(0),
            page_sent: AtomicU64::new(0),
            streams: AtomicBool::new(false),
            ending: AtomicU8::new(0),
            ended: Notify::new(),
        }
    }
}

impl ConnectionProgress {
    pub(in crate::api) fn set(&self, doing: Doing) {
        self.word.store(self.now() << 3 | doing as u64, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX >> 3)
    }

    fn at(&self, ms: u64) -> Instant {
        self.born + Duration::from_millis(ms)
    }

    pub(in crate::api) fn doing(&self) -> Doing {
        match self.word.load(Ordering::Relaxed) & 7 {
            0 => Doing::Idle,
            1 => Doing::ReadingHead,
            2 => Doing::Receiving,
            3 => Doing::Answering,
            _ => Doing::Sending,
        }
    }

    /// What it does, and since when.
    pub(in crate::api) fn get(&self) -> (Doing, Instant) {
        (self.doing(), self.at(self.word.load(Ordering::Relaxed) >> 3))
    }

    /// Begins to count the bytes that the client sends or reads.
    pub(in crate::api) fn restart_count(&self) {
        self.counted_from.store(self.now(), Ordering::Relaxed);
        self.moved.store(0, Ordering::Relaxed);
    }

    /// Begins to count at the first wait for the client: bytes before that only show how large the system's buffers are.
    pub(super) fn count_from_first_wait(&self) {
        self.counted_from.store(NOT_YET, Ordering::Relaxed);
    }

    pub(in crate::api) fn count(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The bytes that the client has sent or read, and since when.
    pub(in crate::api) fn moved(&self) -> (u64, Instant) {
        match self.counted_from.load(Ordering::Relaxed) {
            NOT_YET => (0, Instant::now()),
            from => (self.moved.load(Ordering::Relaxed), self.at(from)),
        }
    }

    /// From now on silence is no reason to end this connection.
    pub(super) fn stream(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }

    /// Whether it waits for events.
    pub(super) fn is_stream(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }

    /// A body begins.
    pub(super) fn receive(&self) {
        self.restart_count();
        self.set(Doing::Receiving);
    }

    /// The body has arrived, or the rest of it is not needed.
    pub(super) fn received(&self) {
        if self.doing() == Doing::Receiving {
            self.set(Doing::Answering);
        }
    }

    pub(super) fn note_read(&self, bytes: usize) {
        match self.doing() {
            // Later bytes of a head do not give it more time.
            Doing::Idle if bytes > 0 => self.set(Doing::ReadingHead),
            Doing::Receiving => self.count(bytes),
            Doing::Idle | Doing::ReadingHead | Doing::Answering | Doing::Sending => {}
        }
    }

    /// The client read some bytes, or cannot take more for now.
    pub(super) fn note_write(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => self.count(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending if self.doing() == Doing::Idle => {
                if self.counted_from.load(Ordering::Relaxed) == NOT_YET {
                    self.restart_count();
                }
                self.set(Doing::Sending);
            }
            Poll::Pending => {}
        }
    }

    /// Nothing waits for the client just now.
    pub(super) fn note_flushed(&self) {
        if self.doing() == Doing::Sending {
            self.set(Doing::Idle);
        }
    }

    /// A page sent something.
    pub(in crate::api) fn note_sent_by_page(&self) {
        self.page_sent.store(self.now() + 1, Ordering::Relaxed);
    }

    /// When a page last sent something.
    pub(super) fn page_sent(&self) -> Option<Instant> {
        self.page_sent.load(Ordering::Relaxed).checked_sub(1).map(|ms| self.at(ms))
    }

    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Ends it, from outside.
    pub(super) fn end(&self, why: Ending) {
        self.ending.store(why as u8, Ordering::Release);
        self.ended.notify_one();
    }

    /// Waits until it is ended from outside. For one caller.
    pub(in crate::api) async fn ended(&self) -> Ending {
        loop {
            match self.ending.load(Ordering::Acquire) {
                0 => self.ended.notified().await,
                1 => return Ending::Seat,
                _ => return Ending::Memory,
            }
        }
    }
}
