//! Pages against the real view and journal, without an actor in between: what is due to whom, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::frame::tests::messages;
use super::{FanoutHandle, FanoutSettings, PageInfo, PageSubscription};
use crate::actors::catalog_view::testing::{self, TestCatalogue};
use crate::actors::catalog_view::{CatalogHandle, FrontQuery};
use crate::clock::Clock;
use crate::wire::pages::status::{CatalogState, RunState, Status};

const SETTINGS: FanoutSettings = FanoutSettings { cache_sync_max: 100, heartbeat_interval: Duration::from_secs(5) };

struct Stage {
    shop: TestCatalogue,
    fanout: FanoutHandle,
}

impl Stage {
    fn new(products: u32, settings: FanoutSettings) -> Self {
        let shop = TestCatalogue::restored(products);
        let fanout = FanoutHandle::new(shop.catalog.clone(), settings, Clock::manual(1));
        let stage = Self { shop, fanout };
        stage.flush();
        stage
    }

    fn flush(&self) {
        self.fanout.hub.flush(self.shop.catalog.catalog().taken().drain());
    }

    fn page(&self, v1: bool, resume: Option<String>) -> TestPage {
        let info = PageInfo { session_id: "s".to_owned(), user_id: "u".to_owned(), v1, resume };
        TestPage { subscription: self.fanout.register(info), shown: BTreeMap::new(), cursor: None, reload: false }
    }

    /// What the view has, as pages show it.
    fn expected(&self) -> BTreeMap<String, Value> {
        let shown = self.shop.catalog.all().map(|entry| serde_json::from_slice::<Value>(entry.body()).unwrap());
        shown.map(|body| (body["productId"].as_str().unwrap().to_owned(), body)).collect()
    }
}

struct TestPage {
    subscription: PageSubscription,
    shown: BTreeMap<String, Value>,
    cursor: Option<String>,
    reload: bool,
}

impl TestPage {
    /// Reads everything that is due; returns the types of the frames.
    fn read(&mut self) -> Vec<String> {
        let mut types = Vec::new();
        while let Some(burst) = self.subscription.due_now() {
            types.extend(messages(&burst).into_iter().map(|message| self.show(message)));
        }
        types
    }

    fn show(&mut self, mut message: Value) -> String {
        let kind = message["eventType"].as_str().unwrap().to_owned();
        let mut payload = message["payload"].take();
        match kind.as_str() {
            "PRODUCT_CACHE_SYNC" => {
                let products = payload["products"].as_array().unwrap().iter();
                self.shown = products.map(|body| (body["productId"].as_str().unwrap().to_owned(), body.clone())).collect();
            }
            "PRODUCT_UPDATE" => {
                let fields = payload.as_object_mut().unwrap();
                let change = fields.remove("change").unwrap();
                fields.remove("traceparent").unwrap();
                let id = payload["productId"].as_str().unwrap().to_owned();
                if change["type"] == "PRODUCT_REMOVED" || payload["inventory"] == testing::GONE {
                    self.shown.remove(&id);
                } else {
                    self.shown.insert(id, payload);
                }
            }
            "HEARTBEAT" => {
                self.cursor = payload["cursor"].as_str().map(str::to_owned);
                self.reload |= payload["reload"] == true;
            }
            other => assert!(["SHOPPING_CART", "ORDER_UPDATE", "RECOMMENDATION"].contains(&other), "{other}"),
        }
        kind
    }
}

