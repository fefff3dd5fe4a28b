//! What keeps the read model small: histories end after an hour, and so do removed products, whose slots are given back.
//!
//! Clock sweep: 1/60 of the slots per second.

use std::sync::Arc;

use super::history::{History, REMEMBERED_MS};
use super::store::Catalog;
use super::table::{Slot, SlotNo};
use super::writer::ViewWriter;
use crate::domain::EpochMs;

/// Changes in all histories together: at 200 bytes each, 80 MB. Beyond it the sweep drops the older halves.
const REMEMBERED_MAX: u64 = 400_000;

impl Catalog {
    /// Cleans up a part of the slots: histories that are an hour old or too long, and the text of products removed long ago.
    pub fn tend(&self, writer: &mut ViewWriter, slots: u32, now_ms: EpochMs) {
        self.end_drops(writer, now_ms);
        let len = self.table.count();
        for _ in 0..slots.min(len) {
            writer.hand = if writer.hand + 1 >= len { 0 } else { writer.hand + 1 };
            if writer.hand == 0 {
                self.table.rested();
                writer.forget_labels();
            }
            let number = writer.hand;
            if let Some(slot) = self.table.slot(number) {
                self.tend_history(writer, &slot, now_ms);
                self.tend_removed(writer, number, &slot, now_ms);
            }
        }
    }

    /// Forgets the earlier prices of drops that happened more than an hour ago.
    fn end_drops(&self, writer: &mut ViewWriter, now_ms: EpochMs) {
        while let Some((at_ms, number)) = writer.drops.first().copied().filter(|(at_ms, _)| *at_ms <= now_ms - REMEMBERED_MS) {
            writer.drops.pop_first();
            let Some(slot) = self.table.slot(number) else { continue };
            let held = slot.entry.load_full();
            if let Some(held) = held.filter(|held| held.was().is_some_and(|was| was.at_ms == at_ms)) {
                self.put(writer, number, &slot, held.without_was());
            }
        }
    }

    fn tend_history(&self, writer: &mut ViewWriter, slot: &Slot, now_ms: EpochMs) {
        let Some(history) = slot.history.load_full() else { return };
        let expired = history.newest_at_ms().is_none_or(|at_ms| at_ms < now_ms - REMEMBERED_MS);
        let kept = if expired {
            None
        } else if writer.remembered > REMEMBERED_MAX {
            history.halved()
        } else {
            return;
        };
        let left = kept.as_ref().map_or(0, History::len);
        writer.remembered = writer.remembered.saturating_sub(history.len().saturating_sub(left));
        slot.history.store(kept.map(Arc::new));
    }

    /// An hour after a product's removal its text goes, a sweep later its slot. A slot that only ever got a history (the event
    /// that the product was added, of a product whose records are compacted away) goes with that history.
    fn tend_removed(&self, writer: &mut ViewWriter, number: SlotNo, slot: &Slot, now_ms: EpochMs) {
        let held = slot.entry.load_full();
        let has_text = held.as_ref().is_some_and(|entry| !entry.body().is_empty());
        if !has_text && slot.history.load().is_none() {
            self.table.give_back(number);
            return writer.forget(number);
        }
        let Some(entry) = held.filter(|entry| has_text && entry.is_removed()) else { return };
        if entry.changed_at_ms >= now_ms - REMEMBERED_MS {
            return;
        }
        // A page that has not been sent the removal by now must read the whole catalogue.
        let mut floor = Vec::clone(&self.floor.load());
        if let Some(place) = floor.get_mut(self.place_of(&slot.id)) {
            *place = (*place).max(entry.source_offset + 1);
        }
        self.floor.store(Arc::new(floor));
        slot.entry.store(Some(Arc::new(entry.forgotten())));
    }
}
