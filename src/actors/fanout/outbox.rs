//! Frames beside the catalogue's: the session's cart and orders, and what is recommended to everyone. Small, and the latest of
//! each wins.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::domain::EpochMs;

/// Different orders (and the cart) that wait for one page at most. A page that reads none of them for longer must ask REST.
const WAITING_MAX: usize = 32;
/// Bytes that wait for one page at most, but for the latest frame.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// The subject of a frame for a session: a newer frame with the same subject replaces the older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameSubject {
    Cart,
    Recommendation,
    Order(String),
}

#[derive(Debug)]
struct WaitingFrame {
    subject: FrameSubject,
    frame: Bytes,
    /// The time of the event behind the frame, where that is measured.
    event_ms: Option<EpochMs>,
}

/// The frames that wait for one page.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<WaitingFrame>,
    /// Frames were dropped: the page must read its orders over REST.
    overflowed: bool,
}

impl Outbox {
    /// Adds a frame; returns whether older ones about something else had to go.
    pub fn put(&mut self, subject: FrameSubject, frame: Bytes, event_ms: Option<EpochMs>) -> bool {
        self.waiting.retain(|known| known.subject != subject);
        self.waiting.push_back(WaitingFrame { subject, frame, event_ms });
        let mut gone = false;
        while self.waiting.len() > 1 && (self.waiting.len() > WAITING_MAX || self.bytes() > WAITING_BYTES_MAX) {
            // Cart and recommendation are one frame each and always current: orders go first.
            let oldest = self.waiting.iter().position(|one| matches!(one.subject, FrameSubject::Order(_)));
            self.waiting.remove(oldest.filter(|oldest| oldest + 1 < self.waiting.len()).unwrap_or(0));
            gone = true;
        }
        self.overflowed |= gone;
        gone
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.waiting.iter().map(|one| one.frame.len()).sum()
    }

    /// Moves what waits into a run of frames; returns how many there were. `sent` gets the time of each one's event.
    pub fn take_into(&mut self, run: &mut BytesMut, mut sent: impl FnMut(EpochMs)) -> u64 {
        let count = self.waiting.len() as u64;
        for one in self.waiting.drain(..) {
            run.extend_from_slice(&one.frame);
            one.event_ms.into_iter().for_each(&mut sent);
        }
        count
    }

    /// Whether frames were dropped since the last call.
    pub fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(outbox: &mut Outbox) -> String {
        let mut run = BytesMut::new();
        outbox.take_into(&mut run, |_| {});
        String::from_utf8(run.to_vec()).unwrap()
    }

    #[test]
    fn the_latest_of_each_subject_is_kept_and_the_oldest_order_goes_first() {
        let mut outbox = Outbox::default();
        assert!(!outbox.put(FrameSubject::Cart, Bytes::from_static(b"c1 "), None));
        assert!(!outbox.put(FrameSubject::Order("a".to_owned()), Bytes::from_static(b"a1 "), None));
        assert!(!outbox.put(FrameSubject::Cart, Bytes::from_static(b"c2 "), None));
        assert!(!outbox.put(FrameSubject::Order("a".to_owned()), Bytes::from_static(b"a2 "), None));
        assert_eq!(taken(&mut outbox), "c2 a2 ");
        assert!(!outbox.put(FrameSubject::Cart, Bytes::from_static(b"c3 "), None));
        let dropped = (0..40).filter(|n| outbox.put(FrameSubject::Order(n.to_string()), Bytes::from(format!("{n} ")), None));
        assert_eq!(dropped.count(), 9);
        assert!(outbox.take_overflow() && !outbox.take_overflow());
        let left = taken(&mut outbox);
        assert!(left.starts_with("c3 9 10 ") && left.ends_with("39 "), "{left}");
    }
}
