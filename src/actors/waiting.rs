//! Bytes that wait for readers, in sum: parts of answers, frames for pages, and products that only unread catalogues still hold.
//!
//! Bytes on their way to readers are [held](WaitingOutput::hold): they count until the last reader has let go of them, so bytes
//! that many readers share count once. Texts of products share those with the catalogue; what the catalogue has replaced since
//! the oldest of them was made may be held by texts alone, and counts as well. When too much waits, the server ends readers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

/// The bytes that texts hold grow without a call, so they are checked this often.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The sum, and its limit. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct WaitingOutput(Arc<OutputSum>);

#[derive(Debug)]
struct OutputSum {
    held: AtomicUsize,
    limit: AtomicUsize,
    exceeded: Notify,
    /// Bytes of products that newer ones replaced.
    replaced: AtomicU64,
    texts: Mutex<Texts>,
}

impl Default for OutputSum {
    fn default() -> Self {
        let (held, limit) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        Self { held, limit, exceeded: Notify::new(), replaced: AtomicU64::new(0), texts: Mutex::default() }
    }
}

/// The texts that are being read or may be.
#[derive(Debug, Default)]
struct Texts {
    /// How many were made when the catalogue had replaced so many bytes.
    made: BTreeMap<u64, usize>,
    /// Bytes of the products in all of them, and of the lists of these.
    bytes: u64,
    lists: u64,
}

impl WaitingOutput {
    /// Counts these bytes until all clones of what it gives are gone.
    #[must_use]
    pub fn hold(&self, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        let before = self.0.held.fetch_add(bytes.len(), Ordering::Relaxed);
        if before + bytes.len() > self.0.limit.load(Ordering::Relaxed) {
            self.0.exceeded.notify_one();
        }
        Bytes::from_owner(HeldBytes { bytes, waiting: self.clone() })
    }

    /// The catalogue replaced a product of so many bytes.
    pub(super) fn note_replaced(&self, bytes: usize) {
        self.0.replaced.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many bytes the catalogue has replaced.
    pub(super) fn replaced(&self) -> u64 {
        self.0.replaced.load(Ordering::Relaxed)
    }

    /// Counts a text of so many products and bytes until it is dropped. `made`: what the catalogue had replaced before.
    pub(super) fn hold_text(&self, made: u64, products: usize, bytes: usize) -> HeldText {
        let list = (products * size_of::<usize>()) as u64;
        let mut texts = self.texts();
        *texts.made.entry(made).or_default() += 1;
        texts.bytes += bytes as u64;
        texts.lists += list;
        HeldText { made, bytes: bytes as u64, list, waiting: self.clone() }
    }

    /// How many bytes wait.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let texts = self.texts();
        let oldest = texts.made.keys().next().copied();
        let replaced = oldest.map_or(0, |made| self.replaced().saturating_sub(made));
        self.0.held.load(Ordering::Relaxed) as u64 + replaced.min(texts.bytes) + texts.lists
    }

    /// Sets how many bytes may wait.
    pub fn limit_to(&self, bytes: usize) {
        self.0.limit.store(bytes, Ordering::Relaxed);
    }

    /// Whether more bytes wait than allowed.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.bytes() > self.0.limit.load(Ordering::Relaxed) as u64
    }

    /// Waits until more bytes wait than allowed. For one caller.
    pub async fn exceeded(&self) {
        while !self.is_exceeded() {
            let _ = tokio::time::timeout(CHECK_EVERY, self.0.exceeded.notified()).await;
        }
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        self.0.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that count.
struct HeldBytes {
    bytes: Bytes,
    waiting: WaitingOutput,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.waiting.0.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// A text that counts.
#[derive(Debug)]
pub(super) struct HeldText {
    made: u64,
    bytes: u64,
    list: u64,
    waiting: WaitingOutput,
}

impl Drop for HeldText {
    fn drop(&mut self) {
        let mut texts = self.waiting.texts();
        texts.bytes -= self.bytes;
        texts.lists -= self.list;
        if let Some(count) = texts.made.get_mut(&self.made) {
            *count -= 1;
            if *count == 0 {
                texts.made.remove(&self.made);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_bytes_count_once_and_until_the_last_reader() {
        let waiting = WaitingOutput::default();
        let shared = waiting.hold(Bytes::from(vec![0; 1_000]));
        let readers: Vec<Bytes> = (0..100).map(|at| shared.slice(at..)).collect();
        drop(shared);
        assert_eq!(waiting.bytes(), 1_000);
        let own = waiting.hold(Bytes::from(vec![0; 10]));
        assert_eq!((waiting.bytes(), own.len(), readers[99].len()), (1_010, 10, 901));
        drop((own, readers));
        assert_eq!((waiting.bytes(), waiting.hold(Bytes::new()).len()), (0, 0));
    }

    #[test]
    fn texts_hold_what_was_replaced_since_the_oldest() {
        let waiting = WaitingOutput::default();
        waiting.note_replaced(1 << 30);
        let (old, list) = (waiting.hold_text(waiting.replaced(), 10, 5_000), 80);
        assert_eq!(waiting.bytes(), list);
        waiting.note_replaced(700);
        let young = waiting.hold_text(waiting.replaced(), 10, 5_000);
        waiting.note_replaced(300);
        assert_eq!(waiting.bytes(), 1_000 + 2 * list);
        drop(old);
        assert_eq!(waiting.bytes(), 300 + list);
        waiting.note_replaced(1 << 30);
        assert_eq!(waiting.bytes(), 5_000 + list, "no text holds more than itself");
        drop(young);
        assert_eq!(waiting.bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn too_much_is_told_at_once() {
        let waiting = WaitingOutput::default();
        waiting.limit_to(100);
        let noticed = tokio::spawn({
            let waiting = waiting.clone();
            async move { waiting.exceeded().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_exceeded() && !noticed.is_finished());
        let _held = waiting.hold(Bytes::from(vec![0; 101]));
        noticed.await.unwrap();
    }
}
