//! How the view changes what it holds: a batch of records, one after the other, then one announcement of all that changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::{Entry, Removal, StateOrigin};
use super::history::{Change, History};
use super::lists::listed;
use super::merge::{self, Merged, StockAndPrice, Trust};
use super::store::Catalog;
use super::table::{Slot, SlotNo};
use super::taken::ChangeNote;
use super::writer::ViewWriter;
use crate::domain::EpochMs;
use crate::domain::ids::{ProductId, Stock};
use crate::domain::inventory::EventKind;
use crate::domain::product::Product;
use crate::log::{Offset, PartitionId};
use crate::telemetry::context::TraceContext;

/// A change of a product's stock or price, as decoded from `inventory-events`.
#[derive(Debug)]
pub struct StockChange {
    pub id: ProductId,
    pub stock_and_price: StockAndPrice,
    pub change: Arc<Change>,
    pub trace: Option<TraceContext>,
    /// Its offset on `inventory-events`.
    pub offset: Offset,
    /// Whether pages are sent it: not what happened before the view began to follow.
    pub is_news: bool,
}

impl Catalog {
    /// Whether a record with this origin is worth decoding.
    #[must_use]
    pub fn wants(&self, id: &str, origin: &StateOrigin, trust: Trust) -> bool {
        match self.table.find(id) {
            Some((_, slot)) => merge::is_news(slot.entry.load().as_deref(), origin, trust),
            None => true,
        }
    }

    /// Takes a whole record. During a restore a record that an earlier incarnation had read and whose product has no slot is only
    /// listed: the product may have been removed since, which a later tombstone of the restore shows.
    pub fn take_whole(&self, writer: &mut ViewWriter, product: &Product, origin: StateOrigin, trust: Trust) {
        if writer.seen.is_some() && self.was_read_before(&product.id, &origin) && self.table.find(product.id.as_str()).is_none() {
            writer.unlisted.insert(product.id.as_str().to_owned(), (product.clone(), origin));
            return;
        }
        writer.unlisted.remove(product.id.as_str());
        let (number, slot) = self.table.find_or_add(&product.id);
        writer.mark_seen(number);
        let labels = writer.shared_labels(&product.details.category, &product.details.brand);
        let merged = merge::take_whole(slot.entry.load().as_deref(), product, labels, origin, trust);
        self.keep(writer, number, &slot, merged);
    }

    /// Whether an earlier incarnation that reached the end had read the record.
    fn was_read_before(&self, id: &ProductId, origin: &StateOrigin) -> bool {
        let positions = self.positions.load();
        self.is_live.load(Ordering::Relaxed) && positions.get(self.place_of(id)).is_some_and(|end| origin.source_offset < *end)
    }

    /// Takes a tombstone.
    pub fn take_removal(&self, writer: &mut ViewWriter, id: &str, gone: &Removal) {
        let Some((number, slot)) = self.table.find(id) else {
            writer.unlisted.remove(id);
            self.tallies.known.fetch_add(1, Ordering::Relaxed);
            return;
        };
        writer.mark_seen(number);
        let merged = merge::take_removal(slot.entry.load().as_deref(), gone);
        self.keep(writer, number, &slot, merged);
    }

