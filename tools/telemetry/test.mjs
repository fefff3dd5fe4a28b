// node test.mjs BINARY FOLDER: starts the shop and the backends, lets shoppers buy, and asks the backends what they know of it.
import { execFileSync, spawn } from 'node:child_process'
import { createWriteStream, readFileSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { DISK_NEARLY_FULL, freePort, hastened, startBackends, until } from './backends.mjs'
import { buyInBrowser } from './browser.mjs'

const otel = join(import.meta.dirname, '../../otel')
const [binary, folder] = process.argv.slice(2)
const jaeger = process.env.JAEGER_BIN || undefined
const onKafka = process.env.KARTSHOPPE__LOG__KIND === 'kafka'
/** Longer than a rate's window. */
const SESSION_MS = 40_000
const WINDOW = '30s'

let failures = 0
function check(isSo, what) {
  if (!isSo) {
    failures += 1
    console.error(`FAILED: ${what}`)
  }
}

const [http, admin, otlp] = await Promise.all([freePort(), freePort(), freePort()])
const shopUrl = `http://127.0.0.1:${http}`
const adminUrl = `http://127.0.0.1:${admin}`
const loki = await standInForLoki()
const backends = await startBackends({
  folder, shop: `127.0.0.1:${admin}`, jaeger, logsTo: loki.url, ports: { otlp }, rules: hastened, decisionWait: '1s',
})
let shop
let page

/** The environment of the shop and its commands. */
function settings() {
  return {
    ...process.env,
    KARTSHOPPE__DATA_DIR: join(folder, 'data'),
    KARTSHOPPE__HTTP__LISTEN: `127.0.0.1:${http}`,
    KARTSHOPPE__ADMIN__LISTEN: `127.0.0.1:${admin}`,
    KARTSHOPPE__FAULTS__ENABLED: 'true',
    KARTSHOPPE__POSTGRES__MAX_CONNECTIONS: '8',
    ...(backends.jaeger === undefined ? {} : { KARTSHOPPE__TELEMETRY__JAEGER_URL: backends.jaeger }),
  }
}

/** What a command of the program prints. */
function program(arguments_) {
  return execFileSync(binary, arguments_, { env: settings(), encoding: 'utf8' })
}

function startShop() {
  const environment = settings()
  if (jaeger !== undefined) {
    Object.assign(environment, {
      OTEL_EXPORTER_OTLP_ENDPOINT: backends.otlp, OTEL_TRACES_SAMPLER: 'always_on', KARTSHOPPE__TELEMETRY__BROWSER_TRACING: 'true',
      OTEL_LOGS_EXPORTER: 'otlp', OTEL_METRICS_EXPORTER: 'none',
    })
  }
  const child = spawn(binary, ['serve'], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  const log = createWriteStream(join(folder, 'shop.log'))
  child.stdout.pipe(log)
  child.stderr.pipe(log)
  return child
}

async function stopShop() {
  if (shop === undefined || shop.exitCode !== null) return
  const ended = new Promise((done) => shop.once('exit', done))
  shop.kill('SIGTERM')
  await Promise.race([ended, sleep(60_000)])
  if (shop.exitCode === null) shop.kill('SIGKILL')
}

async function post(base, path, body) {
  const headers = { 'content-type': 'application/json', 'x-kartshoppe-operator': 'test' }
  const answer = await fetch(`${base}${path}`, { method: 'POST', headers, body: body && JSON.stringify(body) })
  return answer.json().catch(() => ({}))
}

async function buy(number, useCdc) {
  const sessionId = `telemetry-${number}`
  await post(shopUrl, `/api/ecommerce/cart/${sessionId}/add`, { productId: `PROD_${String(number % 50).padStart(4, '0')}`, userId: 'guest', quantity: 1 })
  const shippingAddress = { name: 'A', street: '1 Main St', city: 'Town', state: 'TS', zipCode: '12345', country: 'US' }
  return post(shopUrl, '/api/ecommerce/checkout', { sessionId, userId: 'guest', useCdc, paymentMethod: 'card', shippingAddress })
}

/** Shoppers buy both ways, before pages that watch; one record cannot be used. Returns one order of each way. */
async function session() {
  await until('a full shop', async () => (await (await fetch(`${shopUrl}/api/ecommerce/products?limit=1`)).text()).length > 100)
  page = spawn(process.execPath, [join(import.meta.dirname, 'page.mjs'), `ws://127.0.0.1:${http}/ecommerce/telemetry-page/guest`])
  await post(adminUrl, '/admin/topics/order-events/records', { key: 'x', value: 'not an order' })
  const ends = Date.now() + SESSION_MS
  let number = 0
  const orders = {}
  while (Date.now() < ends) {
    const useCdc = number % 2 === 1
    const order = await buy(number, useCdc)
    if (order.orderId !== undefined) orders[useCdc ? 'wal' : 'direct'] ??= order.orderId
    await fetch(`${shopUrl}/api/ecommerce/product/PROD_0001`)
    number += 1
    await sleep(150)
  }
  console.log(`telemetry: ${number} purchases`)
  check(orders.direct !== undefined && orders.wal !== undefined, 'orders by both ways')
  return orders
}

async function query(expr) {
  const answer = await fetch(`${backends.prometheus}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expr }) })
  const body = await answer.json()
  if (body.status !== 'success') throw new Error(`${expr}: ${body.error}`)
  return body.data.result
}

/** Without its comparison, so that a sound shop has a value, too. */
function withoutComparison(expr) {
  return expr.replaceAll(/(>=|<=|>|<) (?=sum)/g, '$1 bool ').replaceAll(/ (==|>=|<=|>|<) [\d.]+( \* [\d.]+)?(?=\)| or | and |$)/g, '')
}

/** Every expression of dashboards and rules. */
function allExpressions() {
  const found = []
  for (const file of readdirSync(join(otel, 'grafana/dashboards'))) {
    if (file === 'kafka.json' && !onKafka) continue
    for (const panel of JSON.parse(readFileSync(join(otel, 'grafana/dashboards', file), 'utf8')).panels) {
      for (const { expr } of panel.targets) found.push({ at: `${file}: ${panel.title}`, expr: expr.replaceAll('$__rate_interval', WINDOW) })
    }
  }
  for (const file of readdirSync(join(otel, 'prometheus/rules'))) {
    const text = readFileSync(join(otel, 'prometheus/rules', file), 'utf8')
    for (const [, name, body] of text.matchAll(/- (?:record|alert): (\S+)\n(?:.*\n)*?\s+expr: (?:>-\n)?((?:.*\n)+?)(?=\s+(?:for|- |labels)|\s*$|\n)/g)) {
      found.push({ at: `${file}: ${name}`, expr: withoutComparison(body.replaceAll(/\s+/g, ' ').trim()) })
    }
  }
  return found
}

/** What only a collector, a broker, a limit of PostgreSQL or trouble gives. */
function mayBeEmpty(expr) {
  return (jaeger === undefined && /traces_span_metrics|kartshoppe_telemetry_spans|job="collector"/.test(expr))
    || (onKafka ? /kartshoppe_log_(wal_)?bytes/ : /kafka_client/).test(expr) || /cdc_safe_bytes|^max by \(cause\) \(kartshoppe_alarm\{/.test(expr)
}

async function expressions() {
  // One more evaluation of the rules than the session's last second needs.
  await sleep(3_000)
  const all = allExpressions()
  check(all.length > 100, `only ${all.length} expressions were found`)
  for (const { at, expr } of all) {
    try {
      const result = await query(expr)
      check(result.length > 0 || mayBeEmpty(expr), `${at} has no data: ${expr}`)
      check(result.some(({ value }) => value[1] !== 'NaN') || result.length === 0 || mayBeEmpty(expr), `${at} is NaN: ${expr}`)
    } catch (error) {
      check(false, `${at}: ${error.message}`)
    }
  }
  console.log(`telemetry: ${all.length} expressions of dashboards and rules`)
}

async function firing() {
  const { data } = await (await fetch(`${backends.prometheus}/api/v1/alerts`)).json()
  return new Set(data.alerts.filter((alert) => alert.state === 'firing').map((alert) => alert.labels.alertname))
}

/** Waits until all of these fire; then until none does. */
const fires = (...names) => until(`firing: ${names.join(' and ')}`, async () => isIn(names, await firing()).every(Boolean))
const clears = (...names) => until(`clear: ${names.join(' and ')}`, async () => !isIn(names, await firing()).some(Boolean), 120_000)
const isIn = (names, all) => names.map((name) => all.has(name))

/** Causes are brought about, and taken away. */
async function alerts() {
  await until('clear: every alert of a sound shop', async () => {
    const now = await firing()
    now.delete('DeadLetters')
    if (jaeger === undefined) now.delete('CollectorDown')
    // A loaded machine may miss its objectives.
    for (const name of [...now]) if (/Budget|Mailbox/.test(name)) now.delete(name)
    if (now.size > 0) throw new Error([...now].join(', '))
    return true
  })
  check((await firing()).has('DeadLetters'), 'the record that cannot be used is an alert')
  for (const cause of [readerStopped, committerHung, walReaderStopped, slotLeftBehind, poolExhausted, diskFills, collectorDead, shopDown]) {
    try {
      const skipped = await cause()
      console.log(`telemetry: ${cause.name}: ${skipped ?? 'its alert fired and cleared'}`)
    } catch (error) {
      check(false, `${cause.name}: ${error.message}`)
    }
  }
}

async function buySome(count, useCdc) {
  for (let number = 0; number < count; number += 1) await buy(number, useCdc)
}

async function readerStopped() {
  await post(adminUrl, '/admin/roles/inventory/stop')
  await buySome(5, false)
  await fires('ReaderBehind', 'OrdersWait')
  await post(adminUrl, '/admin/roles/inventory/start')
  await clears('ReaderBehind', 'OrdersWait')
}

/** Each incarnation hangs, until the watchdog ends it and the next one hangs. */
async function committerHung() {
  await post(adminUrl, '/admin/faults', { target: 'committer', fault: 'hang', count: 1_000, ttl: '5m' })
  await buySome(5, false)
  await fires('ReaderBehind', 'OrdersWait')
  await fetch(`${adminUrl}/admin/faults`, { method: 'DELETE', headers: { 'x-kartshoppe-operator': 'test' } })
  await clears('ReaderBehind', 'OrdersWait', 'ActorFailing')
}

async function walReaderStopped() {
  await post(adminUrl, '/admin/roles/cdc/stop')
  await buySome(1, true)
  await fires('WalReaderBehind')
  await post(adminUrl, '/admin/roles/cdc/start')
  await clears('WalReaderBehind')
}

async function slotLeftBehind() {
  await post(adminUrl, '/admin/roles/cdc/stop')
  await buySome(10, true)
  await fires('SlotLeftBehind')
  await post(adminUrl, '/admin/roles/cdc/start')
  await clears('SlotLeftBehind')
}

/** Another client holds the carts; calls that change one wait with their connections, and more calls wait for those. */
async function poolExhausted() {
  const url = program(['db', 'url']).trim()
  const psql = spawn(join(process.env.KARTSHOPPE__POSTGRES__BIN_DIR, 'psql'), [url, '-qc', 'BEGIN; LOCK TABLE carts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)'], { stdio: 'ignore' })
  const waiting = []
  try {
    const pressed = setInterval(() => waiting.push(...Array.from({ length: 8 }, (_, number) => buy(number, false).catch(() => {}))), 250)
    try {
      await fires('SqlPoolExhausted')
    } finally {
      clearInterval(pressed)
    }
  } finally {
    psql.kill('SIGTERM')
  }
  await Promise.all(waiting)
  await clears('SqlPoolExhausted')
}

async function diskFills() {
  if (process.env.SMALL_DISK === undefined) return 'skipped: a small disk for the data directory needs root (mount -t tmpfs)'
  const filler = join(folder, 'data', 'filler')
  const free = statfsSync(join(folder, 'data'))
  execFileSync('fallocate', ['--length', String(free.bavail * free.bsize - DISK_NEARLY_FULL / 2), filler])
  await fires('DiskFills')
  rmSync(filler)
  await clears('DiskFills')
}

async function collectorDead() {
  if (jaeger === undefined) return 'skipped: Jaeger was left out'
  backends.killCollector()
  const bought = setInterval(() => buy(1, false).catch(() => {}), 300)
  try {
    await fires('CollectorDown', 'SpansDropped')
    await backends.reviveCollector()
    await clears('CollectorDown', 'SpansDropped')
  } finally {
    clearInterval(bought)
  }
}

async function shopDown() {
  await stopShop()
  await fires('ShopDown')
  shop = startShop()
  await until('clear: ShopDown', async () => !(await firing()).has('ShopDown'), 180_000)
}

/** Every edge of a purchase: the span below, its parent, kind and service. `{…}` as in docs/observability.md. */
const EDGES = {
  checkout: ['POST /api/ecommerce/checkout', 'internal', 'api'],
  'SELECT carts': ['checkout', 'client', 'api'],
  'INSERT orders': ['checkout', 'client', 'api'],
  'send order-events': ['checkout', 'producer', { direct: 'api', wal: 'cdc', click: 'api' }],
  'poll order-events': ['send order-events', 'client', 'inventory'],
  'process order-events': ['send order-events', 'consumer', 'inventory'],
  'product.apply': ['process order-events', 'internal', 'inventory'],
  'record.commit': ['process order-events', 'internal', 'inventory'],
  'fanout.push': ['product.apply', 'internal', 'api'],
  'order.settle': ['product.apply', 'internal', 'api'],
  'UPDATE order_items': ['order.settle', 'client', 'api'],
}
/** Those of a click in a browser, before the others. */
const CLICK_EDGES = {
  'POST /api/ecommerce/checkout': ['click checkout', 'server', 'api'],
  'repaint product': ['product.apply', 'internal', 'browser'],
}
const TYPES = { 'http.response.status_code': 'int64', 'messaging.kafka.offset': 'int64', 'kartshoppe.pages': 'int64', 'http.route': 'string', 'kartshoppe.order.id': 'string' }

const tag = (span, key) => span.tags.find((one) => one.key === key)
const parentOf = (span) => span.references.find((to) => to.refType === 'CHILD_OF' && to.traceID === span.traceID)?.spanID

async function inJaeger(path) {
  return (await (await fetch(`${backends.jaeger}${path}`)).json()).data
}

/** The traces of an order, once they are whole: the last span comes when a page has sent its repaint. */
async function tracesOf(way, orderId) {
  const tags = encodeURIComponent(JSON.stringify({ 'kartshoppe.order.id': orderId }))
  return until(`whole in Jaeger: the order by ${way}`, async () => {
    const services = await inJaeger('/api/services')
    const lists = await Promise.all(services.map((service) => inJaeger(`/api/traces?service=${service}&tags=${tags}&lookback=1h`)))
    const found = [...new Map(lists.flat().filter(Boolean).map((trace) => [trace.traceID, trace])).values()]
    const names = new Set(found.flatMap((trace) => trace.spans.map((span) => span.operationName)))
    const missing = Object.keys(edgesOf(way)).filter((name) => !names.has(name))
    if (missing.length > 0) throw new Error(`no ${missing.join(', ')}`)
    return found
  })
}

const edgesOf = (way) => (way === 'click' ? { ...EDGES, ...CLICK_EDGES } : EDGES)

/** One purchase is one trace: found by its order's id, edge by edge, with no span whose parent is missing. */
async function traces(orders) {
  for (const [way, orderId] of Object.entries(orders)) {
    const found = await tracesOf(way, orderId)
    check(found.length === 1, `the order by ${way} is in ${found.length} traces`)
    const { spans, processes } = found[0]
    const byId = new Map(spans.map((span) => [span.spanID, span]))
    const roots = spans.filter((span) => parentOf(span) === undefined)
    check(roots.map((span) => span.operationName).join() === (way === 'click' ? 'click checkout' : 'POST /api/ecommerce/checkout'), `by ${way}: the roots are ${roots.map((span) => span.operationName)}`)
    const orphans = spans.filter((span) => parentOf(span) !== undefined && !byId.has(parentOf(span)))
    check(orphans.length === 0, `by ${way}, without a parent: ${orphans.map((span) => span.operationName)}`)
    for (const [name, [parent, kind, role]] of Object.entries(edgesOf(way))) {
      const below = spans.filter((span) => span.operationName === name && byId.get(parentOf(span))?.operationName === parent)
      check(below.length > 0, `by ${way}: no ${name} below ${parent}`)
      const service = `kartshoppe-${typeof role === 'string' ? role : role[way]}`
      for (const span of below) {
        check(tag(span, 'span.kind')?.value === kind, `by ${way}: ${name} is of kind ${tag(span, 'span.kind')?.value}`)
        check(processes[span.processID].serviceName === service, `by ${way}: ${name} is of ${processes[span.processID].serviceName}`)
      }
    }
    for (const span of spans) {
      for (const { key, type } of span.tags) check((TYPES[key] ?? type) === type, `${key} of ${span.operationName} is a ${type}`)
    }
    drawn(way, orderId, spans.length)
  }
  const exemplars = await (await fetch(`${backends.prometheus}/api/v1/query_exemplars?${new URLSearchParams({
    query: 'traces_span_metrics_duration_seconds_bucket', start: Date.now() / 1000 - 600, end: Date.now() / 1000,
  })}`)).json()
  check(exemplars.data.some((series) => series.exemplars.some((one) => one.labels.trace_id)), 'span metrics carry exemplars with trace ids')
  console.log(`telemetry: one purchase by each path is one trace: ${Object.keys(orders).join(', ')}`)
}

/** `kartshoppe trace ORDER_ID` draws the same trace: a line for each span, children below their parents. */
function drawn(way, orderId, count) {
  const lines = program(['trace', orderId]).trim().split('\n')
  check(lines[0].endsWith(`, ${count} spans`) && lines.length === count + 2, `kartshoppe trace draws ${lines.length - 2} of ${count} spans by ${way}`)
  // A name stands between its branch and its service.
  const depth = (name) => Math.max(...lines.map((line) => line.indexOf(` ${name}  [`)))
  for (const [name, [parent]] of Object.entries(edgesOf(way))) {
    check(depth(name) > depth(parent) && depth(parent) >= 0, `kartshoppe trace draws ${name} outside ${parent}`)
  }
}

/** Takes what the collector sends to Loki's OTLP endpoint. */
async function standInForLoki() {
  const bodies = []
  const server = createServer((request, response) => {
    const parts = []
    request.on('data', (part) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts)
      if (request.url === '/otlp/v1/logs') bodies.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body)
      response.end()
    })
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  return { bodies, url: `http://127.0.0.1:${server.address().port}/otlp`, close: () => server.close() }
}

/** The shop's log lines come through the collector, with the id of the trace that they belong to. */
async function logs() {
  const poisoned = await (async () => {
    await post(adminUrl, '/admin/roles/inventory/stop')
    const { orderId } = await buy(7, false)
    await post(adminUrl, '/admin/faults', { target: `order/${orderId}`, fault: 'panic', count: 1_000 })
    await post(adminUrl, '/admin/roles/inventory/start')
    return orderId
  })()
  const tags = encodeURIComponent(JSON.stringify({ 'kartshoppe.order.id': poisoned }))
  const trace = await until('in Jaeger: the poisoned order', async () => (await inJaeger(`/api/traces?service=kartshoppe-api&tags=${tags}&lookback=1h`))[0])
  const id = Buffer.from(trace.traceID.padStart(32, '0'), 'hex')
  await until('at Loki: a log line of that trace', () => loki.bodies.some((body) => body.includes(id) && body.includes('becomes a dead letter')))
  console.log('telemetry: log lines come through the collector with their trace')
}

try {
  shop = startShop()
  await until('ready: the shop', async () => (await fetch(`${shopUrl}/readyz`)).ok, 180_000)
  const orders = await session()
  if (backends.jaeger !== undefined) orders.click = await buyInBrowser(shopUrl)
  await expressions()
  page.kill()
  if (backends.jaeger !== undefined) await traces(orders)
  await alerts()
  if (backends.jaeger !== undefined) await logs()
} finally {
  page?.kill()
  await stopShop()
  await backends.stop()
  loki.close()
}
console.log(failures === 0 ? 'telemetry: everything answers' : `telemetry: ${failures} failures`)
process.exit(failures === 0 ? 0 : 1)
