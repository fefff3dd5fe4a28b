//! A shard's products as operators see them.

use serde::Serialize;

use super::slots::{ProductSlot, ProductSlots};
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;

/// A product as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductReport {
    pub id: String,
    /// It has an actor now; one that gets no commands for a while is passivated.
    pub live: bool,
    /// Actors that it had since its shard read its state; the next command makes one for a product without.
    pub incarnation: u32,
    pub stock: i64,
    pub life: i64,
    pub version: u64,
    pub last_heard_ms: EpochMs,
    pub stale_deadline_ms: EpochMs,
    pub stale: bool,
    /// Its actor has been restarted lately.
    pub restarted: bool,
}

/// At most `limit` products, in the order of their ids.
pub(super) fn list(slots: &ProductSlots, limit: usize) -> Vec<ProductReport> {
    let mut ids: Vec<_> = slots.iter().collect();
    ids.sort_unstable_by_key(|(id, _)| *id);
    ids.into_iter().filter_map(|(id, slot)| report(id, slot)).take(limit).collect()
}

/// One product, if there is one of this id.
pub(super) fn find(slots: &ProductSlots, id: &ProductId) -> Option<ProductReport> {
    slots.get(id).and_then(|slot| report(id, slot))
}

fn report(id: &ProductId, slot: &ProductSlot) -> Option<ProductReport> {
    let known = slot.state.as_ref()?;
    Some(ProductReport {
        id: id.to_string(),
        live: slot.live.is_some(),
        incarnation: slot.incarnation,
        stock: known.product.stock.units(),
        life: known.revision.life,
        version: known.revision.version,
        last_heard_ms: known.last_heard_ms,
        stale_deadline_ms: known.stale_deadline_ms,
        stale: known.stale,
        restarted: slot.restarts.is_some(),
    })
}