    /// Takes an event: stock and price if they are news, the change into the history, and the note for pages.
    pub fn take_event(&self, writer: &mut ViewWriter, change: StockChange) {
        // The two topics are not ordered against each other: the event that added a product may arrive first, and belongs to its
        // history.
        let adds = change.change.kind == EventKind::ProductAdded;
        let place = if adds { Some(self.table.find_or_add(&change.id)) } else { self.table.find(change.id.as_str()) };
        let Some((number, slot)) = place else {
            self.tallies.unknown.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(kartshoppe.product.id = %change.id, "an event of a product that the catalogue doesn't have");
            return;
        };
        let merged = merge::take_stock_and_price(slot.entry.load().as_deref(), &change.stock_and_price);
        let is_of_other_lifetime = matches!(merged, Merged::OtherLifetime);
        self.keep(writer, number, &slot, merged);
        if is_of_other_lifetime {
            return;
        }
        let before = slot.history.load();
        let Some(history) = History::with(before.as_deref(), change.change.clone(), change.offset) else { return };
        writer.remembered = (writer.remembered + history.len()).saturating_sub(before.as_ref().map_or(0, |known| known.len()));
        slot.history.store(Some(Arc::new(history)));
        if change.change.is_move() {
            writer.moves.add(number, &change.change);
        }
        if change.is_news {
            let note = ChangeNote { change: change.change, trace: change.trace, others: Vec::new() };
            let note = match writer.notes.remove(&number) {
                Some(older) => note.replacing(older),
                None => note,
            };
            writer.notes.insert(number, note);
        }
    }

    /// Takes note of a record that brings nothing new.
    pub fn take_nothing(&self, writer: &mut ViewWriter, id: Option<&str>) {
        self.tallies.known.fetch_add(1, Ordering::Relaxed);
        if let Some((number, _)) = id.and_then(|id| self.table.find(id)) {
            writer.mark_seen(number);
        }
    }

