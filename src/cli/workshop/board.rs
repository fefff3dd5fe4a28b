//! `lead`, `join` and `leave`: a class with a board.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::output;
use crate::config::Config;
use crate::workshop::{self, Board, Joined, Joining, NAME_MAX_CHARS, Posted, Progress};

/// Connections at once, and how long one may take to send a request's head.
const CONNECTIONS: usize = 512;
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
const JOIN_PATIENCE: Duration = Duration::from_secs(10);
/// A board that does not answer must not keep a learner waiting.
const POST_PATIENCE: Duration = Duration::from_secs(2);

/// Serves a board until the process ends.
pub(super) async fn lead(listen: SocketAddr) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}: choose another --listen"))?;
    let chapters = workshop::chapters()?.iter().map(|chapter| chapter.number.to_string()).collect();
    let board = Board::new(chapters);
    let here = SocketAddr::new(shown_address(listener.local_addr()?.ip()), listener.local_addr()?.port());
    output::line(format_args!("learners join at  http://{here}{}", board.join_path()))?;
    output::line(format_args!("the board         http://{here}{}", board.lead_path()))?;
    output::line("It is for you alone: its address shows the names. Ctrl-C ends the class and forgets it.")?;
    let routes = board.routes();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await?;
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // Too many open files, for one: they are closed in time.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

/// An address that others can reach. A socket that sends nothing finds the one that leads outside.
fn shown_address(address: IpAddr) -> IpAddr {
    let outside = || {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("192.0.2.1:9").ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    if address.is_unspecified() { outside().unwrap_or(address) } else { address }
}

/// Puts the learner on a board, and keeps it for the checks.
pub(super) async fn join(config: &Config, url: &str, name: &str) -> anyhow::Result<()> {
    let wrong = || format!("--name: 1 to {NAME_MAX_CHARS} characters, none of them a control character");
    let name = workshop::checked_name(name).with_context(wrong)?;
    let url = url.trim().trim_end_matches('/');
    ensure!(
        url.starts_with("http://") && url.contains("/j/"),
        "{url} is no address of a board: `kartshoppe workshop lead` prints it"
    );
    let asked = reqwest::Client::new().post(format!("{url}/join")).json(&Joining { name: name.clone() }).timeout(JOIN_PATIENCE);
    let answer = asked.send().await.map_err(reqwest::Error::without_url).context("the board cannot be reached")?;
    if !answer.status().is_success() {
        bail!("the board answers: {}", answer.text().await.unwrap_or_default());
    }
    let joined = Joined { url: url.to_owned(), name: name.clone() };
    workshop::update(&config.data_dir, |progress| progress.board = Some(joined))?;
    Ok(output::line(format_args!("{name} is on the board; each check sends name, step and result there"))?)
}

/// Sends nothing any more.
pub(super) fn leave(config: &Config) -> anyhow::Result<()> {
    let was = workshop::update(&config.data_dir, |progress| progress.board.take())?;
    Ok(output::line(if was.is_some() { "nothing is sent any more" } else { "you were on no board" })?)
}

/// Sends a result to the board, if the learner is on one. That it failed is said and changes nothing.
pub(super) async fn post(config: &Config, step: &str, passed: usize, of: usize, done: bool) {
    let Some(Joined { url, name }) = Progress::load(&config.data_dir).ok().and_then(|progress| progress.board) else { return };
    let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let posted = Posted { name, step: step.to_owned(), passed: count(passed), of: count(of), done };
    let asked = reqwest::Client::new().post(format!("{url}/result")).json(&posted).timeout(POST_PATIENCE).send().await;
    if !asked.is_ok_and(|answer| answer.status().is_success()) {
        output::tell("the board did not take the result; `kartshoppe workshop leave` ends sending");
    }
}
