// `make run-obs`: the shop with Prometheus, and with Jaeger and the collector where they were built, without containers.
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startBackends } from './backends.mjs'

const root = join(import.meta.dirname, '../..')
const folder = resolve(root, process.env.KARTSHOPPE__DATA_DIR ?? '.kartshoppe', 'obs')
const jaeger = process.env.JAEGER_BIN || undefined
mkdirSync(folder, { recursive: true })
const admin = process.env.KARTSHOPPE__ADMIN__LISTEN ?? '127.0.0.1:9464'
const ports = { prometheus: 9090, jaeger: 16686, otlp: 4318, spans: 8889, own: 8888 }
const needed = jaeger === undefined ? { prometheus: ports.prometheus } : ports
const backends = await startBackends({ folder, shop: admin, jaeger, ports: needed }).catch((error) => {
  console.error(`kartshoppe: ${error.message}`)
  process.exit(1)
})
console.error(`kartshoppe: Prometheus shows metrics, rules and alerts on ${backends.prometheus.replace('127.0.0.1', 'localhost')}`)
if (backends.jaeger === undefined) {
  console.error('kartshoppe: no traces: Jaeger was not built (tools/telemetry/jaeger.sh, ten minutes once)')
} else {
  console.error(`kartshoppe: Jaeger answers on ${backends.jaeger.replace('127.0.0.1', 'localhost')}: its API, not its page, which is no part of its module`)
}
const traces = backends.otlp === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: backends.otlp, KARTSHOPPE__TELEMETRY__BROWSER_TRACING: 'true', KARTSHOPPE__TELEMETRY__TRACE_URL: `http://localhost:${ports.jaeger}/trace/{trace_id}` }
const shop = spawn('tools/run.sh', process.argv.slice(2), { cwd: root, stdio: 'inherit', env: { ...process.env, ...traces } })
// The terminal sends Ctrl-C to the shop as well; the backends stop after it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => signal === 'SIGINT' || shop.kill('SIGTERM'))
shop.on('exit', async (code) => {
  await backends.stop()
  process.exit(code ?? 1)
})
