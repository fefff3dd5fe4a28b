// What the operators' console costs the process that it shows: `make bench ARGS=console`, or KARTSHOPPE_BIN=... tools/bench.sh console.
// CPU is that of the server's process alone (user and system, /proc); pairs with and without viewers alternate, since a machine drifts.
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, createWriteStream, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from './telemetry/backends.mjs'

const binary = process.env.KARTSHOPPE_BIN
const isShort = process.argv.includes('--short')
const [IDLE_S, LOADED_S, PAIRS, PRODUCTS] = isShort ? [10, 8, 2, 10_000] : [60, 20, 4, 100_000]
const ORDERS_PER_S = 1_000
/** Records of one call, so that the load itself is cheap. */
const AT_ONCE = 50

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const mean = (all) => all.reduce((sum, one) => sum + one, 0) / all.length

/** A shop of its own, ready. */
async function open(environment = {}) {
  const work = mkdtempSync(join(tmpdir(), 'kartshoppe-cost-'))
  // The private PostgreSQL of a server that runs as root runs as another user.
  chmodSync(work, 0o711)
  const [http, admin] = [await freePort(), await freePort()]
  mkdirSync(join(work, 'data'))
  const child = spawn(binary, ['serve'], {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { ...process.env, KARTSHOPPE__DATA_DIR: join(work, 'data'), KARTSHOPPE__HTTP__LISTEN: `127.0.0.1:${http}`, KARTSHOPPE__ADMIN__LISTEN: `127.0.0.1:${admin}`, ...environment },
  })
  const base = `http://127.0.0.1:${admin}`
  while (!(await fetch(`${base}/readyz`).catch(() => null))?.ok) {
    if (child.exitCode !== null) throw new Error(`the server ended with status ${child.exitCode}`)
    await sleep(100)
  }
  const close = async () => {
    const ended = new Promise((done) => child.once('exit', done))
    child.kill('SIGTERM')
    await ended
    // As root its database lies elsewhere.
    execFileSync(join(import.meta.dirname, 'delete-work.sh'), [work])
  }
  return { pid: child.pid, base, shop: `http://127.0.0.1:${http}`, close }
}

/** Milliseconds of CPU so far; ticks are of 10 ms (proc(5)). */
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1).trim().split(/\s+/)
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** How often its threads have gone to sleep so far: each was woken as often. */
function wakeupsOf(pid) {
  let sum = 0
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))?.[1] ?? 0)
    } catch {
      // A thread that has ended.
    }
  }
  return sum
}

/** CPU in percent of a core and wakeups a second, over so many seconds. */
async function measure(pid, seconds) {
  const [cpu, wakeups, at] = [cpuOf(pid), wakeupsOf(pid), performance.now()]
  await sleep(seconds * 1_000)
  const took = (performance.now() - at) / 1_000
  return { cpu: (cpuOf(pid) - cpu) / took / 10, wakeups: (wakeupsOf(pid) - wakeups) / took }
}

/** What open pages ask for: /flow follows the stream, /actors reads the tree every 2 s, the frame around both asks who answers. */
function watch(base, pages) {
  const leave = new AbortController()
  const { signal } = leave
  const every = async (path, ms) => {
    while (!signal.aborted) {
      await fetch(base + path, { signal }).then((answer) => answer.arrayBuffer(), () => null)
      await sleep(ms)
    }
  }
  const follow = async () => {
    const answer = await fetch(`${base}/admin/live`, { signal })
    for await (const part of answer.body) void part
  }
  for (const page of pages) {
    void every('/admin/console', 5_000)
    if (page === '/flow') void follow().catch(() => null)
    else void every('/admin/actors', 2_000)
  }
  return () => leave.abort()
}

