//! The reader's figures, read from its report when `/metrics` is asked.

use super::report::SlotState;
use super::{Alarm, Phase, Wal, WalReport};
use crate::telemetry::metrics::{Kind, Metrics};
use crate::telemetry::names::metric;

/// Every state that the reader can be in, as [`WalReport::state`] writes it.
const STATES: [&str; 6] = ["stopped", "starting", "waiting", "first-start", "streaming", "alarm"];

impl Wal {
    /// Registers the reader's figures, once.
    pub fn register(&self, metrics: &Metrics) {
        type ReadFigure = fn(&WalReport) -> Option<f64>;
        let figures: [(&'static str, &'static str, Kind, ReadFigure); 5] = [
            (metric::CDC_ROWS, "Order items published from the WAL", Kind::Counter, |report| Some(report.rows as f64)),
            (metric::CDC_LAG_BYTES, "WAL that has not come through, with or without a reader", Kind::Gauge, |report| {
                report.lag_bytes.map(|bytes| bytes as f64)
            }),
            (
                metric::CDC_LAG_SECONDS,
                "Age of the oldest WAL that has not come through, or of the last answer",
                Kind::Gauge,
                |report| report.lag().map(|lag| lag.as_secs_f64()),
            ),
            (metric::CDC_RETAINED_BYTES, "WAL that the slot makes PostgreSQL keep", Kind::Gauge, |report| {
                report.retained_bytes.map(|bytes| bytes as f64)
            }),
            (metric::CDC_SAFE_BYTES, "WAL until PostgreSQL gives the slot up; absent without a limit", Kind::Gauge, |report| {
                report.safe_bytes.map(|bytes| bytes as f64)
            }),
        ];
        for (name, help, kind, read) in figures {
            let wal = self.clone();
            metrics
                .observe(name, help, kind, move || read(&wal.report()).map(|figure| (Vec::new(), figure)).into_iter().collect());
        }
        let wal = self.clone();
        metrics.observe(metric::CDC_ALARM, "1 for the alarm that keeps the WAL reader from reading", Kind::Gauge, move || {
            let raised = match wal.report().phase {
                Phase::Alarm { kind, .. } => Some(kind),
                Phase::Stopped | Phase::Starting { .. } | Phase::WaitingForSlot { .. } | Phase::FirstStart | Phase::Streaming => {
                    None
                }
            };
            Alarm::KINDS.map(|kind| (vec![("alarm", kind.to_owned())], f64::from(u8::from(raised == Some(kind))))).into()
        });
        let wal = self.clone();
        metrics.observe(metric::CDC_SLOT, "1 for the state of the slot, with any reader", Kind::Gauge, move || {
            let now = wal.report().slot;
            SlotState::ALL.map(|slot| (vec![("state", slot.as_str().to_owned())], f64::from(u8::from(slot == now)))).into()
        });
        let wal = self.clone();
        metrics.observe(metric::CDC_STATE, "1 for the state that the WAL reader is in", Kind::Gauge, move || {
            let now = wal.report().state();
            STATES.map(|state| (vec![("state", state.to_owned())], f64::from(u8::from(state == now)))).into()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::report::{Phase, ReportCell};
    use super::*;
    use crate::telemetry::alarms::Alarms;

    #[test]
    fn every_figure_and_state_is_shown() {
        let cell = Arc::new(ReportCell::new(Alarms::default()));
        let config = super::super::WalConfig::new("postgres://127.0.0.1:1/none", "slot");
        let wal = Wal { config, report: cell.clone(), children: Arc::new(Vec::new) };
        let metrics = Metrics::default();
        wal.register(&metrics);
        let phases = [
            Phase::Stopped,
            Phase::Starting { error: None },
            Phase::WaitingForSlot { pid: None },
            Phase::FirstStart,
            Phase::Streaming,
            Phase::Alarm { kind: "slot-missing", text: "do this".to_owned() },
        ];
        for (phase, state) in phases.into_iter().zip(STATES) {
            cell.phase(phase);
            let text = metrics.render().unwrap();
            assert!(text.contains(&format!("kartshoppe_cdc_state{{state=\"{state}\"}} 1.0")), "{text}");
            assert_eq!(text.matches("} 1.0").count(), 2 + usize::from(state == "alarm"), "{text}");
        }
        let text = metrics.render().unwrap();
        assert!(text.contains("kartshoppe_cdc_alarm{alarm=\"slot-missing\"} 1.0"), "{text}");
        assert_eq!(text.matches("kartshoppe_cdc_alarm{").count(), Alarm::KINDS.len(), "{text}");
        cell.published(3, Some(1));
        let text = metrics.render().unwrap();
        assert!(text.contains("kartshoppe_cdc_rows_total{} 3.0"), "{text}");
    }
}
