//! Product reads over HTTP per CPU-second of the shop: whole answers, and 304 by entity tag.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::figures::cpu;
use super::server::{Options, Server};

const CONNECTIONS: usize = 8;
const READS: usize = 50_000;
/// Requests sent at once on a connection, as a proxy in front of the shop does.
const PIPELINED: usize = 16;

/// Measures both.
pub async fn measure() {
    let server = Server::start_filled(Options::default()).await;
    let answer = server.http.get(server.url("/api/ecommerce/product/PROD_0001")).send().await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let address = server.info.http.unwrap();
    for (what, header, status) in
        [("product reads", String::new(), "200"), ("product reads, 304", format!("if-none-match: {tag}\r\n"), "304")]
    {
        let request = format!("GET /api/ecommerce/product/PROD_0001 HTTP/1.1\r\nhost: {address}\r\n{header}\r\n");
        let before = cpu(server.info.pid);
        let readers: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(read(address, request.clone(), status))).collect();
        for reader in readers {
            reader.await.unwrap();
        }
        let used = cpu(server.info.pid) - before;
        println!("{what:<44} {:>9.0} per CPU-s", super::figures::per_second(CONNECTIONS * READS, used));
    }
}

async fn read(address: SocketAddr, request: String, status: &str) {
    let mut line = TcpStream::connect(address).await.unwrap();
    let expected = format!("HTTP/1.1 {status}");
    let burst = request.repeat(PIPELINED);
    let mut buffer = vec![0; 64 * 1024];
    // The first answer tells how long each of them is: all are the same, but for nothing.
    line.write_all(request.as_bytes()).await.unwrap();
    let length = line.read(&mut buffer).await.unwrap();
    assert!(buffer.starts_with(expected.as_bytes()), "{}", String::from_utf8_lossy(&buffer[..length]));
    for _ in 0..READS / PIPELINED {
        line.write_all(burst.as_bytes()).await.unwrap();
        let mut left = length * PIPELINED;
        while left > 0 {
            let got = line.read(&mut buffer).await.unwrap();
            assert!(got > 0 && got <= left, "the answers are not as long as the first one");
            left -= got;
        }
    }
}
