//! One connection: hyper speaks HTTP/1.1, a watchdog ends it when the client is slow or silent for too long.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Response;
use hyper::header;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::progress::{ConnectionProgress, Doing};
use super::{Handler, Limits, OutBody, Reply, RequestBody, Seat, Serving, Watched};

/// Largest head of a request in bytes, request line included; more is answered 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers of a request; more is answered 431.
const MAX_HEADERS: usize = 64;
/// The watchdog's first check; it sets the right time itself as soon as it is polled.
const FIRST_LOOK: Duration = Duration::from_secs(3600);
/// The kernel closes the connection of a peer that acknowledges nothing for this long.
const DEAD_PEER_MS: u32 = 30_000;

/// HTTP/1.1 with our limits. Time limits are the watchdog's.
pub(super) fn protocol() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(None).max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD_BYTES);
    // A client that has closed its sending side still gets the answer.
    http.half_close(true);
    http
}

impl<H: Handler> Serving<H> {
    /// Serves requests until the connection ends, is ended, or becomes a socket.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, socket: SocketAddr, seat: Seat) {
        prepare(&stream);
        let progress = &seat.progress;
        let io = TokioIo::new(Watched::new(stream, progress.clone()));
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            progress.set(Doing::Answering);
            let peer = self.limits.proxies.peer_of(socket, request.headers());
            if let Some(client) = peer.client {
                seat.belongs_to(client);
            }
            let reply = self.handler.call(request.map(|body| RequestBody::new(body, progress)), peer);
            async move {
                let response = match reply {
                    Reply::Ready(response) => response,
                    Reply::Later(response) => response.await,
                };
                if is_stream(&response) {
                    progress.stream();
                }
                progress.set(Doing::Idle);
                progress.count_from_first_wait();
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = pin!(self.http.serve_connection(io, service).with_upgrades());
        let mut watchdog =
            Watchdog { patience: Patience::new(&self.limits), progress, armed: pin!(tokio::time::sleep(FIRST_LOOK)) };
        let mut shutting_down = false;
        loop {
            tokio::select! {
                biased;
                // An error here is the client's (reset, bad request): hyper has answered what can be answered.
                _ = poll_fn(|cx| watchdog.poll_beside(connection.as_mut(), cx)) => return,
                _ = progress.ended() => return,
                () = self.stop.cancelled(), if !shutting_down => {
                    connection.as_mut().graceful_shutdown();
                    shutting_down = true;
                }
            }
        }
    }
}

/// How long a connection may stay in its present state.
#[derive(Debug, Clone, Copy)]
struct Patience {
    head: Duration,
    idle: Duration,
    answer: Duration,
    /// Bytes per second that a client must take of its answer, over `answer`.
    min_rate: u32,
}

impl Patience {
    fn new(limits: &Limits) -> Self {
        let (head, idle) = (limits.header_timeout, limits.idle_timeout);
        Self { head, idle, answer: idle, min_rate: limits.min_rate }
    }

    fn deadline(self, progress: &ConnectionProgress) -> Instant {
        match progress.get() {
            (Doing::Idle, _) if progress.is_stream() => Instant::now() + self.idle,
            (Doing::Idle, since) => since + self.idle,
            (Doing::ReadingHead, since) => since + self.head,
            // The request's own limits apply; check again when the next wait could have ended.
            (Doing::Receiving | Doing::Answering, _) => Instant::now() + self.idle,
            (Doing::Sending, _) => self.sending_until(progress),
        }
    }

    /// Checks a client that reads an answer once per `answer`: it must have read fast enough since the last check.
    fn sending_until(self, progress: &ConnectionProgress) -> Instant {
        let (taken, from) = progress.moved();
        let elapsed = from.elapsed();
        if elapsed < self.answer {
            return from + self.answer;
        }
        if (taken as f64) < f64::from(self.min_rate) * elapsed.as_secs_f64() {
            return from;
        }
        progress.restart_count();
        Instant::now() + self.answer
    }
}

/// Ends a connection whose client takes too long. Its timer is only ever moved to an earlier time: when it fires early, it
/// checks again.
struct Watchdog<'a> {
    patience: Patience,
    progress: &'a ConnectionProgress,
    armed: Pin<&'a mut Sleep>,
}

impl Watchdog<'_> {
    /// Polls the connection; ready when it has ended or must end.
    fn poll_beside<F: Future>(&mut self, connection: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<()> {
        if connection.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let deadline = self.patience.deadline(self.progress);
        if deadline < self.armed.deadline() {
            self.armed.as_mut().reset(deadline);
        }
        while self.armed.as_mut().poll(cx).is_ready() {
            let deadline = self.patience.deadline(self.progress);
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.armed.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// Whether it is a stream of server-sent events, after which the connection closes.
fn is_stream(response: &Response<OutBody>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "text/event-stream")
}

fn prepare(stream: &TcpStream) {
    // Best effort: without these options the connection is slower, not wrong.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, DEAD_PEER_MS);
}
