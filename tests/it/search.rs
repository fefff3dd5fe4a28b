//! The search over several topics against brute force, page by page, on both logs.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use kartshoppe::clock::Clock;
use kartshoppe::log::{EventLog, Headers, NewRecord, Record, Start, Stop, TopicPartition, read_topics};
use kartshoppe::records::search::{Direction, EndedBy, MergeOrder, Query, search};
use kartshoppe::records::{Form, Predicate, ReadFrom};
use kartshoppe::wire::topics::Topic;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::time::Instant;

use crate::support::log::{PATIENCE, append, read_all};
use crate::support::place::{Place, on_each_log};

const TOPICS: [Topic; 3] = [Topic::OrderEvents, Topic::InventoryEvents, Topic::EcommerceEvents];
const T0: i64 = 1_700_000_000_000;

type Place3 = (Topic, i32, i64);
type Holds = Rc<dyn Fn(&Record) -> bool>;

on_each_log!(pages_are_exactly_what_brute_force_finds, a_cursor_belongs_to_its_search_and_ends_where_the_search_began,);

/// Random records; on the embedded log the clock steps back now and then.
async fn fill(log: &dyn EventLog, clock: &Clock, random: &mut StdRng, count: usize) {
    let mut now = T0;
    for number in 0..count / 20 {
        now += if random.random_ratio(1, 5) { -random.random_range(0..5_000) } else { random.random_range(0..2_000) };
        clock.set_ms(now);
        let records = (0..20).map(|part| record(random, number * 20 + part)).collect();
        append(log, records).await;
    }
}

