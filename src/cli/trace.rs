//! `kartshoppe trace ORDER_ID`: the order's trace as a tree, from Jaeger's API.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use super::{Cli, output};
use crate::domain::ids::OrderId;
use crate::telemetry::names::attribute::{ERROR_TYPE, ORDER_ID, PRODUCT_ID};

/// How long Jaeger may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How far back to search for the order.
const LOOK_BACK: &str = "720h";
/// Searched first: the default name of the service.
const USUAL: [&str; 3] = ["kartshoppe-api", "kartshoppe-cdc", "kartshoppe-inventory"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The order's id, as its page shows it.
    order: String,
}

pub(super) fn run(cli: &Cli, args: &Args) -> anyhow::Result<ExitCode> {
    let config = cli.load(Vec::new())?.config;
    let order = OrderId::new(&args.order)?;
    let jaeger = Jaeger { base: config.telemetry.jaeger_url.trim_end_matches('/').to_owned() };
    let traces = super::block_on(async { jaeger.traces_of(order.as_str()).await })?;
    if traces.is_empty() {
        bail!(
            "Jaeger at {} has no trace of order {order}: check that it was placed recently, while spans were exported",
            jaeger.base
        );
    }
    for trace in &traces {
        output::print(drawn(trace))?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Jaeger {
    base: String,
}

#[derive(Debug, Deserialize)]
struct JaegerAnswer<T> {
    data: Option<Vec<T>>,
}

/// A trace as Jaeger's API gives it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    #[serde(rename = "traceID")]
    id: String,
    spans: Vec<SpanOf>,
    processes: BTreeMap<String, JaegerProcess>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanOf {
    #[serde(rename = "spanID")]
    id: String,
    operation_name: String,
    #[serde(default)]
    references: Vec<Reference>,
    /// In microseconds.
    start_time: u64,
    duration: u64,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(rename = "processID")]
    process: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: String,
    #[serde(rename = "spanID")]
    span: String,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    value: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerProcess {
    service_name: String,
}

impl Jaeger {
    /// Jaeger searches one service at a time.
    async fn traces_of(&self, order: &str) -> anyhow::Result<Vec<Trace>> {
        let known: Vec<String> = self.get("/api/services", &[]).await?;
        let usual = USUAL.into_iter().filter(|name| known.iter().any(|known| known == name));
        let others = known.iter().map(String::as_str).filter(|name| !USUAL.contains(name));
        let tags = serde_json::json!({ ORDER_ID: order }).to_string();
        for service in usual.chain(others) {
            let query = [("service", service), ("tags", &tags), ("lookback", LOOK_BACK), ("limit", "20")];
            let traces: Vec<Trace> = self.get("/api/traces", &query).await?;
            if !traces.is_empty() {
                return Ok(traces);
            }
        }
        Ok(Vec::new())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Vec<T>> {
        let asking = || format!("asking Jaeger at {} (telemetry.jaeger_url)", self.base);
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.base), query).with_context(asking)?;
        let answer = reqwest::Client::new().get(url).timeout(PATIENCE).send().await.with_context(asking)?;
        if !answer.status().is_success() {
            bail!("Jaeger at {} (telemetry.jaeger_url) answers {}", self.base, answer.status());
        }
        let found: JaegerAnswer<T> =
            answer.json().await.with_context(|| format!("{} does not answer as Jaeger does", self.base))?;
        Ok(found.data.unwrap_or_default())
    }
}

/// The trace as a tree: when each span began, in milliseconds after the first, how long it took, and its service.
fn drawn(trace: &Trace) -> String {
    let ids: BTreeSet<&str> = trace.spans.iter().map(|span| span.id.as_str()).collect();
    let mut below: BTreeMap<Option<&str>, Vec<&SpanOf>> = BTreeMap::new();
    for span in &trace.spans {
        // A span whose parent is missing becomes a root.
        below.entry(span.parent().filter(|parent| ids.contains(parent))).or_default().push(span);
    }
    below.values_mut().for_each(|spans| spans.sort_by_key(|span| (span.start_time, span.id.as_str())));
    let begin = trace.spans.iter().map(|span| span.start_time).min().unwrap_or_default();
    let mut text = format!("trace {}, {} spans\n   start ms  took ms\n", trace.id, trace.spans.len());
    let drawing = Drawing { trace, below: &below, begin };
    for root in below.get(&None).into_iter().flatten() {
        drawing.draw(&mut text, root, "", "", "");
    }
    text
}

struct Drawing<'a> {
    trace: &'a Trace,
    below: &'a BTreeMap<Option<&'a str>, Vec<&'a SpanOf>>,
    begin: u64,
}

