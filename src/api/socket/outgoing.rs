//! What waits to be written to one page: shared bytes, in order, with how much of the first is gone.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;

/// Pieces of one write.
const SLICES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Outgoing(VecDeque<Bytes>);

impl Outgoing {
    pub(super) fn push(&mut self, frames: Bytes) {
        if !frames.is_empty() {
            self.0.push_back(frames);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes as much as the socket takes without waiting; returns how many bytes that was.
    pub(super) fn flush(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut written = 0;
        while !self.0.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for (slice, frames) in slices.iter_mut().zip(&self.0) {
                *slice = IoSlice::new(frames);
                used += 1;
            }
            match stream.try_write_vectored(&slices[..used]) {
                Ok(count) => {
                    written += count;
                    self.consume(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(written),
                Err(error) => return Err(error),
            }
        }
        // A quiet page holds no memory for what it was sent.
        self.0 = VecDeque::new();
        Ok(written)
    }

    fn consume(&mut self, mut count: usize) {
        while let Some(first) = self.0.front_mut() {
            if count < first.len() {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.0.pop_front();
        }
    }
}
