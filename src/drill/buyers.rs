//! Buyers: shoppers on a connected page, which must be notified once their order is settled.
//!
//! A page that was connected from before the checkout until long after the order is settled must have received the order's
//! status. If its connection is cut in between, nothing is required: pages that reconnect ask for their orders.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;

use super::record::{Breach, DrillRecord, Purchase};
use super::shoppers::Crowd;
use super::storefront::{Said, Storefront};

/// How long after an order is settled its page may wait for the news.
const NOTIFIED_WITHIN: Duration = Duration::from_secs(10);
/// An order that is not settled by then is left to the verdict.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_millis(300);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What buyers need.
pub struct Buyers {
    pub seed: u64,
    pub crowd: Arc<Crowd>,
    pub storefront: Storefront,
    pub record: Arc<DrillRecord>,
    /// Base URL of the pages' sockets.
    pub pages: String,
}

impl Buyers {
    /// Buys one order after another, each at a page of its own, until it is over.
    pub async fn buy(self: Arc<Self>, buyer: u32, over: CancellationToken) {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(3) ^ (u64::from(buyer) << 32));
        for number in 0_u64.. {
            let purchase = self.crowd.shopping_list(&format!("buyer-{buyer}-{number}"), &mut random);
            if over.run_until_cancelled(self.buy_one(&purchase, &over)).await.is_none() {
                return;
            }
        }
    }

    async fn buy_one(&self, purchase: &Purchase, over: &CancellationToken) {
        let url = format!("{}/ecommerce/{}/{}", self.pages, purchase.session, purchase.user);
        let Ok((mut socket, _)) = tokio_tungstenite::connect_async(url).await else { return tokio::time::sleep(AGAIN).await };
        // Its first frame says that the page is registered: from now on it must be sent every change.
        let known = tokio::time::timeout(NOTIFIED_WITHIN, socket.next()).await;
        if !matches!(known, Ok(Some(Ok(_)))) {
            return tokio::time::sleep(AGAIN).await;
        }
        // The page is read while it buys: nothing is required for a page that does not read.
        let (notify, notified) = tokio::sync::watch::channel(None);
        let receiving = receive(&mut socket, &notify);
        let buying = async {
            let Some(order) = self.crowd.buy(purchase, over).await else { return };
            self.wait_for(&order, purchase, notified).await;
        };
        tokio::select! {
            () = buying => {}
            // The connection is cut: nothing is required any more.
            () = receiving => {}
        }
    }

    /// Waits until the order is settled, and then until the page is notified.
    async fn wait_for(&self, order: &str, purchase: &Purchase, mut notified: tokio::sync::watch::Receiver<Option<String>>) {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            if notified.borrow().as_deref() == Some(order) {
                return self.record.buyer_notified();
            }
            if let Said::Yes(shown) = self.storefront.order(order, &purchase.session).await
                && shown["status"] != "PENDING"
            {
                break;
            }
            if Instant::now() > deadline {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        loop {
            match tokio::time::timeout(NOTIFIED_WITHIN, notified.wait_for(|said| said.as_deref() == Some(order))).await {
                Ok(Ok(_)) => return self.record.buyer_notified(),
                // No page is left to be notified.
                Ok(Err(_)) => return,
                // A frozen shop sends nothing.
                Err(_) if !self.record.ran_for(NOTIFIED_WITHIN) => {}
                Err(_) => break,
            }
        }
        let what =
            format!("order {order} is settled, but the page of {} was not notified within {NOTIFIED_WITHIN:?}", purchase.user);
        self.record.breach(Breach::NotTold, what);
    }
}

/// Receives the page's frames until the connection is cut; keeps the order that was last reported as settled.
async fn receive(socket: &mut Socket, tell: &tokio::sync::watch::Sender<Option<String>>) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        if !text.contains("ORDER_UPDATE") {
            continue;
        }
        let Ok(frame) = serde_json::from_str::<Value>(&text) else { continue };
        let order = &frame["payload"];
        if let Some(id) = order["orderId"].as_str().filter(|_| order["status"] != "PENDING") {
            tell.send_replace(Some(id.to_owned()));
        }
    }
}
