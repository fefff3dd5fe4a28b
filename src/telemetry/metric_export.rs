//! Metrics by OTLP: what `/metrics` shows, read from the same exposition, so that nothing is counted twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::batches::Report;
use super::exposition::without_exemplar;
use super::families::{self, Family};
use super::metrics::{Format, Kind, Metrics};
use super::otlp_client::TlsError;
use super::otlp_messages::{Messenger, key_value, nanos_now};
use super::otlp_target::Otlp;

/// Names of which the semantic conventions have another spelling than Prometheus.
const CONVENTIONS: [(&str, &str); 5] = [
    ("http_server_request_duration_seconds", "http.server.request.duration"),
    ("http_server_active_requests", "http.server.active_requests"),
    ("http_request_method", "http.request.method"),
    ("http_route", "http.route"),
    (STATUS_LABEL, "http.response.status_code"),
];
/// The one label that is a number.
const STATUS_LABEL: &str = "http_response_status_code";

/// Sends all metrics now and then.
pub(super) struct MetricExport {
    messenger: Messenger,
    resource: Resource,
    interval: Duration,
    report: Report,
    started_nanos: u64,
}

impl MetricExport {
    /// # Errors
    /// [`TlsError`]
    pub(super) fn new(otlp: &Otlp, interval: Duration, resource: Resource) -> Result<Self, TlsError> {
        let report = Report::new("metrics", otlp);
        Ok(Self { messenger: Messenger::new(otlp)?, resource, interval, report, started_nanos: nanos_now() })
    }

    /// Sends them as long as the process runs.
    pub(super) async fn run(self: Arc<Self>, metrics: Metrics) {
        let mut due = tokio::time::interval(self.interval);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            self.send(&metrics).await;
        }
    }

    /// Sends the last ones, for a while.
    pub(super) async fn flush(&self, metrics: &Metrics) {
        let _ = tokio::time::timeout(self.report.counts.flush_patience(), self.send(metrics)).await;
    }

    async fn send(&self, metrics: &Metrics) {
        let Ok(exposition) = metrics.render(Format::OpenMetrics) else { return };
        let metrics = messages(&exposition, self.started_nanos, nanos_now());
        let count = metrics.len() as u64;
        let scope = InstrumentationScope {
            name: "kartshoppe".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        self.report.note(count, self.messenger.send_metrics(ExportMetricsServiceRequest { resource_metrics }).await);
    }
}

/// The exposition as OTLP has it. Families are cumulative from the start of the process.
fn messages(exposition: &str, started: u64, now: u64) -> Vec<Metric> {
    let mut samples: BTreeMap<&str, Vec<Line<'_>>> = BTreeMap::new();
    let mut name = "";
    for line in exposition.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            name = typed.split(' ').next().unwrap_or_default();
        } else if let Some(line) = Line::read(line, name) {
            samples.entry(name).or_default().push(line);
        }
    }
    let known = families::ALL.iter().filter_map(|family| Some((*family, samples.get(family.name)?)));
    known.map(|(family, lines)| message(family, lines, started, now)).collect()
}

fn message(family: &Family, lines: &[Line<'_>], started: u64, now: u64) -> Metric {
    let temporality = AggregationTemporality::Cumulative.into();
    let data = match family.kind {
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers(lines, 0, now) }),
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: numbers(lines, started, now),
            aggregation_temporality: temporality,
            is_monotonic: true,
        }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: histograms(lines, started, now),
            aggregation_temporality: temporality,
        }),
    };
    let unit = match family.unit {
        "seconds" => "s",
        "bytes" => "By",
        counted => counted,
    };
    Metric {
        name: conventional(family.name).to_owned(),
        description: family.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn numbers(lines: &[Line<'_>], started: u64, now: u64) -> Vec<NumberDataPoint> {
    let point = |line: &Line<'_>| NumberDataPoint {
        attributes: attributes(&line.labels),
        start_time_unix_nano: started,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsDouble(line.value)),
        ..NumberDataPoint::default()
    };
    lines.iter().map(point).collect()
}

fn histograms(lines: &[Line<'_>], started: u64, now: u64) -> Vec<HistogramDataPoint> {
    let mut points: BTreeMap<Labels<'_>, HistogramDataPoint> = BTreeMap::new();
    for line in lines {
        let (bounds, labels): (Labels<'_>, Labels<'_>) = line.labels.iter().cloned().partition(|(name, _)| *name == "le");
        let point = points.entry(labels).or_insert_with_key(|labels| HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: started,
            time_unix_nano: now,
            ..HistogramDataPoint::default()
        });
        match line.suffix {
            "_sum" => point.sum = Some(line.value),
            "_count" => point.count = line.count(),
            _ => {
                // Each bucket of the exposition counts those below it, too.
                let below: u64 = point.bucket_counts.iter().sum();
                point.bucket_counts.push(line.count().saturating_sub(below));
                let bound = bounds.first().and_then(|(_, bound)| bound.parse::<f64>().ok());
                point.explicit_bounds.extend(bound.filter(|bound| bound.is_finite()));
            }
        }
    }
    points.into_values().collect()
}

