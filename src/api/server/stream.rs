//! The TCP stream of a connection, which notes what the connection is doing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing was asked; or the last answer is still being taken.
    Idle,
    /// Part of a request's head is here.
    ReadingHead,
    /// A request is being answered: its own limits apply.
    Answering,
}

/// What a connection is doing and since when. One word, as it is written at every read.
#[derive(Debug)]
pub(super) struct Progress {
    born: Instant,
    /// Milliseconds since `born`, shifted by two bits, and the kind of work in those bits.
    word: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { born: Instant::now(), word: AtomicU64::new(Doing::Idle as u64) }
    }

    pub(super) fn set(&self, doing: Doing) {
        let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.word.store(since << 2 | doing as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> (Doing, Instant) {
        let word = self.word.load(Ordering::Relaxed);
        let doing = match word & 3 {
            0 => Doing::Idle,
            1 => Doing::ReadingHead,
            _ => Doing::Answering,
        };
        (doing, self.born + std::time::Duration::from_millis(word >> 2))
    }

    fn note_read(&self) {
        // Later bytes of a head do not give it more time.
        if self.word.load(Ordering::Relaxed) & 3 == Doing::Idle as u64 {
            self.set(Doing::ReadingHead);
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
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
