//! One connected page's part of the stream: what it must be sent next, as bytes for its socket.
//!
//! ```text
//!              ┌── not covered, or first ──► whole catalogue ──┐
//!  register ───┤                                               ├──► follow (a cursor in the journal) ── behind the ring ──┐
//!              └── cursor covers the gap ──► sweep (positions) ─┘              ▲                                            │
//!                                                                              └────── sweep (changes) ◄────────────────────┘
//! ```
//! A sweep goes through all products for those that changed since; what changes meanwhile is found by following afterwards. When
//! the epoch changes (view or fan-out were restarted), the page starts over from the positions that it was sent for certain.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;
use uuid::Uuid;

use super::cursor;
use super::hub::{Hub, PageCell};
use super::journal::{Due, RingEntry, Sequence};
use super::pushes::PushSpans;
use crate::actors::catalog_view::{CatalogState, Pieces, SlotNo, SourcePositions};
use crate::bugs::{self, Bug};
use crate::domain::EpochMs;
use crate::telemetry::promises::Promise;
use crate::wire::pages::frame::{Frame, Heartbeat};
use crate::wire::pages::websocket;

/// A burst ends after the frame with which it reaches this many bytes: about what a socket takes at once.
const BURST_BYTES: usize = 32 * 1024;
/// Products that a sweep checks before other tasks get their turn.
const SWEEP_SLOTS: u32 = 50_000;

/// A page as its handshake describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageInfo {
    pub session_id: String,
    pub user_id: String,
    /// It speaks `kartshoppe.v1`: gets heartbeats, and may come back with a cursor.
    pub v1: bool,
    /// The cursor with which it comes back.
    pub resume: Option<String>,
}

/// What is due to a page: whole WebSocket frames, end to end, ready to be written as they are.
#[derive(Debug)]
pub enum Burst {
    /// With the spans that end once they are written.
    Frames(Bytes, Option<Arc<PushSpans>>),
    /// The whole catalogue, as one frame whose bytes are shared by all pages that take it.
    Catalogue(Pieces),
}

impl Burst {
    fn whole(self) -> Bytes {
        match self {
            Self::Frames(frames, _) => frames,
            Self::Catalogue(pieces) => pieces.collect::<Vec<_>>().concat().into(),
        }
    }
}

/// A page's place in the stream. Dropping it unregisters the page.
#[derive(Debug)]
pub struct PageSubscription {
    hub: Arc<Hub>,
    cell: Arc<PageCell>,
    id: u64,
    session_id: String,
    v1: bool,
    epoch: u64,
    stage: Stage,
    /// Everything on `products` before this was sent.
    proven: SourcePositions,
    /// The catalogue is too large to be sent whole, or frames were dropped: the page reads REST.
    reload: bool,
    heartbeat_due: Instant,
}

/// What is to be sent next.
#[derive(Debug)]
enum Stage {
    /// The whole catalogue, as soon as it is known.
    Whole,
    /// What changed since, product by product; then follow from `then`.
    Sweep {
        next: SlotNo,
        end: SlotNo,
        since: Since,
        then: Sequence,
    },
    Follow(Sequence),
}

#[derive(Debug)]
enum Since {
    Positions(SourcePositions),
    Change(Sequence),
}

impl PageSubscription {
    pub(super) fn new(hub: Arc<Hub>, info: PageInfo) -> Self {
        // Registered first, so that every later change reaches it.
        let (id, cell) = hub.enter(&info.session_id);
        let epoch = hub.epoch();
        let resumed = info.resume.filter(|_| info.v1).and_then(|text| cursor::decode(hub.catalog.log_id()?, &text));
        let heartbeat_due = Instant::now();
        let (session_id, v1, proven) = (info.session_id, info.v1, resumed.unwrap_or_default());
        let mut page = Self { hub, cell, id, session_id, v1, epoch, stage: Stage::Whole, proven, reload: false, heartbeat_due };
        page.resume();
        page
    }

    /// Waits until bytes are due, and returns them. Call it again only after they were written, as they count as sent. `None`
    /// when the stream is over. Cancel-safe.
    ///
    /// The first burst of a new page is the whole catalogue, if it is sent at all.
    pub async fn next_due(&mut self) -> Option<Burst> {
        loop {
            if let Some(burst) = self.due() {
                return Some(burst);
            }
            if self.hub.is_closing() {
                return None;
            }
            if matches!(self.stage, Stage::Sweep { .. }) {
                tokio::task::yield_now().await;
                continue;
            }
            self.wait().await;
        }
    }

