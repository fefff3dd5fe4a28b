// node test.mjs BINARY FOLDER: starts the shop and the backends, lets shoppers buy, and asks the backends what they know of it.
import { spawn } from 'node:child_process'
import { createWriteStream, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, hastened, startBackends, until } from './backends.mjs'

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
const backends = await startBackends({
  folder, shop: `127.0.0.1:${admin}`, jaeger, ports: { otlp }, rules: hastened, decisionWait: '1s',
})
let shop
let page
try {
  shop = startShop()
  await until('ready: the shop', async () => (await fetch(`${shopUrl}/readyz`)).ok, 180_000)
  const orders = await session()
  await expressions()
  page.kill()
  await alerts()
  if (backends.jaeger !== undefined) await traces(orders)
} finally {
  page?.kill()
  await stopShop()
  await backends.stop()
}
console.log(failures === 0 ? 'telemetry: everything answers' : `telemetry: ${failures} failures`)
process.exit(failures === 0 ? 0 : 1)

function startShop() {
  const environment = {
    ...process.env,
    KARTSHOPPE__DATA_DIR: join(folder, 'data'),
    KARTSHOPPE__HTTP__LISTEN: `127.0.0.1:${http}`,
    KARTSHOPPE__ADMIN__LISTEN: `127.0.0.1:${admin}`,
  }
  if (jaeger !== undefined) {
    Object.assign(environment, { OTEL_EXPORTER_OTLP_ENDPOINT: backends.otlp, OTEL_TRACES_SAMPLER: 'always_on' })
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
    || (!onKafka && /kafka_client/.test(expr)) || /cdc_safe_bytes|^max by \(cause\) \(kartshoppe_alarm\{/.test(expr)
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

  await post(adminUrl, '/admin/roles/inventory/stop')
  for (let number = 0; number < 5; number += 1) await buy(number, false)
  await until('firing: ReaderBehind and OrdersWait', async () => {
    const now = await firing()
    return now.has('ReaderBehind') && now.has('OrdersWait')
  })
  await post(adminUrl, '/admin/roles/inventory/start')
  await until('clear: ReaderBehind and OrdersWait', async () => {
    const now = await firing()
    return !now.has('ReaderBehind') && !now.has('OrdersWait')
  })

  await post(adminUrl, '/admin/roles/cdc/stop')
  await buy(1, true)
  await until('firing: WalReaderBehind', async () => (await firing()).has('WalReaderBehind'))
  await post(adminUrl, '/admin/roles/cdc/start')
  await until('clear: WalReaderBehind', async () => !(await firing()).has('WalReaderBehind'))

  await stopShop()
  await until('firing: ShopDown', async () => (await firing()).has('ShopDown'))
  shop = startShop()
  await until('clear: ShopDown', async () => !(await firing()).has('ShopDown'), 180_000)
  console.log('telemetry: alerts fire and clear')
}

/** One purchase is one trace: found by its order's id, with no span whose parent is missing. */
async function traces(orders) {
  const api = async (path) => (await (await fetch(`${backends.jaeger}${path}`)).json()).data
  for (const [way, orderId] of Object.entries(orders)) {
    const tags = encodeURIComponent(JSON.stringify({ 'kartshoppe.order.id': orderId }))
    const found = await until(`in Jaeger: the order by ${way}`, async () => {
      const services = await api('/api/services')
      const lists = await Promise.all(services.map((service) => api(`/api/traces?service=${service}&tags=${tags}&lookback=1h`)))
      const traces = new Map(lists.flat().filter(Boolean).map((trace) => [trace.traceID, trace]))
      return traces.size > 0 && [...traces.values()]
    })
    check(found.length === 1, `the order by ${way} is in ${found.length} traces`)
    const { spans } = found[0]
    const ids = new Set(spans.map((span) => span.spanID))
    const orphans = spans.filter((span) => span.references.some((to) => to.refType === 'CHILD_OF' && to.traceID === span.traceID && !ids.has(to.spanID)))
    check(orphans.length === 0, `by ${way}, without a parent: ${orphans.map((span) => span.operationName).join(', ')}`)
    for (const prefix of ['POST /api/ecommerce/checkout', 'product.apply']) {
      check(spans.some((span) => span.operationName.startsWith(prefix)), `by ${way}: no span ${prefix} among ${spans.map((span) => span.operationName).join(', ')}`)
    }
  }
  const exemplars = await (await fetch(`${backends.prometheus}/api/v1/query_exemplars?${new URLSearchParams({
    query: 'traces_span_metrics_duration_seconds_bucket', start: Date.now() / 1000 - 600, end: Date.now() / 1000,
  })}`)).json()
  check(exemplars.data.some((series) => series.exemplars.some((one) => one.labels.trace_id)), 'span metrics carry exemplars with trace ids')
  console.log('telemetry: one purchase by each path is one trace')
}
