//! Compares the alerts on the log with those that the events require.

use std::collections::HashMap;

use super::decode::{AlertRecord, OutputCause, fingerprint};
use super::ledger::DueAlert;
use super::reading::{CheckedLog, Unread};
use super::report::{Breach, Check, Findings};

use crate::log::{LogError, Record, Topic};

/// The alerts on the log; each is removed once an event requires it.
#[derive(Debug, Default)]
pub struct Alerts {
    /// Fingerprint of cause and content → count, last position, and product.
    raised: HashMap<u64, (u32, String, String)>,
    /// Alerts are deleted after a week: for events before the first retained alert, a missing one is no breach.
    since_ms: i64,
    missing: Vec<(DueAlert, OutputCause)>,
    unnamed: Vec<String>,
}

impl Alerts {
    /// Reads `inventory-alerts` to its end; also returns what could not be read of it.
    pub async fn read(source: CheckedLog<'_>) -> Result<(Self, Vec<Unread>), LogError> {
        let mut alerts = Self { since_ms: i64::MIN, ..Self::default() };
        let starts = source.log.topics().await?;
        let deleted =
            starts.iter().any(|info| info.topic == Topic::InventoryAlerts && info.partitions.iter().any(|known| known.start > 0));
        let mut first_ms = i64::MAX;
        let take = |record: &Record| {
            first_ms = first_ms.min(record.append_time_ms);
            let position = format!("{}/{}/{}", record.topic, record.partition, record.offset);
            let alert = record.value.as_ref().and_then(|value| serde_json::from_slice::<AlertRecord>(value).ok());
            let (Some(alert), Some(cause)) = (alert, OutputCause::of(record)) else {
                alerts.unnamed.push(position);
                return;
            };
            let print = fingerprint(&(cause, &alert.product_id, &alert.alert_type, &alert.severity, &alert.message));
            let entry = alerts.raised.entry(print).or_insert((0, position, alert.product_id));
            entry.0 += 1;
        };
        let unread = source.all(&[Topic::InventoryAlerts], take).await?;
        if deleted {
            alerts.since_ms = first_ms;
        }
        Ok((alerts, unread))
    }

    /// An event calls for this alert. `settled` events were on the log before the alerts were read.
    pub fn due(&mut self, due: DueAlert, cause: OutputCause, settled: bool, event_append_ms: i64) {
        let print = fingerprint(&(cause, due.product_id.as_str(), due.alert_type, due.severity, due.message.as_str()));
        match self.raised.get_mut(&print) {
            Some((1, ..)) => {
                self.raised.remove(&print);
            }
            Some((count, ..)) => *count -= 1,
            None if settled && event_append_ms >= self.since_ms => self.missing.push((due, cause)),
            None => {}
        }
    }

    /// Required alerts that are missing, and alerts that no event requires.
    pub fn finish(self, report: &mut Findings) {
        for (due, cause) in self.missing {
            let breach =
                Breach::new(Check::AlertsRecomputed, "inventory-alerts", format!("{} ({cause:?})", due.message), "no such alert");
            report.breach(breach.of_product(&due.product_id));
        }
        for (count, position, product) in self.raised.into_values() {
            let breach = Breach::new(Check::AlertsRecomputed, position, "no such alert", format!("{count} too many"));
            report.breach(breach.of_product(&product));
        }
        for position in self.unnamed {
            report.breach(Breach::new(Check::Readable, position, "an alert with its cause", "something else"));
        }
    }
}
