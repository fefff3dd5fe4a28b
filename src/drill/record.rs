//! What the shop promised and what the drill observed. Nothing here is read from the shop's own files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::plan::Catalogue;

/// Texts kept for each kind of breach; further ones are only counted.
const KEPT: usize = 20;
/// Faults are active for an unknown time.
const WHILE_STRUCK: u64 = u64::MAX;

/// One purchase, from the moment at which the order may exist.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// Unique to this purchase: finds the order in SQL.
    pub user: String,
    pub session: String,
    pub key: String,
    /// Units by product.
    pub lines: BTreeMap<String, i64>,
    pub by_wal: bool,
    pub answer: CheckoutAnswer,
}

/// The shop's answer to a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutAnswer {
    /// No answer yet: the order may exist or not, and the request is repeated.
    Unclear,
    /// 2xx, with this order.
    Promised(String),
    /// A definite refusal.
    Refused(String),
}

/// The kinds of broken promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// A promised order or one of its items does not exist, or the stock still contains units that were sold.
    Lost,
    /// An order exists twice, or units that no item was allocated are missing from the stock.
    Doubled,
    /// An order that was not promised.
    Phantom,
    /// The order differs from the request.
    Altered,
    /// Negative stock.
    Negative,
    /// An item without an outcome.
    Unsettled,
    /// A product that was removed for good and is shown again.
    CameBack,
    /// A page that does not show the shop's stock.
    PageDiffers,
    /// A page that was connected all the time and did not receive what others received.
    PageBehind,
    /// A buyer whose connected page was not notified that the order is settled.
    NotTold,
    /// A page that was sent an older state, or another one than other pages.
    FrameWrong,
    /// A failure that no fault excuses.
    BadAnswer,
    /// The shop reported ready without something that it depends on, or kept reporting not ready.
    Unnoticed,
}

impl Breach {
    /// Every kind, with the line of the report.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Lost, "lost orders, items or units"),
        (Self::Doubled, "doubled orders or units"),
        (Self::Phantom, "phantom orders"),
        (Self::Altered, "orders other than requested"),
        (Self::Negative, "negative stock"),
        (Self::Unsettled, "items without an outcome"),
        (Self::CameBack, "removed products that came back"),
        (Self::PageDiffers, "pages that did not converge"),
        (Self::PageBehind, "products that a connected page was not sent"),
        (Self::NotTold, "orders whose waiting page was not notified"),
        (Self::FrameWrong, "frames out of order or of different content"),
        (Self::BadAnswer, "answers that no fault excuses"),
        (Self::Unnoticed, "faults that readiness and alarms did not follow"),
    ];
}

/// Shared by all shoppers, pages and fault injection.
pub struct DrillRecord {
    /// Opening stock by product.
    pub catalogue: Catalogue,
    begun: Instant,
    /// Until when, in milliseconds since the beginning, a failed answer is excused by a fault.
    excused_until: AtomicU64,
    purchases: Mutex<Vec<Purchase>>,
    breaches: Mutex<BTreeMap<Breach, (u64, BTreeSet<String>)>>,
    answers: Mutex<BTreeMap<String, u64>>,
    /// Stock by product, lifetime and version, as first sent to a page.
    seen: Mutex<HashMap<(String, u64, u64), i64>>,
    /// The newest revision of each product that was sent to any page, and since when.
    newest: Mutex<BTreeMap<String, (Revision, Instant)>>,
    /// When the shop was last resumed after a freeze; `None` while it is frozen.
    thawed: Mutex<Option<Instant>>,
    frames: AtomicU64,
    /// Buyers whose page was notified that their order is settled.
    notified: AtomicU64,
}

/// Lifetime and version.
pub type Revision = (u64, u64);

impl DrillRecord {
    /// An empty record.
    #[must_use]
    pub fn new(catalogue: Catalogue) -> Self {
        Self {
            catalogue,
            begun: Instant::now(),
            excused_until: AtomicU64::new(0),
            purchases: Mutex::default(),
            breaches: Mutex::default(),
            answers: Mutex::default(),
            seen: Mutex::default(),
            newest: Mutex::default(),
            thawed: Mutex::new(Some(Instant::now())),
            notified: AtomicU64::new(0),
            frames: AtomicU64::new(0),
        }
    }

    /// A fault is active from now on.
    pub fn struck(&self) {
        self.excused_until.store(WHILE_STRUCK, Ordering::SeqCst);
    }

    /// The fault is over; requests made during it may still fail for a while.
    pub fn calm_down_after(&self, echo: Duration) {
        self.excused_until.store(millis(self.begun.elapsed() + echo), Ordering::SeqCst);
    }

    /// Whether a failure observed now may be caused by a fault.
    #[must_use]
    pub fn is_excused(&self) -> bool {
        millis(self.begun.elapsed()) <= self.excused_until.load(Ordering::SeqCst)
    }

    /// Records a new purchase; returns its index for [`DrillRecord::answered`].
    pub fn asked(&self, purchase: Purchase) -> usize {
        let mut purchases = lock(&self.purchases);
        purchases.push(purchase);
        purchases.len() - 1
    }

    /// The shop's answer to it.
    pub fn answered(&self, place: usize, answer: CheckoutAnswer) {
        if let Some(purchase) = lock(&self.purchases).get_mut(place) {
            purchase.answer = answer;
        }
    }

    /// The shop's answer to a purchase so far.
    #[must_use]
    pub fn answer_of(&self, place: usize) -> CheckoutAnswer {
        lock(&self.purchases).get(place).map_or(CheckoutAnswer::Unclear, |purchase| purchase.answer.clone())
    }

