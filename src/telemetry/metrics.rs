//! Metrics: plain atomics where work is done, a registry that reads them when `/metrics` is asked.
//!
//! A part of the shop keeps its own counters (`prometheus_client`'s `Counter`, `Gauge` and `Histogram` are shared atomics; so is
//! any `AtomicU64`) and registers them once at start, under a family of [`super::families`]. Nothing is registered per product,
//! session or order.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::exposition;
use super::families::Family;

/// Bucket bounds in seconds for anything between a cached read and a slow restart.
pub const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// One value, with the labels in which it differs from the others of its family.
pub type Sample = (Vec<(&'static str, String)>, f64);

/// The process's registry. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

/// How the figures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, with units.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Text,
}

impl Metrics {
    /// Registers a metric, which may be one of `prometheus_client`'s families.
    pub fn register(&self, family: &'static Family, metric: impl Metric) {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match family.exposed_unit() {
            Some((name, unit)) => registry.register_with_unit(name, family.help, unit, metric),
            None => registry.register(family.name, family.help, metric),
        }
    }

    /// Registers histograms that differ in one label.
    pub fn register_each(&self, family: &'static Family, histograms: Vec<(&'static str, Histogram)>) {
        let each = HistogramByLabel { family, histograms };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).register_collector(Box::new(each));
    }

    /// Registers figures that are only computed when they are asked for: `read` gives one value per set of labels.
    pub fn observe<F>(&self, family: &'static Family, read: F)
    where
        F: Fn() -> Vec<Sample> + Send + Sync + 'static,
    {
        let observed = Observed { family, read: Box::new(read) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).register_collector(Box::new(observed));
    }

    /// As [`Self::observe`], for one value without labels; `None` leaves the family without a value.
    pub fn observe_one<F>(&self, family: &'static Family, read: F)
    where
        F: Fn() -> Option<f64> + Send + Sync + 'static,
    {
        self.observe(family, move || read().map(|value| (Vec::new(), value)).into_iter().collect());
    }

    /// The exposition.
    ///
    /// # Errors
    /// Only if a registered metric cannot be written.
    pub fn render(&self, format: Format) -> Result<String, fmt::Error> {
        let mut body = String::new();
        text::encode(&mut body, &self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(match format {
            Format::OpenMetrics => body,
            Format::Text => exposition::as_text(&body),
        })
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size.
    Histogram,
}

impl Kind {
    /// As the exposition names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Family {
    /// The name without its unit, and the unit, for what OpenMetrics has one of.
    fn exposed_unit(&self) -> Option<(&'static str, Unit)> {
        let seconds = self.name.strip_suffix("_seconds").map(|name| (name, Unit::Seconds));
        seconds.or_else(|| Some((self.name.strip_suffix("_bytes")?, Unit::Bytes)))
    }

    /// The registry adds the full stop to what is registered; collectors bring it.
    fn sentence(&self) -> String {
        format!("{}.", self.help)
    }

    fn described(&self) -> (&'static str, Option<Unit>) {
        self.exposed_unit().map_or((self.name, None), |(name, unit)| (name, Some(unit)))
    }
}

#[derive(Debug)]
struct HistogramByLabel {
    family: &'static Family,
    histograms: Vec<(&'static str, Histogram)>,
}

impl Collector for HistogramByLabel {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let label = self.family.labels.first().copied().unwrap_or_default();
        let (name, unit) = self.family.described();
        let mut metric = encoder.encode_descriptor(name, &self.family.sentence(), unit.as_ref(), MetricType::Histogram)?;
        for (value, histogram) in &self.histograms {
            histogram.encode(metric.encode_family(&[(label, *value)])?)?;
        }
        Ok(())
    }
}

type Read = dyn Fn() -> Vec<Sample> + Send + Sync;

struct Observed {
    family: &'static Family,
    read: Box<Read>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observed({})", self.family.name)
    }
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let is_counter = self.family.kind == Kind::Counter;
        let metric_type = if is_counter { MetricType::Counter } else { MetricType::Gauge };
        let (name, unit) = self.family.described();
        let mut metric = encoder.encode_descriptor(name, &self.family.sentence(), unit.as_ref(), metric_type)?;
        for (labels, value) in (self.read)() {
            let family = metric.encode_family(&labels)?;
            if is_counter {
                ConstCounter::new(value).encode(family)?;
            } else {
                ConstGauge::new(value).encode(family)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::telemetry::families;

    #[test]
    fn shows_what_was_counted_and_what_is_observed() {
        let metrics = Metrics::default();
        let commits = Counter::<u64>::default();
        metrics.register(&families::PASSIVATIONS, commits.clone());
        let frames = [("product", Histogram::new(SECONDS)), ("order", Histogram::new(SECONDS))];
        frames[1].1.observe(0.2);
        metrics.register_each(&families::PAGE_TOLD_SECONDS, frames.to_vec());
        metrics.observe(&families::PRODUCTS, || vec![(vec![("state", "live".to_owned())], 3.0)]);
        metrics.observe_one(&families::LOG_BYTES, || Some(7.0));
        commits.inc_by(2);
        let open = metrics.render(Format::OpenMetrics).unwrap();
        assert!(open.contains("kartshoppe_inventory_passivations_total 2"), "{open}");
        assert!(open.contains("kartshoppe_inventory_products{state=\"live\"} 3"), "{open}");
        assert!(open.contains("# UNIT kartshoppe_log_bytes bytes\nkartshoppe_log_bytes{} 7.0"), "{open}");
        assert!(open.contains("kartshoppe_page_told_seconds_count{frame=\"order\"} 1"), "{open}");
        assert_eq!(open.matches("# TYPE kartshoppe_page_told_seconds histogram").count(), 1, "{open}");
        let text = metrics.render(Format::Text).unwrap();
        assert!(text.contains("# TYPE kartshoppe_inventory_passivations_total counter\n"), "{text}");
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
    }
}
