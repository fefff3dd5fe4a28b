//! A page like a browser's: applies the frames it receives, each part of a product by its version.

use std::collections::BTreeMap;

use kartshoppe::actors::fanout::{FanoutHandle, PageInfo, PageSubscription};
use serde_json::Value;

/// What one page shows.
pub struct Page {
    subscription: PageSubscription,
    info: PageInfo,
    pub shown: BTreeMap<String, Value>,
    pub cursor: Option<String>,
    pub reload: bool,
    pub orders: Vec<Value>,
    pub frames: u64,
}

impl Page {
    pub fn open(fanout: &FanoutHandle, session_id: &str, v1: bool) -> Self {
        let info = PageInfo { session_id: session_id.to_owned(), user_id: "guest".to_owned(), v1, resume: None };
        let subscription = fanout.register(info.clone());
        Self { subscription, info, shown: BTreeMap::new(), cursor: None, reload: false, orders: Vec::new(), frames: 0 }
    }

    /// Loses its connection and reconnects with its cursor.
    pub fn reconnect(&mut self, fanout: &FanoutHandle) {
        let info = PageInfo { resume: self.cursor.clone(), ..self.info.clone() };
        self.subscription = fanout.register(info);
    }

    /// Applies everything that is due now.
    pub fn read_due(&mut self) {
        while let Some(burst) = self.subscription.due_now() {
            self.take(&burst);
        }
    }

    /// Waits for one burst.
    pub async fn read_next(&mut self) {
        if let Some(burst) = self.subscription.next_burst().await {
            self.take(&burst);
        }
    }

    fn take(&mut self, burst: &[u8]) {
        for message in messages(burst) {
            self.frames += 1;
            self.show(message);
        }
    }

    fn show(&mut self, mut message: Value) {
        let payload = message["payload"].take();
        match message["eventType"].as_str().unwrap() {
            "PRODUCT_CACHE_SYNC" => {
                let bodies = payload["products"].as_array().unwrap().iter();
                self.shown = bodies.map(|body| (text(&body["productId"]), body.clone())).collect();
            }
            "PRODUCT_UPDATE" => self.update(payload),
            "ORDER_UPDATE" => self.orders.push(payload),
            "HEARTBEAT" => {
                self.cursor = payload["cursor"].as_str().map(str::to_owned);
                self.reload |= payload["reload"] == true;
            }
            other => assert_eq!(other, "SHOPPING_CART"),
        }
    }

    /// Like the view: each part only if it is newer, another lifetime as a whole.
    fn update(&mut self, mut body: Value) {
        let fields = body.as_object_mut().unwrap();
        fields.remove("change");
        fields.remove("traceparent");
        let id = text(&body["productId"]);
        let Some(known) = self.shown.get_mut(&id).filter(|known| known["life"] == body["life"]) else {
            self.shown.insert(id, body);
            return;
        };
        let newer = |field: &str| body[field].as_u64() >= known[field].as_u64();
        let (level, details) = (newer("version"), newer("detailsVersion"));
        for (field, value) in body.as_object().unwrap() {
            let of_level = ["inventory", "price", "version", "timestamp"].contains(&field.as_str());
            if if of_level { level } else { details } {
                known[field] = value.clone();
            }
        }
    }

    /// The products that it shows, in stock or sold out: product, stock, price, name.
    pub fn rows(&self) -> BTreeMap<String, (i64, String, String)> {
        rows(self.shown.values())
    }
}

/// Product id → stock, price and name of bodies.
pub fn rows<'a>(bodies: impl Iterator<Item = &'a Value>) -> BTreeMap<String, (i64, String, String)> {
    bodies
        .map(|body| {
            (text(&body["productId"]), (body["inventory"].as_i64().unwrap(), body["price"].to_string(), text(&body["name"])))
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The messages in a run of WebSocket frames.
pub fn messages(mut bytes: &[u8]) -> Vec<Value> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (len, start) = match bytes[1] {
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => (usize::try_from(u64::from_be_bytes(bytes[2..10].try_into().unwrap())).unwrap(), 10),
            len => (usize::from(len), 2),
        };
        found.push(serde_json::from_slice(&bytes[start..start + len]).unwrap());
        bytes = &bytes[start + len..];
    }
    found
}