impl Drawing<'_> {
    fn draw(&self, text: &mut String, span: &SpanOf, indent: &str, branch: &str, trunk: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:>11} {:>8}  {indent}{branch}{}  [{}]{}",
            millis(span.start_time.saturating_sub(self.begin)),
            millis(span.duration),
            span.operation_name,
            self.trace.processes.get(&span.process).map_or("?", |process| &process.service_name),
            span.remarks(),
        );
        let children = self.below.get(&Some(span.id.as_str())).map(Vec::as_slice).unwrap_or_default();
        for (number, child) in children.iter().enumerate() {
            let (branch, next) = if number + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.draw(text, child, &format!("{indent}{trunk}"), branch, next);
        }
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{:02}", micros / 1000, micros % 1000 / 10)
}

impl SpanOf {
    fn parent(&self) -> Option<&str> {
        let parent = self.references.iter().find(|reference| reference.ref_type == "CHILD_OF");
        parent.map(|parent| parent.span.as_str())
    }

    /// What went wrong, and for which product it was.
    fn remarks(&self) -> String {
        let tag = |key: &str| self.tags.iter().find(|tag| tag.key == key).and_then(|tag| tag.value.as_str());
        let product = tag(PRODUCT_ID).map(|product| format!(" {}", product.escape_debug()));
        let error = tag(ERROR_TYPE).map(|error| format!(" failed: {}", error.escape_debug()));
        [product, error].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, name: &str, start: u64, tags: Value) -> Value {
        let references: Vec<Value> = parent
            .into_iter()
            .map(|parent| serde_json::json!({"refType": "CHILD_OF", "traceID": "t", "spanID": parent}))
            .collect();
        serde_json::json!({
            "traceID": "t", "spanID": id, "operationName": name, "references": references, "startTime": start, "duration": 1500,
            "tags": tags, "processID": "p1",
        })
    }

    #[test]
    fn a_trace_is_drawn_as_a_tree_by_time() {
        let none = || serde_json::json!([]);
        let failed = serde_json::json!([{"key": "error.type", "type": "string", "value": "unavailable"}]);
        let trace: Trace = serde_json::from_value(serde_json::json!({
            "traceID": "t",
            "spans": [
                span("c", Some("a"), "send order-events", 12_000, failed),
                span("b", Some("a"), "INSERT orders", 11_000, none()),
                span("a", None, "checkout", 10_000, none()),
                span("d", Some("c"), "process order-events", 13_000, none()),
                span("e", Some("gone"), "fanout.push", 14_000, none()),
            ],
            "processes": {"p1": {"serviceName": "kartshoppe-api"}},
        }))
        .unwrap();
        insta::assert_snapshot!(drawn(&trace), @r"
        trace t, 5 spans
           start ms  took ms
               0.00     1.50  checkout  [kartshoppe-api]
               1.00     1.50  ├─ INSERT orders  [kartshoppe-api]
               2.00     1.50  └─ send order-events  [kartshoppe-api] failed: unavailable
               3.00     1.50     └─ process order-events  [kartshoppe-api]
               4.00     1.50  fanout.push  [kartshoppe-api]
        ");
    }
}
