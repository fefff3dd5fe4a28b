#!/usr/bin/env node
// Writes the dashboards of otel/grafana/dashboards/: a panel is one line here. `--check` fails where a file is stale.
//   node otel/grafana/dashboards.mjs [--check]
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(fileURLToPath(import.meta.url)), 'dashboards')
const rate = (metric, by, labels = '') => `sum by (${by}) (rate(${metric}${labels}[$__rate_interval]))`
const quantile = (q, metric, by, labels = '') =>
  `histogram_quantile(${q}, sum by (le${by ? `, ${by}` : ''}) (rate(${metric}_bucket${labels}[$__rate_interval])))`

// [title, unit, { legend: expression }, what the panel answers]
const shop = [
  ['Ready', 'bool', { '{{instance}}': 'kartshoppe_ready' }, '0: /readyz of that process says why'],
  ['Alarms that stand', 'short', { '{{cause}}': 'max by (cause) (kartshoppe_alarm) or vector(0)' }, 'docs/runbooks/alarms.md says what to do'],
  ['Broken promises', 'short', { '{{promise}}': 'sum by (promise) (kartshoppe_promise_violations_total)' }, 'Anything but 0 is a bug'],
  ['Orders placed and settled', 'ops', { 'placed {{way}}': rate('kartshoppe_orders_placed_total', 'way'), settled: 'sum(rate(kartshoppe_orders_total[$__rate_interval]))' }, 'Do orders go through?'],
  ['Orders that wait', 'short', { orders: 'max(kartshoppe_orders_pending)' }, 'Of all processes'],
  ['Age of the oldest order that waits', 's', { age: 'max(kartshoppe_orders_pending_oldest_age_seconds)' }, 'Grows while nothing settles'],
  ['Checkout to settled', 's', { p50: quantile(0.5, 'kartshoppe_order_settle_seconds'), p99: quantile(0.99, 'kartshoppe_order_settle_seconds'), 'p99.9': quantile(0.999, 'kartshoppe_order_settle_seconds') }, 'Objective: 1 s for 99.9 %'],
  ['Event to page', 's', { 'p50 {{frame}}': quantile(0.5, 'kartshoppe_page_told_seconds', 'frame'), 'p99 {{frame}}': quantile(0.99, 'kartshoppe_page_told_seconds', 'frame') }, 'Objective for product: 250 ms for 99 %'],
  ['Objectives missed, last hour', 'percentunit', { 'orders settle': 'max(kartshoppe:order_settle:error_ratio{window="1h"})', 'pages are sent changes': 'max(kartshoppe:page_told:error_ratio{window="1h"})', 'requests are answered': 'max(kartshoppe:requests:error_ratio{window="1h"})' }, 'Share that missed the objective'],
  ['Requests', 'reqps', { '{{http_route}}': rate('http_server_request_duration_seconds_count', 'http_route', '{listener="shop"}') }, 'By route template'],
  ['Requests that fail', 'reqps', { '{{http_route}} {{http_response_status_code}}': `${rate('http_server_request_duration_seconds_count', 'http_route, http_response_status_code', '{http_response_status_code=~"5.."}')} or vector(0)` }, 'Answers of 500 and above'],
  ['Request time, p99', 's', { '{{http_route}}': quantile(0.99, 'http_server_request_duration_seconds', 'http_route', '{listener="shop"}') }, 'A dot is an exemplar: it opens its trace'],
  ['Pages', 'short', { connected: 'sum(kartshoppe_pages)' }, 'WebSockets that are open'],
  ['Frames', 'ops', { '{{kind}}': rate('kartshoppe_frames_total', 'kind'), coalesced: 'sum(rate(kartshoppe_frames_coalesced_total[$__rate_interval]))' }, 'What pages are sent, and what they were spared'],
  ['Pages that do not keep up', 'ops', { 'resynced': 'sum(rate(kartshoppe_page_resyncs_total[$__rate_interval]))', 'cut: {{cause}}': rate('kartshoppe_page_cuts_total', 'cause') }, 'Slow readers'],
  ['Alerts about products', 'ops', { '{{severity}}': rate('kartshoppe_alerts_total', 'severity') }, 'Low stock and the like'],
]
const pipeline = [
  ['Lag in records', 'short', { '{{reader}} {{topic}}': 'max by (reader, topic) (kartshoppe_reader_lag_records)' }, 'Every reader, also one that stands still'],
  ['Lag in time', 's', { '{{reader}} {{topic}}': 'max by (reader, topic) (kartshoppe_reader_lag_seconds)' }, 'Age of the oldest record that was not passed'],
  ['Inputs', 'ops', { '{{outcome}}': rate('kartshoppe_inventory_inputs_total', 'outcome') }, 'What became of the records that the inventory read'],
  ['Commits', 'ops', { '{{result}}': rate('kartshoppe_inventory_commits_total', 'result') }, 'Transactions of the event log'],
  ['Commit time', 's', { p50: quantile(0.5, 'kartshoppe_inventory_commit_seconds'), p99: quantile(0.99, 'kartshoppe_inventory_commit_seconds') }, 'Of one transaction'],
  ['Records of a commit', 'short', { mean: 'sum(rate(kartshoppe_inventory_commit_records_sum[$__rate_interval])) / sum(rate(kartshoppe_inventory_commit_records_count[$__rate_interval]))' }, 'Batching'],
  ['Event age at the commit, p99', 's', { p99: quantile(0.99, 'kartshoppe_inventory_event_age_seconds') }, 'One sample per commit, none during a stall: see the lag'],
  ['Dead letters', 'ops', { '{{topic}} {{reason}}': `${rate('kartshoppe_dead_letters_total', 'topic, reason')} or vector(0)` }, 'Input that could not be used'],
  ['Order items', 'ops', { '{{fate}}': rate('kartshoppe_order_items_total', 'fate'), probed: 'sum(rate(kartshoppe_order_items_probed_total[$__rate_interval]))', rescued: 'sum(rate(kartshoppe_order_items_rescued_total[$__rate_interval]))' }, 'Publishing and rescue'],
  ['Changes that wait to be pushed', 's', { oldest: 'max(kartshoppe_push_pending_seconds)' }, 'Between the read model and the pages'],
  ['SQL connections', 'short', { '{{state}}': 'sum by (state) (kartshoppe_sql_connections)', most: 'sum(kartshoppe_sql_connections_max)', 'calls under way': 'sum(kartshoppe_sql_calls_active)' }, 'Calls above the most wait for a connection'],
  ['SQL calls', 's', { 'p50 {{outcome}}': quantile(0.5, 'kartshoppe_sql_call_seconds', 'outcome'), 'p99 {{outcome}}': quantile(0.99, 'kartshoppe_sql_call_seconds', 'outcome') }, 'With the wait for a connection'],
  ['Free disk', 'bytes', { '{{instance}}': 'kartshoppe_disk_free_bytes' }, 'Of the data directory'],
]
const actors = [
  ['Actors', 'short', { '{{kind}}': 'sum by (kind) (kartshoppe_actors)' }, 'That run'],
  ['Actors that keep ending', 'short', { '{{kind}}': 'sum by (kind) (kartshoppe_actors_failing)' }, 'Restarted at the longest backoff'],
  ['Restarts', 'ops', { '{{kind}} {{cause}}': `${rate('kartshoppe_actor_restarts_total', 'kind, cause')} or vector(0)`, 'product {{cause}}': rate('kartshoppe_product_restarts_total', 'cause') }, 'Stops on purpose are none'],
  ['Mailbox depth', 'short', { '{{kind}}': 'sum by (kind) (kartshoppe_actor_mailbox_depth)' }, 'Messages that wait or are handled'],
  ['Mailbox wait, p99', 's', { '{{kind}}': quantile(0.99, 'kartshoppe_actor_mailbox_wait_seconds', 'kind') }, 'Before a message is handled'],
  ['Handling, p99', 's', { '{{kind}}': quantile(0.99, 'kartshoppe_actor_handling_seconds', 'kind') }, 'Of one message'],
  ['Messages', 'ops', { '{{kind}}': rate('kartshoppe_actor_handling_seconds_count', 'kind') }, 'Handled'],
  ['Products', 'short', { '{{state}}': 'sum by (state) (kartshoppe_inventory_products)' }, 'Live ones have an actor'],
  ['Workers busy', 'percentunit', { '{{instance}}': 'sum by (instance) (rate(tokio_workers_busy_seconds_total[$__rate_interval])) / sum by (instance) (tokio_workers)' }, 'Of the runtime'],
  ['Tasks', 'short', { alive: 'sum(tokio_alive_tasks)', 'waiting': 'sum(tokio_global_queue_depth)' }, 'Of the runtime'],
]
const cdc = [
  ['Lag in time', 's', { lag: 'max(kartshoppe_cdc_lag_seconds)' }, 'Age of the oldest WAL that has not come through'],
  ['Lag in bytes', 'bytes', { lag: 'max(kartshoppe_cdc_lag_bytes)', retained: 'max(kartshoppe_cdc_retained_bytes)' }, 'With or without a reader'],
  ['Rows published', 'ops', { rows: 'sum(rate(kartshoppe_cdc_rows_total[$__rate_interval]))' }, 'Order items'],
  ['State of the reader', 'short', { '{{state}}': 'max by (state) (kartshoppe_cdc_state)' }, '1 for the state it is in'],
  ['State of the slot', 'short', { '{{state}}': 'max by (state) (kartshoppe_cdc_slot)' }, 'unread and lost need an operator'],
  ['Alarms of the reader', 'short', { '{{alarm}}': 'max by (alarm) (kartshoppe_cdc_alarm)' }, 'docs/runbooks/wal-reader.md'],
]
const kafka = [
  ['Clients', 'short', { '{{client}}': 'sum by (client) (kafka_clients)' }, 'That report; nothing on the embedded log'],
  ['Bytes', 'Bps', { 'sent {{client}}': rate('kafka_client_sent_bytes_total', 'client'), 'received {{client}}': rate('kafka_client_received_bytes_total', 'client') }, 'To and from brokers'],
  ['Round trip', 's', { '{{client}}': 'max by (client) (kafka_client_round_trip_seconds)' }, 'Largest mean to a broker'],
  ['Errors', 'ops', { '{{client}} {{kind}}': rate('kafka_client_errors_total', 'client, kind') }, 'Failed and timed out requests, connections that ended'],
  ['Connections tried', 'ops', { '{{client}}': rate('kafka_client_connects_total', 'client') }, 'Many: brokers come and go'],
  ['Records in producers\' queues', 'short', { '{{client}}': 'sum by (client) (kafka_client_queued_records)' }, 'Not sent or not acknowledged'],
  ['Requests that wait', 'short', { '{{client}}': 'sum by (client) (kafka_client_waiting_requests)' }, 'To be sent or answered'],
  ['Sessions made again', 'ops', { '{{kind}}': rate('kartshoppe_log_setbacks_total', 'kind') }, 'fenced: another had gone on'],
]
const telemetry = [
  ['Processes', 'short', { '{{instance}} {{version}} {{log}}': 'kartshoppe_build_info' }, 'What runs'],
  ['Targets that answer', 'bool', { '{{job}} {{instance}}': 'up' }, 'Prometheus\' own view'],
  ['Log lines dropped', 'ops', { '{{target}}': rate('kartshoppe_log_lines_dropped_total', 'target') }, 'Standard error or the disk was too slow to take them'],
  ['Processor', 'percentunit', { '{{instance}}': 'rate(process_cpu_seconds_total{job="kartshoppe"}[$__rate_interval])' }, 'Cores in use'],
  ['Memory', 'bytes', { '{{instance}}': 'process_resident_memory_bytes{job="kartshoppe"}' }, 'Resident'],
  ['File descriptors', 'percentunit', { '{{instance}}': 'process_open_fds{job="kartshoppe"} / process_max_fds{job="kartshoppe"}' }, 'Of those that may be open'],
  ['Scrape time', 's', { '{{job}}': 'scrape_duration_seconds' }, 'Of each target'],
]
// They need a collector: without one there is nothing to show.
const traces = [
  ['Spans', 'ops', { '{{service_name}} {{span_name}}': rate('traces_span_metrics_calls_total', 'service_name, span_name') }, 'From all spans, before sampling'],
  ['Span time, p99', 's', { '{{span_name}}': quantile(0.99, 'traces_span_metrics_duration_seconds', 'span_name') }, 'A dot is an exemplar: it opens its trace'],
  ['Spans exported and dropped', 'ops', { exported: 'sum(rate(kartshoppe_telemetry_spans_exported_total[$__rate_interval]))', 'dropped {{reason}}': rate('kartshoppe_telemetry_spans_dropped_total', 'reason') }, 'dropped: the collector is down, slow or refuses'],
]

