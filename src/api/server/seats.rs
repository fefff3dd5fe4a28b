//! Seats: how many connections, or pages, are served at once, and which are closed when seats run out.
//!
//! No peer has a fixed share, as a proxy is one peer with many shoppers behind it. Only when every seat is taken, the seats of
//! the peer with the most are examined: idle, trickling and silent ones are closed before busy ones, the slowest first. A peer
//! never loses a seat to one that has as many, so a peer that holds all seats can neither keep others out nor push them out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::progress::{ConnectionProgress, Doing, Ending};
use crate::actors::waiting::WaitingOutput;
use crate::telemetry::seldom::Seldom;

/// A client's rate is known after this time.
const FRESH: Duration = Duration::from_secs(1);
/// This share of all seats is freed at once, so that a flood does not cause a search through all of them per newcomer.
const PART_FREED: usize = 128;
/// A reader that was ended has usually released its bytes after this time.
const LET_GO: Duration = Duration::from_millis(10);
/// A connection that waits for a seat checks again after this time: another one may have become slow.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// This share of all readers is ended at once when too many bytes wait for them.
const PART_OF_READERS: usize = 32;
static RUN_OUT: Seldom = Seldom::new(Duration::from_secs(60));

/// Counts of connections that were ended from outside since the process started.
#[derive(Debug, Default)]
pub struct EndedCounts {
    /// Their seat was needed.
    pub seat: AtomicU64,
    /// Too many bytes waited for slow readers.
    pub memory: AtomicU64,
}

/// The seats of a listener, or of its pages.
#[derive(Debug)]
pub struct Seats {
    what: &'static str,
    max: usize,
    /// Bytes per second of a body or an answer, below which a client is slow.
    min_rate: u32,
    /// Pages answer our Pings: one that was silent for this long is slow. Not set for connections, which may be idle between
    /// requests.
    silent_after: Option<Duration>,
    ended: Arc<EndedCounts>,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Taken>,
    /// How many each peer has.
    sizes: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Taken {
    peer: IpAddr,
    progress: Arc<ConnectionProgress>,
}

/// A seat; free again when it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    id: u64,
    pub(in crate::api) progress: Arc<ConnectionProgress>,
}

/// A reader with bytes waiting for it; sorted by who is ended first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SlowReader {
    is_fresh: bool,
    rate: u64,
    from: Instant,
    id: u64,
}

/// How a seat is used; sorted by which is freed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// Since then.
    Slow(Instant),
    /// Its rate in bytes per second, or when it last sent something.
    Busy(u64, Instant),
}

impl Seats {
    /// Seats of connections, which may be idle between requests.
    #[must_use]
    pub fn of_connections(max: usize, min_rate: u32, ended: Arc<EndedCounts>) -> Arc<Self> {
        Self::new("connections", max, min_rate, None, ended)
    }

    /// Seats of pages, which answer a Ping each `heartbeat`.
    #[must_use]
    pub fn of_pages(max: usize, min_rate: u32, heartbeat: Duration, ended: Arc<EndedCounts>) -> Arc<Self> {
        Self::new("pages", max, min_rate, Some(heartbeat * 2), ended)
    }

    fn new(what: &'static str, max: usize, min_rate: u32, silent_after: Option<Duration>, ended: Arc<EndedCounts>) -> Arc<Self> {
        Arc::new(Self { what, max, min_rate, silent_after, ended, table: Mutex::default(), freed: Notify::new() })
    }

