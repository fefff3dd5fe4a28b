use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Answers `hello`; a path of `/wait` answers when told to.
#[derive(Default)]
struct Greeter {
    waiting: Arc<AtomicUsize>,
    go: CancellationToken,
}

impl Handler for Greeter {
    fn call(&self, request: Request<RequestBody>, _: Peer) -> Reply {
        let hello = || Response::new(Either::Left(Full::new(Bytes::from_static(b"hello"))));
        match request.uri().path() {
            "/large" => Reply::Ready(Response::new(Either::Left(Full::new(Bytes::from(vec![b'x'; 32 << 20]))))),
            "/wait" => {
                let (waiting, go) = (self.waiting.clone(), self.go.clone());
                Reply::Later(Box::pin(async move {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    go.cancelled().await;
                    hello()
                }))
            }
            _ => Reply::Ready(hello()),
        }
    }
}

fn limits() -> Limits {
    let short = Duration::from_millis(300);
    let proxies = TrustedProxies::default();
    Limits { header_timeout: short, idle_timeout: short * 2, min_rate: 4096, proxies, max_connections: 8, max_pages: 8 }
}

async fn start(handler: Arc<Greeter>, limits: Limits) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap(), "KEY").await.unwrap();
    let seats = Seats::of_connections(limits.max_connections, limits.min_rate, Arc::default());
    Server::start(listener, handler, limits, seats, Lifeline::default()).unwrap()
}

async fn send(server: &Server, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let server = start(Arc::default(), limits()).await;
    assert_eq!(until_closed(send(&server, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await).await, "");
    assert_eq!(until_closed(send(&server, "").await).await, "");
    let answered = until_closed(send(&server, GET).await).await;
    assert!(answered.starts_with("HTTP/1.1 200") && answered.ends_with("hello"), "{answered}");
    let half = format!("{GET}GET / HT");
    assert!(until_closed(send(&server, &half).await).await.ends_with("hello"));
}

#[tokio::test]
async fn who_takes_an_answer_byte_by_byte_does_not_keep_it() {
    let server = start(Arc::default(), limits()).await;
    let mut stream = send(&server, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let served = server.lifeline.tasks.clone();
    stream.read_u8().await.unwrap();
    while !served.is_empty() {
        // Any byte is not enough.
        let _ = stream.read(&mut [0; 100]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn malformed_heads_are_refused_and_closed() {
    let server = start(Arc::default(), limits()).await;
    let many: String = (0..65).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "y".repeat(20_000));
    let cases = [
        ("GARBAGE\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{long}\r\n"), "431"),
    ];
    for (request, status) in cases {
        let answer = until_closed(send(&server, &request).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:.80}: {answer}");
    }
}

#[tokio::test]
async fn silent_connections_make_room_when_seats_run_out() {
    let patient = Limits { header_timeout: Duration::from_secs(60), idle_timeout: Duration::from_secs(60), ..limits() };
    let server = start(Arc::default(), patient).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(send(&server, "GET").await);
    }
    // The seats are taken by silent ones: they make room long before their minute.
    let mut stream = send(&server, GET).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn draining_finishes_what_was_asked_and_tells_the_rest() {
    let handler = Arc::new(Greeter::default());
    let patient = Limits { header_timeout: Duration::from_secs(60), idle_timeout: Duration::from_secs(60), ..limits() };
    let server = start(handler.clone(), patient).await;
    let address = server.address();
    let busy = send(&server, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut idle = send(&server, GET).await;
    let mut status = [0; 12];
    idle.read_exact(&mut status).await.unwrap();
    while handler.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let drained = tokio::spawn(server.drain(Duration::from_secs(60)));
    assert!(until_closed(idle).await.ends_with("hello"), "the idle connection is closed");
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    handler.go.cancel();
    let answer = until_closed(busy).await;
    assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
    assert_eq!(drained.await.unwrap(), 0);
}
