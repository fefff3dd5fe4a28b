//! Clients that hardly read: their cost is bounded, however long they take, and below the minimum rate they are disconnected.

use std::path::PathBuf;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

use crate::support::raw::{RawSocket, masked};
use crate::support::server::{Options, Server};

/// Size of the catalogue: this many products of 3 KB.
const PRODUCTS: usize = 1_500;

/// A shop with a large catalogue. The folder holds its bootstrap file.
async fn large_shop(options: Options) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("products.json");
    let product = |n: usize| {
        json!({"productId": format!("P{n}"), "name": "A long one", "description": "x".repeat(3_000), "category": "Books", "brand": "B",
               "price": 9.5, "inventory": 10, "imageUrl": "", "tags": [], "rating": 4.0, "reviewCount": 1})
    };
    std::fs::write(&path, serde_json::to_vec(&(0..PRODUCTS).map(product).collect::<Vec<_>>()).unwrap()).unwrap();
    let server = Server::start(options.set("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE", path.display())).await;
    server.until_products(PRODUCTS).await;
    (server, folder)
}

/// A connection with a small receive buffer.
async fn narrow(server: &Server, request: &str) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(server.info.http.unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.info.pid)).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn page_cuts(server: &Server, cause: &str) -> u64 {
    cuts(server, "page", cause).await
}

async fn cuts(server: &Server, what: &str, cause: &str) -> u64 {
    let figures = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    let wanted = format!("kartshoppe_{what}_cuts_total{{cause=\"{cause}\"}}");
    let line = figures.lines().find(|line| line.starts_with(&wanted)).unwrap_or_else(|| panic!("no {wanted} in {figures}"));
    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64
}

const STATE: &str = "GET /api/ecommerce/inventory/state HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn readers_of_the_whole_catalogue_share_its_bytes() {
    let (server, _folder) = large_shop(Options::default()).await;
    let before = resident_kib(&server);
    let mut readers = Vec::new();
    for n in 0..60 {
        readers.push(narrow(&server, STATE).await);
        readers.push(RawSocket::open_narrow(server.info.http.unwrap(), &format!("/ecommerce/slow-{n}/guest"), "").await.stream);
        let product = json!({"productId": format!("P{n}"), "name": "A long one", "description": "y".repeat(3_000), "category": "Books",
                             "brand": "B", "price": 9.5, "inventory": 20 + n, "imageUrl": "", "tags": [], "rating": 4.0, "reviewCount": 1});
        let record = json!({"key": format!("P{n}"), "value": product});
        let (status, told) = server.operate("/admin/topics/product-updates/records", &record).await;
        assert!(status < 300, "{told}");
    }
    // Each has begun to read it: so each answer was built.
    for reader in &mut readers {
        reader.read_u8().await.unwrap();
    }
    let grown = resident_kib(&server).saturating_sub(before) / 1024;
    assert!(grown < 150, "120 readers of a catalogue of 5 MB cost {grown} MiB");
    drop(readers);
}

async fn figure(server: &Server, name: &str) -> f64 {
    let figures = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = figures.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    let line = line.unwrap_or_else(|| panic!("no {name} in {figures}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_bytes_waiting_for_slow_readers_are_bounded_and_a_page_is_served() {
    const BUDGET: u64 = 4 << 20;
    let (server, _folder) = large_shop(Options::default().set("KARTSHOPPE__HTTP__MAX_WAITING_BYTES", BUDGET)).await;
    let before = resident_kib(&server);
    let (mut readers, mut largest) = (Vec::new(), 0.0_f64);
    for n in 0..100 {
        readers.push(narrow(&server, STATE).await);
        readers.push(narrow(&server, "GET /api/ecommerce/products?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
        readers.push(RawSocket::open_narrow(server.info.http.unwrap(), &format!("/ecommerce/slow-{n}/guest"), "").await.stream);
        if n % 10 == 9 {
            largest = largest.max(figure(&server, "kartshoppe_waiting_output_bytes").await);
            for reader in &mut readers {
                // They read slowly: each has read something since its last check.
                let _ = tokio::time::timeout(Duration::from_millis(1), reader.read(&mut [0; 100])).await;
            }
        }
    }
    assert!(largest > 500_000.0, "nothing is counted: {largest}");
    let deadline = tokio::time::Instant::now() + crate::support::raw::PATIENCE;
    while figure(&server, "kartshoppe_waiting_output_bytes").await > BUDGET as f64 {
        assert!(tokio::time::Instant::now() < deadline, "the slowest readers are not ended");
        sleep(Duration::from_millis(20)).await;
    }
    let ended = page_cuts(&server, "memory").await as f64 + cuts(&server, "connection", "memory").await as f64;
    assert!(ended > 50.0, "{ended} readers were ended");
    let mut page = RawSocket::open(server.info.http.unwrap(), "/ecommerce/regular/guest", "").await;
    page.until("RECOMMENDATION").await;
    assert_eq!(server.get("/api/ecommerce/inventory/state").await["totalProducts"], PRODUCTS);
    let grown = resident_kib(&server).saturating_sub(before) / 1024;
    assert!(grown < 100, "300 readers cost {grown} MiB");
    drop(readers);
}

#[tokio::test]
async fn a_page_below_the_minimum_rate_is_disconnected_and_a_steady_reader_gets_all() {
    let options = Options::default()
        .set("KARTSHOPPE__WS__WRITE_TIMEOUT", "1s")
        .set("KARTSHOPPE__WS__MIN_RATE", 50_000)
        .set("KARTSHOPPE__HTTP__IDLE_TIMEOUT", "1s");
    let (server, _folder) = large_shop(options).await;
    let mut steady = narrow(&server, STATE).await;
    let (mut got, mut buffer) = (0, vec![0; 16 * 1024]);
    // Longer than a connection may be idle.
    while got < 4_500_000 {
        let count = steady.read(&mut buffer).await.unwrap_or(0);
        assert!(count > 0, "a steady client is cut after {got} bytes");
        got += count;
        sleep(Duration::from_millis(5)).await;
    }
    let mut trickling = RawSocket::open_narrow(server.info.http.unwrap(), "/ecommerce/trickling/guest", "").await;
    let deadline = tokio::time::Instant::now() + crate::support::raw::PATIENCE;
    while page_cuts(&server, "slow").await + page_cuts(&server, "stalled").await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "a page that trickles is kept");
        let _ = tokio::time::timeout(Duration::from_secs(1), trickling.stream.read(&mut [0; 1000])).await;
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn nothing_more_is_read_from_a_page_whose_answers_wait() {
    let server = Server::start_filled(Options::default()).await;
    let mut page = RawSocket::open_narrow(server.info.http.unwrap(), "/ecommerce/asking/guest", "").await;
    let ping = masked(0x89, &[7; 125]);
    let before = resident_kib(&server);
    let mut said = 0_usize;
    // A page that only sends: once its answers fill the buffers, the shop stops reading from it.
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(3), page.stream.write_all(&ping)).await {
        said += 1;
        sleep(Duration::from_millis(21)).await;
        if said == 150 {
            break;
        }
    }
    assert!(resident_kib(&server).saturating_sub(before) < 64 * 1024);
    // Every request is answered in the end.
    let mut pongs = 0;
    while pongs < said {
        let frame = page.next().await.unwrap();
        assert_ne!(frame.opcode, 8, "closed with {}", frame.close_code());
        pongs += usize::from(frame.opcode == 10);
    }
}
