//! Sends messages of log records and metrics, as the protocol that `OTEL_*` asks for has it.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_http::HttpClient as _;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::Channel;

use super::otlp_client::{CollectorClient, TlsError};
use super::otlp_target::Otlp;

/// The way to the collector for one signal.
pub(super) struct Messenger {
    client: CollectorClient,
    otlp: Otlp,
}

impl Messenger {
    /// # Errors
    /// [`TlsError`]
    pub(super) fn new(otlp: &Otlp) -> Result<Self, TlsError> {
        Ok(Self { client: CollectorClient::new(otlp)?, otlp: otlp.clone() })
    }

    pub(super) async fn send_logs(&self, message: ExportLogsServiceRequest) -> Result<(), String> {
        let Some(channel) = self.client.channel() else { return self.post(&message).await };
        let service = LogsServiceClient::new(channel);
        let mut service = if self.otlp.gzip { service.send_compressed(Gzip) } else { service };
        self.in_time(service.export(self.with_headers(message))).await
    }

    pub(super) async fn send_metrics(&self, message: ExportMetricsServiceRequest) -> Result<(), String> {
        let Some(channel) = self.client.channel() else { return self.post(&message).await };
        let service: MetricsServiceClient<Channel> = MetricsServiceClient::new(channel);
        let mut service = if self.otlp.gzip { service.send_compressed(Gzip) } else { service };
        self.in_time(service.export(self.with_headers(message))).await
    }

    fn with_headers<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        for (name, value) in &self.otlp.headers.0 {
            if let (Ok(name), Ok(value)) = (name.parse::<AsciiMetadataKey>(), AsciiMetadataValue::try_from(value)) {
                request.metadata_mut().insert(name, value);
            }
        }
        request
    }

    async fn in_time<A>(&self, asked: impl Future<Output = Result<A, tonic::Status>>) -> Result<(), String> {
        let timeout: Duration = self.otlp.timeout;
        match tokio::time::timeout(timeout, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(status)) => Err(format!("it answers {:?}: {}", status.code(), status.message())),
            Err(_) => Err(format!("no answer within {timeout:?}")),
        }
    }

    async fn post(&self, message: &impl Message) -> Result<(), String> {
        let request = self.request(message.encode_to_vec()).map_err(|error| error.to_string())?;
        let answer = self.client.send_bytes(request).await;
        match answer {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(self.client.take_trouble().unwrap_or_else(|| response.status().to_string())),
            Err(error) => Err(self.client.take_trouble().unwrap_or_else(|| error.to_string())),
        }
    }

    fn request(&self, plain: Vec<u8>) -> Result<Request<Bytes>, std::io::Error> {
        let body = if self.otlp.gzip { packed(&plain)? } else { plain };
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.otlp.endpoint.clone();
        let headers = request.headers_mut();
        for (name, value) in &self.otlp.headers.0 {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if self.otlp.gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(request)
    }
}

fn packed(plain: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// An attribute of a message.
pub(super) fn key_value(key: impl Into<String>, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// This moment, as messages have it.
pub(super) fn nanos_now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
