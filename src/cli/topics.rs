//! `kartshoppe topics create|list|tail|produce|delete`: the event log from the outside.
//!
//! Reading opens the log beside a running server. Writing goes through the server's operators' listener, as the log has one
//! writer; only operations that must not run beside a server open the log for writing.

use std::fmt::Write;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::http::OperatorsListener;
use super::{Cli, output};
use crate::actors::inventory::INVENTORY_GROUP;
use crate::app::Log;
use crate::clock::Clock;
use crate::config::Config;
use crate::data_dir;
use crate::log::{EventLog, Stop, TopicPartition};
use crate::records::{self, Form, Predicate, ReadFrom};
use crate::wire::topics::Topic;

/// Records per read, and how long a read waits for the first.
const CHUNK: usize = 1_000;
const READ_WAIT: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: TopicsCommand,
}

#[derive(Debug, Subcommand)]
enum TopicsCommand {
    /// Create the topics that are missing.
    Create {
        /// Include the platform's topics that the shop does not use.
        #[arg(long)]
        all: bool,
    },
    /// Show the topics, their number of records, and their retention.
    List,
    /// Print records, one JSON object per line.
    Tail {
        #[arg(required = true, value_name = "TOPIC")]
        topics: Vec<String>,
        /// Only records that match: paths, ==, !=, <, <=, >, >=, and, or, not, parentheses, contains, startswith,
        /// endswith, test, length, to-long, to-double, from-date.
        #[arg(long = "where", value_name = "PREDICATE")]
        predicate: Option<String>,
        /// start, end, an offset, -20 for the last 20 of each partition, -1h for an hour ago, or a time such as
        /// 2026-01-31T10:00:00Z. Default: start, or end with --follow.
        #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
        from: Option<String>,
        /// Keep printing records as they are written.
        #[arg(long)]
        follow: bool,
    },
    /// Write one record, read as JSON from standard input. An array stays one record; `null` with a key removes it.
    Produce {
        topic: String,
        #[arg(long)]
        key: Option<String>,
    },
    /// Delete topics with all their records. Refused while the server runs.
    Delete {
        #[arg(value_name = "TOPIC")]
        topics: Vec<String>,
        /// All topics.
        #[arg(long)]
        all: bool,
    },
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    super::block_on(async {
        match &args.what {
            TopicsCommand::Create { all } => create(&config, *all).await,
            TopicsCommand::List => list(&config).await,
            TopicsCommand::Tail { topics, predicate, from, follow } => {
                let tail = Tail::new(topics, predicate.as_deref(), from.as_deref(), *follow)?;
                tail.run(&config).await
            }
            TopicsCommand::Produce { topic, key } => produce(&config, &named(topic)?, key.as_deref()).await,
            TopicsCommand::Delete { topics, all } => delete(&config, topics, *all).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn named(name: &str) -> anyhow::Result<Topic> {
    let names = || Topic::ALL.map(Topic::name).join(", ");
    Topic::from_name(name).with_context(|| format!("there is no topic {name}; the topics are {}", names()))
}

async fn create(config: &Config, all: bool) -> anyhow::Result<()> {
    let created: Vec<String> = match OperatorsListener::find(config)? {
        Some(operators) => {
            let answer = operators.post("/admin/topics", &json!({"all": all})).await?;
            serde_json::from_value(answer["created"].clone()).context("reading the server's answer")?
        }
        None => {
            let opened = Log::open_for_upkeep(config).await?;
            let wanted: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| all || topic.is_ours()).collect();
            let created = opened.log.create_topics(&wanted).await;
            opened.close().await;
            created?.iter().map(ToString::to_string).collect()
        }
    };
    Ok(match created.as_slice() {
        [] => output::line("every topic exists already"),
        created => output::line(format_args!("created {}", created.join(", "))),
    }?)
}

async fn list(config: &Config) -> anyhow::Result<()> {
    let Log { log, .. } = Log::open_for_reading(config).await?;
    let mut topics = log.topics().await?;
    topics.sort_by_key(|info| info.topic);
    // Without permission to see Kafka's settings, those of the contract are shown.
    let kept = log.kept().await.unwrap_or_default();
    let mut table = format!("{:<28} {:>10} {:>12}  kept\n", "topic", "partitions", "offsets");
    for info in topics {
        let offsets: i64 = info.partitions.iter().map(|partition| partition.end - partition.start).sum();
        let kept = kept.get(&info.topic).cloned().unwrap_or_else(|| info.topic.retention().in_words());
        let _ = writeln!(table, "{:<28} {:>10} {:>12}  {kept}", info.topic.name(), info.partitions.len(), offsets);
    }
    Ok(output::print(table)?)
}

/// Parameters of `tail`.
struct Tail {
    topics: Vec<Topic>,
    predicate: Option<Predicate>,
    from: ReadFrom,
    follow: bool,
}

impl Tail {
    fn new(topics: &[String], predicate: Option<&str>, from: Option<&str>, follow: bool) -> anyhow::Result<Self> {
        let predicate = predicate.map(Predicate::parse).transpose()?;
        let from = from.unwrap_or(if follow { "end" } else { "start" });
        let from = ReadFrom::parse(from).map_err(|reason| anyhow::anyhow!("--from {from}: {reason}"))?;
        Ok(Self { topics: topics.iter().map(|name| named(name)).collect::<Result<_, _>>()?, predicate, from, follow })
    }

    async fn run(&self, config: &Config) -> anyhow::Result<()> {
        let Log { log, .. } = Log::open_for_reading(config).await?;
        let (known, clock) = (log.topics().await?, Clock::system());
        let mut starts = Vec::new();
        for topic in &self.topics {
            let info = known.iter().find(|info| info.topic == *topic);
            let info =
                info.with_context(|| format!("{topic} does not exist yet: create it with `kartshoppe topics create --all`"))?;
            for (number, partition) in (0..).zip(&info.partitions) {
                starts.push((TopicPartition::new(*topic, number), self.from.start(partition, &clock)));
            }
        }
        let mut reader = log.reader(&starts, if self.follow { Stop::Never } else { Stop::AtEnd }).await?;
        loop {
            let records = reader.read(CHUNK, READ_WAIT).await?;
            if records.is_empty() && !self.follow && reader.caught_up() {
                return Ok(());
            }
            for record in &records {
                let fits = self.predicate.as_ref().is_none_or(|predicate| predicate.holds_for(record));
                if let Some(shown) = records::shown(record, Form::Json).filter(|_| fits) {
                    output::line(records::on_one_line(shown.get()))?;
                }
            }
        }
    }
}

/// A record to be appended.
#[derive(Serialize)]
struct Draft<'a> {
    key: Option<&'a str>,
    value: &'a RawValue,
}

async fn produce(config: &Config, topic: &Topic, key: Option<&str>) -> anyhow::Result<()> {
    let operators = OperatorsListener::of_running(config)?;
    if io::stdin().is_terminal() {
        output::tell("reading JSON from standard input; end it with Ctrl-D");
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("reading standard input")?;
    // Its own text, not what it means: numbers keep their digits, keys their order.
    let value: &RawValue = serde_json::from_str(&text).context("standard input is not one JSON value")?;
    ensure!(value.get() != "null" || key.is_some(), "null removes a key: name it with --key");
    if topic.is_output() {
        output::tell(format_args!(
            "warning: {topic} is written by the shop only: its readers take this record for one of the shop's own"
        ));
    }
    let record = Draft { key, value };
    let answer = operators.post(&format!("/admin/topics/{topic}/records"), &record).await?;
    let place = &answer["appended"][0];
    Ok(output::line(format_args!("{topic}/{} offset {}", place["partition"], place["offset"]))?)
}

async fn delete(config: &Config, names: &[String], all: bool) -> anyhow::Result<()> {
    ensure!(all == names.is_empty(), "name the topics, or all of them with --all");
    if let Some(server) = data_dir::running_server(&config.data_dir) {
        bail!("the shop is running on {} (process {}): stop it first", config.data_dir.display(), server.pid);
    }
    let wanted: Vec<Topic> =
        if all { Topic::ALL.to_vec() } else { names.iter().map(|name| named(name)).collect::<Result<_, _>>()? };
    let opened = Log::open_for_upkeep(config).await?;
    let result = delete_known(&*opened.log, &wanted).await;
    opened.close().await;
    let deleted = result?;
    if deleted.is_empty() {
        return Ok(output::line("there was no topic to delete")?);
    }
    Ok(output::line(format_args!("deleted {}", deleted.join(", ")))?)
}

async fn delete_known(log: &dyn EventLog, wanted: &[Topic]) -> anyhow::Result<Vec<&'static str>> {
    // A live reader silently skips the records of a topic that is recreated while it reads. A killed process stays a member of
    // the group for some seconds.
    let members = log.live_members(INVENTORY_GROUP).await?;
    ensure!(
        members == 0,
        "the role inventory uses this log, in {members} {}: stop it first, wherever it runs (a killed process counts for \
         some seconds more)",
        if members == 1 { "process" } else { "processes" }
    );
    let known: Vec<Topic> = log.topics().await?.iter().map(|info| info.topic).filter(|topic| wanted.contains(topic)).collect();
    log.delete_topics(&known).await?;
    Ok(known.into_iter().map(Topic::name).collect())
}
