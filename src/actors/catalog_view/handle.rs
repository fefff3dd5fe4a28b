//! How the rest of the process reads the catalogue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::entry::Entry;
use super::facets::Facets;
use super::front::{Front, FrontQuery};
use super::history::Change;
use super::lists::{self, FoundProducts, Query};
use super::related;
use super::shared_text::SharedText;
use super::store::{Catalog, Tallies};
use crate::actors::waiting::WaitingOutput;
use crate::domain::EpochMs;
use crate::domain::ids::Stock;
use crate::domain::money::Cents;
use crate::domain::product::Revision;
use crate::log::{Offset, Topic, TopicPartition};
use crate::wire::pages::status::CatalogState;

/// Queries over more products than this leave the async workers alone.
const QUERY_INLINE_MAX: u64 = 5_000;
/// How many of those run at once.
const QUERIES_AT_ONCE: usize = 2;

/// Reads the catalogue. Cheap to clone; nothing here waits for the view, except where it says so.
#[derive(Debug, Clone)]
pub struct CatalogHandle {
    catalog: Arc<Catalog>,
    large_queries: Arc<Semaphore>,
}

/// A product as `GET /product/{id}` answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The JSON object.
    pub body: Bytes,
    /// A strong entity tag, quotes included: the same in every process for the same versions of the same log.
    pub etag: String,
}

/// What a product is called and costs now, for cart and checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub name: String,
    pub image_url: String,
    pub price: Cents,
    pub stock: Stock,
}

/// How much of the restore is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreProgress {
    pub state: CatalogState,
    /// Products that are listed.
    pub products: u64,
    pub records_read: u64,
    /// Records to be read before it is live, as an upper bound; 0 while that is not known.
    pub records_to_read: u64,
}

impl Default for CatalogHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl CatalogHandle {
    /// An empty catalogue that no view fills yet.
    #[must_use]
    pub fn new() -> Self {
        Self { catalog: Arc::default(), large_queries: Arc::new(Semaphore::new(QUERIES_AT_ONCE)) }
    }