#[tokio::test(start_paused = true)]
async fn a_recommendation_for_everyone_reaches_pages_that_come_later_too() {
    let stage = Stage::new(1, SETTINGS);
    let mut page = stage.page(false, None);
    assert_eq!(page.read(), ["PRODUCT_CACHE_SYNC"]);
    for product_id in ["P0", "P1"] {
        stage.fanout.recommend(&testing::recommendation(product_id));
    }
    let shown = |page: &mut TestPage| messages(&page.subscription.due_now().unwrap());
    let sent = shown(&mut page);
    assert_eq!(sent.iter().map(|message| &message["payload"]["productIds"][0]).collect::<Vec<_>>(), ["P1"], "the latest counts");
    assert_eq!(page.read(), Vec::<String>::new());
    let mut latecomer = stage.page(false, None);
    assert_eq!(latecomer.read(), ["PRODUCT_CACHE_SYNC", "RECOMMENDATION"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_shows_a_product_ahead_of_its_changes() {
    let stage = Stage::new(3, SETTINGS);
    let stock = |page: &TestPage| page.shown["P1"]["inventory"].clone();
    stage.shop.sell("P1", "o-1");
    stage.flush();
    // The view has it, and its change is not sent yet: it may be on its way with the present state while the view is further on.
    stage.shop.sell("P1", "o-2");
    let mut newcomer = stage.page(false, None);
    assert_eq!(newcomer.read(), ["PRODUCT_CACHE_SYNC"]);
    assert_eq!(stock(&newcomer), 99);
    assert_eq!(stage.fanout.hub.state_frame(1).map(|frame| messages(&frame)[0]["payload"]["inventory"].clone()), Some(99.into()));
    stage.flush();
    assert_eq!(newcomer.read(), ["PRODUCT_UPDATE"]);
    assert_eq!(stock(&newcomer), 98);
    // What changed without being listed is shown as it is.
    stage.shop.sell("P1", "o-3");
    let _ = stage.shop.catalog.catalog().taken().drain();
    stage.shop.catalog.catalog().taken().resume_all();
    stage.flush();
    newcomer.read();
    assert_eq!(newcomer.shown, stage.expected());
    let mut latecomer = stage.page(false, None);
    assert_eq!(latecomer.read(), ["PRODUCT_CACHE_SYNC"]);
    assert_eq!(latecomer.shown, stage.expected());
}

#[tokio::test(start_paused = true)]
async fn a_new_page_gets_everything_and_then_what_changes_with_its_cause() {
    let stage = Stage::new(3, SETTINGS);
    let mut page = stage.page(false, None);
    assert_eq!(page.read(), ["PRODUCT_CACHE_SYNC"]);
    assert_eq!(page.shown, stage.expected());
    stage.shop.sell("P1", "o-1");
    stage.flush();
    let burst = page.subscription.due_now().unwrap();
    let message = messages(&burst).remove(0);
    assert_eq!((&message["key"], &message["payload"]["inventory"]), (&"P1".into(), &99.into()));
    assert_eq!(message["payload"]["change"]["orderId"], "o-1");
    assert_eq!(message["payload"]["change"]["type"], "INVENTORY_DECREASED");
    assert_eq!(message["payload"]["traceparent"], testing::TRACE);
    page.show(message);
    assert_eq!(page.shown, stage.expected());
    assert!(page.read().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_version_that_the_view_has_is_still_pushed_once() {
    let stage = Stage::new(1, SETTINGS);
    let mut page = stage.page(false, None);
    page.read();
    stage.shop.whole("P0", 2, 50);
    stage.flush();
    assert_eq!(page.read(), ["PRODUCT_UPDATE"]);
    stage.shop.event("P0", 2, 50, "o-1");
    stage.flush();
    let sent = messages(&page.subscription.due_now().unwrap());
    assert_eq!((sent.len(), &sent[0]["payload"]["change"]["orderId"]), (1, &"o-1".into()));
    stage.flush();
    assert!(page.read().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_read_gets_the_latest_state_once() {
    let stage = Stage::new(2, SETTINGS);
    let mut slow = stage.page(false, None);
    slow.read();
    for _ in 0..50 {
        stage.shop.sell("P0", "o");
        stage.flush();
    }
    assert_eq!(slow.read(), ["PRODUCT_UPDATE"]);
    assert_eq!(slow.shown, stage.expected());
    // Further behind than the journal remembers.
    for _ in 0..super::journal::RING + 10 {
        stage.shop.touch("P1");
        stage.flush();
    }
    assert_eq!(slow.read(), ["PRODUCT_UPDATE"]);
    assert_eq!(slow.shown, stage.expected());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_comes_back_gets_what_it_missed_and_no_more() {
    let stage = Stage::new(20, SETTINGS);
    let mut page = stage.page(true, None);
    assert_eq!(page.read(), ["PRODUCT_CACHE_SYNC", "HEARTBEAT"]);
    let (shown, cursor) = (page.shown.clone(), page.cursor.clone());
    drop(page);
    stage.shop.sell("P3", "o");
    stage.shop.remove("P4");
    stage.flush();
    let mut back = stage.page(true, cursor.clone());
    back.shown = shown;
    assert_eq!(back.read(), ["PRODUCT_UPDATE", "PRODUCT_UPDATE", "HEARTBEAT"]);
    assert_eq!(back.shown, stage.expected());
    assert_ne!(back.cursor, cursor);
    let mut again = stage.page(true, back.cursor.clone());
    assert_eq!(again.read(), ["HEARTBEAT"]);
    // Only v1 may resume, and a cursor that cannot be read brings everything.
    assert_eq!(stage.page(false, back.cursor).read(), ["PRODUCT_CACHE_SYNC"]);
    assert_eq!(stage.page(true, Some("nonsense".to_owned())).read(), ["PRODUCT_CACHE_SYNC", "HEARTBEAT"]);
}

#[tokio::test(start_paused = true)]
async fn a_catalogue_too_large_to_be_sent_whole_is_read_over_rest() {
    let stage = Stage::new(20, FanoutSettings { cache_sync_max: 19, ..SETTINGS });
    assert!(stage.page(false, None).read().is_empty());
    let mut page = stage.page(true, None);
    assert_eq!((page.read(), page.reload), (vec!["HEARTBEAT".to_owned()], true));
    stage.shop.sell("P3", "o");
    stage.flush();
    assert_eq!(page.read(), ["PRODUCT_UPDATE"]);
}

#[tokio::test(start_paused = true)]
async fn when_changes_may_be_lost_every_page_looks_for_itself() {
    let stage = Stage::new(20, SETTINGS);
    let mut page = stage.page(false, None);
    page.read();
    stage.shop.sell("P3", "o");
    // A fan-out that ends before it has handled this.
    drop(stage.shop.catalog.catalog().taken().drain());
    stage.shop.sell("P5", "o");
    stage.shop.catalog.catalog().taken().resume_all();
    stage.flush();
    assert_eq!(page.read(), ["PRODUCT_UPDATE", "PRODUCT_UPDATE"]);
    assert_eq!(page.shown, stage.expected());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_waits_for_the_restore_gets_the_whole_catalogue_then() {
    let shop = TestCatalogue::empty();
    let fanout = FanoutHandle::new(shop.catalog.clone(), SETTINGS, Clock::manual(1));
    let stage = Stage { shop, fanout };
    let mut page = stage.page(false, None);
    assert!(page.read().is_empty());
    stage.shop.restore(5);
    stage.flush();
    assert_eq!(page.read(), ["PRODUCT_CACHE_SYNC"]);
    assert_eq!(page.shown.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn changes_age_only_while_a_page_waits_for_them() {
    let stage = Stage::new(2, SETTINGS);
    stage.shop.whole("NEW", 1, 7);
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(stage.fanout.oldest_unpushed(), Duration::ZERO, "no page");
    let page = stage.page(false, None);
    assert!(stage.fanout.oldest_unpushed() >= Duration::from_secs(3));
    drop(page);
    assert_eq!(stage.fanout.oldest_unpushed(), Duration::ZERO, "it has left");
    let _page = stage.page(false, None);
    stage.flush();
    assert_eq!(stage.fanout.oldest_unpushed(), Duration::ZERO, "it was brought");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_in_time_and_say_what_runs() {
    let stage = Stage::new(1, SETTINGS);
    let mut page = stage.page(true, None);
    page.read();
    let status = Status {
        inventory: RunState::Running,
        cdc: RunState::Unknown,
        since: None,
        catalog: CatalogState::Live,
        tracing: false,
        browser_tracing: false,
        low_stock: 9,
    };
    stage.fanout.set_status(status);
    let before = tokio::time::Instant::now();
    let burst = page.subscription.next_burst().await.unwrap();
    assert_eq!(before.elapsed(), SETTINGS.heartbeat_interval);
    assert_eq!(messages(&burst)[0]["payload"]["status"]["inventory"], "running");
    stage.fanout.close();
    assert!(page.subscription.next_burst().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_gets_its_own_frames_and_leaves_nothing_behind() {
    let stage = Stage::new(1, SETTINGS);
    let mut page = stage.page(false, None);
    page.read();
    stage.fanout.show_order(&testing::order("o-1", "s"));
    stage.fanout.show_order(&testing::order("o-1", "s"));
    stage.fanout.show_order(&testing::order("o-2", "another"));
    let sent = messages(&page.subscription.next_burst().await.unwrap());
    assert_eq!(sent.len(), 1);
    assert_eq!((&sent[0]["eventType"], &sent[0]["key"]), (&"ORDER_UPDATE".into(), &"o-1".into()));
    assert_eq!((stage.fanout.pages(), stage.fanout.has_session("s")), (1, true));
    drop(page);
    assert_eq!((stage.fanout.pages(), stage.fanout.has_session("s")), (0, false));
}

/// Twenty pages, five of them slow and five that reconnect, through a storm of ten thousand changes, with the fan-out dying in
/// between.
#[tokio::test(start_paused = true)]
async fn all_pages_converge_after_a_storm() {
    let stage = Stage::new(50, SETTINGS);
    let mut pages: Vec<TestPage> = (0..20).map(|_| stage.page(true, None)).collect();
    for step in 0..10_000_u64 {
        stage.shop.random_change(step);
        if step % 3 == 0 {
            stage.flush();
        }
        if step % 1000 == 999 {
            drop(stage.shop.catalog.catalog().taken().drain());
            stage.shop.catalog.catalog().taken().resume_all();
        }
        for (place, page) in pages.iter_mut().enumerate() {
            let reads = place >= 5 || step % 997 == 0;
            if let Some(burst) = reads.then(|| page.subscription.due_now()).flatten() {
                messages(&burst).into_iter().for_each(|message| drop(page.show(message)));
            }
            if (5..10).contains(&place) && step % 211 == place as u64 {
                let mut back = stage.page(true, page.cursor.clone());
                back.shown = std::mem::take(&mut page.shown);
                *page = back;
            }
        }
        tokio::time::advance(Duration::from_millis(7)).await;
    }
    stage.flush();
    let expected = stage.expected();
    for (place, page) in pages.iter_mut().enumerate() {
        page.read();
        assert_eq!(page.shown, expected, "page {place}");
    }
}

/// Products that come and go for ever: their slots are used again, and neither pages nor lists show one for another.
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_products_that_came_and_went_leave_nothing_behind() {
    const EACH: u32 = 1_000;
    let stage = Stage::new(20, SETTINGS);
    let catalog = stage.shop.catalog.catalog();
    let mut page = stage.page(true, None);
    page.read();
    let mut now_ms = 1;
    for round in 0..100 {
        let ids: Vec<String> = (0..EACH).map(|number| format!("R{round}-{number}")).collect();
        ids.iter().for_each(|id| stage.shop.whole(id, 1, 5));
        stage.flush();
        page.read();
        assert_eq!(page.shown.len(), 20 + EACH as usize, "round {round}");
        assert_eq!(stage.expected(), page.shown, "round {round}");
        ids.iter().for_each(|id| stage.shop.remove(id));
        stage.flush();
        page.read();
        // An hour later the text goes, a sweep later the slot, and another sweep later its number may be used again.
        now_ms += 2 * 3_600_000;
        for _ in 0..3 {
            stage.shop.tend(now_ms);
            stage.flush();
        }
        page.read();
        assert_eq!(stage.expected(), page.shown, "round {round}");
    }
    assert!(catalog.slots() <= 20 + 2 * EACH, "{} slots", catalog.slots());
    stage.shop.sell("P3", "o");
    stage.flush();
    page.read();
    assert_eq!(stage.expected(), page.shown);
}

/// The log may keep a removed product's records for long after its slot was given back: a view that restarts must not show it
/// again.
#[tokio::test(start_paused = true)]
async fn a_restarted_view_does_not_show_a_product_whose_slot_was_given_back() {
    let stage = Stage::new(2, SETTINGS);
    stage.shop.whole("X", 1, 5); // at offset 2, its removal at 3
    stage.shop.remove("X");
    stage.flush();
    (0..3).for_each(|_| stage.shop.tend(2 * 3_600_000));
    let hidden = |catalog: &CatalogHandle| assert!(catalog.entry("X").is_none(), "shown while the view restores");
    stage.shop.replay(&[("P0", 0, Some(1)), ("P1", 1, Some(1)), ("X", 2, Some(1)), ("X", 3, None)], hidden);
    assert!(stage.shop.catalog.entry("X").is_none());
    // Where the log has no removal, it is a product.
    stage.shop.replay(&[("P0", 0, Some(1)), ("P1", 1, Some(1)), ("X", 2, Some(1))], hidden);
    assert!(stage.shop.catalog.entry("X").is_some());
}

/// The front page's moves are kept by slot number and for as long as nothing newer moves.
#[tokio::test(start_paused = true)]
async fn a_reused_number_brings_no_old_move_to_another_product() {
    let stage = Stage::new(0, SETTINGS);
    stage.shop.whole("X", 1, 5);
    stage.shop.sell("X", "o");
    stage.shop.remove("X");
    (0..4).for_each(|_| stage.shop.tend(2 * 3_600_000));
    stage.shop.whole("Y", 1, 5);
    assert_eq!(stage.shop.catalog.catalog().slots(), 1, "the number is used again");
    let front = stage.shop.catalog.front(FrontQuery { low_stock: 0, now_ms: 1 }).await;
    assert!(front.moves.is_empty());
    assert_eq!(stage.expected().into_keys().collect::<Vec<_>>(), ["Y"]);
}