    /// Takes a free seat, or one that is freed for it. `None` if none can be freed for this peer.
    #[must_use]
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let (peer, mut table) = (household(address), self.table());
        if table.taken.len() >= self.max && !self.make_room(&mut table, peer) {
            return None;
        }
        let (id, progress) = (table.next, Arc::new(ConnectionProgress::default()));
        table.next += 1;
        table.taken.insert(id, Taken { peer, progress: progress.clone() });
        *table.sizes.entry(peer).or_default() += 1;
        Some(Seat { seats: self.clone(), id, progress })
    }

    /// Waits for a seat.
    pub(super) async fn wait(self: &Arc<Self>, address: IpAddr, patience: Duration) -> Option<Seat> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let _ = timeout_at(deadline.min(Instant::now() + LOOK_AGAIN), self.freed.notified()).await;
            if let Some(seat) = self.take(address) {
                return Some(seat);
            }
        }
        None
    }

    /// Ends some of the slowest because descriptors have run out.
    pub(super) fn end_some(&self) {
        self.make_room(&mut self.table(), Ipv6Addr::UNSPECIFIED.into());
    }

    fn make_room(&self, table: &mut Table, newcomer: IpAddr) -> bool {
        let (own, now) = (table.size(newcomer), Instant::now());
        let mut chosen: Vec<(Reverse<usize>, Use, u64)> = Vec::new();
        for (id, taken) in &table.taken {
            let (size, is_own) = (table.size(taken.peer), taken.peer == newcomer);
            let Some(usage) = self.judge(&taken.progress, now) else { continue };
            let gives_way = match usage {
                Use::Slow(_) => is_own || size > own,
                // Only if that makes the peers more equal: a busy one is not ended for another of its own peer.
                Use::Busy(..) => !is_own && size > own + 1,
            };
            if gives_way {
                chosen.push((Reverse(size), usage, *id));
            }
        }
        chosen.sort_unstable();
        let Some((largest, first, _)) = chosen.first().copied() else { return false };
        let most = if matches!(first, Use::Slow(_)) { 1 + self.max / PART_FREED } else { 1 };
        chosen.retain(|(size, usage, _)| *size == largest && (most == 1 || matches!(usage, Use::Slow(_))));
        chosen.truncate(most);
        self.end(table, chosen.into_iter().map(|(.., id)| id))
    }

    /// Readers with bytes waiting: those with a known rate first, the slowest of them first, then the rest.
    fn readers(&self) -> Vec<SlowReader> {
        let (table, now) = (self.table(), Instant::now());
        let sending = table.taken.iter().filter(|(_, taken)| taken.progress.doing() == Doing::Sending);
        let judged = sending.map(|(id, taken)| {
            let (rate, from) = rate_of(&taken.progress, now);
            SlowReader { is_fresh: now.saturating_duration_since(from) < FRESH, rate, from, id: *id }
        });
        judged.collect()
    }

    /// Ends this reader, as too many bytes wait.
    fn end_reader(&self, reader: &SlowReader) {
        if let Some(taken) = self.table().remove(reader.id) {
            taken.progress.end(Ending::Memory);
            self.ended.memory.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn end(&self, table: &mut Table, chosen: impl Iterator<Item = u64>) -> bool {
        let mut ended = 0;
        for taken in chosen.filter_map(|id| table.remove(id)) {
            taken.progress.end(Ending::Seat);
            ended += 1;
            if let Some(untold) = RUN_OUT.due(self.what) {
                let (what, peer, max) = (self.what, taken.peer, self.max);
                tracing::warn!(what, %peer, max, untold,
                    "out of connections: closing the slowest ones of the peer that holds most");
            }
        }
        self.ended.seat.fetch_add(ended, Ordering::Relaxed);
        ended > 0
    }

    /// How fast a client is; `None` for a request that is being processed.
    fn judge(&self, progress: &ConnectionProgress, now: Instant) -> Option<Use> {
        let (doing, since) = progress.get();
        match (doing, self.silent_after) {
            (Doing::Answering, _) => None,
            (Doing::Receiving | Doing::Sending, _) => {
                let (rate, from) = rate_of(progress, now);
                let is_slow = now.saturating_duration_since(from) >= FRESH && rate < u64::from(self.min_rate);
                Some(if is_slow { Use::Slow(from) } else { Use::Busy(rate, from) })
            }
            (Doing::Idle | Doing::ReadingHead, None) => Some(Use::Slow(since)),
            (Doing::Idle | Doing::ReadingHead, Some(after)) => {
                let (since, patience) = progress.page_sent().map_or((progress.born(), FRESH), |sent| (sent, after));
                let is_slow = now.saturating_duration_since(since) >= patience;
                Some(if is_slow { Use::Slow(since) } else { Use::Busy(0, since) })
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn size(&self, peer: IpAddr) -> usize {
        self.sizes.get(&peer).copied().unwrap_or(0)
    }

    fn remove(&mut self, id: u64) -> Option<Taken> {
        let taken = self.taken.remove(&id)?;
        self.leave(taken.peer);
        Some(taken)
    }

    fn leave(&mut self, peer: IpAddr) {
        if let Some(size) = self.sizes.get_mut(&peer) {
            *size -= 1;
            if *size == 0 {
                self.sizes.remove(&peer);
            }
        }
    }
}

impl Seat {
    /// A proxy named the client of the present request.
    pub(super) fn belongs_to(&self, address: IpAddr) {
        let (peer, mut guard) = (household(address), self.seats.table());
        let table = &mut *guard;
        let Some(taken) = table.taken.get_mut(&self.id).filter(|taken| taken.peer != peer) else { return };
        let before = std::mem::replace(&mut taken.peer, peer);
        table.leave(before);
        *table.sizes.entry(peer).or_default() += 1;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.table().remove(self.id);
        self.seats.freed.notify_one();
    }
}

/// Bytes per second that it moves, and since when.
fn rate_of(progress: &ConnectionProgress, now: Instant) -> (u64, Instant) {
    let (moved, from) = progress.moved();
    let elapsed = now.saturating_duration_since(from).as_secs_f64().max(0.001);
    ((moved as f64 / elapsed) as u64, from)
}

/// Ends the slowest readers, some at a time, whenever more bytes wait than allowed; runs for ever. `spare` drops unread caches.
pub(in crate::api) async fn end_slow_readers(waiting: &WaitingOutput, all: [Arc<Seats>; 2], spare: impl Fn()) {
    loop {
        waiting.exceeded().await;
        spare();
        if !waiting.is_exceeded() {
            continue;
        }
        let mut readers: Vec<(SlowReader, &Arc<Seats>)> =
            all.iter().flat_map(|seats| seats.readers().into_iter().map(move |reader| (reader, seats))).collect();
        readers.sort_unstable_by_key(|(reader, _)| *reader);
        let most = 1 + readers.len() / PART_OF_READERS;
        if let (Some((slowest, _)), Some(untold)) = (readers.first(), RUN_OUT.due("memory")) {
            let (bytes, rate, readers) = (waiting.bytes(), slowest.rate, readers.len());
            tracing::warn!(bytes, readers, rate, untold, "too many bytes wait for slow readers: closing the slowest connections");
        }
        readers.iter().take(most).for_each(|(reader, seats)| seats.end_reader(reader));
        // Each releases its bytes only a little later.
        tokio::time::sleep(LET_GO).await;
    }
}

/// What counts as one peer: an IPv4 address, or the /64 network that one host of IPv6 has to choose addresses from.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn connections(max: usize) -> Arc<Seats> {
        Seats::of_connections(max, 4096, Arc::default())
    }

    fn is_ended(seat: &Seat) -> bool {
        !seat.seats.table().taken.contains_key(&seat.id)
    }

    async fn take_all(seats: &Arc<Seats>, peer: IpAddr) -> Vec<Seat> {
        let mut taken = Vec::new();
        while seats.table().taken.len() < seats.max {
            taken.push(seats.take(peer).unwrap());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_of_the_largest_peer_goes_first() {
        let seats = connections(6);
        let (working, trickling, steady) = (seats.take(ip(1)).unwrap(), seats.take(ip(1)).unwrap(), seats.take(ip(1)).unwrap());
        working.progress.set(Doing::Answering);
        trickling.progress.receive();
        steady.progress.receive();
        let (small, idle) = (seats.take(ip(2)).unwrap(), seats.take(ip(1)).unwrap());
        tokio::time::advance(SECOND * 2).await;
        trickling.progress.count(10);
        steady.progress.count(20_000);
        let late = seats.take(ip(1)).unwrap();
        let newcomers: Vec<Seat> = (3..6).map(|last| seats.take(ip(last)).unwrap()).collect();
        assert!(is_ended(&trickling) && is_ended(&idle) && is_ended(&late), "all that are slow");
        assert!(!is_ended(&small) && !is_ended(&steady) && !is_ended(&working));
        assert_eq!(trickling.progress.ended().await, Ending::Seat);
        // Two against one: ending the busy one would only change who has more.
        let last = seats.take(ip(7)).unwrap();
        assert!(is_ended(&steady) && !is_ended(&working) && newcomers.iter().all(|seat| !is_ended(seat)));
        assert_eq!(seats.ended.seat.load(Ordering::Relaxed), 4);
        drop((last, newcomers));
        assert_eq!(seats.table().sizes.values().sum::<usize>(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_holds_all_seats_cannot_push_others_out() {
        let seats = connections(64);
        let held = take_all(&seats, ip(1)).await;
        for seat in &held {
            seat.progress.set(Doing::Sending);
            seat.progress.count(1 << 30);
        }
        let shopper = seats.take(ip(2)).unwrap();
        // The attacker sends as fast as it must, and comes again and again.
        assert!((0..1_000).all(|_| seats.take(ip(1)).is_none()) && !is_ended(&shopper));
        assert_eq!(held.iter().filter(|seat| is_ended(seat)).count(), 1);
        assert!(seats.wait(ip(1), SECOND).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_with_busy_shoppers_lets_them_wait_and_its_idle_ones_make_room() {
        let seats = connections(8);
        let held = take_all(&seats, ip(1)).await;
        held[1..].iter().for_each(|seat| seat.progress.set(Doing::Answering));
        let another = seats.take(ip(1)).unwrap();
        another.progress.set(Doing::Answering);
        assert!(is_ended(&held[0]) && seats.take(ip(1)).is_none());
        let waiting = tokio::spawn({
            let seats = seats.clone();
            async move { seats.wait(ip(1), SECOND * 60).await }
        });
        tokio::task::yield_now().await;
        drop(another);
        assert!(waiting.await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_attacker_behind_a_proxy_is_told_from_its_shoppers() {
        let (seats, proxy) = (connections(12), ip(1));
        let all = take_all(&seats, proxy).await;
        let (attackers, shoppers) = all.split_at(8);
        attackers.iter().for_each(|seat| seat.belongs_to(ip(66)));
        shoppers.iter().zip(2..).for_each(|(seat, last)| seat.belongs_to(ip(last)));
        let mut newcomers = Vec::new();
        for last in 20..26 {
            newcomers.push(seats.take(proxy).unwrap());
            newcomers.last().unwrap().belongs_to(ip(last));
        }
        assert_eq!(attackers.iter().filter(|seat| is_ended(seat)).count(), 6);
        assert!(shoppers.iter().chain(&newcomers).all(|seat| !is_ended(seat)));
    }

    #[tokio::test(start_paused = true)]
    async fn silent_pages_make_room_and_those_that_answer_stay() {
        let seats = Seats::of_pages(3, 4096, SECOND * 5, Arc::default());
        let answering = seats.take(ip(1)).unwrap();
        answering.progress.note_sent_by_page();
        let (silent, stuck) = (seats.take(ip(1)).unwrap(), seats.take(ip(1)).unwrap());
        stuck.progress.restart_count();
        stuck.progress.set(Doing::Sending);
        assert!(seats.take(ip(1)).is_none(), "no connection can be ended yet");
        tokio::time::advance(SECOND * 6).await;
        let next = [seats.take(ip(1)).unwrap(), seats.take(ip(1)).unwrap()];
        assert!(is_ended(&silent) && is_ended(&stuck) && !is_ended(&answering));
        assert!(seats.take(ip(1)).is_none() && seats.take(ip(2)).is_some(), "another peer gets one all the same");
        drop(next);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_readers_are_ended_while_too_much_waits() {
        let (waiting, seats) = (WaitingOutput::default(), connections(100));
        waiting.limit_to(10_000);
        let mut readers: Vec<(Seat, Vec<bytes::Bytes>)> =
            (1..=20).map(|last| (seats.take(ip(last)).unwrap(), Vec::new())).collect();
        readers[1..].iter().for_each(|(seat, _)| seat.progress.set(Doing::Sending));
        tokio::time::advance(SECOND * 2).await;
        for (number, (seat, held)) in readers.iter_mut().enumerate() {
            seat.progress.count(number * 1_000);
            held.push(waiting.hold(vec![0; 1_000].into()));
        }
        let fresh = seats.take(ip(21)).unwrap();
        fresh.progress.restart_count();
        fresh.progress.set(Doing::Sending);
        let pages = Seats::of_pages(1, 1, SECOND, Arc::default());
        let curb = tokio::spawn({
            let (waiting, all) = (waiting.clone(), [seats.clone(), pages]);
            async move { end_slow_readers(&waiting, all, || ()).await }
        });
        while waiting.is_exceeded() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            readers.iter_mut().filter(|(seat, _)| is_ended(seat)).for_each(|(_, held)| held.clear());
        }
        curb.abort();
        let left: Vec<bool> = readers.iter().map(|(seat, _)| !is_ended(seat)).collect();
        assert_eq!(left, (0..20).map(|number| number == 0 || number > 10).collect::<Vec<_>>(), "who is idle holds nothing up");
        assert!(!is_ended(&fresh) && readers[1].0.progress.ended().await == Ending::Memory);
        assert_eq!(seats.ended.memory.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn a_host_of_ipv6_is_one_peer() {
        let of = |text: &str| household(text.parse().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), ip(1));
        assert_ne!(of("192.0.2.2"), ip(1));
    }
}