    /// The product as it is to be answered; `None` if the catalogue doesn't have it.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Rendered> {
        self.get_unless(id, |_| false)
    }

    /// As [`Self::get`], with an empty body for a reader who knows the entity tag: taking the body counts a reference that all
    /// readers of the product write.
    #[must_use]
    pub fn get_unless(&self, id: &str, is_known: impl FnOnce(&str) -> bool) -> Option<Rendered> {
        let rendered = self.catalog.table.with_slot(id, |_, slot| {
            let entry = slot.entry.load();
            let entry = entry.as_ref().filter(|entry| !entry.is_removed())?;
            let etag = self.etag(entry);
            let body = if is_known(&etag) { Bytes::new() } else { entry.body().clone() };
            Some(Rendered { body, etag })
        });
        rendered.flatten()
    }

    /// The product's entry; `None` if the catalogue doesn't have it.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<Arc<Entry>> {
        let entry = self.catalog.table.with_slot(id, |_, slot| slot.entry.load_full()).flatten();
        entry.filter(|entry| !entry.is_removed())
    }

    /// What the product is called and costs now; `None` if the catalogue doesn't have it.
    #[must_use]
    pub fn listing(&self, id: &str) -> Option<Listing> {
        let entry = self.entry(id)?;
        Some(Listing { name: entry.name(), image_url: entry.image_url(), price: entry.price, stock: entry.stock })
    }

    /// The strong entity tag of an entry, made of both versions and the log they are versions in.
    #[must_use]
    pub fn etag(&self, entry: &Entry) -> String {
        let log = self.catalog.log_tag();
        let Revision { life, version } = entry.revision;
        let details = entry.details_version;
        match entry.was() {
            None => format!("\"{log:08x}-{life:x}.{version:x}.{details:x}\""),
            Some(was) => format!("\"{log:08x}-{life:x}.{version:x}.{details:x}.{:x}.{:x}\"", was.price.cents(), was.at_ms),
        }
    }

    /// A strong entity tag of a list of products: the same in every process for the same versions of the same products.
    #[must_use]
    pub fn list_etag(&self, total: usize, entries: &[Arc<Entry>]) -> String {
        let mut digest = Sha256::new();
        digest.update(total.to_le_bytes());
        for entry in entries {
            digest.update(entry.product_id());
            digest.update(self.etag(entry));
        }
        let digest = digest.finalize();
        let tag = digest.first_chunk::<16>().map_or(0, |head| u128::from_be_bytes(*head));
        format!("\"l{tag:032x}\"")
    }

    /// The products that a query asks for, in its order.
    pub async fn query(&self, query: Query) -> FoundProducts {
        self.scan(move |catalog| {
            let found = catalog.lists.answer(&catalog.table, catalog.generations(), &query);
            // A query that narrows nothing does not count: all are known.
            let all = usize::try_from(catalog.listed()).unwrap_or(usize::MAX);
            FoundProducts { total: if query.is_open() { all } else { found.total }, ..found }
        })
        .await
    }

    /// What the products of a query can be narrowed by.
    pub async fn facets(&self, query: Query) -> Facets {
        self.scan(move |catalog| Facets::count(&catalog.table, &query)).await
    }

    /// The shelves of the first page.
    pub async fn front(&self, asked: FrontQuery) -> Front {
        self.scan(move |catalog| {
            let changes = catalog.changes.load(Ordering::Acquire);
            catalog.front.show(&catalog.table, &catalog.lists, catalog.generations(), changes, &asked)
        })
        .await
    }

    /// The products most like this one, in stock first.
    pub async fn like(&self, product: Arc<Entry>, count: usize) -> Vec<Arc<Entry>> {
        self.scan(move |catalog| related::like(&catalog.table, &product, count)).await
    }

    /// Scans the catalogue. The scan of a large one waits for its turn beside the async workers.
    async fn scan<T: Default + Send + 'static>(&self, scan: impl FnOnce(&Catalog) -> T + Send + 'static) -> T {
        let catalog = self.catalog.clone();
        if catalog.listed() <= QUERY_INLINE_MAX {
            return scan(&catalog);
        }
        let _turn = self.large_queries.clone().acquire_owned().await;
        tokio::task::spawn_blocking(move || scan(&catalog)).await.unwrap_or_default()
    }

    /// All products, in the order in which the view met them.
    pub fn all(&self) -> impl Iterator<Item = Arc<Entry>> {
        lists::listed(&self.catalog.table)
    }

    /// A text of products that shares them with the catalogue and with every other such text.
    #[must_use]
    pub fn text(
        &self,
        products: impl Iterator<Item = Arc<Entry>>,
        around: impl FnOnce(usize, usize) -> (Bytes, Bytes),
    ) -> Arc<SharedText> {
        Arc::new(SharedText::new(products, self.waiting(), around))
    }

    /// The bytes that wait for slow readers of this process.
    #[must_use]
    pub fn waiting(&self) -> &WaitingOutput {
        &self.catalog.waiting
    }

    /// The distinct categories in order of their names.
    #[must_use]
    pub fn categories(&self) -> Arc<Vec<Arc<str>>> {
        self.catalog.lists.categories(&self.catalog.table, self.catalog.generations())
    }

    /// The product's changes at or after this time, the newest first; `None` if the catalogue doesn't have it. At most an hour,
    /// and at least the last 250 of a product that changes more often than that.
    #[must_use]
    pub fn history(&self, id: &str, since_ms: EpochMs) -> Option<Vec<Arc<Change>>> {
        let (_, slot) = self.catalog.table.find(id)?;
        slot.entry.load().as_ref().filter(|entry| !entry.is_removed())?;
        Some(slot.history.load().as_ref().map_or_else(Vec::new, |history| history.since(since_ms).cloned().collect()))
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> RestoreProgress {
        RestoreProgress {
            state: self.catalog.state(),
            products: self.catalog.listed(),
            records_read: self.catalog.records_read.load(Ordering::Relaxed),
            records_to_read: self.catalog.records_to_read.load(Ordering::Relaxed),
        }
    }

    /// How far it is, in one word.
    #[must_use]
    pub fn state(&self) -> CatalogState {
        self.catalog.state()
    }

    /// The log's own name; `None` before the view knew it.
    #[must_use]
    pub fn log_id(&self) -> Option<&str> {
        self.catalog.log_id()
    }

    /// Counts of the records that were read, by what they changed.
    #[must_use]
    pub fn tallies(&self) -> &Tallies {
        &self.catalog.tallies
    }

    /// Where it stands on `products`, and on `inventory-events` once it follows them.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<TopicPartition, Offset> {
        let products = (0..).zip(self.catalog.source_positions().iter().copied().collect::<Vec<_>>());
        let products = products.map(|(partition, offset)| (TopicPartition::new(Topic::Products, partition), offset));
        let events = self.catalog.event_positions();
        products.chain(events.iter().flat_map(|events| events.iter().map(|(at, offset)| (*at, *offset)))).collect()
    }

    pub(crate) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
}
