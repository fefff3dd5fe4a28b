//! What the fan-out and the pages share: the journal, the connected pages, and how far they were brought.
//!
//! It outlives the actor, as the connections do.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::{Bytes, BytesMut};
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::counts::Counts;
use super::frame;
use super::journal::{Journal, Sequence};
use super::outbox::{FrameSubject, Outbox};
use super::pushes::PushSpans;
use crate::actors::catalog_view::{CatalogHandle, Entry, SharedText, Slot, SlotNo, SourcePositions, TakenChanges};
use crate::bugs::{self, Bug};
use crate::clock::Clock;
use crate::domain::EpochMs;
use crate::log::{Offset, TopicPartition};
use crate::telemetry::promises::Promise;
use crate::wire::pages::status::Status;

/// A run of frames that all pages at its beginning share is kept only up to this many bytes.
const SHARED_RUN_MAX: usize = 128 * 1024;
/// The whole catalogue is rendered again at the earliest after this many times its rendering.
const SYNC_REST_FACTOR: u32 = 10;

/// Figures of the fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FanoutSettings {
    /// A catalogue of more products is not sent whole.
    pub cache_sync_max: usize,
    /// How often a page of `kartshoppe.v1` is sent a heartbeat.
    pub heartbeat_interval: Duration,
}

/// Everything that pages and the fan-out share.
#[derive(Debug)]
pub(super) struct Hub {
    pub catalog: CatalogHandle,
    pub settings: FanoutSettings,
    pub clock: Clock,
    pub journal: Journal,
    pages: Mutex<Pages>,
    /// How many pages there are: read without the lock.
    page_count: AtomicU64,
    /// Changes when pages may have missed something: each resumes from what it was sent for certain.
    epoch: AtomicU64,
    reached: ArcSwap<Reached>,
    run: ArcSwapOption<Run>,
    /// The spans of the last flush, until a socket has taken its frames.
    pushes: ArcSwapOption<PushSpans>,
    sync: Mutex<Option<Sync>>,
    status: ArcSwapOption<Status>,
    closing: AtomicBool,
    /// Only one incarnation writes the journal, even while the previous one is still ending.
    writing: Mutex<()>,
    /// The last frame that all pages were sent: those that come later get it, too.
    pub to_everyone: ArcSwapOption<Bytes>,
    /// Where the fan-out stands on `shopping-cart-events`; `None` before it followed it.
    cart_positions: ArcSwapOption<LogPositions>,
    pub counts: Counts,
}

/// Positions by partition.
type LogPositions = BTreeMap<TopicPartition, Offset>;

/// How far the view had come when the journal had this head.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub head: Sequence,
    pub positions: SourcePositions,
}

/// The frames of one flush, end to end: for every page that had all before it.
#[derive(Debug)]
pub(super) struct Run {
    pub from: Sequence,
    pub to: Sequence,
    pub frames: u64,
    /// When the oldest of their events was appended, as far as is known.
    pub oldest_ms: Option<EpochMs>,
    pub bytes: Bytes,
}

/// The whole catalogue as a frame, with everything before this change in it.
#[derive(Debug, Clone)]
pub(super) struct Sync {
    pub head: Sequence,
    pub frame: Arc<SharedText>,
    /// How far pages were brought before it was rendered.
    pub positions: SourcePositions,
    listed: u64,
    made_at: Instant,
    took: Duration,
}

/// One connected page, as others see it.
#[derive(Debug, Default)]
pub(super) struct PageCell {
    pub wake: Notify,
    pub outbox: Mutex<Outbox>,
}

#[derive(Debug, Default)]
struct Pages {
    next_id: u64,
    by_id: HashMap<u64, Arc<PageCell>>,
    by_session: HashMap<String, Vec<u64>>,
}

impl Hub {
    pub fn new(catalog: CatalogHandle, settings: FanoutSettings, clock: Clock) -> Self {
        Self {
            catalog,
            settings,
            clock,
            journal: Journal::default(),
            pages: Mutex::default(),
            page_count: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            reached: ArcSwap::default(),
            run: ArcSwapOption::empty(),
            pushes: ArcSwapOption::empty(),
            sync: Mutex::new(None),
            status: ArcSwapOption::empty(),
            closing: AtomicBool::new(false),
            writing: Mutex::new(()),
            to_everyone: ArcSwapOption::empty(),
            cart_positions: ArcSwapOption::empty(),
            counts: Counts::default(),
        }
    }

