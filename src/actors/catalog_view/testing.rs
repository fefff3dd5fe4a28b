//! A catalogue driven by hand, for the tests of its readers.

use std::sync::{Arc, Mutex, PoisonError};

use super::entry::{Removal, StateOrigin};
use super::history::Change;
use super::intake::StockChange;
use super::merge::{StockAndPrice, Trust};
use super::{CatalogHandle, CatalogState};
use crate::domain::ids::{OrderId, ProductId, Stock};
use crate::domain::inventory::EventKind;
use crate::domain::money::Cents;
use crate::domain::order::OrderStatus;
use crate::domain::product::{Details, Product, Revision};
use crate::telemetry::context::TraceContext;
use crate::wire::Money;

/// The trace that every event carries.
pub const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// No product is ever left with this stock but by its removal.
pub const GONE: i64 = 0;

/// A catalogue and the log's side of it: one partition, the next offset of each topic.
#[derive(Debug)]
pub struct TestCatalogue {
    pub catalog: CatalogHandle,
    offsets: Mutex<NextOffsets>,
}

#[derive(Debug, Default)]
struct NextOffsets {
    products: i64,
    events: i64,
}

impl TestCatalogue {
    /// Nothing was restored yet.
    pub fn empty() -> Self {
        let catalog = CatalogHandle::new();
        catalog.catalog().name_log("log-1".to_owned());
        Self { catalog, offsets: Mutex::default() }
    }

    /// Live, with the products P0, P1, … of 100 units each.
    pub fn restored(products: u32) -> Self {
        let shop = Self::empty();
        shop.restore(products);
        shop
    }

    /// Restores that many products.
    pub fn restore(&self, products: u32) {
        let catalog = self.catalog.catalog();
        let mut writer = catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        catalog.begin_restore(&mut writer);
        for number in 0..products {
            let origin = self.origin(1);
            catalog.take_whole(&mut writer, &product(&format!("P{number}"), 100, 1), origin, Trust::Log);
        }
        catalog.finish_restore(&mut writer, &[(0, self.end())], 1);
        drop(writer);
        let state = if products == 0 { CatalogState::Empty } else { CatalogState::Live };
        assert_eq!(self.catalog.state(), state);
    }

    /// A whole record.
    pub fn whole(&self, id: &str, version: u64, stock: i64) {
        let origin = self.origin(version);
        let catalog = self.catalog.catalog();
        let mut writer = catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        catalog.take_whole(&mut writer, &product(id, stock, version), origin, Trust::Held);
        catalog.finish_batch(&mut writer, &[(0, self.end())]);
    }

    /// A tombstone.
    pub fn remove(&self, id: &str) {
        let offset = self.origin(0).source_offset;
        let catalog = self.catalog.catalog();
        let mut writer = catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        catalog.take_removal(&mut writer, id, &Removal { revision: None, source_offset: offset, at_ms: 1 });
        catalog.finish_batch(&mut writer, &[(0, self.end())]);
    }

    /// A restarted view reads old records again, each an id with its offset, and the removals among them (`None`: a tombstone).
    pub fn replay(&self, records: &[(&str, i64, Option<u64>)], meanwhile: impl Fn(&CatalogHandle)) {
        let catalog = self.catalog.catalog();
        let mut writer = catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        catalog.begin_restore(&mut writer);
        for (id, source_offset, version) in records {
            match version {
                Some(version) => {
                    let revision = Revision { life: 0, version: *version };
                    let origin = StateOrigin { revision, changed_at_ms: 1, source_offset: *source_offset };
                    catalog.take_whole(&mut writer, &product(id, 5, *version), origin, Trust::Log);
                }
                None => {
                    catalog.take_removal(&mut writer, id, &Removal { revision: None, source_offset: *source_offset, at_ms: 1 })
                }
            }
            meanwhile(&self.catalog);
        }
        catalog.finish_restore(&mut writer, &[(0, self.end())], 1);
    }

    /// The sweep goes round once.
    pub fn tend(&self, now_ms: i64) {
        let catalog = self.catalog.catalog();
        let mut writer = catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        catalog.tend(&mut writer, catalog.slots(), now_ms);
        catalog.finish_batch(&mut writer, &[]);
    }

    /// An event.
    pub fn event(&self, id: &str, version: u64, stock: i64, order_id: &str) {
        self.event_of(id, Revision { life: 0, version }, stock, order_id);
    }

