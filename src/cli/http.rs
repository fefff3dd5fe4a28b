//! A small HTTP client for commands that call the running server.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::config::Config;
use crate::data_dir;

/// GET of a JSON document.
///
/// # Errors
/// If the server cannot be reached, or does not answer with success and JSON.
pub(super) async fn get_json(server: SocketAddr, path: &str) -> anyhow::Result<Value> {
    call(server, Method::GET, path, None, Bytes::new()).await
}

/// The operators' listener of the server that runs on our data directory, and its token, if it requires one.
pub(super) struct OperatorsListener {
    address: SocketAddr,
    token: Option<String>,
}

impl OperatorsListener {
    /// `None` if no server runs.
    ///
    /// # Errors
    /// If there is a token that cannot be read.
    pub(super) fn find(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(server) = data_dir::running_server(&config.data_dir) else { return Ok(None) };
        let token = data_dir::operator_token::read(&config.data_dir)?;
        Ok(Some(Self { address: server.admin, token }))
    }

    /// # Errors
    /// If no server runs, with what to do; and those of [`Self::find`].
    pub(super) fn of_running(config: &Config) -> anyhow::Result<Self> {
        let none = || format!("no shop is running on {}: start it with `kartshoppe serve`", config.data_dir.display());
        Self::find(config)?.with_context(none)
    }

    /// GET of a JSON document.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not answer with success and JSON; its problem document's text is used if there
    /// is one.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        call(self.address, Method::GET, path, self.token.as_deref(), Bytes::new()).await
    }

    /// POST of a JSON document, as an operator.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Value> {
        call(self.address, Method::POST, path, self.token.as_deref(), Bytes::from(serde_json::to_vec(body)?)).await
    }
}

async fn call(server: SocketAddr, method: Method, path: &str, token: Option<&str>, body: Bytes) -> anyhow::Result<Value> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, server.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-kartshoppe-operator", "kartshoppe");
    let request = bearer.into_iter().fold(request, |request, bearer| request.header(header::AUTHORIZATION, bearer));
    let stream = TcpStream::connect(server).await.with_context(|| format!("connecting to the server on {server}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request.body(Full::new(body))?).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    driver.abort();
    if !status.is_success() {
        bail!("the server answers {status}: {}", reason(&body));
    }
    serde_json::from_slice(&body).context("reading the server's answer")
}

/// The text of a problem document.
fn reason(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let fields = problem["errors"].as_array().into_iter().flatten();
    let fields: Vec<String> =
        fields.filter_map(|error| Some(format!("{}: {}", error["field"].as_str()?, error["message"].as_str()?))).collect();
    match problem["detail"].as_str() {
        _ if !fields.is_empty() => fields.join("; "),
        Some(detail) => detail.to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    }
}
