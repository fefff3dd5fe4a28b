//! From ended spans to the collector: one queue and one client for all roles, each with its own resource.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _, SpanProcessor};

use super::batches::{BatchQueue, ExportCounts, Outlet, Report};
use super::otlp_client::{CollectorClient, TlsError};
use super::otlp_target::{BatchLimits, Otlp, Protocol};
use crate::config::RoleName;

/// Why no exporter can be had.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("cannot set up TLS to the collector")]
    Tls(#[from] TlsError),
    #[error("cannot set up the exporter")]
    Build(#[from] ExporterBuildError),
}

/// Where spans come from: each has a service name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Role(RoleName),
    /// The shop's own pages.
    Browser,
}

impl Origin {
    const ALL: [Self; 4] = [Self::Role(RoleName::Api), Self::Role(RoleName::Inventory), Self::Role(RoleName::Cdc), Self::Browser];

    /// As `kartshoppe.role` says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Role(role) => role.as_str(),
            Self::Browser => "browser",
        }
    }
}

/// A span, and where it comes from.
type Ended = (Origin, Box<SpanData>);

/// The way out for all roles. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exporting(BatchQueue<Ended>);

impl Exporting {
    /// Starts the task that sends, with each role's resource.
    ///
    /// # Errors
    /// [`ExportError`] if TLS or the exporter cannot be set up.
    pub fn start(otlp: &Otlp, limits: BatchLimits, resource: impl Fn(Origin) -> Resource) -> Result<Self, ExportError> {
        let client = CollectorClient::new(otlp)?;
        let mut exporters = Vec::new();
        for origin in Origin::ALL {
            let mut exporter = exporter(otlp, &client)?;
            exporter.set_resource(&resource(origin));
            exporters.push((origin, exporter));
        }
        let outlet = SpanOutlet { exporters, client, timeout: limits.export_timeout };
        Ok(Self(BatchQueue::start(outlet, limits, Report::new("spans", otlp))))
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn counts(&self) -> &Arc<ExportCounts> {
        self.0.counts()
    }

    /// The processor of one origin's spans.
    #[must_use]
    pub fn of(&self, origin: Origin) -> SpanQueue {
        SpanQueue { origin, exporting: self.clone() }
    }

    /// Sends what is still there, for a while.
    pub async fn flush(&self) {
        self.0.flush().await;
    }
}

fn exporter(otlp: &Otlp, client: &CollectorClient) -> Result<SpanExporter, ExporterBuildError> {
    let compression = otlp.gzip.then_some(opentelemetry_otlp::Compression::Gzip);
    match otlp.protocol {
        Protocol::HttpProtobuf => {
            let builder = SpanExporter::builder().with_http().with_http_client(client.clone());
            let builder = compression.into_iter().fold(builder, WithHttpConfig::with_compression);
            let builder = builder.with_protocol(opentelemetry_otlp::Protocol::HttpBinary);
            builder.with_endpoint(otlp.endpoint.to_string()).with_timeout(otlp.timeout).build()
        }
        Protocol::Grpc => {
            let builder = SpanExporter::builder().with_tonic();
            let builder = compression.into_iter().fold(builder, WithTonicConfig::with_compression);
            let builder = client.channel().into_iter().fold(builder, WithTonicConfig::with_channel);
            builder.with_endpoint(otlp.endpoint.to_string()).with_timeout(otlp.timeout).build()
        }
    }
}

/// Takes the spans of one origin.
#[derive(Debug)]
pub struct SpanQueue {
    origin: Origin,
    exporting: Exporting,
}

impl SpanQueue {
    /// Puts a span into the queue, or drops and counts it.
    pub fn push(&self, span: SpanData) {
        self.exporting.0.push((self.origin, Box::new(span)));
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct SpanOutlet {
    exporters: Vec<(Origin, SpanExporter)>,
    client: CollectorClient,
    timeout: Duration,
}

impl Outlet for SpanOutlet {
    type Item = Ended;

    async fn send(&self, mut batch: Vec<Ended>, report: &Report) {
        for (origin, exporter) in &self.exporters {
            let (ours, rest): (Vec<_>, Vec<_>) = batch.into_iter().partition(|(of, _)| of == origin);
            batch = rest;
            if ours.is_empty() {
                continue;
            }
            let count = ours.len() as u64;
            let spans = ours.into_iter().map(|(_, span)| *span).collect();
            let sent = match tokio::time::timeout(self.timeout, exporter.export(spans)).await {
                Ok(sent) => sent.map_err(|error| self.client.take_trouble().unwrap_or_else(|| error.to_string())),
                Err(_) => Err(format!("no answer within {:?}", self.timeout)),
            };
            report.note(count, sent);
        }
    }
}