    /// An event of some lifetime.
    pub fn event_of(&self, id: &str, revision: Revision, stock: i64, order_id: &str) {
        let offset = {
            let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
            offsets.events += 1;
            offsets.events
        };
        let change = Change {
            kind: EventKind::InventoryDecreased,
            previous_stock: Some(stock + 1),
            current_stock: stock,
            previous_price: None,
            current_price: None,
            order_id: Some(OrderId::new(order_id).unwrap()),
            revision,
            at_ms: 1,
        };
        let change_of_event = StockChange {
            id: ProductId::new(id).unwrap(),
            stock_and_price: StockAndPrice {
                revision,
                stock: Stock::new(stock).unwrap(),
                price: None,
                at_ms: 1,
                dropped_from: None,
                last: false,
            },
            change: Arc::new(change),
            trace: TraceContext::parse(TRACE),
            offset,
            is_news: true,
        };
        let catalog = self.catalog.catalog();
        let mut writer = catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        catalog.take_event(&mut writer, change_of_event);
        catalog.finish_batch(&mut writer, &[]);
    }

    /// One unit sold: event and whole record, as one commit brings them.
    pub fn sell(&self, id: &str, order_id: &str) {
        let (version, stock) = self.next(id);
        self.event(id, version, stock, order_id);
        self.whole(id, version, stock);
    }

    /// A new version with the same stock.
    pub fn touch(&self, id: &str) {
        let (version, stock) = self.next(id);
        self.whole(id, version, stock + 1);
    }

    /// Anything that may happen, in any order of the two topics.
    pub fn random_change(&self, step: u64) {
        let id = format!("P{}", step.wrapping_mul(2_654_435_761) % 50);
        let Some(entry) = self.catalog.entry(&id) else {
            // A lifetime of its own, newer than all before.
            return self.revive(&id);
        };
        let (version, stock) = (entry.revision.version + 1, 1 + (entry.stock.units() + 7) % 90);
        match step % 11 {
            0 => self.remove(&id),
            1..4 => {
                self.whole(&id, version, stock);
                self.event(&id, version, stock, "o");
            }
            4..6 => self.whole(&id, version, stock),
            _ => {
                self.event(&id, version, stock, "o");
                self.whole(&id, version, stock);
            }
        }
    }

    fn revive(&self, id: &str) {
        let known = self.catalog.catalog().table.find(id).and_then(|(_, slot)| slot.entry.load_full());
        self.whole(id, known.map_or(1, |entry| entry.revision.version + 1), 5);
    }

    fn next(&self, id: &str) -> (u64, i64) {
        let entry = self.catalog.entry(id).unwrap();
        (entry.revision.version + 1, entry.stock.units() - 1)
    }

    fn origin(&self, version: u64) -> StateOrigin {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.products += 1;
        StateOrigin { revision: Revision { life: 0, version }, changed_at_ms: 1, source_offset: offsets.products - 1 }
    }

    fn end(&self) -> i64 {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner).products
    }
}

fn product(id: &str, stock: i64, version: u64) -> Product {
    let details = Details { name: format!("{id} v{version}").into(), category: "Mugs".into(), rating: 4.0, ..Details::default() };
    Product {
        id: ProductId::new(id).unwrap(),
        price: Cents::new(950).unwrap(),
        stock: Stock::new(stock).unwrap(),
        details: Arc::new(details),
    }
}

/// An order of a session.
pub fn order(order_id: &str, session_id: &str) -> crate::wire::pages::order::Order {
    crate::wire::pages::order::Order {
        order_id: order_id.to_owned(),
        user_id: "u".to_owned(),
        session_id: session_id.to_owned(),
        items: Vec::new(),
        subtotal: Money::default(),
        tax: Money::default(),
        shipping: Money::default(),
        total_amount: Money::default(),
        payable: crate::wire::pages::cart::Quote::default(),
        status: OrderStatus::Pending,
        shipping_address: None,
        payment_info: None,
        created_at: 1,
        updated_at: 1,
        timestamp: 1,
        use_cdc: false,
        timeline: Vec::new(),
        trace_url: None,
    }
}

/// One product for everyone.
pub fn recommendation(product_id: &str) -> crate::wire::pages::recommendation::Recommendation {
    crate::wire::pages::recommendation::Recommendation {
        recommendation_id: "r".to_owned(),
        user_id: "guest".to_owned(),
        session_id: None,
        product_ids: vec![product_id.to_owned()],
        recommendation_type: crate::wire::pages::recommendation::RecommendationType::TrendingNow,
        confidence: 0.5,
        reason: String::new(),
        timestamp: 1,
    }
}