const dashboards = {
  shop: ['Shop', shop, 'Does the shop sell, and how fast?'],
  pipeline: ['Pipeline', pipeline, 'Where on its way does an order wait?'],
  actors: ['Actors', actors, 'Which part is busy, slow or failing?'],
  cdc: ['CDC', cdc, 'Do orders come through the write-ahead log?'],
  kafka: ['Kafka', kafka, 'How do our clients get on with the brokers?'],
  telemetry: ['Telemetry health', [...telemetry, ...traces], 'Can the other dashboards be believed?'],
}

const source = { type: 'prometheus', uid: 'prometheus' }
const WIDTH = 8
const HEIGHT = 7

function panel([title, unit, queries, description], index) {
  const targets = Object.entries(queries).map(([legendFormat, expr], at) => ({
    refId: String.fromCharCode(65 + at), datasource: source, expr, legendFormat, exemplar: expr.startsWith('histogram_quantile'),
  }))
  return {
    id: index + 1, type: 'timeseries', title, description, datasource: source, targets,
    gridPos: { x: (index % 3) * WIDTH, y: Math.floor(index / 3) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 8, showPoints: 'never' } }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
  }
}

const annotation = (name, expr, iconColor, titleFormat) =>
  ({ name, enable: true, datasource: source, expr, iconColor, titleFormat, step: '15s' })