fn attributes(labels: &[(&str, String)]) -> Vec<KeyValue> {
    let value = |name: &str, text: &str| match text.parse() {
        Ok(number) if name == STATUS_LABEL => Value::IntValue(number),
        Ok(_) | Err(_) => Value::StringValue(text.to_owned()),
    };
    labels.iter().map(|(name, text)| key_value(conventional(name), value(name, text))).collect()
}

fn conventional(name: &str) -> &str {
    CONVENTIONS.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs)
}

type Labels<'a> = Vec<(&'a str, String)>;

/// One sample of the exposition.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    /// What the name has beyond the family's.
    suffix: &'a str,
    labels: Labels<'a>,
    value: f64,
}

impl<'a> Line<'a> {
    /// Reads a line that our own registry wrote; `None` for comments.
    fn read(line: &'a str, family: &str) -> Option<Self> {
        let rest = without_exemplar(line).strip_prefix(family).filter(|_| !line.starts_with('#') && !family.is_empty())?;
        let (name, value) = rest.rsplit_once(' ')?;
        let (suffix, labels) = match name.split_once('{') {
            Some((suffix, labels)) => (suffix, labels_of(labels)),
            None => (name, Vec::new()),
        };
        Some(Self { suffix, labels, value: value.parse().ok()? })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole numbers that a f64 holds")]
    fn count(&self) -> u64 {
        self.value as u64
    }
}

/// `name="value",…}`. Values are words of ours and route templates: none holds a quotation mark.
fn labels_of(mut text: &str) -> Labels<'_> {
    let mut labels = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let (value, others) = rest.split_once('"').unwrap_or((rest, ""));
        labels.push((name.trim_start_matches(','), value.to_owned()));
        text = others;
    }
    labels
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::histogram::Histogram as Observed;

    use super::*;
    use crate::telemetry::metrics::SECONDS;

    fn of<'a>(all: &'a [Metric], name: &str) -> &'a Metric {
        all.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name}: {all:?}"))
    }

    #[test]
    fn says_what_the_exposition_says() {
        let metrics = Metrics::default();
        let commits = Counter::<u64>::default();
        commits.inc_by(2);
        metrics.register(&families::PASSIVATIONS, commits);
        metrics.observe(&families::PRODUCTS, || vec![(vec![("state", "a b, e=f}".to_owned())], 3.5)]);
        let frames = [("product", Observed::new(SECONDS)), ("order", Observed::new(SECONDS))];
        [0.0004, 0.3, 0.3, 99.0].into_iter().for_each(|seconds| frames[1].1.observe(seconds));
        metrics.register_each(&families::PAGE_TOLD_SECONDS, frames.to_vec());
        let labels = ["a", "GET", "/x", "200"].map(str::to_owned);
        metrics.observe(&families::PROCESS_CPU, move || vec![(vec![(STATUS_LABEL, labels[3].clone())], 1.0)]);
        let all = messages(&metrics.render(Format::OpenMetrics).unwrap(), 5, 7);
        assert_eq!(all.len(), 4);

        let passivations = of(&all, "kartshoppe_inventory_passivations");
        assert_eq!((passivations.unit.as_str(), passivations.description.as_str()), ("{products}", families::PASSIVATIONS.help));
        let Some(metric::Data::Sum(sum)) = &passivations.data else { panic!("{passivations:?}") };
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
        assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsDouble(2.0)));
        assert_eq!((sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano), (5, 7));

        let Some(metric::Data::Gauge(gauge)) = &of(&all, "kartshoppe_inventory_products").data else { panic!("{all:?}") };
        let state = key_value("state", Value::StringValue("a b, e=f}".to_owned()));
        assert_eq!(gauge.data_points[0].attributes, [state]);

        let told = of(&all, "kartshoppe_page_told_seconds");
        let Some(metric::Data::Histogram(histogram)) = &told.data else { panic!("{told:?}") };
        assert_eq!((told.unit.as_str(), histogram.data_points.len()), ("s", 2));
        let order = histogram.data_points.iter().find(|point| point.count == 4).unwrap();
        assert_eq!(order.explicit_bounds, SECONDS);
        assert_eq!(
            (order.bucket_counts.len(), order.bucket_counts[0], order.bucket_counts[9], order.bucket_counts[14]),
            (15, 1, 2, 1)
        );
        assert!((order.sum.unwrap() - 99.6004).abs() < 1e-9);

        let Some(metric::Data::Sum(sum)) = &of(&all, "process_cpu_seconds").data else { panic!("{all:?}") };
        assert_eq!(sum.data_points[0].attributes, [key_value("http.response.status_code", Value::IntValue(200))]);
    }
}
