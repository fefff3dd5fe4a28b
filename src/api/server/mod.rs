//! The HTTP server below the routes: an accept loop of our own, because the framework's has no time limits.
//!
//! ```text
//!  listen queue ──► accept ──► connection (watched: head, idle) ──► Handler::call ──► routes
//!                     │                                    └──upgrade──► api::socket, tracked like a connection
//!                     └── out of descriptors or at the cap: idle connections are asked to go, the loop lives on
//! ```
//! Promises: a slow or silent client costs one connection for a bounded time; more connections than the cap wait in the listen queue;
//! [`Server::drain`] stops accepting, tells keep-alive connections and sockets, and waits for the work under way.

mod connection;
mod limits;
mod ports;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use limits::{Limits, raise_file_limit};
pub use ports::{BindError, bind};
pub use stream::Watched;

/// What goes out: pre-rendered bytes without a box around them, or whatever the router gave.
pub type OutBody = Either<Full<Bytes>, Body>;

/// An answer, now or later.
pub enum Reply {
    Ready(Response<OutBody>),
    Later(std::pin::Pin<Box<dyn Future<Output = Response<OutBody>> + Send>>),
}

/// Whoever is at the other end of the request's connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Answers requests of one listener.
pub trait Handler: Send + Sync + 'static {
    /// Whether requests carry their [`Peer`]: it costs an allocation.
    const WANTS_PEER: bool = false;

    /// Answers one request; never fails, as every failure has a status.
    fn call(&self, request: Request<Incoming>) -> Reply;
}

/// Work that outlives its request (sockets) but not the server.
#[derive(Debug, Clone, Default)]
pub struct Lifeline {
    /// Cancelled when the server drains.
    pub stop: CancellationToken,
    /// Whom the drain waits for.
    pub tasks: TaskTracker,
}

/// How connections should behave just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Open,
    /// Descriptors or connections have run out: idle ones make room.
    Crowded,
    Draining,
}

/// After a failed accept (no descriptors) the loop waits so long: idle connections go meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener at work.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    lifeline: Lifeline,
}

impl Server {
    /// Starts accepting. `lifeline` is shared with the routes that spawn work of their own.
    ///
    /// # Errors
    /// If the listener does not know its address.
    pub fn start(listener: TcpListener, handler: Arc<impl Handler>, limits: Limits, lifeline: Lifeline) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (mood, _) = watch::channel(Mood::Open);
        let accept = Accept { listener, handler, limits, mood: mood.clone(), lifeline: lifeline.clone() };
        tokio::spawn(accept.run());
        Ok(Self { address, mood, lifeline })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests under way finish, tells keep-alive connections and sockets to go. Returns how many were
    /// still there when the patience ended; they end with the process.
    pub async fn drain(self, patience: Duration) -> usize {
        self.mood.send_replace(Mood::Draining);
        self.lifeline.stop.cancel();
        self.lifeline.tasks.close();
        let waited = tokio::time::timeout(patience, self.lifeline.tasks.wait()).await;
        if waited.is_err() { self.lifeline.tasks.len() } else { 0 }
    }
}

struct Accept<H> {
    listener: TcpListener,
    handler: Arc<H>,
    limits: Limits,
    mood: watch::Sender<Mood>,
    lifeline: Lifeline,
}

impl<H: Handler> Accept<H> {
    async fn run(self) {
        let stop = self.lifeline.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.accept_all() => {}
        }
    }

    async fn accept_all(&self) {
        let seats = Arc::new(Semaphore::new(self.limits.max_connections));
        let http = connection::protocol();
        loop {
            let seat = match seats.clone().try_acquire_owned() {
                Ok(seat) => seat,
                Err(_) => {
                    self.crowded("every connection is taken; idle ones make room");
                    let Ok(seat) = seats.clone().acquire_owned().await else { return };
                    seat
                }
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection::Connection::new(&self.limits, self.mood.subscribe());
                    let served = connection.serve(http.clone(), stream, self.handler.clone());
                    self.lifeline.tasks.spawn(async move {
                        served.await;
                        drop(seat);
                    });
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; idle ones make room");
                    self.crowded("out of descriptors");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            }
            if *self.mood.borrow() == Mood::Crowded && seats.available_permits() > self.limits.max_connections / 10 {
                self.mood.send_replace(Mood::Open);
            }
        }
    }

    fn crowded(&self, why: &str) {
        let changed = self.mood.send_if_modified(|mood| {
            let changed = *mood == Mood::Open;
            if changed {
                *mood = Mood::Crowded;
            }
            changed
        });
        if changed {
            tracing::warn!(why, "the listener is crowded");
        }
    }
}

/// Errors of `accept` that say nothing about the listener: the peer was gone before we looked.
fn concerns_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