/** Orders of all products in turn, at a steady rate, straight onto the log. */
function load(base) {
  let number = 0
  let isOver = false
  const began = performance.now()
  const run = async () => {
    while (!isOver) {
      const wait = began + (number / ORDERS_PER_S) * 1_000 - performance.now()
      if (wait > 0) await sleep(wait)
      const records = Array.from({ length: AT_ONCE }, () => {
        number += 1
        const productId = `PROD_${String((number % 200) + 1).padStart(4, '0')}`
        return { key: productId, value: { orderId: `cost-${number}`, orderItemId: `cost-${number}-1`, productId, quantity: 1, timestamp: Date.now() } }
      })
      const answer = await fetch(`${base}/admin/topics/order-events/records`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-kartshoppe-operator': 'bench' }, body: JSON.stringify({ records }) })
      if (!answer.ok) throw new Error(await answer.text())
    }
  }
  const ended = run()
  return async () => {
    isOver = true
    await ended
    return number / ((performance.now() - began) / 1_000)
  }
}

const show = (all) => `${mean(all).toFixed(2)} % (${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)})`

async function idle() {
  const shop = await open()
  await sleep(10_000)
  const closed = [], watched = [], wakeups = { closed: [], watched: [] }
  for (let nth = 0; nth < 2; nth++) {
    const without = await measure(shop.pid, IDLE_S)
    const leave = watch(shop.base, ['/flow'])
    await sleep(2_000)
    const withOne = await measure(shop.pid, IDLE_S)
    leave()
    await sleep(3_000)
    closed.push(without.cpu)
    watched.push(withOne.cpu)
    wakeups.closed.push(without.wakeups)
    wakeups.watched.push(withOne.wakeups)
  }
  console.log(`idle, console closed: ${show(closed)} of a core, ${mean(wakeups.closed).toFixed(1)} wakeups/s`)
  console.log(`idle, /flow open in one tab: ${show(watched)} of a core, ${mean(wakeups.watched).toFixed(1)} wakeups/s`)
  await shop.close()
}

async function loaded() {
  const shop = await open()
  const stop = load(shop.base)
  await sleep(5_000)
  const bare = [], watched = []
  for (let pair = 0; pair < PAIRS; pair++) {
    bare.push((await measure(shop.pid, LOADED_S)).cpu)
    const leave = watch(shop.base, ['/flow', '/actors', '/flow'])
    await sleep(1_000)
    watched.push((await measure(shop.pid, LOADED_S)).cpu)
    leave()
    await sleep(1_500)
  }
  const rate = await stop()
  console.log(`${rate.toFixed(0)} orders/s, no viewer: ${show(bare)} of a core`)
  console.log(`the same with three viewers (/flow twice, /actors): ${show(watched)} of a core`)
  const cost = mean(watched.map((one, nth) => one - bare[nth]))
  console.log(`three viewers cost ${cost.toFixed(2)} % of a core; aim <= 2 %: ${cost <= 2 ? 'met' : 'MISSED'}`)
  await shop.close()
}

async function many() {
  const folder = mkdtempSync(join(tmpdir(), 'kartshoppe-cost-'))
  const file = join(folder, 'products.json')
  const out = createWriteStream(file)
  for (let number = 0; number < PRODUCTS; number++) {
    const product = { productId: `PROD_${String(number).padStart(7, '0')}`, name: `Product number ${number}`, description: 'A thing worth having.', category: 'Electronics', brand: 'FutureTech', price: 19.99, inventory: 100, tags: ['thing'], rating: 4.5, reviewCount: 12 }
    out.write(`${number === 0 ? '[' : ','}${JSON.stringify(product)}`)
  }
  await new Promise((done) => out.end(']', done))
  const shop = await open({ KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE: file })
  const live = async () => (await (await fetch(`${shop.base}/metrics`)).text()).split('\n').filter((line) => line.startsWith('kartshoppe_inventory_products{')).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  while ((await live()) < PRODUCTS) await sleep(500)
  await sleep(5_000)
  const times = [], sizes = [], before = cpuOf(shop.pid)
  const rounds = 100
  for (let nth = 0; nth < rounds; nth++) {
    const at = performance.now()
    sizes.push((await (await fetch(`${shop.base}/admin/actors`)).arrayBuffer()).byteLength)
    times.push(performance.now() - at)
  }
  const cpu = (cpuOf(shop.pid) - before) / rounds
  times.sort((one, other) => one - other)
  console.log(`/admin/actors with ${PRODUCTS} live products: p50 ${times[rounds / 2].toFixed(1)}, p99 ${times[rounds - 1].toFixed(1)} ms, ${cpu.toFixed(1)} ms of CPU, ${(Math.max(...sizes) / 1_024).toFixed(1)} KB`)
  await shop.close()
  rmSync(folder, { recursive: true, force: true })
}

for (const part of [idle, loaded, many]) await part()
