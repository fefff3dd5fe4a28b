//! The reader's figures, read from its report when `/metrics` is asked.

use super::report::SlotState;
use super::{Alarm, Phase, Wal, WalReport};
use crate::telemetry::families::{self as family, Family};
use crate::telemetry::metrics::Metrics;

/// Every state that the reader can be in, as [`WalReport::state`] writes it.
const STATES: [&str; 6] = ["stopped", "starting", "waiting", "first-start", "streaming", "alarm"];

impl Wal {
    /// Registers the reader's figures, once.
    pub fn register(&self, metrics: &Metrics) {
        type ReadFigure = fn(&WalReport) -> Option<f64>;
        let figures: [(&'static Family, ReadFigure); 5] = [
            (&family::CDC_ROWS, |report| Some(report.rows as f64)),
            (&family::CDC_LAG_BYTES, |report| report.lag_bytes.map(|bytes| bytes as f64)),
            (&family::CDC_LAG_SECONDS, |report| report.lag().map(|lag| lag.as_secs_f64())),
            (&family::CDC_RETAINED_BYTES, |report| report.retained_bytes.map(|bytes| bytes as f64)),
            (&family::CDC_SAFE_BYTES, |report| report.safe_bytes.map(|bytes| bytes as f64)),
        ];
        for (family, read) in figures {
            let wal = self.clone();
            metrics.observe_one(family, move || read(&wal.report()));
        }
        let wal = self.clone();
        metrics.observe(&family::CDC_ALARM, move || {
            let raised = match wal.report().phase {
                Phase::Alarm { kind, .. } => Some(kind),
                Phase::Stopped | Phase::Starting { .. } | Phase::WaitingForSlot { .. } | Phase::FirstStart | Phase::Streaming => {
                    None
                }
            };
            Alarm::KINDS.map(|kind| (vec![("alarm", kind.to_owned())], f64::from(u8::from(raised == Some(kind))))).into()
        });
        let wal = self.clone();
        metrics.observe(&family::CDC_SLOT, move || {
            let now = wal.report().slot;
            SlotState::ALL.map(|slot| (vec![("state", slot.as_str().to_owned())], f64::from(u8::from(slot == now)))).into()
        });
        let wal = self.clone();
        metrics.observe(&family::CDC_STATE, move || {
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
    use crate::telemetry::metrics::Format;

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
            let text = metrics.render(Format::OpenMetrics).unwrap();
            assert!(text.contains(&format!("kartshoppe_cdc_state{{state=\"{state}\"}} 1.0")), "{text}");
            assert_eq!(text.matches("} 1.0").count(), 2 + usize::from(state == "alarm"), "{text}");
        }
        let text = metrics.render(Format::OpenMetrics).unwrap();
        assert!(text.contains("kartshoppe_cdc_alarm{alarm=\"slot-missing\"} 1.0"), "{text}");
        assert_eq!(text.matches("kartshoppe_cdc_alarm{").count(), Alarm::KINDS.len(), "{text}");
        cell.published(3, Some(1));
        let text = metrics.render(Format::OpenMetrics).unwrap();
        assert!(text.contains("kartshoppe_cdc_rows_total{} 3.0"), "{text}");
    }
}