    /// Like [`Self::next_due`], as a single buffer.
    pub async fn next_burst(&mut self) -> Option<Bytes> {
        self.next_due().await.map(Burst::whole)
    }

    /// Like [`Self::due`], as a single buffer.
    pub fn due_now(&mut self) -> Option<Bytes> {
        self.due().map(Burst::whole)
    }

    /// What is due right now, if anything; never waits.
    pub fn due(&mut self) -> Option<Burst> {
        if self.hub.epoch() != self.epoch {
            self.epoch = self.hub.epoch();
            self.resume();
        }
        if let Some(catalogue) = self.whole() {
            return Some(Burst::Catalogue(catalogue));
        }
        let mut run = BytesMut::new();
        let sent = |event_ms| self.hub.observe_delay(&self.hub.counts.order_seconds, event_ms);
        let mut frames = self.cell.outbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take_into(&mut run, sent);
        if let Some(shared) = self.shared_run(&run) {
            return Some(Burst::Frames(shared, self.hub.pushes()));
        }
        frames += self.products_into(&mut run);
        frames += self.heartbeat_into(&mut run);
        self.hub.count_frames(frames);
        let pushes = if frames > 0 { self.hub.pushes() } else { None };
        (!run.is_empty()).then(|| Burst::Frames(self.hub.catalog.waiting().hold(run.freeze()), pushes))
    }

    async fn wait(&self) {
        let woken = self.cell.wake.notified();
        if self.v1 {
            let _ = tokio::time::timeout_at(self.heartbeat_due, woken).await;
        } else {
            woken.await;
        }
    }

    /// Starts over from the positions up to which everything was sent for certain.
    fn resume(&mut self) {
        let catalog = self.hub.catalog.catalog();
        self.reload = false;
        if !self.proven.is_empty() && catalog.covers(&self.proven) {
            let then = self.hub.journal.head();
            self.stage = Stage::Sweep { next: 0, end: catalog.slots(), since: Since::Positions(self.proven.clone()), then };
            return;
        }
        self.stage = Stage::Whole;
    }

    /// All pages that had everything before the last flush share its bytes.
    fn shared_run(&mut self, run: &BytesMut) -> Option<Bytes> {
        let Stage::Follow(at) = self.stage else { return None };
        if !run.is_empty() {
            return None;
        }
        let shared = self.hub.run_from(at)?;
        self.stage = Stage::Follow(shared.to);
        self.hub.count_frames(shared.frames);
        self.observe_delay(shared.oldest_ms);
        self.prove();
        Some(shared.bytes.clone())
    }

    /// Adds what is due of the products; returns how many frames.
    fn products_into(&mut self, run: &mut BytesMut) -> u64 {
        let frames = match &self.stage {
            Stage::Whole => 0,
            Stage::Sweep { .. } => self.sweep_into(run),
            Stage::Follow(_) => self.follow_into(run),
        };
        self.prove();
        frames
    }

    /// The whole catalogue, if that is what comes next.
    fn whole(&mut self) -> Option<Pieces> {
        if !matches!(self.stage, Stage::Whole) {
            return None;
        }
        // Before the state is read, so that later changes are followed.
        let (reached, head) = (self.hub.reached(), self.hub.journal.head());
        if let Some(sync) = self.hub.sync() {
            self.stage = Stage::Follow(sync.head);
            self.proven = sync.positions;
            self.hub.count_sync();
            self.hub.count_frames(1);
            return Some(sync.frame.pieces());
        }
        if self.hub.catalog.state() != CatalogState::Restoring {
            // Too large: the page reads REST, now that it is registered.
            self.reload = true;
            self.stage = Stage::Follow(head);
            self.proven = reached.positions.clone();
        }
        None
    }

