//! From ended spans to the collector: one queue and one client for all roles, and no one who waits for either.
//!
//! ```text
//!  any thread ─ span ends ─► queue (bounded in spans; what does not fit is dropped and counted) ─► one task ─► OTLP
//! ```
//! A collector that is down, slow, hanging or refusing costs the spans that it does not take and one line a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::otel_env::{BatchLimits, Otlp, Protocol, without_credentials};
use super::otlp_client::{CollectorClient, TlsError};
use super::seldom::Seldom;
use crate::config::RoleName;

/// A collector in trouble is one line in this time.
static TROUBLE: Seldom = Seldom::new(Duration::from_secs(60));
/// How long the last spans may take to leave.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// The same where the collector took nothing last time: a stop is not held up for it.
const FLUSH_PATIENCE_IN_TROUBLE: Duration = Duration::from_millis(200);

/// Why no exporter can be had.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("cannot set up TLS to the collector")]
    Tls(#[from] TlsError),
    #[error("cannot set up the exporter")]
    Build(#[from] ExporterBuildError),
}

/// Spans by fate, since the process started.
#[derive(Debug, Default)]
pub struct ExportCounts {
    pub exported: AtomicU64,
    /// The queue was full.
    pub queue_full: AtomicU64,
    /// The collector did not take them.
    pub refused: AtomicU64,
    /// They were still there when the process stopped.
    pub left_behind: AtomicU64,
    in_trouble: std::sync::atomic::AtomicBool,
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

enum Message {
    Ended(Origin, Box<SpanData>),
    Flush(oneshot::Sender<()>),
}

/// The way out for all roles. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exporting {
    queue: mpsc::Sender<Message>,
    counts: Arc<ExportCounts>,
}

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
        let (queue, ended) = mpsc::channel(limits.queue);
        let counts: Arc<ExportCounts> = Arc::default();
        let endpoint = without_credentials(&otlp.endpoint.to_string());
        let sender = Sender { exporters, client, endpoint, counts: counts.clone(), limits };
        tokio::spawn(sender.run(ended));
        Ok(Self { queue, counts })
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn counts(&self) -> &Arc<ExportCounts> {
        &self.counts
    }

    /// The processor of one origin's spans.
    #[must_use]
    pub fn of(&self, origin: Origin) -> SpanQueue {
        SpanQueue { origin, exporting: self.clone() }
    }

    /// Sends what is still there, for a while.
    pub async fn flush(&self) {
        let trouble = self.counts.in_trouble.load(Ordering::Relaxed);
        let patience = if trouble { FLUSH_PATIENCE_IN_TROUBLE } else { FLUSH_PATIENCE };
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                let _ = is_done.await;
            }
        };
        if tokio::time::timeout(patience, flushed).await.is_err() {
            let left = self.queue.max_capacity() - self.queue.capacity();
            self.counts.left_behind.fetch_add(left as u64, Ordering::Relaxed);
            tracing::warn!(spans = left, "the last spans did not leave in time");
        }
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
        if self.exporting.queue.try_send(Message::Ended(self.origin, Box::new(span))).is_err() {
            self.exporting.counts.queue_full.fetch_add(1, Ordering::Relaxed);
        }
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

struct Sender {
    exporters: Vec<(Origin, SpanExporter)>,
    client: CollectorClient,
    endpoint: String,
    counts: Arc<ExportCounts>,
    limits: BatchLimits,
}

impl Sender {
    async fn run(self, mut ended: mpsc::Receiver<Message>) {
        loop {
            let (batch, flushed) = self.gather(&mut ended).await;
            let is_over = batch.is_empty() && flushed.is_none();
            for (origin, exporter) in &self.exporters {
                let spans: Vec<_> = batch.iter().filter(|(of, _)| of == origin).map(|(_, span)| (**span).clone()).collect();
                if !spans.is_empty() {
                    self.send(exporter, spans).await;
                }
            }
            if let Some(flushed) = flushed {
                let _ = flushed.send(());
            }
            if is_over {
                return;
            }
        }
    }

    /// Waits for a batch: as many spans as it may have, or what came in the time that they may wait.
    async fn gather(&self, ended: &mut mpsc::Receiver<Message>) -> (Vec<(Origin, Box<SpanData>)>, Option<oneshot::Sender<()>>) {
        let mut batch = Vec::new();
        let mut due = None;
        while batch.len() < self.limits.batch {
            let next = match due {
                None => ended.recv().await,
                Some(due) => match tokio::time::timeout_at(due, ended.recv()).await {
                    Ok(next) => next,
                    Err(_) => return (batch, None),
                },
            };
            match next {
                Some(Message::Ended(origin, span)) => batch.push((origin, span)),
                Some(Message::Flush(flushed)) => return (batch, Some(flushed)),
                None => return (batch, None),
            }
            due = due.or_else(|| Some(Instant::now() + self.limits.delay));
        }
        (batch, None)
    }

    async fn send(&self, exporter: &SpanExporter, spans: Vec<SpanData>) {
        let count = spans.len() as u64;
        let sent = tokio::time::timeout(self.limits.export_timeout, exporter.export(spans)).await;
        let cause = match sent {
            Ok(Ok(())) => {
                self.counts.exported.fetch_add(count, Ordering::Relaxed);
                if self.counts.in_trouble.swap(false, Ordering::Relaxed) {
                    tracing::info!(endpoint = self.endpoint, "the collector takes spans again");
                }
                return;
            }
            Ok(Err(error)) => self.client.take_trouble().unwrap_or_else(|| error.to_string()),
            Err(_) => format!("no answer within {:?}", self.limits.export_timeout),
        };
        self.counts.refused.fetch_add(count, Ordering::Relaxed);
        self.counts.in_trouble.store(true, Ordering::Relaxed);
        if let Some(untold) = TROUBLE.is_told("export") {
            let dropped = self.counts.refused.load(Ordering::Relaxed) + self.counts.queue_full.load(Ordering::Relaxed);
            tracing::warn!(
                endpoint = self.endpoint,
                cause,
                dropped,
                untold,
                "the collector does not take spans: they are dropped"
            );
        }
    }
}
