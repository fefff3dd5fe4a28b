//! One connected page: writes due frames, reads the page's few messages, and ends in order.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::messages::{self, Work};
use super::outgoing::Outgoing;
use super::pace::{Pace, PaceVerdict};
use super::{Page, SocketCounts};
use crate::actors::catalog_view::CatalogState;
use crate::actors::fanout::{PageInfo, PageSubscription};
use crate::api::server::Ending;
use crate::wire::pages::websocket::{self, CloseCode, Decoder, Received, Violation};

/// Bytes read from the socket at once.
const READ_BYTES: usize = 4096;
/// Kernel memory for bytes that a page has not read yet: one burst. Beyond that its frames wait here and are coalesced.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// The same while the last frame and the close frame are written.
const LAST_BUFFER_BYTES: usize = 4 * SEND_BUFFER_BYTES;
/// How many frames a page may send at once, and how many per second on average.
const FRAMES_AT_ONCE: u32 = 200;
const FRAMES_PER_SECOND: f64 = 50.0;
/// Bytes of answers and Pongs that may wait for a page: beyond that nothing is read from it until all are written.
const ANSWERS_MAX: usize = 16 * 1024;
/// How long closing a connection may take, so that the page can read the reason.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    stream: TcpStream,
    page: Page,
    subscription: PageSubscription,
    outgoing: Outgoing,
    decoder: Decoder,
    allowance: Allowance,
    /// The page's request in progress, or its greeting. Meanwhile nothing more is read from it.
    work: Option<Work>,
    greeting: Greeting,
    /// Upper bound on the bytes of answers that wait.
    answers: usize,
    pace: Pace,
}

/// Catalogue, recommendation and cart are sent in this order, before any later change.
#[derive(PartialEq)]
enum Greeting {
    /// The catalogue is not ready yet.
    Due,
    /// The work under way.
    UnderWay,
    Done,
}

