//! The bytes that wait to be written to one page: shared, in order, and how much of the first piece is written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::actors::catalog_view::Pieces;
use crate::actors::fanout::{Burst, PushSpans};
use crate::actors::waiting::WaitingOutput;

/// Pieces of one write.
const SLICES: usize = 16;

/// If everything else is dropped, the rest of a partly written frame is kept only up to this many bytes.
const LAST_FRAME_MAX: usize = 128 * 1024;

#[derive(Debug)]
pub(super) struct Outgoing {
    /// Counts pieces of the catalogue; all other bytes are counted already.
    sum: WaitingOutput,
    frames: VecDeque<Bytes>,
    /// How much of the first piece is written.
    gone: usize,
    /// The catalogue's single frame, whose current piece is first in line: its rest goes before all other frames.
    catalogue: Option<Pieces>,
    /// Part of the catalogue is written.
    catalogue_begun: bool,
    /// Spans that end once everything is written.
    pushes: Option<Arc<PushSpans>>,
}

impl Outgoing {
    pub(super) fn new(sum: WaitingOutput) -> Self {
        Self { sum, frames: VecDeque::new(), gone: 0, catalogue: None, catalogue_begun: false, pushes: None }
    }

    pub(super) fn push(&mut self, frames: Bytes) {
        if !frames.is_empty() {
            self.frames.push_back(frames);
        }
    }

    /// Adds a burst. Only when nothing waits.
    pub(super) fn push_burst(&mut self, burst: Burst) {
        match burst {
            Burst::Frames(frames, pushes) => {
                self.push(frames);
                self.pushes = pushes.or(self.pushes.take());
            }
            Burst::Catalogue(mut pieces) => {
                self.frames.extend(pieces.next().map(|piece| self.sum.hold(piece)));
                self.catalogue = Some(pieces);
                self.catalogue_begun = false;
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes as much as the socket accepts without waiting; returns how many bytes.
    pub(super) fn flush(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut written = 0;
        while !self.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            // Nothing may overtake the rest of the catalogue's frame.
            let ready = if self.catalogue.is_some() { 1 } else { SLICES };
            let mut used = 0;
            for (slice, frames) in slices.iter_mut().zip(&self.frames).take(ready) {
                *slice = IoSlice::new(if used == 0 { &frames[self.gone..] } else { frames });
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
        if let Some(pushes) = self.pushes.take() {
            pushes.end();
        }
        // A quiet page holds no memory for what it was sent.
        self.frames = VecDeque::new();
        Ok(written)
    }

    fn consume(&mut self, mut count: usize) {
        self.catalogue_begun |= self.catalogue.is_some() && count > 0;
        while let Some(first) = self.frames.front() {
            let left = first.len() - self.gone;
            if count < left {
                self.gone += count;
                return;
            }
            count -= left;
            self.gone = 0;
            self.frames.pop_front();
            match self.catalogue.as_mut().and_then(Pieces::next) {
                Some(piece) => self.frames.push_front(self.sum.hold(piece)),
                None => self.catalogue = None,
            }
        }
    }

    /// Drops everything but the rest of the partly written frame, which it returns; `None` if that is too long, so that nothing
    /// can follow it.
    pub(super) fn cut(&mut self) -> Option<Vec<u8>> {
        let first = std::mem::take(&mut self.frames).into_iter().next().unwrap_or_default();
        let gone = std::mem::take(&mut self.gone);
        match self.catalogue.take() {
            None => Some(first[gone..end_of_frame(&first, gone)].to_vec()),
            Some(_) if !self.catalogue_begun => Some(Vec::new()),
            Some(pieces) if pieces.left() > LAST_FRAME_MAX => None,
            Some(pieces) => Some([&first[gone..], &pieces.collect::<Vec<_>>().concat()].concat()),
        }
    }
}

/// Where the frame ends that the byte at `at` belongs to, if it is not the first of its frame.
fn end_of_frame(frames: &[u8], at: usize) -> usize {
    let mut end = 0;
    while end < at {
        let [_, short, rest @ ..] = &frames[end..] else { return frames.len() };
        let long = |bytes: usize| rest.iter().take(bytes).fold(0, |length, byte| length << 8 | usize::from(*byte));
        let (header, payload) = match short {
            126 => (4, long(2)),
            127 => (10, long(8)),
            short => (2, usize::from(*short)),
        };
        end += header + payload;
    }
    end.min(frames.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pages::websocket::{TEXT, encode};

    #[test]
    fn what_is_cut_ends_with_a_whole_frame() {
        let frames = [0, 5, 125, 126, 70_000].map(|bytes| encode(TEXT, &vec![b'x'; bytes]));
        let run = frames.concat();
        let ends: Vec<usize> = frames.iter().scan(0, |end, frame| Some((*end += frame.len(), *end).1)).collect();
        for gone in (0..1_000).chain([run.len() - 1]) {
            let mut outgoing = Outgoing::new(WaitingOutput::default());
            outgoing.push(Bytes::from(run.clone()));
            outgoing.push(frames[1].clone());
            outgoing.consume(gone);
            let left = outgoing.cut().unwrap().len();
            assert!(outgoing.is_empty());
            let end = if gone == 0 { 0 } else { *ends.iter().find(|end| **end >= gone).unwrap() };
            assert_eq!(gone + left, end, "after {gone}");
        }
    }
}
