//! What stands in the way of work right now: one alarm per cause and place, raised and cleared by the part that observes it.
//!
//! ```text
//!  observer ─ raise(about, alarm) ─► Alarms ─┬─► /readyz      (those that block; the public one without the detail)
//!           ─ clear(about) ────────►         ├─► log          (once when it is raised, once when it is over)
//!                                            ├─► /metrics     (kartshoppe_alarm, labels cause, topic, partition)
//!                                            └─► `check`      (what it could not judge, and why)
//! ```
//!
//! Raising an alarm that stands already renews its text and logs nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub use super::causes::Cause;
use super::families as family;
use super::metrics::Metrics;
use crate::clock::whole_ms;

/// What an alarm is about. At most one alarm stands for each; these are also its labels on `/metrics`, so they are few: a topic
/// is one of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct About {
    pub cause: Cause,
    /// The topic's name as the log has it.
    pub topic: Option<String>,
    pub partition: Option<i32>,
}

impl About {
    /// The whole process or an outside part.
    #[must_use]
    pub const fn cause(cause: Cause) -> Self {
        Self { cause, topic: None, partition: None }
    }

    #[must_use]
    pub fn topic(cause: Cause, topic: impl Into<String>) -> Self {
        Self { cause, topic: Some(topic.into()), partition: None }
    }

    #[must_use]
    pub fn partition(cause: Cause, topic: impl Into<String>, partition: i32) -> Self {
        Self { cause, topic: Some(topic.into()), partition: Some(partition) }
    }
}

/// What is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// For the public: what stands still, where, and what to do. No path, no error of the system, no name of a host or process.
    pub text: String,
    /// For operators only: the error, path, process or host behind it.
    pub detail: Option<String>,
    /// Whether the process is not ready while it stands; otherwise it only warns.
    pub blocks: bool,
}

impl Alarm {
    /// Work stands still: the process is not ready.
    #[must_use]
    pub fn blocks(text: impl Into<String>) -> Self {
        Self { text: text.into(), detail: None, blocks: true }
    }

    /// Work goes on, but an operator must act.
    #[must_use]
    pub fn warns(text: impl Into<String>) -> Self {
        Self { text: text.into(), detail: None, blocks: false }
    }

    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// As operators read it.
    #[must_use]
    pub fn in_full(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{} ({detail})", self.text),
            None => self.text.clone(),
        }
    }
}

/// The alarms of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Alarms(Arc<Mutex<BTreeMap<About, Standing>>>);

#[derive(Debug)]
struct Standing {
    alarm: Alarm,
    since: Instant,
}

impl Alarms {
    /// Raises an alarm, or renews the text of one that stands.
    pub fn raise(&self, about: About, alarm: Alarm) {
        let mut standing = self.standing();
        if let Some(known) = standing.get_mut(&about) {
            known.alarm = alarm;
            return;
        }
        let (cause, topic, partition) = (about.cause.as_str(), about.topic.as_deref(), about.partition);
        let text = one_line(&alarm.in_full());
        if about.cause.is_expected() {
            tracing::info!(kartshoppe.cause = cause, topic, partition, "{text}");
        } else if alarm.blocks {
            tracing::error!(kartshoppe.cause = cause, topic, partition, "{text}");
        } else {
            tracing::warn!(kartshoppe.cause = cause, topic, partition, "{text}");
        }
        standing.insert(about, Standing { alarm, since: Instant::now() });
    }

    /// What it was about is well again. Nothing happens if no alarm stands.
    pub fn clear(&self, about: &About) {
        let Some(Standing { since, .. }) = self.standing().remove(about) else { return };
        let stood = Duration::from_millis(whole_ms(since.elapsed()));
        let (cause, topic, partition) = (about.cause.as_str(), about.topic.as_deref(), about.partition);
        tracing::info!(kartshoppe.cause = cause, topic, partition, ?stood, "over: {cause}");
    }

    /// Raises with `Some`, clears with `None`.
    pub fn set(&self, about: About, alarm: Option<Alarm>) {
        match alarm {
            Some(alarm) => self.raise(about, alarm),
            None => self.clear(&about),
        }
    }

    /// Clears every alarm of a cause that is about none of `still`.
    pub fn clear_others(&self, cause: Cause, still: &[About]) {
        self.clear_if(|about| about.cause == cause && !still.contains(about));
    }