/// How a connection ends.
enum End {
    /// The page has disconnected, or reads nothing any more.
    Gone,
    /// With a close frame.
    Close(u16, &'static str),
    /// It is cut off: with a close frame if the socket accepts it at once, after the frame that is partly written.
    Cut(CloseCode, &'static str),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Close(violation.code as u16, violation.reason)
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, page: Page, info: PageInfo) -> Self {
        let sum = page.shop.catalog.waiting().clone();
        let pace = Pace::new(page.seat.progress.clone());
        // Best effort: without it the kernel buffers more for a slow page.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
        Self {
            subscription: page.shop.fanout.register(info),
            decoder: Decoder::new(page.shop.config.ws.max_message_bytes),
            stream,
            page,
            outgoing: Outgoing::new(sum),
            allowance: Allowance::new(),
            work: None,
            greeting: Greeting::Due,
            answers: 0,
            pace,
        }
    }

    /// Serves the page until it disconnects or is closed. `already_read` arrived with its handshake.
    pub(super) async fn run(mut self, already_read: Vec<u8>) {
        let begun = self.begin(&already_read);
        drop(already_read);
        let end = match begun {
            Ok(()) => self.serve().await,
            Err(end) => end,
        };
        match end {
            End::Gone => {}
            End::Close(code, reason) => {
                if code >= CloseCode::Protocol as u16 && code < CloseCode::Restart as u16 {
                    SocketCounts::count(&self.page.shop.figures.sockets.violations);
                    tracing::debug!(code, reason, "a page violated the WebSocket protocol");
                }
                let _ = tokio::time::timeout(CLOSE_WITHIN, self.close_in_order(code, reason)).await;
            }
            End::Cut(code, reason) => {
                if self.close_at_once(code, reason) {
                    let _ = tokio::time::timeout(CLOSE_WITHIN, self.until_closed()).await;
                }
            }
        }
    }

    /// The catalogue comes first. A page that cannot be sent it now is greeted without it, unless the catalogue is still being
    /// read.
    fn begin(&mut self, already_read: &[u8]) -> Result<(), End> {
        if let Some(burst) = self.subscription.due() {
            self.outgoing.push_burst(burst);
            self.greet();
        } else if self.page.shop.catalog.state() != CatalogState::Restoring {
            self.greet();
        }
        self.decoder.feed(already_read);
        self.take_frames()
    }

    fn greet(&mut self) {
        self.greeting = Greeting::UnderWay;
        self.work = Some(messages::greeting(&self.page));
    }

    async fn serve(&mut self) -> End {
        let ws = &self.page.shop.config.ws;
        let every = ws.heartbeat_interval.min(ws.write_timeout);
        let stop = self.page.shop.lifeline.stop.clone();
        let progress = self.page.seat.progress.clone();
        let mut tick = Box::pin(tokio::time::sleep(every));
        loop {
            if let Err(end) = self.write() {
                return end;
            }
            let interest = self.interest();
            tokio::select! {
                biased;
                () = stop.cancelled() => return End::Close(CloseCode::GoingAway as u16, "the shop is stopping"),
                why = progress.ended() => return self.ended(why),
                frames = finished(&mut self.work) => {
                    self.work = None;
                    if self.greeting == Greeting::UnderWay {
                        self.greeting = Greeting::Done;
                    }
                    self.answer(frames);
                    if let Err(end) = self.take_frames() {
                        return end;
                    }
                }
                ready = ready(&self.stream, interest) => {
                    if !ready.is_ok_and(|ready| ready.is_readable() || ready.is_read_closed()) {
                        continue;
                    }
                    if let Err(end) = self.read() {
                        return end;
                    }
                }
                burst = self.subscription.next_due(), if self.outgoing.is_empty() && self.greeting != Greeting::UnderWay => {
                    let Some(burst) = burst else { return End::Close(CloseCode::GoingAway as u16, "the shop is stopping") };
                    self.outgoing.push_burst(burst);
                    if self.greeting == Greeting::Due {
                        self.greet();
                    }
                }
                () = tick.as_mut() => {
                    rearm(&mut tick, every);
                    if let Err(end) = self.tick() {
                        return end;
                    }
                }
            }
        }
    }

    /// Whether another frame of the page may be handled: not while one is in progress, nor while many answers wait.
    fn may_take(&self) -> bool {
        self.work.is_none() && self.answers < ANSWERS_MAX
    }

    fn answer(&mut self, frames: Bytes) {
        self.answers += frames.len();
        self.outgoing.push(self.page.shop.catalog.waiting().hold(frames));
    }

    /// What to wait for: writable if bytes wait, readable if another frame may be handled.
    fn interest(&self) -> Option<Interest> {
        match (self.may_take(), !self.outgoing.is_empty()) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        }
    }

    fn write(&mut self) -> Result<(), End> {
        while !self.outgoing.is_empty() {
            let taken = self.outgoing.flush(&self.stream)?;
            if !self.outgoing.is_empty() {
                self.pace.note(taken);
                return Ok(());
            }
            // Frames may have arrived while answers waited.
            if std::mem::take(&mut self.answers) >= ANSWERS_MAX {
                self.take_frames()?;
            }
        }
        self.pace.rest();
        Ok(())
    }

