//! Metrics: plain atomics where work is done, a registry that reads them when `/metrics` is asked.
//!
//! A part of the shop keeps its own counters (`prometheus_client`'s `Counter`, `Gauge` and `Histogram` are shared atomics; so is
//! any `AtomicU64`) and registers them once at start with its labels. Nothing is registered per product.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Metric, Registry};

/// Bucket bounds in seconds for anything between a cached read and a slow restart.
pub const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The process's registry. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// Registers a metric under a name of [`super::names::metric`], with labels that never change.
    pub fn register(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], metric: impl Metric) {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).to_owned().into()));
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        labels.fold(&mut *registry, |place, label| place.sub_registry_with_label(label)).register(name, help, metric);
    }

    /// Registers figures that are only computed when somebody asks: `read` gives one value per set of labels.
    pub fn observe<F>(&self, name: &'static str, help: &'static str, kind: Kind, read: F)
    where
        F: Fn() -> Vec<(Vec<(&'static str, String)>, f64)> + Send + Sync + 'static,
    {
        let observed = Observed { name, help, kind, read: Box::new(read) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).register_collector(Box::new(observed));
    }

    /// The exposition: OpenMetrics text.
    ///
    /// # Errors
    /// Only if a registered metric cannot be written.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut body = String::new();
        text::encode(&mut body, &self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(body)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// What an observed figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

type Read = dyn Fn() -> Vec<(Vec<(&'static str, String)>, f64)> + Send + Sync;

struct Observed {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    read: Box<Read>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observed({})", self.name)
    }
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metric_type = match self.kind {
            Kind::Counter => ConstCounter::new(0.0).metric_type(),
            Kind::Gauge => ConstGauge::new(0.0).metric_type(),
        };
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, metric_type)?;
        for (labels, value) in (self.read)() {
            let family = metric.encode_family(&labels)?;
            match self.kind {
                Kind::Counter => ConstCounter::new(value).encode(family)?,
                Kind::Gauge => ConstGauge::new(value).encode(family)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn shows_what_was_counted_and_what_is_observed() {
        let metrics = Metrics::default();
        let commits = Counter::<u64>::default();
        metrics.register("shop_commits", "Commits", &[("result", "ok")], commits.clone());
        metrics.observe("shop_products", "Products", Kind::Gauge, || vec![(vec![("state", "live".to_owned())], 3.0)]);
        commits.inc_by(2);
        let text = metrics.render().unwrap();
        assert!(text.contains("shop_commits_total{result=\"ok\"} 2"), "{text}");
        assert!(text.contains("shop_products{state=\"live\"} 3"), "{text}");
    }
}
