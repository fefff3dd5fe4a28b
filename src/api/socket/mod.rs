//! The page's WebSocket: `/ecommerce/{sessionId}/{userId}`.
//!
//! ```text
//!  GET, upgrade ─► handshake ─► 101 ─► Connection ┬─◄ fan-out: bursts of ready frames, written to TCP as they are
//!                                                 ├─◄ the page's own: recommendation, cart (greeting, answers)
//!                                                 └─► the page's messages: decoder ─► messages ─► cart, events
//! ```
//! The bytes of a frame are encoded once for all pages; a connection only writes them. An idle one holds no buffer.

mod connection;
mod handshake;
mod messages;
mod outgoing;
mod pace;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Path, Request, State};
use axum::response::Response;
use hyper_util::rt::TokioIo;

use super::failure::Failure;
use super::problem::Problem;
use super::server::{Peer, Seat, Watched};
use super::shop::query::{Parameters, Parsed};
use super::state::Shop;
use crate::actors::fanout::PageInfo;
use crate::domain::ids::{SessionId, UserId};
use connection::Connection;

/// Counts of what pages did since the process started.
#[derive(Debug, Default)]
pub struct SocketCounts {
    /// Messages that were understood.
    pub messages: AtomicU64,
    /// Messages that were ignored: unknown types, broken JSON, unknown products.
    pub ignored: AtomicU64,
    /// Connections that ended because the page violated the protocol or a limit.
    pub violations: AtomicU64,
    /// Connections that ended because the page read nothing for too long.
    pub stalled: AtomicU64,
    /// Connections that ended because the page read more slowly than the minimum rate.
    pub slow: AtomicU64,
    /// Connections that ended because their seat was needed.
    pub seat: AtomicU64,
    /// Connections that ended because too many bytes waited for slow readers.
    pub memory: AtomicU64,
}

/// A connected page.
struct Page {
    shop: Arc<Shop>,
    session: SessionId,
    user: UserId,
    seat: Seat,
}

/// Upgrades to the page's socket.
#[utoipa::path(get, path = "/ecommerce/{sessionId}/{userId}", tag = "socket",
    params(("sessionId" = String, Path), ("userId" = String, Path),
        ("resume" = Option<String>, Query, description = "the cursor of the last HEARTBEAT; with the subprotocol kartshoppe.v1")),
    responses((status = 101, description =
        "a WebSocket; one envelope per text message"), (status = 426, description = "no upgrade was requested")))]
pub async fn open(
    State(shop): State<Arc<Shop>>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    parameters: Parsed,
    mut request: Request,
) -> Result<Response, Failure> {
    let accepted = handshake::check(&request)?;
    let Path((session, user)) = path.map_err(|_| Problem::not_found("the path cannot be read"))?;
    let (session, user) = (SessionId::new(&session)?, UserId::new(&user)?);
    let resume = Parameters::new(parameters)?.text("resume").map(str::to_owned);
    if shop.lifeline.stop.is_cancelled() {
        return Err(Problem::unavailable("stopping", "the shop is stopping").into());
    }
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Peer::ip);
    let seat = shop.seats.take(peer);
    let seat = seat.ok_or_else(|| Problem::unavailable("too_many_pages", "all connections are in use; try again"))?;
    let info = PageInfo { session_id: session.to_string(), user_id: user.to_string(), v1: accepted.v1, resume };
    let page = Page { shop: shop.clone(), session, user, seat };
    let upgrade = hyper::upgrade::on(&mut request);
    shop.lifeline.tasks.spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Watched>>() else {
            tracing::error!("a WebSocket upgrade did not return the server's own stream type");
            return;
        };
        let stream = parts.io.into_inner().into_inner();
        // A copy, mostly of nothing: the original would keep the 8 KB that the request was read into for as long as the page
        // stays.
        let already_read = parts.read_buf.to_vec();
        drop(parts.read_buf);
        Connection::new(stream, page, info).run(already_read).await;
    });
    std::future::ready(Ok(accepted.response())).await
}

impl SocketCounts {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