    fn read(&mut self) -> Result<(), End> {
        let mut bytes = [0; READ_BYTES];
        match self.stream.try_read(&mut bytes) {
            Ok(0) => Err(End::Gone),
            Ok(count) => {
                self.page.seat.progress.note_sent_by_page();
                self.decoder.feed(&bytes[..count]);
                self.take_frames()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Handles complete frames, up to the first whose work takes time.
    fn take_frames(&mut self) -> Result<(), End> {
        while self.may_take() {
            let Some(received) = self.decoder.take_frame()? else { return Ok(()) };
            if !self.allowance.take() {
                return Err(End::Close(CloseCode::Policy as u16, "too many messages"));
            }
            match received {
                Received::Text(text) => self.work = messages::begin(&self.page, &text),
                Received::Ping(payload) => self.answer(websocket::encode(websocket::PONG, &payload)),
                Received::Pong | Received::Fragment => {}
                Received::Close(code) => return Err(End::Close(code.unwrap_or(CloseCode::Normal as u16), "")),
            }
        }
        Ok(())
    }

    /// At intervals: sends a Ping, so that a dead peer is noticed, and ends a page that reads nothing, or too slowly.
    fn tick(&mut self) -> Result<(), End> {
        if self.outgoing.is_empty() {
            self.outgoing.push(websocket::encode(websocket::PING, &[]));
            return Ok(());
        }
        let (ws, counts) = (&self.page.shop.config.ws, &self.page.shop.figures.sockets);
        match self.pace.judge(ws.write_timeout, ws.min_rate) {
            PaceVerdict::Well => return Ok(()),
            PaceVerdict::Stalled => SocketCounts::count(&counts.stalled),
            PaceVerdict::TooSlow => SocketCounts::count(&counts.slow),
        }
        Err(End::Cut(CloseCode::Policy, "the page reads too slowly"))
    }

    /// It was ended from outside.
    fn ended(&self, why: Ending) -> End {
        let counts = &self.page.shop.figures.sockets;
        match why {
            Ending::Seat => {
                SocketCounts::count(&counts.seat);
                End::Cut(CloseCode::TryLater, "the connection is needed for other clients; try again later")
            }
            Ending::Memory => {
                SocketCounts::count(&counts.memory);
                End::Cut(CloseCode::Policy, "too many bytes wait for slow pages, and this is one of them")
            }
        }
    }

    /// Drops the waiting bytes and sends the close frame, if the socket accepts it at once: the kernel's buffer is enlarged for
    /// it, as it is full of bytes that a slow page has not read.
    fn close_at_once(&mut self, code: CloseCode, reason: &str) -> bool {
        let Some(mut last) = self.outgoing.cut() else { return false };
        last.extend_from_slice(&websocket::close(code as u16, reason));
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.stream, LAST_BUFFER_BYTES);
        // Not through tokio, which remembers that the socket was not writable.
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        rustix::net::send(&self.stream, &last, flags).is_ok_and(|sent| sent == last.len())
    }

    /// Sends the waiting bytes and the close frame, then reads until the page has closed, too: a reset would discard the reason.
    async fn close_in_order(&mut self, code: u16, reason: &str) {
        self.outgoing.push(websocket::close(code, reason));
        while !self.outgoing.is_empty() {
            if self.stream.writable().await.is_err() || self.outgoing.flush(&self.stream).is_err() {
                return;
            }
        }
        self.until_closed().await;
    }

    async fn until_closed(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        while self.stream.readable().await.is_ok() && self.discard_more() {}
    }

    /// Reads and discards; returns whether more may arrive. A function of its own, as a buffer that lives across a wait
    /// would be part of every connected page.
    fn discard_more(&self) -> bool {
        match self.stream.try_read(&mut [0; READ_BYTES]) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// Waits for the work in progress; for ever if there is none.
async fn finished(work: &mut Option<Work>) -> Bytes {
    poll_fn(|cx| match work {
        Some(work) => work.as_mut().poll(cx),
        None => Poll::Pending,
    })
    .await
}

async fn ready(stream: &TcpStream, interest: Option<Interest>) -> io::Result<tokio::io::Ready> {
    match interest {
        Some(interest) => stream.ready(interest).await,
        None => std::future::pending().await,
    }
}

fn rearm(tick: &mut Pin<Box<Sleep>>, every: Duration) {
    tick.as_mut().reset(Instant::now() + every);
}

/// How many frames a page may still send.
#[derive(Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new() -> Self {
        Self { left: f64::from(FRAMES_AT_ONCE), at: Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * FRAMES_PER_SECOND;
        self.at = now;
        self.left = (self.left + earned).min(f64::from(FRAMES_AT_ONCE)) - 1.0;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn frames_are_rationed() {
        let mut allowance = Allowance::new();
        assert_eq!((0..1000).filter(|_| allowance.take()).count(), FRAMES_AT_ONCE as usize);
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut allowance = Allowance { left: 0.0, at: Instant::now() - Duration::from_secs(1) };
        assert_eq!((0..1000).filter(|_| allowance.take()).count(), 50);
    }
}
