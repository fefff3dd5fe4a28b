//! The ledger checker: verifies that the records of the event log, PostgreSQL and the read model agree.
//!
//! It reads PostgreSQL, the event log and, while a server runs, the read model; it decides with its own small arithmetic and
//! imports none of the engine's rules. [`Check::ALL`] lists the promises, each with the sentence that it proves.
//!
//! Safe while the shop runs: it judges as of fixed positions, taken in an order that makes later work harmless.
//!
//! ```text
//!  1 database snapshot   its content was caused by events that are already on the log
//!  2 input positions     outputs of inputs before them are already on the log
//!  3 ends of events      alerts and `products` of events before them are already on the log
//!  4 dead letters, moved records, alerts, `products`, and then, partition by partition, inputs and events
//! ```

mod alerts;
mod database;
mod decode;
mod inputs;
mod ledger;
mod products;
mod reading;
mod report;
mod stale;

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgPool;

use self::alerts::Alerts;
use self::database::DatabaseSnapshot;
use self::decode::{Event, OutputCause};
use self::inputs::{Elsewhere, Inputs};
use self::ledger::Ledger;
pub use self::ledger::Thresholds;
use self::products::Products;
use self::reading::{CheckedLog, Unread};
pub use self::report::{Breach, Check, Findings};
use self::stale::Deadlines;
use crate::log::{EventLog, LogError, Offset, PartitionId, Positions, Record, Topic, TopicPartition};

/// Default for how long reading may make no progress.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A statement over all orders may take this many times longer than a read.
const STATEMENT: u32 = 10;

/// What to judge.
pub struct Subject<'a> {
    pub log: &'a dyn EventLog,
    /// The inventory's consumer group.
    pub group: &'a str,
    pub thresholds: Thresholds,
    /// PostgreSQL; `None` judges the log alone.
    pub pool: Option<&'a PgPool>,
    /// All products as the read model shows them, if a server runs.
    pub read_model: Option<Vec<serde_json::Value>>,
    /// A partition whose reading makes no progress for this long is left out, and the report says so.
    pub patience: Duration,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("cannot read the event log")]
    Log(#[from] LogError),
    #[error("cannot read PostgreSQL")]
    Database(#[from] sqlx::Error),
}

/// Runs all checks.
///
/// # Errors
/// [`CheckError`] if something could not be read; a breach is no error.
pub async fn run(subject: &Subject<'_>) -> Result<Findings, CheckError> {
    let mut report = Findings::default();
    let database = match subject.pool {
        Some(pool) => DatabaseSnapshot::snapshot(pool, subject.patience * STATEMENT).await,
        None => Ok(DatabaseSnapshot::default()),
    };
    let database = database.map_err(|error| report.unread.push(format!("could not be judged: PostgreSQL, {error}"))).ok();
    let source = CheckedLog { log: subject.log, patience: subject.patience };
    let positions = subject.log.committed(subject.group).await?;
    let (starts, ends) = bounds(subject.log).await?;
    let mut elsewhere = Elsewhere::default();
    let unread = gather(source, &mut elsewhere).await?;
    let (alerts, no_alerts) = Alerts::read(source).await?;
    let (products, no_products) = Products::read(source).await?;
    let mut run =
        Run { subject, source, report: &mut report, positions, starts, ends, elsewhere, unread, alerts, products, database };
    run.unread.extend(no_alerts.into_iter().chain(no_products));
    for partition in 0..subject.log.partitions() {
        if let Err(unread) = run.judge_partition(partition).await {
            run.leave_out(unread);
        }
    }
    run.finish().await?;
    Ok(report)
}

struct Run<'a> {
    subject: &'a Subject<'a>,
    source: CheckedLog<'a>,
    report: &'a mut Findings,
    positions: Positions,
    starts: HashMap<TopicPartition, Offset>,
    ends: HashMap<TopicPartition, Offset>,
    elsewhere: Elsewhere,
    /// What could not be read; what hangs on it is not judged.
    unread: Vec<Unread>,
    alerts: Alerts,
    products: Products,
    database: Option<DatabaseSnapshot>,
}

