//! Twenty pages on real sockets through a storm of ten thousand changes: five hardly read, five lose their connection repeatedly,
//! and all of them end in the state of the read model.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::support::place::{Place, on_each_log};
use crate::support::raw::{PATIENCE, RawSocket};
use crate::support::server::Server;

const CHANGES: usize = 10_000;
/// Changes that are appended together.
const AT_ONCE: usize = 20;
const SLOW: usize = 5;
const RECONNECTING: usize = 5;
const STEADY: usize = 10;
/// How long a slow page pauses between two frames.
const LOOKS_AWAY: Duration = Duration::from_millis(200);

/// Stock and price by product.
type Shelf = BTreeMap<String, (i64, String)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Habit {
    Steady,
    Slow,
    Reconnecting,
}

/// A page that keeps what it receives.
struct Page {
    socket: RawSocket,
    address: SocketAddr,
    path: String,
    /// Speaks `kartshoppe.v1`, and so comes back with a cursor.
    v1: bool,
    cursor: Option<String>,
    shelf: Shelf,
    frames: usize,
    syncs: usize,
    lost: usize,
}

impl Page {
    async fn open(address: SocketAddr, number: usize, habit: Habit) -> Self {
        let (path, v1) = (format!("/ecommerce/storm-{number}/guest"), number.is_multiple_of(2));
        let socket = match habit {
            Habit::Slow => RawSocket::open_narrow(address, &path, protocol(v1)).await,
            Habit::Steady | Habit::Reconnecting => RawSocket::open(address, &path, protocol(v1)).await,
        };
        Self { socket, address, path, v1, cursor: None, shelf: Shelf::new(), frames: 0, syncs: 0, lost: 0 }
    }

    async fn read(&mut self) {
        let frame = self.socket.next().await.unwrap();
        if frame.opcode != 1 {
            assert_eq!(frame.opcode, 9, "only text and pings: {frame:?}");
            return;
        }
        self.frames += 1;
        let message = frame.json();
        let payload = &message["payload"];
        match message["eventType"].as_str().unwrap() {
            "PRODUCT_CACHE_SYNC" => {
                self.syncs += 1;
                self.shelf = shelf(payload["products"].as_array().unwrap());
            }
            // Each is whole and newer than the last: the existing client applies it unchanged.
            "PRODUCT_UPDATE" => self.shelf.extend(shelf(std::slice::from_ref(payload))),
            "HEARTBEAT" => {
                assert_eq!(payload["reload"], false, "200 products are never too many to sync");
                self.cursor = payload["cursor"].as_str().map(str::to_owned);
            }
            _ => {}
        }
    }

    async fn reconnect(&mut self) {
        self.lost += 1;
        let resume = self.cursor.as_ref().filter(|_| self.v1).map(|cursor| format!("?resume={cursor}"));
        let path = format!("{}{}", self.path, resume.unwrap_or_default());
        self.socket = RawSocket::open(self.address, &path, protocol(self.v1)).await;
    }
}

fn protocol(v1: bool) -> &'static str {
    if v1 { "Sec-WebSocket-Protocol: kartshoppe.v1\r\n" } else { "" }
}

fn shelf(products: &[Value]) -> Shelf {
    let row = |product: &Value| (product["inventory"].as_i64().unwrap(), product["price"].to_string());
    products.iter().map(|product| (product["productId"].as_str().unwrap().to_owned(), row(product))).collect()
}

on_each_log!(at length: twenty_pages_end_where_the_read_model_does);

async fn twenty_pages_end_where_the_read_model_does(place: Place) {
    let server = Server::start_filled(place.options().set("KARTSHOPPE__WS__HEARTBEAT_INTERVAL", "200ms")).await;
    let address = server.info.http.unwrap();
    let (calm, is_calm) = watch::channel(None);
    let habits = [(Habit::Steady, STEADY), (Habit::Slow, SLOW), (Habit::Reconnecting, RECONNECTING)];
    let habits = habits.iter().flat_map(|(habit, count)| std::iter::repeat_n(*habit, *count));
    let pages: Vec<_> = habits
        .enumerate()
        .map(|(number, habit)| (habit, tokio::spawn(watch_the_storm(address, number, habit, is_calm.clone()))))
        .collect();

    let expected = storm(&server).await;
    println!("the storm of {CHANGES} changes is over");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = server.get("/api/ecommerce/inventory/state").await;
        if shelf(state["products"].as_array().unwrap()) == expected {
            break;
        }
        assert!(Instant::now() < deadline, "the read model never shows the last change of each product\n{}", server.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    calm.send(Some(expected)).unwrap();
    let mut frames = BTreeMap::<Habit, Vec<usize>>::new();
    for (habit, page) in pages {
        let page = page.await.unwrap();
        let (syncs, lost, took) = (page.syncs, page.lost, began.elapsed());
        println!("{habit:?}: {} frames, {syncs} syncs, {lost} reconnects; all shown after {took:?}", page.frames);
        assert!(habit != Habit::Steady || (syncs, lost) == (1, 0), "a steady page needs no second sync");
        assert!(habit != Habit::Reconnecting || lost >= 5, "it lost its connection");
        frames.entry(habit).or_default().push(page.frames);
    }
    let (most, least) = (frames[&Habit::Slow].iter().max().unwrap(), frames[&Habit::Steady].iter().min().unwrap());
    assert!(most < least, "who hardly reads gets the latest of each product, not every change");
}

/// Watches until the storm is over and everything is as it should be.
async fn watch_the_storm(address: SocketAddr, number: usize, habit: Habit, mut is_calm: watch::Receiver<Option<Shelf>>) -> Page {
    let mut page = Page::open(address, number, habit).await;
    loop {
        tokio::select! {
            biased;
            _ = is_calm.wait_for(Option::is_some) => break,
            () = page.read() => {}
        }
        match habit {
            Habit::Slow => tokio::time::sleep(LOOKS_AWAY).await,
            // At uneven places, so that some reconnect after a few frames and some in the middle of a burst.
            Habit::Reconnecting if page.frames % 97 == number => page.reconnect().await,
            Habit::Steady | Habit::Reconnecting => {}
        }
    }
    let expected = is_calm.borrow().clone().unwrap();
    let converged = async {
        while page.shelf != expected {
            page.read().await;
        }
    };
    if timeout(PATIENCE, converged).await.is_err() {
        let wrong: Vec<_> = expected.iter().filter(|(id, row)| page.shelf.get(*id) != Some(row)).take(5).collect();
        panic!("page {number} ({habit:?}) does not converge, e.g. {wrong:?}");
    }
    page
}

/// Changes products as a merchant would; returns each one's final state.
async fn storm(server: &Server) -> Shelf {
    let state = server.get("/api/ecommerce/inventory/state").await;
    let mut products = state["products"].as_array().unwrap().clone();
    let mut random = StdRng::seed_from_u64(rand::random());
    for _ in 0..CHANGES / AT_ONCE {
        let mut batch = Vec::new();
        for _ in 0..AT_ONCE {
            let place = random.random_range(0..products.len());
            let product = &mut products[place];
            product["inventory"] = json!(product["inventory"].as_i64().unwrap() % 97 + random.random_range(1..100));
            if random.random_bool(0.2) {
                product["price"] = json!(f64::from(random.random_range(100..100_000)) / 100.0);
            }
            // With its key, as only records of one partition keep their order.
            batch.push(json!({"key": product["productId"], "value": product}));
        }
        let (status, answer) = server.operate("/admin/topics/product-updates/records", &json!({"records": batch})).await;
        assert_eq!(status, 200, "{answer}");
    }
    shelf(&products)
}