    fn sweep_into(&mut self, run: &mut BytesMut) -> u64 {
        let Stage::Sweep { next, end, since, then } = &mut self.stage else { return 0 };
        let stop = next.saturating_add(SWEEP_SLOTS).min(*end);
        let mut frames = 0;
        while *next < stop && run.len() < BURST_BYTES {
            let number = *next;
            *next += 1;
            frames += match since {
                Since::Positions(positions) => self.hub.changed_since(number, positions).map_or(0, |frame| add(run, &frame)),
                Since::Change(sequence) => {
                    self.hub.journal.changed_since(number, *sequence).map_or(0, |due| add_due(&self.hub, run, due))
                }
            };
        }
        if *next >= *end {
            self.stage = Stage::Follow(*then);
        }
        frames
    }

    fn observe_delay(&self, oldest_ms: Option<EpochMs>) {
        oldest_ms.into_iter().for_each(|at_ms| self.hub.observe_delay(&self.hub.counts.product_seconds, at_ms));
    }

    fn follow_into(&mut self, run: &mut BytesMut) -> u64 {
        let mut oldest_ms = None;
        let frames = self.follow_events_into(run, &mut oldest_ms);
        self.observe_delay(oldest_ms);
        frames
    }

    /// `oldest_ms` becomes the time of the oldest event among the frames.
    fn follow_events_into(&mut self, run: &mut BytesMut, oldest_ms: &mut Option<EpochMs>) -> u64 {
        let Stage::Follow(at) = self.stage else { return 0 };
        let head = self.hub.journal.head();
        let mut frames = 0;
        for sequence in at..head {
            if run.len() >= BURST_BYTES {
                self.stage = Stage::Follow(sequence);
                return frames;
            }
            match self.hub.journal.look(sequence) {
                RingEntry::Due(due) => {
                    *oldest_ms = [*oldest_ms, due.at_ms].into_iter().flatten().min();
                    frames += add_due(&self.hub, run, due);
                }
                RingEntry::Overtaken => drop(self.hub.counts.coalesced.fetch_add(1, Ordering::Relaxed)),
                RingEntry::Forgotten => {
                    self.hub.counts.fell_behind.fetch_add(1, Ordering::Relaxed);
                    let end = self.hub.catalog.catalog().slots();
                    self.stage = Stage::Sweep { next: 0, end, since: Since::Change(sequence), then: head };
                    return frames + self.sweep_into(run);
                }
            }
        }
        self.stage = Stage::Follow(head);
        frames
    }

    /// When the page has followed the journal to its head, everything that the view had taken by then was sent: its cursor may
    /// say so.
    fn prove(&mut self) {
        let Stage::Follow(at) = self.stage else { return };
        let reached = self.hub.reached();
        if at >= reached.head && self.hub.epoch() == self.epoch && !reached.positions.is_empty() {
            self.proven = reached.positions.clone();
        }
    }

    fn heartbeat_into(&mut self, run: &mut BytesMut) -> u64 {
        let now = Instant::now();
        if !self.v1 || (now < self.heartbeat_due && !self.reload) {
            return 0;
        }
        let overflowed = self.cell.outbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take_overflow();
        let reload = std::mem::take(&mut self.reload) || overflowed;
        self.heartbeat_due = now + self.hub.settings.heartbeat_interval;
        let cursor = self.hub.catalog.log_id().filter(|_| !self.proven.is_empty());
        let claims_more = bugs::is(Bug::CursorClaimsTooMuch).then(|| self.hub.catalog.catalog().source_positions());
        let claimed = claims_more.as_ref().unwrap_or(&self.proven);
        let is_proven = claimed.iter().zip(self.proven.iter()).all(|(claimed, proven)| claimed <= proven);
        Promise::CursorProven.broken(u64::from(cursor.is_some() && !is_proven));
        let cursor = cursor.map(|log_id| cursor::encode(log_id, claimed));
        let heartbeat = Heartbeat { cursor, status: self.hub.status(), reload };
        let message = Frame::Heartbeat(&heartbeat).to_json(&Uuid::new_v4().to_string(), self.hub.clock.now_ms());
        add(run, &websocket::encode(websocket::TEXT, &message))
    }
}

impl Drop for PageSubscription {
    fn drop(&mut self) {
        self.hub.leave(self.id, &self.session_id);
    }
}

fn add(run: &mut BytesMut, frame: &[u8]) -> u64 {
    run.extend_from_slice(frame);
    1
}

fn add_due(hub: &Hub, run: &mut BytesMut, due: Due) -> u64 {
    match due.frame {
        Some(frame) => add(run, &frame),
        None => hub.state_frame(due.number).map_or(0, |frame| add(run, &frame)),
    }
}
