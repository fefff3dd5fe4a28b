//! The live stream and the flow, against the real server.

use serde_json::Value;

use crate::support::place::{Place, on_each_log};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

on_each_log!(at length: the_flow_shows_what_passes_and_what_is_stopped);

/// A viewer of the live stream.
struct Viewer {
    answer: reqwest::Response,
    pending: Vec<u8>,
}

impl Viewer {
    async fn open(server: &Server) -> Self {
        // The shared client gives an answer up after half a minute.
        let client = reqwest::Client::new();
        let answer = client.get(server.admin("/admin/live")).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, pending: Vec::new() }
    }

    /// The next frame; `None` if the stream ended in order.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.pending.drain(..end + 2).collect();
                let data = event.strip_prefix(b"data: ").unwrap();
                assert!(event.len() <= 4_096, "{} bytes", event.len());
                return Some(serde_json::from_slice(data).unwrap());
            }
            match self.answer.chunk().await.unwrap() {
                Some(bytes) => self.pending.extend_from_slice(&bytes),
                None => return None,
            }
        }
    }

    /// The first frame of which this is true.
    async fn until(&mut self, wanted: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..120 {
            last = self.next().await.unwrap();
            if is_it(&last) {
                return last;
            }
        }
        panic!("never {wanted}: {last}");
    }
}

fn node<'a>(frame: &'a Value, id: &str) -> &'a Value {
    frame["nodes"].as_array().unwrap().iter().find(|node| node["id"] == id).unwrap()
}

fn edge(flow: &Value, from: &str, to: &str) -> usize {
    flow["edges"].as_array().unwrap().iter().position(|edge| edge["from"] == from && edge["to"] == to).unwrap()
}

async fn flow(server: &Server) -> Value {
    server.http.get(server.admin("/admin/flow")).send().await.unwrap().json().await.unwrap()
}

