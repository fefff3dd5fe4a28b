//! What waits to be written to one page: shared bytes, in order, with how much of the first is gone.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;

use crate::actors::catalog_view::Pieces;
use crate::actors::fanout::Burst;

/// Pieces of one write.
const SLICES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Bytes>,
    /// The rest of the catalogue: it comes before all frames but the first.
    catalogue: Option<Pieces>,
}

impl Outgoing {
    pub(super) fn push(&mut self, frames: Bytes) {
        if !frames.is_empty() {
            self.frames.push_back(frames);
        }
    }

    /// Adds what is due. Only when nothing waits.
    pub(super) fn push_burst(&mut self, burst: Burst) {
        match burst {
            Burst::Frames(frames) => self.push(frames),
            Burst::Catalogue(mut pieces) => {
                self.frames.extend(pieces.next());
                self.catalogue = Some(pieces).filter(|pieces| pieces.left() > 0);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes as much as the socket takes without waiting; returns how many bytes that was.
    pub(super) fn flush(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut written = 0;
        while !self.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            // Nothing may overtake the rest of the catalogue's frame.
            let ready = if self.catalogue.is_some() { 1 } else { SLICES };
            let mut used = 0;
            for (slice, frames) in slices.iter_mut().zip(&self.frames).take(ready) {
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
        self.frames = VecDeque::new();
        Ok(written)
    }

    fn consume(&mut self, mut count: usize) {
        while let Some(first) = self.frames.front_mut() {
            if count < first.len() {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.frames.pop_front();
            if let Some(piece) = self.catalogue.as_mut().and_then(Pieces::next) {
                self.frames.push_front(piece);
            }
            self.catalogue = self.catalogue.take().filter(|pieces| pieces.left() > 0);
        }
    }
}
