// Starts the real backends without containers: Prometheus, and Jaeger twice where it was built (as the collector, and as itself). They run
// with the files of otel/, in which only addresses are replaced.
import { spawn } from 'node:child_process'
import { copyFileSync, createWriteStream, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const otel = join(import.meta.dirname, '../../otel')
const PATIENCE_MS = 60_000

export async function freePort(wanted = 0) {
  const server = createServer()
  await new Promise((done, failed) => server.once('error', failed).listen(wanted, '127.0.0.1', done))
  const { port } = server.address()
  await new Promise((done) => server.close(done))
  return port
}

export async function until(what, isSo, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience
  let last
  while (Date.now() < deadline) {
    try {
      const found = await isSo()
      if (found) return found
    } catch (error) {
      if (error instanceof HasEnded) throw error
      last = error.cause?.message ?? error.message
    }
    await sleep(200)
  }
  throw new Error(`never ${what}${last === undefined ? '' : `: ${last}`}`)
}

/** Bytes that are left on the small disk of a test when the alert comes. */
export const DISK_NEARLY_FULL = 64 * 1024 * 1024

/** Short waits and thresholds, so that a test sees an alert come and go. */
export function hastened(rules) {
  return rules
    .replaceAll(/for: \d+[smh]/g, 'for: 0s')
    .replaceAll(/(_lag_seconds\)?|_age_seconds\)) > 30/g, '$1 > 3')
    .replaceAll('max(kartshoppe_cdc_lag_bytes) > 67108864', 'max(kartshoppe_cdc_lag_bytes) > 4096')
    .replaceAll('kartshoppe_disk_free_bytes < 1073741824', `kartshoppe_disk_free_bytes < ${DISK_NEARLY_FULL}`)
    .replaceAll(/increase\((kartshoppe_telemetry_spans_dropped_total)\[5m\]\)/g, 'increase($1[15s])')
}

class HasEnded extends Error {}

/** Waits until a child answers. */
const untilReady = (what, child, log, isSo) => until(`ready: ${what}`, async () => {
  if (child.exitCode !== null || child.signalCode !== null) throw new HasEnded(`${what} has ended: see ${log}`)
  return isSo()
})

/** Starts what is there; `ports` may fix `prometheus`, `jaeger`, `otlp`. `rules` changes the text of the rules, `logsTo` is where log lines go. */
export async function startBackends(options) {
  const children = []
  try {
    return await start(options, children)
  } catch (error) {
    await stopAll(children)
    throw error
  }
}

async function start({ folder, shop, jaeger, logsTo, ports = {}, rules = (text) => text, decisionWait = '5s' }, children) {
  mkdirSync(join(folder, 'rules'), { recursive: true })
  // Otherwise the program that holds a port would be taken for ours.
  for (const [name, port] of Object.entries(ports)) {
    await freePort(port).catch(() => {
      throw new Error(`127.0.0.1:${port}, where ${name} is to listen, is in use: stop the program that holds it`)
    })
  }
  const run = (name, program, arguments_, environment = {}) => {
    const child = spawn(program, arguments_, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
    const log = createWriteStream(join(folder, `${name}.log`))
    child.stdout.pipe(log)
    child.stderr.pipe(log)
    child.on('error', (error) => console.error(`kartshoppe: ${name} cannot be started: ${error.message}`))
    children.push(child)
    return child
  }
  const port = async (name) => ports[name] ?? (await freePort())
  const at = { prometheus: await port('prometheus'), spans: await port('spans'), own: await port('own') }
  const local = (number) => `127.0.0.1:${number}`

  const config = readFileSync(join(otel, 'prometheus/prometheus.yml'), 'utf8')
    .replace('shop:9464', shop)
    .replace('collector:8889', local(at.spans))
    .replace('collector:8888', local(at.own))
    .replaceAll(/(scrape|evaluation)_interval: 5s/g, '$1_interval: 1s')
  writeFileSync(join(folder, 'prometheus.yml'), config)
  for (const file of readdirSync(join(otel, 'prometheus/rules'))) {
    writeFileSync(join(folder, 'rules', file), rules(readFileSync(join(otel, 'prometheus/rules', file), 'utf8')))
  }
  const ownPrometheus = run('prometheus', 'prometheus', [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'prometheus-data')}`,
    `--web.listen-address=${local(at.prometheus)}`,
    '--enable-feature=exemplar-storage',
    '--log.level=warn',
  ])
  const prometheus = `http://${local(at.prometheus)}`
  await untilReady('Prometheus', ownPrometheus, join(folder, 'prometheus.log'), async () => (await fetch(`${prometheus}/-/ready`)).ok)

  const started = { prometheus, stop: () => stopAll(children) }
  if (jaeger === undefined) return started
  const query = await port('jaeger')
  const [otlp, ingest, health, queryGrpc, otlpGrpc] = [await port('otlp'), ...(await Promise.all([1, 2, 3, 4].map(freePort)))]
  for (const file of ['jaeger.yml', 'collector.yml', 'logs.yml']) copyFileSync(join(otel, file), join(folder, file))
  const ownJaeger = run('jaeger', jaeger, ['--config', join(folder, 'jaeger.yml')], {
    HEALTH: local(health), QUERY_HTTP: local(query), QUERY_GRPC: local(queryGrpc), OTLP_GRPC: local(ingest), PROMETHEUS: prometheus,
  })
  await untilReady('Jaeger', ownJaeger, join(folder, 'jaeger.log'), async () => (await fetch(`http://${local(health)}/status`)).ok)
  const startCollector = async () => {
    const files = logsTo === undefined ? ['collector.yml'] : ['collector.yml', 'logs.yml']
    const collector = run('collector', jaeger, files.flatMap((file) => ['--config', join(folder, file)]), {
      OTLP_GRPC: local(otlpGrpc), OTLP_HTTP: local(otlp), TRACES_TO: local(ingest), SPAN_METRICS: local(at.spans),
      OWN_METRICS_HOST: '127.0.0.1', OWN_METRICS_PORT: String(at.own), DECISION_WAIT: decisionWait, LOGS_TO: logsTo ?? '',
    })
    await untilReady('the collector', collector, join(folder, 'collector.log'), async () => (await fetch(`http://${local(at.spans)}/metrics`)).ok)
    return collector
  }
  let collector = await startCollector()
  return {
    ...started,
    jaeger: `http://${local(query)}`,
    otlp: `http://${local(otlp)}`,
    killCollector: () => collector.kill('SIGKILL'),
    reviveCollector: async () => {
      collector = await startCollector()
    },
  }
}

async function stopAll(children) {
  const ended = children.filter((child) => child.exitCode === null && child.pid !== undefined).map(
    (child) => new Promise((done) => {
      child.once('exit', done)
      child.kill('SIGTERM')
    }),
  )
  await Promise.race([Promise.all(ended), sleep(10_000)])
  for (const child of children) if (child.exitCode === null) child.kill('SIGKILL')
}