    /// A role was stopped on purpose: what its parts alone could clear is over.
    pub fn clear_role(&self, role: &str) {
        self.clear_if(|about| about.cause.role() == Some(role));
    }

    fn clear_if(&self, is_over: impl Fn(&About) -> bool) {
        let over: Vec<_> = self.standing().keys().filter(|about| is_over(about)).cloned().collect();
        over.iter().for_each(|about| self.clear(about));
    }

    /// Whether an alarm about this stands.
    #[must_use]
    pub fn stands(&self, about: &About) -> bool {
        self.standing().contains_key(about)
    }

    /// Every alarm that stands, in the order of causes.
    #[must_use]
    pub fn list(&self) -> Vec<(About, Alarm)> {
        self.standing().iter().map(|(about, standing)| (about.clone(), standing.alarm.clone())).collect()
    }

    /// Shows them on `/metrics`: 1 while one stands.
    pub fn register(&self, metrics: &Metrics) {
        let alarms = self.clone();
        metrics.observe(&family::ALARM, move || alarms.standing().keys().map(|about| (labels(about), 1.0)).collect());
        let alarms = self.clone();
        metrics.observe_one(&family::READY, move || {
            let is_blocked = alarms.standing().values().any(|standing| standing.alarm.blocks);
            Some(f64::from(u8::from(!is_blocked)))
        });
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<About, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text of several lines, such as an error of PostgreSQL's, as the one line of the log that it is.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn labels(about: &About) -> Vec<(&'static str, String)> {
    let mut labels = vec![("cause", about.cause.as_str().to_owned())];
    labels.extend(about.topic.iter().map(|topic| ("topic", topic.clone())));
    labels.extend(about.partition.iter().map(|partition| ("partition", partition.to_string())));
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alarm_stands_for_each_cause_and_place_until_it_is_cleared() {
        let alarms = Alarms::default();
        let (first, second) =
            (About::partition(Cause::RecordUnreadable, "products", 1), About::partition(Cause::RecordUnreadable, "products", 2));
        alarms.raise(first.clone(), Alarm::blocks("record 7"));
        alarms.raise(first.clone(), Alarm::blocks("record 8").with_detail("codec 4"));
        alarms.raise(second.clone(), Alarm::warns("record 1"));
        let listed: Vec<_> = alarms.list().into_iter().map(|(about, alarm)| (about, alarm.in_full())).collect();
        assert_eq!(listed, [(first.clone(), "record 8 (codec 4)".to_owned()), (second.clone(), "record 1".to_owned())]);
        alarms.clear_others(Cause::RecordUnreadable, std::slice::from_ref(&second));
        alarms.set(second.clone(), None);
        alarms.clear(&second);
        assert!(alarms.list().is_empty());
    }

    #[test]
    fn a_role_that_is_stopped_takes_its_own_alarms_along() {
        let alarms = Alarms::default();
        alarms.raise(About::partition(Cause::PositionForeign, "order-events", 3), Alarm::warns("moved"));
        alarms.raise(About::cause(Cause::DiskFull), Alarm::blocks("full"));
        alarms.clear_role("api");
        assert_eq!(alarms.list().len(), 2);
        alarms.clear_role("inventory");
        assert_eq!(alarms.list().into_iter().map(|(about, _)| about.cause).collect::<Vec<_>>(), [Cause::DiskFull]);
    }

    #[test]
    fn an_alarm_is_one_line_of_the_log() {
        assert_eq!(one_line("refused (ERROR: no\n  HINT:  grant it\r\n\n)"), "refused (ERROR: no HINT:  grant it )");
    }

    #[test]
    fn metrics_show_what_stands_with_few_labels() {
        let (alarms, metrics) = (Alarms::default(), Metrics::default());
        alarms.register(&metrics);
        alarms.raise(About::cause(Cause::DiskFull), Alarm::blocks("full"));
        alarms.raise(About::partition(Cause::PositionForeign, "order-events", 3), Alarm::warns("moved"));
        let text = metrics.render(crate::telemetry::metrics::Format::OpenMetrics).unwrap();
        assert!(text.contains("kartshoppe_alarm{cause=\"disk-full\"} 1"), "{text}");
        assert!(text.contains("kartshoppe_alarm{cause=\"position-foreign\",topic=\"order-events\",partition=\"3\"} 1"), "{text}");
    }
}
