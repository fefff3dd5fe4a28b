//! Where the products of one batch put their replies: a table with one cell per product, instead of one message per product.
//!
//! The last reply wakes the shard. A reply counts only if it is of the cell's present attempt, so that an actor that was given up
//! for hung and answers after all is not heard. The shard is the only one that starts new attempts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{BatchId, ShardMsg};
use crate::actors::envelope::Mailbox;
use crate::actors::product::Reply;

/// No command is being handled.
const BETWEEN: u32 = u32::MAX;

/// The table of one batch.
#[derive(Debug)]
pub struct Collector {
    batch: BatchId,
    shard: Mailbox<ShardMsg>,
    /// Per cell: the index of the command being handled.
    at: Vec<AtomicU32>,
    cells: Mutex<Cells>,
}

#[derive(Debug)]
struct Cells {
    cells: Vec<Cell>,
    /// Cells whose product has not finished its commands.
    unfinished: usize,
}

#[derive(Debug, Default)]
struct Cell {
    attempt: u32,
    /// The product works command by command: each reply wakes the shard.
    stepwise: bool,
    reply: Option<Reply>,
    /// All its commands have been replied to. It stays so when the replies are taken: a product that ends while its batch is being
    /// committed owes nothing.
    finished: bool,
}

impl Collector {
    /// A table of this many products.
    #[must_use]
    pub fn new(batch: BatchId, shard: Mailbox<ShardMsg>, products: usize) -> Self {
        let cells = Cells { cells: std::iter::repeat_with(Cell::default).take(products).collect(), unfinished: products };
        Self { batch, shard, at: (0..products).map(|_| AtomicU32::new(BETWEEN)).collect(), cells: Mutex::new(cells) }
    }

    /// A product notes which command it handles; whether its end is that command's failure depends on it.
    pub fn begin(&self, cell: usize, command: usize) {
        self.at[cell].store(u32::try_from(command).unwrap_or(BETWEEN), Ordering::Relaxed);
    }

    /// A product notes that it handles no command.
    pub fn between(&self, cell: usize) {
        self.at[cell].store(BETWEEN, Ordering::Relaxed);
    }

    /// Whether the product of this cell ended while it handled a command.
    #[must_use]
    pub fn was_handling(&self, cell: usize) -> bool {
        self.at[cell].load(Ordering::Relaxed) != BETWEEN
    }

    /// A product's reply.
    pub fn reply(&self, cell: usize, attempt: u32, reply: Reply) {
        let wakes = {
            let mut table = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            let place = &mut table.cells[cell];
            if place.attempt != attempt || place.finished || place.reply.is_some() {
                return;
            }
            if place.stepwise {
                place.reply = Some(reply);
                Some(ShardMsg::Stepped { batch: self.batch, cell })
            } else {
                table.finish(cell, reply).then_some(ShardMsg::Replied { batch: self.batch })
            }
        };
        if let Some(message) = wakes {
            // A shard that is gone needs no reply: its successor restores from the log.
            let _ = self.shard.tell(message);
        }
    }

    /// Whether the product of this cell still owes a reply.
    #[must_use]
    pub fn is_pending(&self, cell: usize) -> bool {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).cells[cell].owes()
    }

    /// The cells that still owe a reply.
    #[must_use]
    pub fn pending(&self) -> Vec<usize> {
        let table = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        table.cells.iter().enumerate().filter(|(_, cell)| cell.owes()).map(|(index, _)| index).collect()
    }

    /// Starts a new attempt: replies of the old one are dropped from now on.
    pub fn next_attempt(&self, cell: usize) -> u32 {
        self.between(cell);
        let mut table = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        table.cells[cell].attempt += 1;
        table.cells[cell].attempt
    }

    /// The present attempt of a cell.
    #[must_use]
    pub fn attempt(&self, cell: usize) -> u32 {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).cells[cell].attempt
    }

    /// From now on the product of this cell gets one command at a time.
    pub fn go_stepwise(&self, cell: usize) {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).cells[cell].stepwise = true;
    }

    /// Takes the reply of one step; the cell is pending again.
    #[must_use]
    pub fn take_step(&self, cell: usize) -> Option<Reply> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).cells[cell].reply.take()
    }

    /// A product that went step by step is through. Returns whether it was the last of the batch.
    pub fn finish_stepwise(&self, cell: usize, sum: Reply) -> bool {
        let mut table = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        table.finish(cell, sum)
    }

    /// All replies in the order of the cells, when none is missing.
    #[must_use]
    pub fn take_all(&self) -> Option<Vec<Reply>> {
        let mut table = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if table.unfinished > 0 {
            return None;
        }
        table.cells.iter_mut().map(|cell| cell.reply.take()).collect()
    }
}

impl Cells {
    /// Takes the last reply of a cell. Returns whether it was the last of the batch.
    fn finish(&mut self, cell: usize, reply: Reply) -> bool {
        let place = &mut self.cells[cell];
        (place.reply, place.finished) = (Some(reply), true);
        self.unfinished -= 1;
        self.unfinished == 0
    }
}

impl Cell {
    fn owes(&self) -> bool {
        !self.finished && self.reply.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_present_attempt_is_heard_and_only_once() {
        let collector = Collector::new(1, Mailbox::new("shard/0"), 2);
        assert_eq!(collector.next_attempt(0), 1);
        collector.reply(0, 0, Reply::default());
        assert!(collector.is_pending(0), "a reply of the first attempt comes too late");
        collector.reply(0, 1, Reply::default());
        collector.reply(0, 1, Reply::default());
        assert_eq!(collector.pending(), [1]);
        assert!(collector.take_all().is_none());
        collector.reply(1, 0, Reply::default());
        assert_eq!(collector.take_all().map(|all| all.len()), Some(2));
    }

    #[test]
    fn who_has_replied_owes_nothing_while_the_batch_is_committed() {
        let collector = Collector::new(1, Mailbox::new("shard/0"), 1);
        collector.reply(0, 0, Reply::default());
        assert!(collector.take_all().is_some());
        assert!(!collector.is_pending(0), "its product may end now, and nobody sends it the batch again");
        assert!(collector.pending().is_empty());
        let attempt = collector.next_attempt(0);
        collector.reply(0, attempt, Reply::default());
        assert!(collector.take_all().is_none(), "one reply is enough");
    }

    #[test]
    fn a_stepwise_cell_finishes_when_the_shard_says_so() {
        let collector = Collector::new(1, Mailbox::new("shard/0"), 1);
        collector.go_stepwise(0);
        for _ in 0..2 {
            let attempt = collector.next_attempt(0);
            collector.reply(0, attempt, Reply::default());
            assert!(collector.take_step(0).is_some());
            assert!(collector.is_pending(0));
        }
        assert!(collector.finish_stepwise(0, Reply::default()));
        assert!(collector.take_all().is_some());
    }
}