    /// All purchases so far.
    #[must_use]
    pub fn purchases(&self) -> Vec<Purchase> {
        lock(&self.purchases).clone()
    }

    /// Purchases without an answer, with their indices.
    #[must_use]
    pub fn unclear(&self) -> Vec<(usize, Purchase)> {
        let purchases = lock(&self.purchases);
        let unclear = purchases.iter().enumerate().filter(|(_, purchase)| purchase.answer == CheckoutAnswer::Unclear);
        unclear.map(|(place, purchase)| (place, purchase.clone())).collect()
    }

    /// Counts an answer of the shop by what it was.
    pub fn count_answer(&self, what: &str) {
        let mut answers = lock(&self.answers);
        match answers.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                answers.insert(what.to_owned(), 1);
            }
        }
    }

    /// Number of answers by kind.
    #[must_use]
    pub fn answers(&self) -> BTreeMap<String, u64> {
        lock(&self.answers).clone()
    }

    /// Records a broken promise.
    pub fn breach(&self, breach: Breach, what: String) {
        let mut breaches = lock(&self.breaches);
        let (count, kept) = breaches.entry(breach).or_default();
        *count += 1;
        if kept.len() < KEPT {
            kept.insert(what);
        }
    }

    /// How often each promise was broken, with the first cases.
    #[must_use]
    pub fn breaches(&self) -> BTreeMap<Breach, (u64, BTreeSet<String>)> {
        lock(&self.breaches).clone()
    }

    /// A page was sent a state of a product.
    pub fn seen(&self, product: &str, life: u64, version: u64, stock: i64) {
        if stock < 0 {
            self.breach(Breach::Negative, format!("a page was shown {stock} of {product}"));
        }
        let mut newest = lock(&self.newest);
        match newest.get_mut(product) {
            Some(known) if known.0 >= (life, version) => {}
            Some(known) => *known = ((life, version), Instant::now()),
            None => {
                newest.insert(product.to_owned(), ((life, version), Instant::now()));
            }
        }
        drop(newest);
        let first = *lock(&self.seen).entry((product.to_owned(), life, version)).or_insert(stock);
        if first != stock {
            let what = format!("{product} version {life}.{version}: one page was sent {first}, another one {stock}");
            self.breach(Breach::FrameWrong, what);
        }
    }

    /// The newest revision of each product that some page has shown for at least `time`, not counting times when the shop was
    /// frozen.
    #[must_use]
    pub fn known_for(&self, time: Duration) -> BTreeMap<String, Revision> {
        if !self.ran_for(time) {
            return BTreeMap::new();
        }
        let newest = lock(&self.newest);
        let old = newest.iter().filter(|(_, (_, since))| since.elapsed() >= time);
        old.map(|(product, (revision, _))| (product.clone(), *revision)).collect()
    }

    /// Whether the shop was never frozen during the last `time`.
    #[must_use]
    pub fn ran_for(&self, time: Duration) -> bool {
        lock(&self.thawed).is_some_and(|since| since.elapsed() >= time)
    }

    /// The shop is frozen from now on.
    pub fn frozen(&self) {
        *lock(&self.thawed) = None;
    }

    /// The shop runs again.
    pub fn thawed(&self) {
        *lock(&self.thawed) = Some(Instant::now());
    }

    /// A buyer's page was notified that the order is settled.
    pub fn buyer_notified(&self) {
        self.notified.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of buyers whose page was notified.
    #[must_use]
    pub fn notified(&self) -> u64 {
        self.notified.load(Ordering::Relaxed)
    }

    /// A page received a frame.
    pub fn frame(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of frames received by all pages.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(WHILE_STRUCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_happens_under_a_fault_is_excused() {
        let record = DrillRecord::new(Catalogue::new());
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(!record.is_excused());
        record.struck();
        assert!(record.is_excused());
        record.calm_down_after(Duration::from_secs(60));
        assert!(record.is_excused(), "echoes");
        record.calm_down_after(Duration::ZERO);
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(!record.is_excused());
    }

    #[tokio::test(start_paused = true)]
    async fn what_some_page_has_known_for_long_all_must_know() {
        let (record, long) = (DrillRecord::new(Catalogue::new()), Duration::from_secs(10));
        record.seen("A", 1, 2, 10);
        tokio::time::advance(long).await;
        record.seen("B", 1, 1, 3);
        record.seen("A", 1, 1, 11);
        assert_eq!(record.known_for(long), BTreeMap::from([("A".to_owned(), (1, 2))]));
        record.frozen();
        tokio::time::advance(long).await;
        assert!(record.known_for(long).is_empty(), "while it is frozen");
        record.thawed();
        assert!(record.known_for(long).is_empty(), "a frozen shop notifies no page");
        tokio::time::advance(long).await;
        assert_eq!(record.known_for(long).len(), 2);
        record.seen("A", 2, 1, 5);
        assert_eq!(record.known_for(long).len(), 1, "the newest counts from when its page was notified");
    }

    #[test]
    fn pages_that_are_told_different_things_are_noticed() {
        let record = DrillRecord::new(Catalogue::new());
        record.seen("A", 1, 2, 10);
        record.seen("A", 1, 2, 10);
        record.seen("A", 1, 3, 9);
        assert!(record.breaches().is_empty());
        record.seen("A", 1, 2, 9);
        record.seen("B", 1, 1, -1);
        let breaches = record.breaches();
        assert_eq!(breaches.keys().copied().collect::<Vec<_>>(), [Breach::Negative, Breach::FrameWrong]);
    }
}
