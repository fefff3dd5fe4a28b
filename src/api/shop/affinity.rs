//! Products that sell together: counted from the latest orders at intervals, read without a lock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::api::server::Lifeline;
use crate::store::{Basket, Store};

/// Orders that are counted: enough for patterns, few enough to be read in milliseconds.
const ORDERS: u32 = 2_000;
/// How often they are counted.
const EVERY: Duration = Duration::from_secs(60);
/// Products of one order that are counted, each paired with every other.
const BASKET_MAX: usize = 20;
/// Partners that are remembered per product.
const PARTNERS_MAX: usize = 16;
/// Products count as bought together once this many sessions bought them; a smaller number would reveal what those few bought.
const SESSIONS_MIN: usize = 5;

/// The latest count. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct AffinityHandle(Arc<ArcSwap<Affinity>>);

/// Counts from the latest orders. Sessions are counted, not orders, so that repeated purchases of one session add nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// In how many sessions each product was bought.
    sold: HashMap<Arc<str>, u32>,
    /// What was bought beside it, most often first, each with the number of sessions.
    partners: HashMap<Arc<str>, Vec<(Arc<str>, u32)>>,
}

impl AffinityHandle {
    /// Starts counting, until the server stops.
    #[must_use]
    pub fn start(store: Store, lifeline: &Lifeline) -> Self {
        let handle = Self::default();
        let (counting, stop) = (handle.clone(), lifeline.stop.clone());
        lifeline.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(counting.keep_counting(store)).await;
        });
        handle
    }

    /// The latest count.
    #[must_use]
    pub fn read(&self) -> Arc<Affinity> {
        self.0.load_full()
    }

    async fn keep_counting(self, store: Store) {
        loop {
            match store.recent_baskets(ORDERS).await {
                Ok(baskets) => self.0.store(Arc::new(Affinity::of(&baskets))),
                Err(error) => tracing::debug!(%error, "the latest orders could not be counted"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

impl Affinity {
    /// Counts baskets.
    #[must_use]
    pub fn of(baskets: &[Basket]) -> Self {
        let mut sold: HashMap<Arc<str>, HashSet<&str>> = HashMap::new();
        let mut pairs: HashMap<Arc<str>, HashMap<Arc<str>, HashSet<&str>>> = HashMap::new();
        let mut names: HashMap<&str, Arc<str>> = HashMap::new();
        for basket in baskets {
            let mut ids: Vec<Arc<str>> = Vec::new();
            for id in basket.product_ids.iter().take(BASKET_MAX) {
                let id = names.entry(id).or_insert_with(|| Arc::from(id.as_str())).clone();
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            // Orders without a session were inserted by hand and count as one session.
            let session = basket.session_id.as_deref().unwrap_or_default();
            for id in &ids {
                sold.entry(id.clone()).or_default().insert(session);
                let beside = pairs.entry(id.clone()).or_default();
                for other in ids.iter().filter(|other| *other != id) {
                    beside.entry(other.clone()).or_default().insert(session);
                }
            }
        }
        let partners = pairs.into_iter().map(|(id, beside)| {
            let often = beside.into_iter().filter(|(_, sessions)| sessions.len() >= SESSIONS_MIN);
            (id, ranked(counted(often), PARTNERS_MAX))
        });
        Self { partners: partners.collect(), sold: counted(sold.into_iter()) }
    }

    /// What was bought beside these products, most often first, each with its share of their sessions (0 to 1).
    #[must_use]
    pub fn beside(&self, ids: &[String]) -> Vec<(Arc<str>, f64)> {
        let mut found: HashMap<Arc<str>, u32> = HashMap::new();
        for (partner, orders) in ids.iter().filter_map(|id| self.partners.get(id.as_str())).flatten() {
            if !ids.iter().any(|id| **id == **partner) {
                *found.entry(partner.clone()).or_default() += orders;
            }
        }
        let of = f64::from(ids.iter().filter_map(|id| self.sold.get(id.as_str())).sum::<u32>().max(1));
        ranked(found, PARTNERS_MAX).into_iter().map(|(id, orders)| (id, f64::from(orders) / of)).collect()
    }

    /// What was bought in most sessions.
    #[must_use]
    pub fn best_selling(&self, count: usize) -> Vec<Arc<str>> {
        ranked(self.sold.clone(), count).into_iter().map(|(id, _)| id).collect()
    }
}

fn counted<'a>(sessions: impl Iterator<Item = (Arc<str>, HashSet<&'a str>)>) -> HashMap<Arc<str>, u32> {
    // Far fewer orders are read than the counter's type can hold.
    sessions.map(|(id, sessions)| (id, u32::try_from(sessions.len()).unwrap_or(u32::MAX))).collect()
}

/// The highest counts first, ties by id.
fn ranked(counts: HashMap<Arc<str>, u32>, most: usize) -> Vec<(Arc<str>, u32)> {
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ranked.truncate(most);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basket(session: &str, ids: &[&str]) -> Basket {
        Basket { session_id: Some(session.to_owned()), product_ids: ids.iter().map(|id| (*id).to_owned()).collect() }
    }

    #[test]
    fn counts_what_is_bought_together() {
        let mut baskets: Vec<Basket> = ["a", "b", "c", "d", "e"].map(|session| basket(session, &["MUG", "TEA", "TEA"])).into();
        baskets.extend([basket("f", &["MUG", "CAKE"]), basket("f", &["MUG"])]);
        let affinity = Affinity::of(&baskets);
        let beside = affinity.beside(&["MUG".to_owned()]);
        assert_eq!(beside.iter().map(|(id, _)| &**id).collect::<Vec<_>>(), ["TEA"]);
        assert!((beside[0].1 - 5.0 / 6.0).abs() < 1e-9);
        assert!(affinity.beside(&["MUG".to_owned(), "TEA".to_owned()]).is_empty());
        assert!(affinity.beside(&["NOVEL".to_owned()]).is_empty());
        assert_eq!(affinity.best_selling(2).iter().map(|id| &**id).collect::<Vec<_>>(), ["MUG", "TEA"]);
    }

    #[test]
    fn what_few_sessions_bought_tells_nobody_of_them() {
        let of = |sessions: &[&str]| -> usize {
            let baskets: Vec<Basket> = sessions.iter().map(|session| basket(session, &["MUG", "TEA"])).collect();
            Affinity::of(&baskets).beside(&["MUG".to_owned()]).len()
        };
        assert_eq!(of(&["a", "b", "c", "d"]), 0);
        assert_eq!(of(&["a", "b", "c", "d", "d", "d", "d"]), 0, "one session that buys often is one");
        assert_eq!(of(&["a", "b", "c", "d", "e"]), 1);
    }
}
