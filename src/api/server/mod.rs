//! The HTTP server below the routes: an accept loop of our own, because the framework's has no time limits.
//!
//! ```text
//!  listen queue ──► accept ──► seat ──► connection (watched: head, idle) ──► Handler::call ──► routes
//!                     │          │                                  └──upgrade──► api::socket, tracked like a connection
//!                     │          └── all taken: the slowest of the largest peer goes (seats), else a short wait, else 503
//!                     └── out of descriptors: some of the slowest go, the loop lives on
//! ```
//! Promises: a slow or silent client costs one connection for a bounded time; whoever takes all seats keeps nobody else out;
//! [`Server::drain`] stops accepting, tells keep-alive connections and sockets, and waits for the work under way.

mod connection;
mod limits;
mod peer;
mod ports;
mod progress;
mod request_body;
mod seats;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use limits::{Limits, raise_file_limit};
pub use peer::{Peer, TrustedProxies};
pub use ports::{BindError, bind};
pub(in crate::api) use progress::{Doing, Ending, Progress};
pub use request_body::RequestBody;
pub(in crate::api) use seats::end_slow_readers;
pub use seats::{EndedCounts, Seat, Seats};
pub use stream::Watched;

/// What goes out: pre-rendered bytes without a box around them, or whatever the router gave.
pub type OutBody = Either<Full<Bytes>, Body>;

/// An answer, now or later.
pub enum Reply {
    Ready(Response<OutBody>),
    Later(std::pin::Pin<Box<dyn Future<Output = Response<OutBody>> + Send>>),
}

/// Answers requests of one listener.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; never fails, as every failure has a status.
    fn call(&self, request: Request<RequestBody>, peer: Peer) -> Reply;
}

/// Work that outlives its request (sockets) but not the server.
#[derive(Debug, Clone, Default)]
pub struct Lifeline {
    /// Cancelled when the server drains.
    pub stop: CancellationToken,
    /// Whom the drain waits for.
    pub tasks: TaskTracker,
}

/// After a failed accept (no descriptors) the loop waits so long: slow connections go meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// So many connections may wait for a seat, and so long: more are told to come again.
const WAITING_MAX: usize = 64;
const SEAT_PATIENCE: Duration = Duration::from_secs(1);
/// What a connection hears that gets no seat.
const NO_SEAT: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A listener at work.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    lifeline: Lifeline,
}

impl Server {
    /// Starts accepting, each connection on one of the seats. `lifeline` is shared with the routes that spawn work of their own.
    ///
    /// # Errors
    /// If the listener does not know its address.
    pub fn start(
        listener: TcpListener,
        handler: Arc<impl Handler>,
        limits: Limits,
        seats: Arc<Seats>,
        lifeline: Lifeline,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let serving = Arc::new(Serving { handler, http: connection::protocol(), limits, stop: lifeline.stop.clone() });
        let accept =
            Accept { listener, serving, seats, waiting: Arc::new(Semaphore::new(WAITING_MAX)), lifeline: lifeline.clone() };
        tokio::spawn(accept.run());
        Ok(Self { address, lifeline })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests under way finish, tells keep-alive connections and sockets to go. Returns how many were
    /// still there when the patience ended; they end with the process.
    pub async fn drain(self, patience: Duration) -> usize {
        self.lifeline.stop.cancel();
        self.lifeline.tasks.close();
        let waited = tokio::time::timeout(patience, self.lifeline.tasks.wait()).await;
        if waited.is_err() { self.lifeline.tasks.len() } else { 0 }
    }
}

/// What every connection is served with.
struct Serving<H> {
    handler: Arc<H>,
    http: hyper::server::conn::http1::Builder,
    limits: Limits,
    stop: CancellationToken,
}

struct Accept<H> {
    listener: TcpListener,
    serving: Arc<Serving<H>>,
    seats: Arc<Seats>,
    /// Room for connections without a seat.
    waiting: Arc<Semaphore>,
    lifeline: Lifeline,
}

impl<H: Handler> Accept<H> {
    async fn run(self) {
        tokio::select! {
            () = self.lifeline.stop.cancelled() => {}
            () = self.accept_all() => {}
        }
    }

    async fn accept_all(&self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, socket)) => self.seat(stream, socket),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; the slowest make room");
                    self.seats.end_some();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn seat(&self, stream: TcpStream, socket: SocketAddr) {
        let serving = self.serving.clone();
        if let Some(seat) = self.seats.take(socket.ip()) {
            self.lifeline.tasks.spawn(serving.serve(stream, socket, seat));
            return;
        }
        let Ok(place) = self.waiting.clone().try_acquire_owned() else { return refuse(&stream) };
        let seats = self.seats.clone();
        self.lifeline.tasks.spawn(async move {
            let seat = seats.wait(socket.ip(), SEAT_PATIENCE).await;
            drop(place);
            match seat {
                Some(seat) => serving.serve(stream, socket, seat).await,
                None => refuse(&stream),
            }
        });
    }
}

/// Says in one write, if it can be taken, that there is no seat.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(NO_SEAT);
}

/// Errors of `accept` that say nothing about the listener: the peer was gone before we looked.
fn concerns_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
