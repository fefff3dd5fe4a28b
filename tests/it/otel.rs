//! `OTEL_*` as operators set it: the ways to a collector, and collectors in trouble.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::otlp::{OtlpReceiver, attribute};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

fn sent_to(endpoint: impl ToString) -> Options {
    Options::default().set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).set("OTEL_BSP_SCHEDULE_DELAY", 50)
}

async fn buys(server: &Server) {
    let shopper = Shopper::new("observed");
    shopper.add(server, "PROD_0003", 1).await;
    assert_eq!(shopper.checkout(server, false).await.0, 200);
}

async fn figure(server: &Server, line: &str) -> u64 {
    let text = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|it| it.strip_prefix(line)).unwrap_or_else(|| panic!("no {line} in {text}"));
    value.trim().parse::<f64>().unwrap() as u64
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn spans_go_out_compressed_and_by_tls_that_the_systems_roots_prove() {
    let receiver = OtlpReceiver::start().await;
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let names = folder.path().join("names");
    std::fs::File::create(&names).unwrap().write_all(b"subjectAltName=DNS:localhost\n").unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=ca");
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=collector");
    openssl("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt");
    let port = tls_before(&receiver, folder.path()).await;
    let options = sent_to(format!("https://localhost:{port}")).set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    // What rustls-native-certs takes for the system's.
    let server = Server::start_filled(options.set("SSL_CERT_FILE", folder.path().join("ca.crt").display())).await;
    buys(&server).await;
    receiver.span("of the checkout", |span| span.name == "checkout").await;
}

#[tokio::test]
async fn spans_go_out_by_grpc() {
    let receiver = OtlpReceiver::start_grpc().await;
    let options = sent_to(format!("http://{}", receiver.address())).set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let server = Server::start_filled(options.set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")).await;
    buys(&server).await;
    let applied = receiver.span("of the inventory", |span| span.name == "product.apply").await;
    assert_eq!(receiver.service(&applied), "kartshoppe-inventory");
}

/// Unwraps TLS before the receiver; its port.
async fn tls_before(receiver: &OtlpReceiver, folder: &std::path::Path) -> u16 {
    let certificates = CertificateDer::pem_file_iter(folder.join("server.crt")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, to) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), receiver.address());
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut inner = acceptor.accept(stream).await.unwrap();
                let mut outer = tokio::net::TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_collector_that_refuses_is_one_line_a_count_and_no_delay() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let mut server = Server::start_filled(sent_to(&endpoint)).await;
    buys(&server).await;
    let dropped = "kartshoppe_telemetry_spans_dropped_total{reason=\"export_failed\"}";
    until("dropped spans are counted", async || figure(&server, dropped).await > 0).await;
    buys(&server).await;
    let before = figure(&server, dropped).await;
    until("the count grows", async || figure(&server, dropped).await > before).await;
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("the collector does not take spans")).collect();
    assert!(matches!(&lines[..], [line] if line.contains(&endpoint) && line.contains("refused")), "{lines:?}");
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_neither_orders_nor_the_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut begun = [0; 64];
            let _ = stream.read(&mut begun).await;
            let _ = stream.flush().await;
            kept.push(stream);
        }
    });
    let options = sent_to(&endpoint).set("OTEL_BSP_MAX_QUEUE_SIZE", 4).set("OTEL_EXPORTER_OTLP_TIMEOUT", 600_000);
    let mut server = Server::start_filled(options).await;
    buys(&server).await;
    let dropped = "kartshoppe_telemetry_spans_dropped_total{reason=\"queue_full\"}";
    until("the queue is full", async || {
        buys(&server).await;
        figure(&server, dropped).await > 0
    })
    .await;
    assert_eq!(server.terminate(), Some(0), "and it does not wait for the collector's ten minutes");
}

#[tokio::test]
async fn what_cannot_be_honoured_stops_the_start_and_names_the_variable() {
    for (name, value) in [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
    ] {
        let mut server = Server::launch(sent_to("http://127.0.0.1:9").set(name, value));
        assert_eq!(server.wait().await, Some(1), "{name}");
        let log = server.log_tail();
        assert!(log.contains(name) && log.contains("cannot be honoured"), "{log}");
    }
}

#[tokio::test]
async fn a_read_that_is_not_sampled_makes_no_span_and_a_name_that_is_set_is_taken_literally() {
    let receiver = OtlpReceiver::start().await;
    let options = receiver.of(Options::default()).set("KARTSHOPPE__TELEMETRY__STREAM_SAMPLE_RATIO", 0);
    let options = options.set("OTEL_SERVICE_NAME", "my-shop").set("OTEL_RESOURCE_ATTRIBUTES", "service.name=zzz,team=a%20b");
    let server = Server::start_filled(options).await;
    server.get("/api/ecommerce/product/PROD_0003").await;
    server.get("/livez").await;
    buys(&server).await;
    let applied = receiver.span("of the inventory", |span| span.name == "product.apply").await;
    assert_eq!(receiver.service(&applied), "my-shop");
    let all = receiver.all();
    assert!(all.iter().all(|span| !span.name.contains("/product/") && !span.name.contains("livez")), "{all:?}");
}

/// The fast path of a product's read makes the same span as the routes.
#[tokio::test]
async fn a_read_that_is_sampled_is_a_span_with_its_status() {
    const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";
    let receiver = OtlpReceiver::start().await;
    let server = Server::start_filled(receiver.of(Options::default()).set("KARTSHOPPE__TELEMETRY__STREAM_SAMPLE_RATIO", 1)).await;
    let read = async |id: &str, flag: &str, tag: &str| {
        let request = server.http.get(server.url(&format!("/api/ecommerce/product/{id}")));
        let request = request.header("traceparent", format!("{CLIENT}{flag}")).header("tracestate", "vendor=abc");
        request.header("if-none-match", tag).send().await.unwrap()
    };
    // Its caller decided against it.
    let tag = read("PROD_0003", "0", "").await.headers()["etag"].to_str().unwrap().to_owned();
    for (id, tag, status) in [("PROD_0003", "", 200), ("PROD_0003", tag.as_str(), 304), ("NONE", "", 404)] {
        assert_eq!(read(id, "1", tag).await.status(), status);
        let of_route = |span: &Span| span.name == "GET /api/ecommerce/product/{id}";
        let status = format!("int {status}");
        let span = receiver
            .span("of the read", |span| of_route(span) && attribute(span, "http.response.status_code").as_ref() == Some(&status))
            .await;
        assert_eq!((span.kind, span.trace_state.as_str()), (SpanKind::Server as i32, "vendor=abc"));
        assert_eq!(span.parent_span_id, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7]);
        let mut keys: Vec<&str> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        keys.sort_unstable();
        let expected = [
            "http.request.method",
            "http.response.status_code",
            "http.route",
            "network.protocol.version",
            "server.address",
            "server.port",
            "url.path",
            "url.scheme",
        ];
        assert_eq!(keys, expected);
    }
    assert_eq!(receiver.all().iter().filter(|span| span.name.contains("/product/")).count(), 3, "one read was not sampled");
}
