//! The ledger checker: does everything that leaves a record add up (DESIGN 8)?
//!
//! It reads PostgreSQL, the event log and, while a server runs, the read model; it decides with its own small arithmetic and imports
//! no transition of the engine. [`Check::ALL`] is the list of promises with the sentence each proves.
//!
//! Safe while the shop runs: it judges as of stated positions, taken in an order that makes later work harmless.
//!
//! ```text
//!  1 database snapshot   what it holds was caused by events that are on the log by now
//!  2 input positions     outputs of inputs before them are on the log by now
//!  3 ends of events      alerts and `products` of events before them are on the log by now
//!  4 dead letters, second writings, alerts, `products`, and then, partition by partition, inputs and events
//! ```

mod alerts;
mod database;
mod decode;
mod inputs;
mod ledger;
mod products;
mod report;
mod stale;

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgPool;

use self::alerts::Alerts;
use self::database::Database;
use self::decode::{Cause, Event};
use self::inputs::{Elsewhere, Inputs};
use self::ledger::Ledger;
pub use self::ledger::Thresholds;
use self::products::Products;
pub use self::report::{Breach, Check, Report};
use self::stale::Deadlines;
use crate::log::{EventLog, LogError, Offset, PartitionId, Positions, Reader, Record, Start, Stop, Topic, TopicPartition};

/// Records per read: large enough that reading, not asking, is the work.
const CHUNK: usize = 5000;
/// A reader that stops at the end needs no patience, but Kafka may deliver late.
const WAIT: Duration = Duration::from_millis(500);

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
}

/// Why no verdict could be reached.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("cannot read the event log")]
    Log(#[from] LogError),
    #[error("cannot read PostgreSQL")]
    Database(#[from] sqlx::Error),
}

/// Judges everything.
///
/// # Errors
/// [`CheckError`] if something could not be read; a breach is no error.
pub async fn run(subject: &Subject<'_>) -> Result<Report, CheckError> {
    let mut report = Report::default();
    let database = match subject.pool {
        Some(pool) => Some(Database::snapshot(pool).await?),
        None => None,
    };
    let positions = subject.log.committed(subject.group).await?;
    let (starts, ends) = bounds(subject.log).await?;
    let elsewhere = gather(subject.log).await?;
    let alerts = Alerts::read(subject.log).await?;
    let products = Products::read(subject.log).await?;
    let mut run = Run { subject, report: &mut report, positions, starts, ends, elsewhere, alerts, products, database };
    for partition in 0..subject.log.partitions() {
        run.judge_partition(partition).await?;
    }
    let Run { alerts, products, database, .. } = run;
    alerts.finish(&mut report);
    if let Some(read_model) = &subject.read_model {
        products.compare_read_model(read_model, &mut report);
    } else {
        report.not_judged.insert(Check::ReadModel);
    }
    if let (Some(database), Some(pool)) = (database, subject.pool) {
        database.finish(pool, &mut report).await?;
    } else {
        report.not_judged.extend(Check::OF_DATABASE);
    }
    Ok(report)
}

struct Run<'a> {
    subject: &'a Subject<'a>,
    report: &'a mut Report,
    positions: Positions,
    starts: HashMap<TopicPartition, Offset>,
    ends: HashMap<TopicPartition, Offset>,
    elsewhere: Elsewhere,
    alerts: Alerts,
    products: Products,
    database: Option<Database>,
}

impl Run<'_> {
    async fn judge_partition(&mut self, partition: PartitionId) -> Result<(), CheckError> {
        let mut inputs = Inputs::new(partition);
        for topic in [Topic::ProductUpdates, Topic::OrderEvents] {
            self.take_inputs(TopicPartition::new(topic, partition), &mut inputs).await?;
        }
        let events = TopicPartition::new(Topic::InventoryEvents, partition);
        let complete = self.starts.get(&events).is_none_or(|start| *start == 0);
        let mut ledger = Ledger::new(self.subject.thresholds, complete);
        let mut deadlines = Deadlines::default();
        let settled_end = self.ends.get(&events).copied().unwrap_or_default();
        let mut reader = self.subject.log.reader(&[(events, Start::Beginning)], Stop::AtEnd).await?;
        while let Some(records) = next(reader.as_mut()).await? {
            for record in &records {
                if record.offset >= settled_end {
                    // From here on `products` may be behind: remember where each account stood.
                    ledger.mark_settled();
                }
                let settled = record.offset < settled_end;
                if let Some(Cause::Timer { deadline_ms }) = Cause::of(record).filter(|_| settled) {
                    deadlines.came_due(deadline_ms, record.append_time_ms);
                }
                self.book(record, settled, &mut ledger, &mut inputs);
            }
        }
        ledger.mark_settled();
        self.total(&ledger);
        self.products.compare(partition, &ledger.accounts, &deadlines, self.report);
        let stock_of =
            |product: &str| ledger.accounts.get(product).filter(|account| !account.removed).map(|account| account.stock);
        inputs.finish(&self.elsewhere, stock_of, self.report);
        Ok(())
    }

    async fn take_inputs(&mut self, from: TopicPartition, inputs: &mut Inputs) -> Result<(), CheckError> {
        let Some(taken) = self.positions.get(&from).map(|position| position.offset) else { return Ok(()) };
        inputs.expect(from.topic, self.starts.get(&from).copied().unwrap_or_default(), taken);
        let partitions = self.subject.log.partitions();
        let mut reader = self.subject.log.reader(&[(from, Start::Beginning)], Stop::AtEnd).await?;
        while let Some(records) = next(reader.as_mut()).await? {
            for record in records.iter().filter(|record| record.offset < taken) {
                inputs.take(record, partitions, &self.elsewhere, self.report);
                self.report.count(&format!("{} taken", from.topic), 1);
                if let (Some(database), Topic::OrderEvents) = (&mut self.database, from.topic) {
                    database.order_event(record);
                }
            }
            if records.last().is_none_or(|record| record.offset >= taken) {
                break;
            }
        }
        Ok(())
    }

    fn book(&mut self, record: &Record, settled: bool, ledger: &mut Ledger, inputs: &mut Inputs) {
        let position = format!("{}/{}/{}", record.topic, record.partition, record.offset);
        let event = record.value.as_ref().and_then(|value| serde_json::from_slice::<Event>(value).ok());
        let Some(event) = event else {
            self.report.breach(Breach::new(Check::Readable, position, "an inventory event", "something else"));
            return;
        };
        let Some(cause) = Cause::of(record) else {
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
async fn gather(log: &dyn EventLog) -> Result<Elsewhere, LogError> {
    let mut elsewhere = Elsewhere::default();
    let topics = [Topic::DeadLetters, Topic::ProductUpdates, Topic::OrderEvents];
    let mut reader = crate::log::read_topics(log, &topics, Start::Beginning, Stop::AtEnd).await?;
    while let Some(records) = next(reader.as_mut()).await? {
        for record in &records {
            if record.topic == Topic::DeadLetters { elsewhere.dead_letter(record) } else { elsewhere.second_writing(record) }
        }
    }
    Ok(elsewhere)
}

/// The next chunk of a reader that stops at the end; `None` when it is there.
async fn next(reader: &mut dyn Reader) -> Result<Option<Vec<Record>>, LogError> {
    loop {
        let records = reader.read(CHUNK, WAIT).await?;
        if !records.is_empty() {
            return Ok(Some(records));
        }
        if reader.caught_up() {
            return Ok(None);
        }
    }
}
