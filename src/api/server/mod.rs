//! The HTTP server below the routes: an accept loop of our own, because the framework's has no time limits.
//!
//! ```text
//!  listen queue ──► accept ──► seat ──► connection (watched: head, idle) ──► Handler::call ──► routes
//!                     │          │                                  └──upgrade──► api::socket, tracked like a connection
//!                     │          └── all taken: the slowest of the largest peer goes (seats), else a short wait, else 503
//!                     └── out of descriptors: some of the slowest are closed, accepting continues
//! ```
//! Promises: a slow or silent client costs one connection for a bounded time; a peer that takes all connections cannot keep
//! others out; [`Server::drain`] stops accepting, closes keep-alive connections and sockets in order, and waits for the work
//! under way.

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
pub(in crate::api) use progress::{ConnectionProgress, Doing, Ending};
pub use request_body::RequestBody;
pub(in crate::api) use seats::end_slow_readers;
pub use seats::{EndedCounts, Seat, Seats};
pub use stream::Watched;

/// An answer's body: pre-rendered bytes without an allocation, or the router's body.
pub type OutBody = Either<Full<Bytes>, Body>;

/// An answer, ready or pending.
pub enum Reply {
    Ready(Response<OutBody>),
    Later(std::pin::Pin<Box<dyn Future<Output = Response<OutBody>> + Send>>),
}

/// Answers requests of one listener.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; never fails, as every failure becomes a status.
    fn call(&self, request: Request<RequestBody>, peer: Peer) -> Reply;
}

/// Work that outlives its request (sockets) but not the server.
#[derive(Debug, Clone, Default)]
pub struct Lifeline {
    /// Cancelled when the server drains.
    pub stop: CancellationToken,
    /// The tasks that the drain waits for.
    pub tasks: TaskTracker,
}

/// Wait after a failed accept (no descriptors), while slow connections are closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How many connections may wait for a seat, and for how long; others get 503 at once.
const WAITING_MAX: usize = 64;
const SEAT_PATIENCE: Duration = Duration::from_secs(1);
/// The answer to a connection that gets no seat.
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

    /// Stops accepting, lets requests under way finish, and closes keep-alive connections and sockets. Returns how many were
    /// still open when `patience` was over; they end with the process.
    pub async fn drain(self, patience: Duration) -> usize {
        self.lifeline.stop.cancel();
        self.lifeline.tasks.close();
        let waited = tokio::time::timeout(patience, self.lifeline.tasks.wait()).await;
        if waited.is_err() { self.lifeline.tasks.len() } else { 0 }
    }
}

/// What all connections share.
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
                    tracing::warn!(%error, "cannot accept connections; closing the slowest ones");
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

/// Answers in a single write, if the socket accepts it, that there is no seat.
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
