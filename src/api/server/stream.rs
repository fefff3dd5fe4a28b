//! The TCP stream of a connection, which notes what the connection is doing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing was asked.
    Idle,
    /// Part of a request's head is here.
    ReadingHead,
    /// A request is being answered: its own limits apply.
    Answering,
    /// An answer waits for the client to take it.
    Sending,
}

/// What a connection is doing and since when. One word, as it is written at every read.
#[derive(Debug)]
pub(super) struct Progress {
    born: Instant,
    /// Milliseconds since `born`, shifted by two bits, and the kind of work in those bits.
    word: AtomicU64,
    /// What the client took of its answer since `counted_from`, in milliseconds since `born`.
    taken: AtomicU64,
    counted_from: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            word: AtomicU64::new(Doing::Idle as u64),
            taken: AtomicU64::new(0),
            counted_from: AtomicU64::new(0),
        }
    }

    pub(super) fn set(&self, doing: Doing) {
        self.word.store(self.now() << 2 | doing as u64, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX >> 2)
    }

    fn doing(&self) -> Doing {
        match self.word.load(Ordering::Relaxed) & 3 {
            0 => Doing::Idle,
            1 => Doing::ReadingHead,
            2 => Doing::Answering,
            _ => Doing::Sending,
        }
    }

    /// Begins to count what the client takes.
    pub(super) fn count_anew(&self) {
        self.counted_from.store(self.now(), Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
    }

    /// What the client took, and since when.
    pub(super) fn taken(&self) -> (u64, Instant) {
        let from = Duration::from_millis(self.counted_from.load(Ordering::Relaxed));
        (self.taken.load(Ordering::Relaxed), self.born + from)
    }

    pub(super) fn get(&self) -> (Doing, Instant) {
        let since = self.word.load(Ordering::Relaxed) >> 2;
        (self.doing(), self.born + Duration::from_millis(since))
    }

    fn note_read(&self) {
        // Later bytes of a head do not give it more time.
        if self.doing() == Doing::Idle {
            self.set(Doing::ReadingHead);
        }
    }

    /// The client took some of what waits for it, or cannot take more for now.
    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(count)) => drop(self.taken.fetch_add(*count as u64, Ordering::Relaxed)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending if self.doing() == Doing::Idle => self.set(Doing::Sending),
            Poll::Pending => {}
        }
    }

    /// Nothing waits for the client just now.
    fn note_flushed(&self) {
        if self.doing() == Doing::Sending {
            self.set(Doing::Idle);
        }
    }
}

/// A TCP stream under watch. Sockets take the stream out of it.
#[derive(Debug)]
pub struct Watched {
    stream: TcpStream,
    progress: Arc<Progress>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, progress: Arc<Progress>) -> Self {
        Self { stream, progress }
    }

    /// The bare stream: nobody watches it from here on.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.progress.note_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.progress.note_write(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.progress.note_flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.progress.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
