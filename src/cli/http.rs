//! A small HTTP client for commands that ask the running server.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// GET of a JSON document.
///
/// # Errors
/// If the server cannot be reached, or does not answer with success and JSON.
pub(super) async fn get_json(server: SocketAddr, path: &str) -> anyhow::Result<Value> {
    let request = Request::builder().method(Method::GET).uri(path).header(header::HOST, server.to_string());
    let stream = TcpStream::connect(server).await.with_context(|| format!("connecting to the server on {server}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request.body(Full::new(Bytes::new()))?).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    driver.abort();
    ensure!(status.is_success(), "the server answers {status}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).context("reading the server's answer")
}