    /// Counts a record that could not be read.
    pub fn count_unreadable(&self) {
        self.tallies.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    fn keep(&self, writer: &mut ViewWriter, number: SlotNo, slot: &Slot, merged: Merged) {
        let tally = match merged {
            Merged::Taken(entry) => {
                self.put(writer, number, slot, entry);
                &self.tallies.taken
            }
            Merged::Known => &self.tallies.known,
            Merged::OtherLifetime => &self.tallies.other_life,
            Merged::Unknown => &self.tallies.unknown,
        };
        tally.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn put(&self, writer: &mut ViewWriter, number: SlotNo, slot: &Slot, entry: Entry) {
        let held = slot.entry.load();
        let was_listed = held.as_ref().is_some_and(|held| !held.is_removed());
        if !was_listed && !entry.is_removed() {
            self.listed.fetch_add(1, Ordering::Relaxed);
        }
        if was_listed && entry.is_removed() {
            self.listed.fetch_sub(1, Ordering::Relaxed);
        }
        let in_stock = |entry: &Entry| entry.stock != Stock::NONE;
        writer.stocked_changed |= held.as_ref().is_none_or(|held| in_stock(held) != in_stock(&entry));
        if let Some(was) = entry.was().filter(|was| held.as_ref().and_then(|held| held.was()) != Some(*was)) {
            writer.drops.insert((was.at_ms, number));
        }
        writer.prices_changed |= held.as_ref().is_none_or(|held| held.price != entry.price);
        writer.details_changed |= held.as_ref().is_none_or(|held| {
            held.details_version != entry.details_version
                || held.presence != entry.presence
                || held.revision.life != entry.revision.life
        });
        if held.as_deref() != Some(&entry) {
            writer.changed.push(number);
        }
        if let Some(held) = held.as_ref().filter(|held| held.body().as_ptr() != entry.body().as_ptr()) {
            self.waiting.note_replaced(held.body().len());
        }
        slot.entry.store(Some(Arc::new(entry)));
    }

    /// Ends a batch: announces to lists and fan-out what changed, and moves the positions.
    pub fn finish_batch(&self, writer: &mut ViewWriter, positions: &[(PartitionId, Offset)]) {
        self.move_positions(positions);
        let changed = self.changed(writer);
        self.taken.add(changed, self.source_positions());
    }

    /// Products that the batch changed, with what pages are sent beside each.
    fn changed(&self, writer: &mut ViewWriter) -> Vec<(SlotNo, Option<ChangeNote>)> {
        if std::mem::take(&mut writer.details_changed) {
            self.details_generation.fetch_add(1, Ordering::Release);
        }
        if std::mem::take(&mut writer.prices_changed) {
            self.prices_generation.fetch_add(1, Ordering::Release);
        }
        if std::mem::take(&mut writer.stocked_changed) {
            self.stocked_generation.fetch_add(1, Ordering::Release);
        }
        if !writer.changed.is_empty() || !writer.notes.is_empty() {
            self.changes.fetch_add(1, Ordering::Release);
        }
        if let Some(moves) = writer.moves.news() {
            self.front.moves.store(moves);
        }
        let mut notes = std::mem::take(&mut writer.notes);
        let mut changed: Vec<(SlotNo, Option<ChangeNote>)> = Vec::with_capacity(writer.changed.len());
        for number in writer.changed.drain(..) {
            changed.push((number, notes.remove(&number)));
        }
        changed.extend(notes.into_iter().map(|(number, note)| (number, Some(note))));
        changed
    }

    /// Begins a restore: products that it does not meet were removed while no view was running.
    pub fn begin_restore(&self, writer: &mut ViewWriter) {
        let ViewWriter { remembered, hand, moves, drops, .. } = std::mem::take(writer);
        *writer = ViewWriter { remembered, hand, moves, drops, ..ViewWriter::default() };
        for entry in listed(&self.table) {
            writer.labels.extend([entry.category.clone(), entry.brand.clone()]);
        }
        writer.seen = Some(vec![false; self.table.count() as usize]);
    }

    /// Ends a restore at these positions of `products`: what was not seen is gone, and every page resumes.
    pub fn finish_restore(&self, writer: &mut ViewWriter, positions: &[(PartitionId, Offset)], now_ms: EpochMs) {
        self.move_positions(positions);
        let seen = writer.seen.take().unwrap_or_default();
        for (number, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            let Ok(number) = SlotNo::try_from(number) else { continue };
            let Some(slot) = self.table.slot(number) else { continue };
            let held = slot.entry.load_full();
            if let Some(held) = held.filter(|held| !held.is_removed()) {
                // Its tombstone was compacted away and may have been at any offset up to here.
                let removed_at = self.positions.load().get(self.place_of(&slot.id)).map_or(held.source_offset, |end| end - 1);
                let gone = Removal { revision: None, source_offset: removed_at, at_ms: now_ms };
                self.put(writer, number, &slot, held.as_removed(&gone));
            }
        }
        for (product, origin) in std::mem::take(&mut writer.unlisted).into_values() {
            self.take_whole(writer, &product, origin, Trust::Log);
        }
        // Removals before this place may have been compacted away: only later ones are sure to have been seen.
        if self.floor.load().is_empty() {
            self.floor.store(self.positions.load_full());
        }
        self.is_live.store(true, Ordering::Release);
        // What the last incarnation took and did not announce is in the catalogue, but not among the changes: so every page
        // resumes.
        let changed = self.changed(writer);
        self.taken.add_and_resume(changed, self.source_positions());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::actors::catalog_view::testing::TestCatalogue;
    use crate::domain::product::Revision;

    #[test]
    fn an_event_creates_nothing_brings_nothing_back_and_stays_in_its_lifetime() {
        let shop = TestCatalogue::restored(2);
        shop.event("NOBODY", 4, 7, "o-1");
        assert_eq!(shop.catalog.entry("NOBODY"), None);
        shop.remove("P0");
        shop.event("P0", 9, 7, "o-2");
        assert_eq!(shop.catalog.entry("P0"), None);
        shop.event_of("P1", Revision { life: 77, version: 9 }, 7, "o-3");
        assert_eq!(shop.catalog.listing("P1").map(|listing| listing.stock.units()), Some(100));
        let tallies = shop.catalog.tallies();
        assert_eq!((tallies.unknown.load(Ordering::Relaxed), tallies.other_life.load(Ordering::Relaxed)), (2, 1));
        assert_eq!(shop.catalog.progress().products, 1);
    }
}