impl Run<'_> {
    /// Judges the checks that span all partitions, as far as they could be read.
    async fn finish(self) -> Result<(), CheckError> {
        let Self { subject, report, alerts, products, database, unread, .. } = self;
        let misses = |topics: &[Topic]| unread.iter().any(|unread| topics.contains(&unread.at.topic));
        // Alerts and outcomes cannot be judged by an incomplete list of events.
        let events = misses(&[Topic::ProductUpdates, Topic::OrderEvents, Topic::InventoryEvents]);
        if events || misses(&[Topic::InventoryAlerts]) {
            report.not_judged.insert(Check::AlertsRecomputed);
        } else {
            alerts.finish(report);
        }
        match &subject.read_model {
            Some(read_model) if !misses(&[Topic::Products]) => products.compare_read_model(read_model, report),
            Some(_) | None => drop(report.not_judged.insert(Check::ReadModel)),
        }
        match (database, subject.pool) {
            (Some(database), Some(pool)) if !events => database.finish(pool, report).await?,
            _ => report.not_judged.extend(Check::OF_DATABASE),
        }
        if misses(&[Topic::DeadLetters, Topic::ProductUpdates, Topic::OrderEvents]) {
            report.not_judged.insert(Check::InputAccounted);
        }
        report.unread.extend(unread.iter().map(ToString::to_string));
        Ok(())
    }

    fn leave_out(&mut self, unread: Unread) {
        if !self.unread.iter().any(|known| known.at == unread.at) {
            self.unread.push(unread);
        }
    }

    fn unread(&self, at: TopicPartition) -> Option<Unread> {
        self.unread.iter().find(|unread| unread.at == at).cloned()
    }

    async fn judge_partition(&mut self, partition: PartitionId) -> Result<(), Unread> {
        let mut inputs = Inputs::new(partition);
        for topic in [Topic::ProductUpdates, Topic::OrderEvents] {
            self.take_inputs(TopicPartition::new(topic, partition), &mut inputs).await?;
        }
        let events = TopicPartition::new(Topic::InventoryEvents, partition);
        let complete = self.starts.get(&events).is_none_or(|start| *start == 0);
        let mut ledger = Ledger::new(self.subject.thresholds, complete);
        let mut deadlines = Deadlines::default();
        let settled_end = self.ends.get(&events).copied().unwrap_or_default();
        let source = self.source;
        let book = |records: &[Record]| {
            for record in records {
                if record.offset >= settled_end {
                    // From here on `products` may be behind: store the current state of each account.
                    ledger.mark_settled();
                }
                let settled = record.offset < settled_end;
                if let Some(OutputCause::Timer { deadline_ms }) = OutputCause::of(record).filter(|_| settled) {
                    deadlines.came_due(deadline_ms, record.append_time_ms);
                }
                self.book(record, settled, &mut ledger, &mut inputs);
            }
            true
        };
        source.each(events, book).await?;
        ledger.mark_settled();
        self.total(&ledger);
        if self.unread(TopicPartition::new(Topic::Products, partition)).is_none() {
            self.products.compare(partition, &ledger.accounts, &deadlines, self.report);
        }
        let stock_of =
            |product: &str| ledger.accounts.get(product).filter(|account| !account.removed).map(|account| account.stock);
        let inputs_known =
            |unread: &Unread| !matches!(unread.at.topic, Topic::DeadLetters | Topic::ProductUpdates | Topic::OrderEvents);
        if self.unread.iter().all(inputs_known) {
            inputs.finish(&self.elsewhere, stock_of, self.report);
        }
        Ok(())
    }

    async fn take_inputs(&mut self, from: TopicPartition, inputs: &mut Inputs) -> Result<(), Unread> {
        let Some(taken) = self.positions.get(&from).map(|position| position.offset) else { return Ok(()) };
        inputs.expect(from.topic, self.starts.get(&from).copied().unwrap_or_default(), taken);
        let partitions = self.subject.log.partitions();
        if let Some(unread) = self.unread(from) {
            return Err(unread);
        }
        let source = self.source;
        let take = |records: &[Record]| {
            for record in records.iter().filter(|record| record.offset < taken) {
                inputs.take(record, partitions, &self.elsewhere, self.report);
                self.report.count(&format!("{} taken", from.topic), 1);
                if let (Some(database), Topic::OrderEvents) = (&mut self.database, from.topic) {
                    database.order_event(record);
                }
            }
            records.last().is_some_and(|record| record.offset < taken)
        };
        source.each(from, take).await
    }

    fn book(&mut self, record: &Record, settled: bool, ledger: &mut Ledger, inputs: &mut Inputs) {
        let position = format!("{}/{}/{}", record.topic, record.partition, record.offset);
        let event = record.value.as_ref().and_then(|value| serde_json::from_slice::<Event>(value).ok());
        let Some(event) = event else {
            self.report.breach(Breach::new(Check::Readable, position, "an inventory event", "something else"));
            return;
        };
        let Some(cause) = OutputCause::of(record) else {
            let breach = Breach::new(Check::CauseNamed, position, "a kartshoppe-cause header", "none");
            self.report.breach(breach.of_product(&event.product_id));
            return;
        };
        if record.key.as_deref() != Some(event.product_id.as_bytes()) {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            self.report.breach(Breach::new(Check::Readable, &position, &event.product_id, key).of_product(&event.product_id));
        }
        if !cause.is_of(&event) {
            let found = format!("eventId {:?}", event.event_id);
            let breach = Breach::new(Check::CauseNamed, &position, format!("an id made of {cause}"), found);
            self.report.breach(breach.of_product(&event.product_id));
        }
        self.report.count("events", 1);
        let stock_before = ledger.accounts.get(&event.product_id).filter(|account| !account.removed).map(|account| account.stock);
        inputs.strike(&event, cause, &position, stock_before, self.report);
        for due in ledger.book(&event, cause, &position, self.report) {
            self.alerts.due(due, cause, settled, record.append_time_ms);
        }
        if let Some(database) = &mut self.database {
            database.event(&event, record, &position, self.report);
        }
    }

    fn total(&mut self, ledger: &Ledger) {
        for account in ledger.accounts.values() {
            self.report.count("products", 1);
            self.report.count("units opening", account.opening);
            self.report.count("units restocked", account.restocked);
            self.report.count("units taken back", account.taken_back);
            self.report.count("units allocated", account.allocated);
            self.report.count("units final", account.stock);
        }
    }
}

type Offsets = HashMap<TopicPartition, Offset>;

/// The first offset that each partition keeps, and the one after its last.
async fn bounds(log: &dyn EventLog) -> Result<(Offsets, Offsets), LogError> {
    let (mut starts, mut ends) = (Offsets::new(), Offsets::new());
    for info in log.topics().await? {
        for (partition, known) in (0..).zip(&info.partitions) {
            let at = TopicPartition::new(info.topic, partition);
            starts.insert(at, known.start);
            ends.insert(at, known.end);
        }
    }
    Ok((starts, ends))
}

/// Dead letters and second writings of all partitions.
async fn gather(source: CheckedLog<'_>, elsewhere: &mut Elsewhere) -> Result<Vec<Unread>, LogError> {
    let topics = [Topic::DeadLetters, Topic::ProductUpdates, Topic::OrderEvents];
    let take = |record: &Record| {
        if record.topic == Topic::DeadLetters { elsewhere.dead_letter(record) } else { elsewhere.second_writing(record) }
    };
    source.all(&topics, take).await
}
