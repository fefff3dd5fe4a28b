//! Product reads over HTTP per CPU-second of the server: whole answers, and 304 by entity tag, beside an axum that serialises.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Extent;
use super::figures::{cpu, per_second, thousands};
use super::reference::Reference;
use super::server::{Options, Server};
use super::table::Table;

const CONNECTIONS: usize = 8;
/// Requests sent at once on a connection, as a proxy in front of the shop does.
const PIPELINED: usize = 16;
const PRODUCT: &str = "/api/ecommerce/product/PROD_0001";

/// Measures both.
pub async fn measure(table: &mut Table, extent: &Extent) {
    let plain = {
        let axum = Reference::start("reads");
        reads(axum.address, axum.pid(), "", "200", extent.reads).await
    };
    let server = Server::start_filled(Options::default()).await;
    let answer = server.http.get(server.url(PRODUCT)).send().await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let (address, pid) = (server.info.http.unwrap(), server.info.pid);
    let known = format!("if-none-match: {tag}\r\n");
    for (what, header, status) in [("product reads", "", "200"), ("product reads, 304 by entity tag", known.as_str(), "304")] {
        let rate = reads(address, pid, header, status, extent.reads).await;
        let measured = format!("{} /CPU-s", thousands(rate));
        let reference = format!("axum, serialising: {} /CPU-s", thousands(plain));
        table.aimed(what, measured, reference, ">= 100,000 /CPU-s", rate >= 100_000.0);
    }
}

/// Reads per CPU-second of this process.
pub async fn reads(address: SocketAddr, pid: u32, header: &str, status: &str, count: usize) -> f64 {
    let request = format!("GET {PRODUCT} HTTP/1.1\r\nhost: {address}\r\n{header}\r\n");
    let before = cpu(pid);
    let each = count / CONNECTIONS;
    let readers: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(read(address, request.clone(), format!("HTTP/1.1 {status}"), each))).collect();
    for reader in readers {
        reader.await.unwrap();
    }
    // The last ticks are booked a moment later.
    tokio::time::sleep(Duration::from_millis(20)).await;
    per_second(each * CONNECTIONS, cpu(pid) - before)
}

async fn read(address: SocketAddr, request: String, expected: String, count: usize) {
    let mut line = TcpStream::connect(address).await.unwrap();
    line.set_nodelay(true).unwrap();
    let burst = request.repeat(PIPELINED);
    let mut buffer = vec![0; 64 * 1024];
    // The first answer tells how long each of them is: all are the same.
    line.write_all(request.as_bytes()).await.unwrap();
    let length = line.read(&mut buffer).await.unwrap();
    assert!(buffer.starts_with(expected.as_bytes()), "{}", String::from_utf8_lossy(&buffer[..length]));
    for _ in 0..count / PIPELINED {
        line.write_all(burst.as_bytes()).await.unwrap();
        let mut left = length * PIPELINED;
        while left > 0 {
            let got = line.read(&mut buffer).await.unwrap();
            assert!(got > 0 && got <= left, "the answers are not as long as the first one");
            left -= got;
        }
    }
}
