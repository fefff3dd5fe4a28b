//! What librdkafka's statistics say of our clients, by kind of client: producers, and the members of groups.
//!
//! Readers and clients that only ask are left out: they serve no events, so that statistics would pile up in their queues. How
//! far readers are behind is measured elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::Statistics;
use rdkafka::statistics::Broker;
use tokio::time::Instant;

use crate::telemetry::families as family;
use crate::telemetry::metrics::{Metrics, Sample};

/// How often clients report, in milliseconds.
pub(super) const EVERY_MS: &str = "5000";
/// A client that has not reported for this long is gone.
const GONE: Duration = Duration::from_secs(30);
/// Its counts are remembered for longer: a client that was only slow must not start from zero again.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// What clients reported.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientFigures(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    clients: BTreeMap<String, Reported>,
    /// What each kind of client has counted, those that are gone included.
    totals: BTreeMap<&'static str, Totals>,
}

#[derive(Debug)]
struct Reported {
    kind: &'static str,
    at: Instant,
    counted: Totals,
    now: Levels,
}

#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    received_bytes: u64,
    sent_bytes: u64,
    errors: u64,
    timeouts: u64,
    disconnects: u64,
    connects: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Levels {
    queued: u64,
    waiting: u64,
    round_trip: Duration,
}

type OfTotals = fn(&Totals) -> u64;
type FoldLevels = fn(f64, &Levels) -> f64;

impl ClientFigures {
    /// A client reports.
    pub fn report(&self, statistics: &Statistics) {
        let kind = if statistics.client_type == "producer" { "producer" } else { "member" };
        let (counted, now) = (Totals::of(statistics), Levels::of(statistics));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.clients.retain(|_, client| client.at.elapsed() < FORGOTTEN);
        let reported = Reported { kind, at: Instant::now(), counted, now };
        let before = state.clients.insert(statistics.name.clone(), reported).map(|before| before.counted);
        state.totals.entry(kind).or_default().add(&counted, &before.unwrap_or_default());
    }

    /// Shows them on `/metrics`.
    pub fn register(&self, metrics: &Metrics) {
        let totals: [(_, OfTotals); 3] = [
            (&family::KAFKA_RECEIVED, |totals| totals.received_bytes),
            (&family::KAFKA_SENT, |totals| totals.sent_bytes),
            (&family::KAFKA_CONNECTS, |totals| totals.connects),
        ];
        for (family, of) in totals {
            let figures = self.clone();
            metrics.observe(family, move || figures.totals(|kind, totals| vec![(vec![client(kind)], of(totals) as f64)]));
        }
        let figures = self.clone();
        metrics.observe(&family::KAFKA_REQUEST_ERRORS, move || {
            figures.totals(|of_client, totals| {
                let kinds = [("failed", totals.errors), ("timeout", totals.timeouts), ("disconnect", totals.disconnects)];
                kinds.map(|(kind, count)| (vec![client(of_client), ("kind", kind.to_owned())], count as f64)).to_vec()
            })
        });
        let levels: [(_, FoldLevels); 4] = [
            (&family::KAFKA_QUEUED, |sum, levels| sum + levels.queued as f64),
            (&family::KAFKA_WAITING, |sum, levels| sum + levels.waiting as f64),
            (&family::KAFKA_RTT, |most, levels| levels.round_trip.as_secs_f64().max(most)),
            (&family::KAFKA_CLIENTS, |count, _| count + 1.0),
        ];
        for (family, fold) in levels {
            let figures = self.clone();
            metrics.observe(family, move || figures.levels(fold));
        }
    }

    fn totals(&self, samples: impl Fn(&'static str, &Totals) -> Vec<Sample>) -> Vec<Sample> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.totals.iter().flat_map(|(kind, totals)| samples(kind, totals)).collect()
    }

    fn levels(&self, fold: FoldLevels) -> Vec<Sample> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_kind: BTreeMap<&'static str, f64> = state.totals.keys().map(|kind| (*kind, 0.0)).collect();
        for known in state.clients.values().filter(|known| known.at.elapsed() < GONE) {
            let value = by_kind.entry(known.kind).or_default();
            *value = fold(*value, &known.now);
        }
        by_kind.into_iter().map(|(kind, value)| (vec![client(kind)], value)).collect()
    }
}

fn client(kind: &str) -> (&'static str, String) {
    ("client", kind.to_owned())
}

impl Totals {
    fn of(statistics: &Statistics) -> Self {
        let sum = |of: fn(&Broker) -> u64| statistics.brokers.values().map(of).sum::<u64>();
        Self {
            received_bytes: sum(|broker| broker.rxbytes),
            sent_bytes: sum(|broker| broker.txbytes),
            errors: sum(|broker| broker.txerrs + broker.rxerrs),
            timeouts: sum(|broker| broker.req_timeouts),
            disconnects: sum(|broker| broker.disconnects.unwrap_or_default().unsigned_abs()),
            connects: sum(|broker| broker.connects.unwrap_or_default().unsigned_abs()),
        }
    }

    /// Adds what came between two reports of one client.
    fn add(&mut self, now: &Self, before: &Self) {
        let grown = |of: fn(&Self) -> u64| of(now).saturating_sub(of(before));
        self.received_bytes += grown(|totals| totals.received_bytes);
        self.sent_bytes += grown(|totals| totals.sent_bytes);
        self.errors += grown(|totals| totals.errors);
        self.timeouts += grown(|totals| totals.timeouts);
        self.disconnects += grown(|totals| totals.disconnects);
        self.connects += grown(|totals| totals.connects);
    }
}

impl Levels {
    fn of(statistics: &Statistics) -> Self {
        let mut levels = Self { queued: statistics.msg_cnt, ..Self::default() };
        for broker in statistics.brokers.values() {
            levels.waiting += broker.outbuf_cnt.max(0).unsigned_abs() + broker.waitresp_cnt.max(0).unsigned_abs();
            let mean_us = broker.rtt.as_ref().map_or(0, |window| window.avg.max(0)).unsigned_abs();
            levels.round_trip = levels.round_trip.max(Duration::from_micros(mean_us));
        }
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Format;

    fn statistics(name: &str, received: u64) -> Statistics {
        let broker = Broker { rxbytes: received, outbuf_cnt: -1, waitresp_cnt: 2, ..Broker::default() };
        Statistics {
            name: name.to_owned(),
            client_type: "producer".to_owned(),
            msg_cnt: 3,
            brokers: [("b".to_owned(), broker)].into(),
            ..Statistics::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn totals_outlive_the_clients_that_counted_them() {
        let (figures, metrics) = (ClientFigures::default(), Metrics::default());
        figures.register(&metrics);
        figures.report(&statistics("one", 100));
        figures.report(&statistics("one", 150));
        figures.report(&statistics("two", 7));
        let text = metrics.render(Format::Text).unwrap();
        for line in [
            "kafka_client_received_bytes_total{client=\"producer\"} 157.0",
            "kafka_client_queued_records{client=\"producer\"} 6.0",
            "kafka_client_waiting_requests{client=\"producer\"} 4.0",
            "kafka_clients{client=\"producer\"} 2.0",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        tokio::time::advance(GONE).await;
        figures.report(&statistics("two", 8));
        let text = metrics.render(Format::Text).unwrap();
        assert!(text.contains("kafka_client_received_bytes_total{client=\"producer\"} 158.0"), "{text}");
        assert!(text.contains("kafka_clients{client=\"producer\"} 1.0"), "{text}");
    }
}