function dashboard(uid, [title, panels, description]) {
  return {
    uid: `kartshoppe-${uid}`, title: `KartShoppe: ${title}`, description, tags: ['kartshoppe'], schemaVersion: 39, version: 1,
    time: { from: 'now-30m', to: 'now' }, refresh: '10s', timezone: 'browser', editable: false,
    links: [{ type: 'dashboards', title: 'KartShoppe', tags: ['kartshoppe'], asDropdown: true, keepTime: true }],
    annotations: {
      list: [
        // A process that starts is a deploy, a restart or a crash; its version is in the label.
        annotation('starts', 'changes(process_start_time_seconds{job="kartshoppe"}[1m]) > 0', 'blue', 'start of {{instance}}'),
        annotation('alarms', 'max by (cause) (kartshoppe_alarm) > 0', 'red', '{{cause}}'),
      ],
    },
    templating: { list: [] },
    panels: panels.map(panel),
  }
}

let stale = 0
mkdirSync(folder, { recursive: true })
for (const [uid, spec] of Object.entries(dashboards)) {
  const path = join(folder, `${uid}.json`)
  const text = `${JSON.stringify(dashboard(uid, spec), null, 2)}\n`
  if (process.argv.includes('--check')) {
    let known = ''
    try { known = readFileSync(path, 'utf8') } catch { /* it is missing, which is stale, too */ }
    if (known !== text) {
      console.error(`${path} is stale: node otel/grafana/dashboards.mjs`)
      stale = 1
    }
  } else {
    writeFileSync(path, text)
  }
}
process.exit(stale)