    /// Registers a page. From now on every change wakes it.
    pub fn enter(&self, session_id: &str) -> (u64, Arc<PageCell>) {
        let cell = Arc::new(PageCell::default());
        let mut pages = self.pages();
        let id = pages.next_id;
        pages.next_id += 1;
        pages.by_id.insert(id, cell.clone());
        pages.by_session.entry(session_id.to_owned()).or_default().push(id);
        self.page_count.store(pages.by_id.len() as u64, Ordering::SeqCst);
        drop(pages);
        if let Some(frame) = self.to_everyone.load().as_deref() {
            self.put(&cell, &FrameSubject::Recommendation, frame.clone(), None);
        }
        (id, cell)
    }

    /// Unregisters a page.
    pub fn leave(&self, id: u64, session_id: &str) {
        let mut pages = self.pages();
        pages.by_id.remove(&id);
        if let Some(ids) = pages.by_session.get_mut(session_id) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                pages.by_session.remove(session_id);
            }
        }
        self.page_count.store(pages.by_id.len() as u64, Ordering::SeqCst);
    }

    pub fn page_count(&self) -> u64 {
        self.page_count.load(Ordering::SeqCst)
    }

    pub fn has_session(&self, session_id: &str) -> bool {
        self.pages().by_session.contains_key(session_id)
    }

    pub fn of_session(&self, session_id: &str) -> Vec<Arc<PageCell>> {
        let pages = self.pages();
        let ids = pages.by_session.get(session_id).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| pages.by_id.get(id).cloned()).collect()
    }

    pub fn all_pages(&self) -> Vec<Arc<PageCell>> {
        self.pages().by_id.values().cloned().collect()
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wake_all(&self) {
        for cell in self.pages().by_id.values() {
            cell.wake.notify_one();
        }
    }

    pub fn cart_positions(&self) -> Option<Arc<LogPositions>> {
        self.cart_positions.load_full()
    }

    pub fn keep_cart_positions(&self, positions: LogPositions) {
        self.cart_positions.store(Some(Arc::new(positions)));
    }

    pub fn forget_cart_positions(&self) {
        self.cart_positions.store(None);
    }

    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub fn reached(&self) -> Arc<Reached> {
        self.reached.load_full()
    }

    pub fn run_from(&self, sequence: Sequence) -> Option<Arc<Run>> {
        self.run.load_full().filter(|run| run.from == sequence)
    }

    pub fn status(&self) -> Option<Status> {
        self.status.load().as_deref().copied()
    }

    pub fn set_status(&self, status: Status) {
        self.status.store(Some(Arc::new(status)));
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Ends every page's stream, once it was given what is due.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Brings what the view has taken into the journal, and wakes the pages. Returns how many changes there were.
    pub fn flush(&self, taken: TakenChanges) -> usize {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.resume_all {
            self.journal.forget_shown();
        }
        let changes = taken.numbers.len();
        let from = self.journal.head();
        // No pages, or all of them will resume: then frames are made when they are asked for.
        let unseen = self.page_count() == 0 || taken.resume_all;
        let pushes = PushSpans::begin(&taken, self.page_count());
        self.pushes.store(pushes.filter(|_| !unseen).map(Arc::new));
        let run = if unseen { self.push_without_frames(&taken) } else { self.encode(&taken) };
        let to = self.journal.head();
        Promise::EveryChangeSent.broken((from + changes as u64).saturating_sub(to));
        let shared = run.filter(|(bytes, _)| !bytes.is_empty());
        let oldest_ms = oldest(&taken);
        self.run.store(shared.map(|(bytes, frames)| Arc::new(Run { from, to, frames, oldest_ms, bytes })));
        if taken.resume_all {
            // The last catalogue frame lacks changes that were not listed, and they are not among the changes after it.
            *self.last_sync() = None;
            // Before the positions: a page that has not started over must not take them for its own.
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        self.reached.store(Arc::new(Reached { head: to, positions: taken.positions }));
        self.counts.changes.fetch_add(changes as u64, Ordering::Relaxed);
        if changes > 0 || taken.resume_all {
            self.wake_all();
        }
        changes
    }

    /// The spans that end when a page's socket takes the present bytes.
    pub fn pushes(&self) -> Option<Arc<PushSpans>> {
        self.pushes.load_full()
    }

    /// Only the sequence numbers: they mark what is newer than a snapshot.
    fn push_without_frames(&self, taken: &TakenChanges) -> Option<(Bytes, u64)> {
        for number in &taken.numbers {
            self.show(*number);
            self.journal.push(*number, None);
        }
        None
    }

    /// Encodes each change once, for all pages. Returns the frames end to end, unless they are too long to be kept.
    fn encode(&self, taken: &TakenChanges) -> Option<(Bytes, u64)> {
        let now_ms = self.clock.now_ms();
        let mut run = BytesMut::new();
        let (mut frames, mut shared) = (0, true);
        for number in &taken.numbers {
            if bugs::is(Bug::FrameDropped) && now_ms % 10 == 7 {
                continue;
            }
            let older = bugs::is(Bug::OlderStateShown).then(|| self.shown(*number)).flatten();
            let newest = self.show(*number);
            let shown = newest.clone().map(|newer| older.filter(|_| now_ms % 10 == 7).unwrap_or(newer));
            let revision = |shown: &Option<(Arc<Slot>, Arc<Entry>)>| shown.as_ref().map(|(_, entry)| entry.revision);
            Promise::NewestShown.broken(u64::from(revision(&shown) < revision(&newest)));
            let note = taken.notes.get(number);
            let frame = shown.and_then(|(slot, entry)| frame::product_update(slot.id.as_str(), &entry, note, now_ms));
            if let Some(frame) = &frame {
                shared &= run.len() + frame.len() <= SHARED_RUN_MAX;
                if shared {
                    run.extend_from_slice(frame);
                    frames += 1;
                }
            }
            self.journal.push_event(*number, frame, note.map(|note| note.change.at_ms));
        }
        shared.then(|| (self.catalog.waiting().hold(run.freeze()), frames))
    }

    /// The product as its next change shows it.
    fn show(&self, number: SlotNo) -> Option<(Arc<Slot>, Arc<Entry>)> {
        let Some(slot) = self.catalog.catalog().slot(number) else {
            self.journal.forget(number);
            return None;
        };
        let entry = self.journal.show(number, &slot.entry)?;
        Some((slot, entry))
    }

    /// The product as its last change showed it.
    fn shown(&self, number: SlotNo) -> Option<(Arc<Slot>, Arc<Entry>)> {
        let slot = self.catalog.catalog().slot(number)?;
        let entry = self.journal.shown(number, &slot.entry)?;
        Some((slot, entry))
    }

    /// The frame of a product's present state, for a page whose change has no frame any more.
    pub fn state_frame(&self, number: SlotNo) -> Option<Bytes> {
        let (slot, entry) = self.shown(number)?;
        frame::product_update(slot.id.as_str(), &entry, None, self.clock.now_ms())
    }

    /// The frame of a product's present state, if that may have changed at or after these positions.
    pub fn changed_since(&self, number: SlotNo, positions: &[Offset]) -> Option<Bytes> {
        let (slot, entry) = self.shown(number)?;
        let changed = self.catalog.catalog().changed_since(&slot, &entry, positions);
        if changed { frame::product_update(slot.id.as_str(), &entry, None, self.clock.now_ms()) } else { None }
    }

    /// The catalogue that was sent last is rendered again for the next page.
    pub fn forget_sync(&self) {
        *self.last_sync() = None;
    }

    pub fn count_sync(&self) {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_frames(&self, frames: u64) {
        self.counts.frames.fetch_add(frames, Ordering::Relaxed);
    }

    /// Records that frames of this event, and maybe of later ones, were handed to a page's socket.
    pub fn observe_delay(&self, seconds: &Histogram, event_ms: EpochMs) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds, for a histogram")]
        seconds.observe(self.clock.now_ms().saturating_sub(event_ms).max(0) as f64 / 1000.0);
    }

    fn last_sync(&self) -> std::sync::MutexGuard<'_, Option<Sync>> {
        self.sync.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole catalogue as one frame; `None` if it is larger than what is sent whole, or not known yet.
    pub fn sync(&self) -> Option<Sync> {
        if self.catalog.state() == crate::actors::catalog_view::CatalogState::Restoring {
            return None;
        }
        let listed = self.catalog.progress().products;
        if listed > self.settings.cache_sync_max as u64 {
            return None;
        }
        let mut last = self.last_sync();
        let serves = |sync: &Sync| {
            let same = sync.head == self.journal.head() && sync.listed == listed && sync.positions == self.reached().positions;
            same || sync.made_at.elapsed() < sync.took * SYNC_REST_FACTOR
        };
        if let Some(sync) = last.as_ref().filter(|sync| serves(sync)) {
            return Some(sync.clone());
        }
        // Head and positions first: changes made while the catalogue is rendered are sent again instead of being missed.
        let (positions, head, made_at) = (self.reached().positions.clone(), self.journal.head(), Instant::now());
        let shown = (0..self.catalog.catalog().slots()).filter_map(|number| Some(self.shown(number)?.1));
        let frame = frame::cache_sync(&self.catalog, shown.filter(|entry| !entry.is_removed()), self.clock.now_ms());
        let sync = Sync { head, frame, positions, listed, made_at, took: made_at.elapsed() };
        *last = Some(sync.clone());
        Some(sync)
    }
}

/// When the oldest event of these changes was appended, as far as is known.
fn oldest(taken: &TakenChanges) -> Option<EpochMs> {
    taken.notes.values().map(|note| note.change.at_ms).filter(|at_ms| *at_ms > 0).min()
}