async fn the_flow_shows_what_passes_and_what_is_stopped(place: Place) {
    // A stream that waits for its next event is no idle connection.
    let server = Server::start_filled(place.options().set("KARTSHOPPE__HTTP__IDLE_TIMEOUT", "300ms")).await;
    let picture = flow(&server).await;
    let mut viewer = Viewer::open(&server).await;
    let frame = viewer.until("ready", |frame| frame["ready"] == true).await;
    for list in ["nodes", "edges"] {
        assert_eq!(frame[list].as_array().unwrap().len(), picture[list].as_array().unwrap().len(), "{frame}");
    }
    let ids = |of: &Value| of["nodes"].as_array().unwrap().iter().map(|node| node["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&frame), ids(&picture));
    for id in ["sources", "shards", "committer", "read-model", "order-tracker", "postgresql", "products"] {
        assert_eq!(node(&picture, id)["state"], "running", "{picture}");
    }
    let roles: Vec<&Value> = frame["roles"].as_array().unwrap().iter().map(|role| &role["name"]).collect();
    assert_eq!(roles, ["inventory", "cdc", "api"]);

    let shopper = Shopper::new("watched");
    shopper.add(&server, "PROD_0001", 1).await;
    let (_, order) = shopper.checkout(&server, false).await;
    let (read, pushed) = (edge(&picture, "order-events", "sources"), edge(&picture, "api", "postgresql"));
    let moved = |frame: &Value, edge: usize| frame["edges"][edge]["rate"].as_f64().is_some_and(|rate| rate > 0.0);
    viewer
        .until("an order", |frame| frame["rates"]["orders"].as_f64().is_some_and(|rate| rate > 0.0) || moved(frame, pushed))
        .await;
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;

    // What waits for a stopped part is seen at its edge, and the part at once.
    assert_eq!(server.operate("/admin/roles/inventory/stop", &Value::Null).await.0, 200);
    let stopped = viewer.until("a stopped inventory", |frame| node(frame, "shards")["state"] == "stopped").await;
    assert_eq!(node(&stopped, "committer")["state"], "stopped", "{stopped}");
    assert_eq!(node(&stopped, "read-model")["state"], "running", "{stopped}");
    let inventory = stopped["roles"].as_array().unwrap().iter().find(|role| role["name"] == "inventory").unwrap();
    assert_eq!((&inventory["state"], &inventory["running"]), (&"stopped".into(), &0.into()), "{stopped}");
    shopper.add(&server, "PROD_0002", 1).await;
    let (_, order) = shopper.checkout(&server, false).await;
    let waiting = |frame: &Value| frame["edges"][read]["lag"].as_u64().is_some_and(|lag| lag > 0);
    let behind = viewer.until("a lag", waiting).await;
    assert!(behind["lag"].as_u64().unwrap() > 0, "{behind}");
    assert_eq!(server.operate("/admin/roles/inventory/start", &Value::Null).await.0, 200);
    let was_read = std::cell::Cell::new(false);
    let caught_up = |frame: &Value| {
        was_read.set(was_read.get() || moved(frame, read));
        was_read.get() && frame["lag"] == 0 && node(frame, "shards")["state"] == "running"
    };
    viewer.until("the inventory again, with nothing left to read", caught_up).await;
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
}

/// A role that this process was opened without is none of its own until it is started here; its stop has a name from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stopped_a_role_is_said_also_where_it_was_started_later() {
    let server = Server::start(Options::default().set("KARTSHOPPE__ROLES", "api")).await;
    let role = async || {
        let roles: Value = server.http.get(server.admin("/admin/roles")).send().await.unwrap().json().await.unwrap();
        roles.as_array().unwrap().iter().find(|role| role["name"] == "cdc").unwrap().clone()
    };
    let reader = async || node(&flow(&server).await, "wal-reader")["state"].clone();
    let order = async |what: &str, operator: &str| {
        let call = server.http.post(server.admin(&format!("/admin/roles/cdc/{what}"))).header("X-KartShoppe-Operator", operator);
        assert_eq!(call.send().await.unwrap().status(), 200);
    };
    assert_eq!(reader().await, "elsewhere");
    assert_eq!(role().await["stoppedBy"], Value::Null);
    order("stop", "early").await;
    assert_eq!(role().await["stoppedBy"], Value::Null, "it was not running");
    order("start", "ann").await;
    order("stop", "bert").await;
    order("stop", "carl").await;
    assert_eq!(reader().await, "stopped");
    assert_eq!(role().await["stoppedBy"], "bert");
    let mut viewer = Viewer::open(&server).await;
    let shown = |frame: &Value| {
        frame["roles"].as_array().unwrap().iter().find(|role| role["name"] == "cdc").unwrap()["stoppedBy"].clone()
    };
    assert_eq!(shown(&viewer.until("a stopped cdc", |frame| node(frame, "wal-reader")["state"] == "stopped").await), "bert");
    order("start", "ann").await;
    assert_eq!(role().await["stoppedBy"], Value::Null);
    assert_eq!(shown(&viewer.until("a running cdc", |frame| node(frame, "wal-reader")["state"] != "stopped").await), Value::Null);
    order("stop", "dora").await;
    assert_eq!(role().await["stoppedBy"], "dora");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_console_does_not_hold_the_stop_of_the_server() {
    // A client that is held until then is cut off when the process ends, without a message.
    let mut server = Server::start(Options::default().set("KARTSHOPPE__HTTP__DRAIN_TIMEOUT", "45s")).await;
    let mut viewers = Vec::new();
    for _ in 0..3 {
        viewers.push(Viewer::open(&server).await);
    }
    for viewer in &mut viewers {
        viewer.next().await.expect("a frame");
    }
    let watching = tokio::spawn(async move {
        for viewer in &mut viewers {
            while viewer.next().await.is_some() {}
        }
    });
    let ended = tokio::task::spawn_blocking(move || server.terminate()).await.unwrap();
    assert_eq!(ended, Some(0));
    watching.await.expect("every stream ended in order");
}
