//! Collects the replies of the products of one batch: a table with one entry per product, instead of one message per product.
//!
//! The last reply wakes the shard. A reply counts only if it carries the current attempt of its entry, so that the late reply of
//! an actor that was killed as hung is dropped. Only the shard starts new attempts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::outputs::ProductReply;

/// No command is being handled.
const BETWEEN: u32 = u32::MAX;

/// Why the shard is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collected {
    /// Every product of the batch has replied.
    All,
    /// A product that gets one command at a time has replied to one.
    Step { product: usize },
}

/// Wakes the shard.
pub(crate) type WakeShard = Box<dyn Fn(Collected) + Send + Sync>;

/// The table of one batch. Products are named by their index in it.
pub(crate) struct Collector {
    wake: WakeShard,
    /// Per product: the index of the command that it is handling.
    handling: Vec<AtomicU32>,
    table: Mutex<ReplyTable>,
}

struct ReplyTable {
    entries: Vec<ReplyEntry>,
    /// Products that have not finished their commands.
    unfinished: usize,
}

#[derive(Default)]
struct ReplyEntry {
    attempt: u32,
    /// The product gets one command at a time: each reply wakes the shard.
    stepwise: bool,
    reply: Option<ProductReply>,
    /// The product has replied to all its commands. Stays set when the replies are taken: if a product ends during the commit of
    /// its batch, no reply is missing.
    finished: bool,
}

impl Collector {
    /// A table of this many products.
    pub(crate) fn new(products: usize, wake: WakeShard) -> Self {
        let table =
            ReplyTable { entries: std::iter::repeat_with(ReplyEntry::default).take(products).collect(), unfinished: products };
        Self { wake, handling: (0..products).map(|_| AtomicU32::new(BETWEEN)).collect(), table: Mutex::new(table) }
    }

    /// A product notes which command it handles, which decides whether its end counts as a failure of that command.
    pub(crate) fn begin(&self, product: usize, command: usize) {
        self.handling[product].store(u32::try_from(command).unwrap_or(BETWEEN), Ordering::Relaxed);
    }

    /// A product notes that it handles no command.
    pub(crate) fn between(&self, product: usize) {
        self.handling[product].store(BETWEEN, Ordering::Relaxed);
    }

    /// Whether this product ended while it handled a command.
    pub(crate) fn was_handling(&self, product: usize) -> bool {
        self.handled_command(product).is_some()
    }

    /// The command that this product handles, or ended at.
    pub(crate) fn handled_command(&self, product: usize) -> Option<usize> {
        let command = self.handling[product].load(Ordering::Relaxed);
        (command != BETWEEN).then_some(command as usize)
    }

    /// Takes a product's reply.
    pub(crate) fn reply(&self, product: usize, attempt: u32, reply: ProductReply) {
        let collected = {
            let mut table = self.table();
            let entry = &mut table.entries[product];
            if entry.attempt != attempt || entry.finished || entry.reply.is_some() {
                return;
            }
            if entry.stepwise {
                entry.reply = Some(reply);
                Some(Collected::Step { product })
            } else {
                table.finish(product, reply).then_some(Collected::All)
            }
        };
        if let Some(collected) = collected {
            (self.wake)(collected);
        }
    }

    /// Whether this product has not replied yet.
    pub(crate) fn is_pending(&self, product: usize) -> bool {
        self.table().entries[product].has_not_replied()
    }

    /// The products that have not replied yet.
    pub(crate) fn pending(&self) -> Vec<usize> {
        let table = self.table();
        table.entries.iter().enumerate().filter(|(_, entry)| entry.has_not_replied()).map(|(index, _)| index).collect()
    }

    /// Starts a new attempt: replies to the old one are dropped from now on.
    pub(crate) fn next_attempt(&self, product: usize) -> u32 {
        self.between(product);
        let mut table = self.table();
        table.entries[product].attempt += 1;
        table.entries[product].attempt
    }

    /// The current attempt of a product.
    pub(crate) fn attempt(&self, product: usize) -> u32 {
        self.table().entries[product].attempt
    }

    /// From now on this product gets one command at a time.
    pub(crate) fn go_stepwise(&self, product: usize) {
        self.table().entries[product].stepwise = true;
    }

    /// Takes the reply to one command; the product is pending again.
    pub(crate) fn take_step(&self, product: usize) -> Option<ProductReply> {
        self.table().entries[product].reply.take()
    }

    /// A product that got one command at a time has no more. Returns whether it was the last of the batch.
    pub(crate) fn finish_stepwise(&self, product: usize, sum: ProductReply) -> bool {
        self.table().finish(product, sum)
    }

    /// All replies in the order of the products, once none is missing.
    pub(crate) fn take_all(&self) -> Option<Vec<ProductReply>> {
        let mut table = self.table();
        if table.unfinished > 0 {
            return None;
        }
        table.entries.iter_mut().map(|entry| entry.reply.take()).collect()
    }

    fn table(&self) -> MutexGuard<'_, ReplyTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplyTable {
    /// Takes the last reply of a product. Returns whether it was the last of the batch.
    fn finish(&mut self, product: usize, reply: ProductReply) -> bool {
        let entry = &mut self.entries[product];
        (entry.reply, entry.finished) = (Some(reply), true);
        self.unfinished -= 1;
        self.unfinished == 0
    }
}

impl ReplyEntry {
    fn has_not_replied(&self) -> bool {
        !self.finished && self.reply.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(products: usize) -> Collector {
        Collector::new(products, Box::new(|_| {}))
    }

    #[test]
    fn only_the_current_attempt_counts_and_only_once() {
        let collector = collector(2);
        assert_eq!(collector.next_attempt(0), 1);
        collector.reply(0, 0, ProductReply::default());
        assert!(collector.is_pending(0), "a reply of the first attempt comes too late");
        collector.reply(0, 1, ProductReply::default());
        collector.reply(0, 1, ProductReply::default());
        assert_eq!(collector.pending(), [1]);
        assert!(collector.take_all().is_none());
        collector.reply(1, 0, ProductReply::default());
        assert_eq!(collector.take_all().map(|all| all.len()), Some(2));
    }

    #[test]
    fn a_product_that_replied_misses_no_reply_while_the_batch_is_committed() {
        let collector = collector(1);
        collector.reply(0, 0, ProductReply::default());
        assert!(collector.take_all().is_some());
        assert!(!collector.is_pending(0), "its actor may end now without being sent the batch again");
        assert!(collector.pending().is_empty());
        let attempt = collector.next_attempt(0);
        collector.reply(0, attempt, ProductReply::default());
        assert!(collector.take_all().is_none(), "one reply is enough");
    }

    #[test]
    fn a_stepwise_product_finishes_when_the_shard_says_so() {
        let collector = collector(1);
        collector.go_stepwise(0);
        for _ in 0..2 {
            let attempt = collector.next_attempt(0);
            collector.reply(0, attempt, ProductReply::default());
            assert!(collector.take_step(0).is_some());
            assert!(collector.is_pending(0));
        }
        assert!(collector.finish_stepwise(0, ProductReply::default()));
        assert!(collector.take_all().is_some());
    }
}