fn record(random: &mut StdRng, number: usize) -> NewRecord {
    let n = random.random_range(0..20);
    let value = match random.random_range(0..10) {
        0 => None,
        1 => Some(Bytes::from_static(b"no json {")),
        2 => Some(Bytes::from_static(b"\xff\xfe")),
        _ => Some(Bytes::from(format!(r#"{{"n":{n},"name":"item {}","number":{number}}}"#, n % 7))),
    };
    let topic = TOPICS[if random.random_ratio(1, 2) { 0 } else { random.random_range(0..3) }];
    let partition = Some(if random.random_ratio(1, 2) { 0 } else { random.random_range(0..4) });
    NewRecord { topic, partition, key: Some(Bytes::from(format!("k{}", n % 5))), value, headers: Headers::none() }
}

fn n(record: &Record) -> Option<i64> {
    serde_json::from_slice::<Value>(record.value.as_ref()?).ok()?["n"].as_i64()
}

/// A predicate, and what it means in Rust.
fn predicate(random: &mut StdRng, depth: u32) -> (String, Holds) {
    let number: i64 = random.random_range(0..20);
    match random.random_range(0..if depth == 0 { 5 } else { 8 }) {
        0 => (format!(".value.n < {number}"), Rc::new(move |record| n(record).is_some_and(|n| n < number))),
        1 => (format!(".value.n == {number}"), Rc::new(move |record| n(record) == Some(number))),
        2 => (format!(".partition >= {}", number % 4), Rc::new(move |record| i64::from(record.partition) >= number % 4)),
        3 => {
            let key = format!("k{}", number % 5);
            (format!(".key == \"{key}\""), Rc::new(move |record| record.key.as_deref() == Some(key.as_bytes())))
        }
        4 => (format!(".offset < {}", number * 10), Rc::new(move |record| record.offset < number * 10)),
        5 => {
            let (text, holds) = predicate(random, depth - 1);
            (format!("not ({text})"), Rc::new(move |record| !holds(record)))
        }
        either => {
            let ((left, holds_left), (right, holds_right)) = (predicate(random, depth - 1), predicate(random, depth - 1));
            if either == 6 {
                (format!("({left}) and ({right})"), Rc::new(move |record| holds_left(record) && holds_right(record)))
            } else {
                (format!("({left} or {right})"), Rc::new(move |record| holds_left(record) || holds_right(record)))
            }
        }
    }
}

fn place(random: &mut StdRng) -> ReadFrom {
    match random.random_range(0..6) {
        0 => ReadFrom::Offset(random.random_range(0..400)),
        1 => ReadFrom::Last(random.random_range(0..200)),
        2 => ReadFrom::Time(T0 + random.random_range(-1_000..60_000)),
        3 => ReadFrom::End,
        _ => ReadFrom::Start,
    }
}

fn question(random: &mut StdRng) -> (Query, Option<Holds>) {
    let predicate = random.random_ratio(9, 10).then(|| predicate(random, 3));
    let query = Query {
        topics: (0..3).filter(|_| random.random_ratio(2, 3)).map(|number| TOPICS[number]).collect(),
        partition: random.random_ratio(1, 8).then(|| random.random_range(0..4)),
        predicate: predicate.as_ref().map(|(text, _)| (Predicate::parse(text).unwrap(), text.clone())),
        from: place(random),
        to: random.random_ratio(1, 3).then(|| place(random)),
        order: if random.random_ratio(1, 2) { MergeOrder::Time } else { MergeOrder::Offset },
        direction: if random.random_ratio(1, 2) { Direction::Oldest } else { Direction::Newest },
        limit: random.random_range(1..60),
        form: Form::Json,
        until: Instant::now() + PATIENCE,
    };
    let topics = if query.topics.is_empty() { TOPICS.to_vec() } else { query.topics.clone() };
    (Query { topics, ..query }, predicate.map(|(_, holds)| holds))
}

/// What a search must find, in its order: every partition is a queue, and the smallest head is next.
fn expected(all: &BTreeMap<TopicPartition, Vec<Record>>, query: &Query, holds: Option<&Holds>) -> Vec<Place3> {
    let newest = query.direction == Direction::Newest;
    let asked =
        |at: &TopicPartition| query.topics.contains(&at.topic) && query.partition.is_none_or(|number| number == at.partition);
    let mut queues = Vec::new();
    for (_, records) in all.iter().filter(|(at, _)| asked(at)) {
        let end = records.last().map_or(0, |last| last.offset + 1);
        let bound = |place: ReadFrom, record: &Record| match place {
            ReadFrom::Start => true,
            ReadFrom::End => record.offset >= end,
            ReadFrom::Offset(offset) => record.offset >= offset,
            ReadFrom::Last(count) => record.offset >= end - count,
            // Times bound records one by one, see below.
            ReadFrom::Time(_) => true,
            ReadFrom::Ago(_) => unreachable!(),
        };
        let is_early = |record: &&Record| matches!(query.from, ReadFrom::Time(time) if record.append_time_ms < time);
        let after = |to: ReadFrom, record: &Record| !matches!(to, ReadFrom::Time(_)) && bound(to, record);
        let in_bounds = |record: &&Record| bound(query.from, record) && !query.to.is_some_and(|to| after(to, record));
        let mut queue: Vec<&Record> = records.iter().skip_while(is_early).filter(in_bounds).collect();
        if !newest {
            queue.reverse();
        }
        queues.push(queue);
    }
    let key = |record: &Record| match query.order {
        MergeOrder::Time => (record.append_time_ms, record.topic_partition()),
        MergeOrder::Offset => (record.offset, record.topic_partition()),
    };
    let mut merged = Vec::new();
    loop {
        let heads = queues.iter().enumerate().filter_map(|(number, queue)| Some((key(queue.last()?), number)));
        let Some((_, next)) = (if newest { heads.max() } else { heads.min() }) else { return merged };
        let record = queues[next].pop().unwrap();
        let from = !matches!(query.from, ReadFrom::Time(time) if record.append_time_ms < time);
        let to = !matches!(query.to, Some(ReadFrom::Time(time)) if record.append_time_ms >= time);
        if from && to && holds.is_none_or(|holds| holds(record)) {
            merged.push((record.topic, record.partition, record.offset));
        }
    }
}

fn place_of(shown: &str) -> Place3 {
    let shown: Value = serde_json::from_str(shown).unwrap();
    let topic = Topic::from_name(shown["topic"].as_str().unwrap()).unwrap();
    (topic, i32::try_from(shown["partition"].as_i64().unwrap()).unwrap(), shown["offset"].as_i64().unwrap())
}

async fn pages_are_exactly_what_brute_force_finds(place: Place) {
    let is_embedded = matches!(place, Place::Embedded(_));
    let clock = Clock::manual(T0);
    let opened = place.open(&clock).await;
    let log = &*opened.log;
    let mut random = StdRng::seed_from_u64(17);
    fill(log, &clock, &mut random, if is_embedded { 2_000 } else { 600 }).await;
    let mut all: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
    for topic in TOPICS {
        for record in read_all(log, topic).await {
            all.entry(record.topic_partition()).or_default().push(record);
        }
    }
    if is_embedded {
        let steps_back = all.values().any(|records| !records.is_sorted_by_key(|record| record.append_time_ms));
        assert!(steps_back, "the clock steps back within a partition");
    }
    for case in 0..if is_embedded { 1_000 } else { 20 } {
        let (mut query, holds) = question(&mut random);
        if !is_embedded {
            query.limit += 100;
        }
        let (mut found, mut cursor, mut scanned) = (Vec::new(), None::<String>, 0);
        loop {
            // Now and then a page has no time at all.
            let time = if random.random_ratio(1, 40) { Duration::ZERO } else { PATIENCE };
            query.until = Instant::now() + time;
            let page = search(log, &clock, &query, cursor.as_deref()).await.unwrap();
            assert!(page.records.len() <= query.limit && page.scanned >= scanned && page.scanned <= page.total, "{page:?}");
            assert_eq!(page.cursor.is_some(), page.ended_by.is_some(), "{query:?}");
            (scanned, cursor) = (page.scanned, page.cursor);
            found.extend(page.records.iter().map(|shown| place_of(shown.get())));
            if cursor.is_none() {
                assert_eq!(page.scanned, page.total, "all is searched at the end");
                break;
            }
            let ended_by = page.ended_by.unwrap();
            assert!(ended_by == EndedBy::Limit || (ended_by == EndedBy::Time && time.is_zero()), "{ended_by:?}");
        }
        assert_eq!(found, expected(&all, &query, holds.as_ref()), "case {case}: {query:?}");
    }
    opened.close().await;
}

async fn a_cursor_belongs_to_its_search_and_ends_where_the_search_began(place: Place) {
    let clock = Clock::manual(T0);
    let opened = place.open(&clock).await;
    let log = &*opened.log;
    let mut random = StdRng::seed_from_u64(4);
    fill(log, &clock, &mut random, 100).await;
    let query = Query {
        topics: TOPICS.to_vec(),
        partition: None,
        predicate: None,
        from: ReadFrom::Start,
        to: None,
        order: MergeOrder::Time,
        direction: Direction::Oldest,
        limit: 60,
        form: Form::Json,
        until: Instant::now() + PATIENCE,
    };
    let first = search(log, &clock, &query, None).await.unwrap();
    fill(log, &clock, &mut random, 100).await;
    let second = search(log, &clock, &query, first.cursor.as_deref()).await.unwrap();
    assert_eq!((first.records.len(), second.records.len(), second.cursor, second.scanned), (60, 40, None, 100), "a snapshot");
    let newest = Query { direction: Direction::Newest, ..query.clone() };
    for (query, cursor) in [(&newest, first.cursor.as_deref()), (&query, Some("no cursor")), (&query, Some(""))] {
        assert!(search(log, &clock, query, cursor).await.is_err(), "{cursor:?}");
    }
    let elsewhere = place.another();
    let other = elsewhere.open(&clock).await;
    fill(&*other.log, &clock, &mut random, 200).await;
    assert!(search(&*other.log, &clock, &query, first.cursor.as_deref()).await.is_err(), "a cursor of another log");
    opened.close().await;
    other.close().await;
}

/// Records a second of a search over a million records beside a bare scan of them. Without other work on the machine, and
/// optimised: `cargo test --release --test it -- --ignored --nocapture a_search_of_a_million_beside_a_bare_scan`.
mod speed {
    use super::*;

    const MILLION: usize = 1_000_000;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "a figure, for docs/BENCHMARKS.md"]
    async fn a_search_of_a_million_beside_a_bare_scan_embedded() {
        measure(Place::embedded()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "a figure, for docs/BENCHMARKS.md"]
    async fn a_search_of_a_million_beside_a_bare_scan_kafka() {
        let Some(place) = Place::kafka() else { return };
        measure(place).await;
    }

    async fn measure(place: Place) {
        let opened = place.open(&Clock::system()).await;
        let log = &*opened.log;
        for chunk in 0..MILLION / 10_000 {
            append(log, (0..10_000).map(|part| order(chunk * 10_000 + part)).collect()).await;
        }
        let begun = Instant::now();
        let mut reader = read_topics(log, &[Topic::OrderEvents], Start::Beginning, Stop::AtEnd).await.unwrap();
        let mut records = 0;
        while !reader.caught_up() {
            records += reader.read(1_000, PATIENCE).await.unwrap().len();
        }
        assert_eq!(records, MILLION);
        let scan = begun.elapsed();
        println!("bare scan: {:.0} k records/s", 1e3 / scan.as_secs_f64());
        for (direction, text) in [
            (Direction::Oldest, ".value.productId == \"nothing\""),
            (Direction::Newest, ".value.productId == \"nothing\""),
            (Direction::Newest, ".key | test(\"^nothing$\")"),
            (Direction::Newest, ".partition > 9"),
        ] {
            let begun = Instant::now();
            let query = Query {
                topics: vec![Topic::OrderEvents],
                partition: None,
                predicate: Some((Predicate::parse(text).unwrap(), text.to_owned())),
                from: ReadFrom::Start,
                to: None,
                order: MergeOrder::Time,
                direction,
                limit: 100,
                form: Form::Text,
                until: Instant::now() + 10 * PATIENCE,
            };
            let page = search(log, &Clock::system(), &query, None).await.unwrap();
            assert_eq!((page.scanned, page.ended_by), (MILLION as u64, None));
            let took = begun.elapsed().as_secs_f64();
            println!(
                "{direction:?}, {text}: {:.0} k records/s, {:.0} % of the scan",
                1e3 / took,
                100.0 * scan.as_secs_f64() / took
            );
        }
        opened.close().await;
    }

    fn order(number: usize) -> NewRecord {
        let product = format!("PROD_{:04}", number % 200);
        let value = format!(
            r#"{{"orderId":"01890a5d-ac96-774b-bcce-{number:012}","productId":"{product}","quantity":2,"timestamp":1732500000000}}"#
        );
        let (key, value) = (Some(Bytes::from(product)), Some(Bytes::from(value)));
        NewRecord { topic: Topic::OrderEvents, partition: None, key, value, headers: Headers::none() }
    }
}
