//! The plain way to do what the shop does, as a process of its own, so that its CPU time is measured separately: `axum` that
//! serialises a product for each request, and a WebSocket server that gives every page each message as it comes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::serve::ListenerExt;
use axum::{Json, Router, routing};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;

/// Says what a child of this program serves: `reads` or `pages`.
const TASK: &str = "SHOP_BENCH_REFERENCE";
/// Messages that a slow page may be behind.
const BACKLOG: usize = 4_096;

/// A reference under measurement. Dropping it ends the process.
pub struct Reference {
    child: Child,
    commands: ChildStdin,
    pub address: SocketAddr,
}

impl Reference {
    /// Starts it.
    pub fn start(task: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.env(TASK, task).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let commands = child.stdin.take().unwrap();
        Self { child, commands, address: line.trim().parse().unwrap() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it send one message of so many bytes to every page.
    pub fn push(&mut self, bytes: usize) {
        writeln!(self.commands, "{bytes}").unwrap();
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Whether this process is such a child.
pub fn is_asked_for() -> bool {
    std::env::var_os(TASK).is_some()
}

/// Serves until it is killed.
pub fn run() {
    let task = std::env::var(TASK).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        if task == "reads" { serve_products(listener).await } else { serve_pages(listener).await }
    });
}

async fn serve_products(listener: TcpListener) {
    let product = json!({
        "productId": "PROD_0001", "name": "FutureTech UltraBook Pro 15", "category": "Electronics", "brand": "FutureTech",
        "description": "A thin and light machine with a bright screen, a quiet fan and a battery that outlasts the longest flight.",
        "price": 1899.99, "inventory": 17, "imageUrl": "/api/ecommerce/product/PROD_0001/image", "tags": ["laptop", "ultrabook"],
        "rating": 4.5, "reviewCount": 49, "life": 0, "version": 1, "detailsVersion": 1, "timestamp": 1_732_500_000_000_i64,
    });
    async fn read(State(product): State<Arc<Value>>, Path(_): Path<String>) -> Json<Arc<Value>> {
        Json(product)
    }
    let routes = Router::new().route("/api/ecommerce/product/{id}", routing::get(read)).with_state(Arc::new(product));
    // As the shop does: answers to pipelined requests do not wait for acknowledgements.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, routes).await.unwrap();
}

async fn serve_pages(listener: TcpListener) {
    let (sender, _) = broadcast::channel::<Message>(BACKLOG);
    let feed = sender.clone();
    // A thread of its own: reading commands blocks.
    std::thread::spawn(move || {
        for line in BufReader::new(std::io::stdin().by_ref()).lines() {
            let bytes: usize = line.unwrap().parse().unwrap();
            let _ = feed.send(Message::text("x".repeat(bytes)));
        }
    });
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve_page(stream, sender.subscribe()));
    }
}

async fn serve_page(stream: TcpStream, mut messages: broadcast::Receiver<Message>) {
    let mut page = tokio_tungstenite::accept_async(stream).await.unwrap();
    while let Ok(message) = messages.recv().await {
        if page.send(message).await.is_err() {
            return;
        }
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}
